"""All plots under one name: pictures made of images, and charts.

Every function returns `(figure, ax)`, draws on `ax=` when it is given (a grid of panels has a figure of its own), shows
nothing and keeps no global state; `save(figure, path)` writes a PNG. In a notebook run `%matplotlib inline` once and
end the cell with the figure.
"""

from jaxvae.evaluation.plots.charts import codes, kl_per_latent, loss_curves
from jaxvae.evaluation.plots.code_charts import projected_codes
from jaxvae.evaluation.plots.detection_charts import (
    histogram_grid,
    precision_recall_curves,
    roc_curves,
    score_histograms,
)
from jaxvae.evaluation.plots.evidence_charts import posterior_and_q, two_turns
from jaxvae.evaluation.plots.figures import save
from jaxvae.evaluation.plots.image_grids import compare, image_grid, reconstructions
from jaxvae.evaluation.plots.latent_grids import attribute_traversals, interpolations, manifold, traversals
from jaxvae.evaluation.plots.probe_charts import label_curves
from jaxvae.evaluation.plots.rate_charts import kl_over_training, rate_distortion_curve
from jaxvae.evaluation.plots.score_charts import information_map, score_dots

__all__ = [
    "attribute_traversals",
    "codes",
    "compare",
    "histogram_grid",
    "image_grid",
    "information_map",
    "interpolations",
    "kl_over_training",
    "kl_per_latent",
    "label_curves",
    "loss_curves",
    "manifold",
    "posterior_and_q",
    "precision_recall_curves",
    "projected_codes",
    "rate_distortion_curve",
    "reconstructions",
    "roc_curves",
    "save",
    "score_dots",
    "score_histograms",
    "traversals",
    "two_turns",
]
