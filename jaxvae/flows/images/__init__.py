"""Bijections of pictures [H, W, C], and their composition at several scales."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
