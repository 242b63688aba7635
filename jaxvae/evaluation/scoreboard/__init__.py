"""One table for every family: the columns, what a contender's row is, and how each of its numbers is measured."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
