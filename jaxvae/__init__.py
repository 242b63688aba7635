"""Variational autoencoders in JAX: right, fast and pleasant to train, measure and explore.

The public names are listed once, in `__init__.pyi`; each is imported when it is first used, so that `import jaxvae`
costs nothing.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__version__ = "0.1.0"
