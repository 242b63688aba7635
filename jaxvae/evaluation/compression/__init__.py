"""Lossless compression by a trained model: log p(x) paid in real bits, and read back bit for bit."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
