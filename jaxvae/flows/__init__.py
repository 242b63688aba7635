"""Bijections as records of pure functions, composed by `chain`."""
