"""Posteriors of few latents on a grid: evidence, bound and gap without an estimate."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
