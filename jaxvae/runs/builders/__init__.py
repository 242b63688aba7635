"""From a config to what is trained."""
