"""`Terms` and the objectives: pure functions from log-densities to nats."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
