"""Where the records of a training go beside its own log."""
