"""A user's own data: arrays in a file, pictures in a folder."""
