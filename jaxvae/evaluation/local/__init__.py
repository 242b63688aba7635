"""Posteriors fitted to one example at a time, and the gaps that they show."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
