"""Networks of noisy data, the amount of noise and perhaps a context, as `diffusion_model` takes them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
