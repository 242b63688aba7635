"""How well a model explains data: bounds on log p(x), rate and distortion, missing values."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
