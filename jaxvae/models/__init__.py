"""Generative models as records of pure functions of one parameter dict."""
