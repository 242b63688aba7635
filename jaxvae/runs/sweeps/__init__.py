"""Sweeps: a grid of runs trained in one program, each of which is an ordinary run."""
