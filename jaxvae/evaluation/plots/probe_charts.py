"""The chart of accuracy as labels become fewer."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxvae.evaluation.plots.figures import COLORS, INK, SMALL, new_axes, style
from jaxvae.evaluation.probes.probes import LabelCurve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKS = "osD^v"


def label_curves(
    curves: Mapping[str, LabelCurve], *, title: str | None = "Accuracy as labels become fewer", ax: "Axes | None" = None
) -> tuple["Figure", "Axes"]:
    """Held-out accuracy over the number of labels, with one standard error over the draws; a colour and mark for each.

    Args:
        curves: {name: `LabelCurve`}, at most ten.
        title: what the picture shows.
        ax: where to draw, by default on a new figure.

    Raises:
        ValueError: for no curves, or more than there are colours.

    Example:
        >>> curve = LabelCurve(np.array([10, 100]), np.array([[0.5, 0.6], [0.9, 0.8]]))
        >>> figure, ax = label_curves({"codes": curve})
        >>> ax.get_xscale()
        'log'
    """
    if not 1 <= len(curves) <= len(COLORS):
        raise ValueError(f"there are {len(curves)} curves, expected 1 to {len(COLORS)}, as many as there are colours.")
    if ax is None:
        _, ax = new_axes(7.0, 4.0)
    for (name, curve), color, mark in zip(curves.items(), COLORS, MARKS * 2, strict=False):
        error = np.nan_to_num(100 * curve.standard_error)
        options: dict[str, Any] = {"color": color, "marker": mark, "markersize": 4.5, "linewidth": 1.5, "capsize": 2.5}
        ax.errorbar(curve.counts, 100 * curve.mean, error, label=name, **options)
    counts = sorted({int(count) for curve in curves.values() for count in curve.counts})
    ax.set_xscale("log")
    ax.set_xticks(counts, [f"{count:,}" for count in counts])
    ax.minorticks_off()
    ax.legend(frameon=False, fontsize=SMALL, labelcolor=INK, loc="lower right")
    style(ax, title=title, x="labelled training examples", y="held-out accuracy, %")
    figure: Any = ax.figure
    return figure, ax
