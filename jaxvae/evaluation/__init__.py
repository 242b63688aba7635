"""Measuring and looking: likelihood, latents, pictures."""
