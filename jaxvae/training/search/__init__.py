"""Fits other than by steps over batches: one example's posterior, coordinate ascent."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
