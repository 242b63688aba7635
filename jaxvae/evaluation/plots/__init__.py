"""All plots under one name: pictures made of images, and charts.

Every function returns `(figure, ax)`, draws on `ax=` when it is given (a grid of panels has a figure of its own), shows
nothing and keeps no global state; `save(figure, path)` writes a PNG. In a notebook run `%matplotlib inline` once and
end the cell with the figure.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
