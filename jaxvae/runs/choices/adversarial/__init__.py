"""Kinds of model that are trained against a critic: games, and models with another objective that a critic joins."""
