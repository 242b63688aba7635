"""All plots under one name: pictures made of images, and charts.

Every function returns `(figure, ax)`, draws on `ax=` when it is given, shows nothing and keeps no global
state; `save(figure, path)` writes a PNG. In a notebook run `%matplotlib inline` once and end the cell
with the figure.
"""

from jaxvae.evaluation.charts import codes, kl_per_latent, loss_curves
from jaxvae.evaluation.figures import save
from jaxvae.evaluation.latent_pictures import interpolations, manifold, traversals
from jaxvae.evaluation.pictures import compare, image_grid, reconstructions

__all__ = [
    "codes",
    "compare",
    "image_grid",
    "interpolations",
    "kl_per_latent",
    "loss_curves",
    "manifold",
    "reconstructions",
    "save",
    "traversals",
]
