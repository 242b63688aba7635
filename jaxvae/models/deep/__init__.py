"""Deep hierarchies: many groups of latents in one network that comes down from the top."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
