"""Checkpoints: written aside, verified, never half there."""
