"""Data that TensorFlow Datasets has prepared on this machine."""
