"""The folder of a run: what lies in it, and how it is written."""
