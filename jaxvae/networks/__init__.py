"""Flax Linen encoders and decoders, for one example."""
