"""Densities, divergences and sampling: plain arrays in, nats out, one example at a time."""
