"""A run from its config: build, train, load."""
