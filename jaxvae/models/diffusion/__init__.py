"""Diffusion: a VAE of infinitely many latents whose encoder only adds noise."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
