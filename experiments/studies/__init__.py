"""Questions asked of models, one script each."""
