"""Charts of anomaly scores: the histograms of inliers and outliers, ROC curves and precision-recall curves."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from jaxvae.checks import finite_number, positive_integer
from jaxvae.evaluation.anomaly.detection_metrics import average_precision, curve
from jaxvae.evaluation.anomaly.roc import auroc
from jaxvae.evaluation.anomaly.scores import vector
from jaxvae.evaluation.plots.figures import BLUE, COLORS, DPI, INK, MUTED, ORANGE, SMALL, TITLE, WIDTH, new_axes, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = jax.Array
Scores = Array | np.ndarray
Pairs = Mapping[str, tuple[Scores, Scores]]
LINES = ("solid", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))  # with the colours, so that no line hangs on one alone


def score_histograms(
    inliers: Scores,
    outliers: Scores,
    *,
    bins: int = 40,
    tail: float = 0.005,
    names: tuple[str, str] = ("inliers", "outliers"),
    title: str | None = None,
    x: str = "score, nats",
    ax: "Axes | None" = None,
) -> tuple["Figure", "Axes"]:
    """Two histograms over one another, each with an area of 1; what lies beyond the view is in the outermost bars.

    Args:
        inliers: [N] scores, higher is more anomalous. outliers: [M].
        bins: how many bars in all.
        tail: the share of all scores left out of the view on either side.
        names: what the two are called.
        title: by default the AUROC.

    Example:
        >>> figure, ax = score_histograms([0.0, 1.0, 2.0], [1.5, 2.5])
        >>> ax.get_title(loc="left")
        'AUROC 0.833'
    """
    positive_integer("bins", bins, 2)
    finite_number("tail", tail, high=0.4)
    parts = vector("inliers", inliers), vector("outliers", outliers)
    both = np.concatenate(parts)
    low, high = np.quantile(both[np.isfinite(both)], [tail, 1 - tail]) if np.isfinite(both).any() else (0.0, 1.0)
    edges = np.linspace(low, high if high > low else low + 1, bins + 1)
    if ax is None:
        _, ax = new_axes(WIDTH / 2, 2.6)
    for values, name, color in zip(parts, names, (BLUE, ORANGE), strict=True):
        share = np.histogram(values.clip(edges[0], edges[-1]), edges)[0] / len(values)
        ax.stairs(share, edges, fill=True, color=color, alpha=0.45, label=name)
        ax.stairs(share, edges, color=color, linewidth=1.2)
    style(ax, title=title or f"AUROC {auroc(*parts):.3f}", x=x)
    ax.set_yticks([])
    ax.grid(visible=False)
    ax.spines["left"].set_visible(False)
    ax.legend(fontsize=SMALL, frameon=False, loc="best", handlelength=1.2)
    figure: Any = ax.figure
    return figure, ax


def roc_curves(
    scores: Pairs, *, title: str | None = "ROC: outliers caught against inliers accused", ax: "Axes | None" = None
) -> tuple["Figure", "Axes"]:
    """The share of outliers caught over the share of inliers accused, a line for each score, the best first.

    Args:
        scores: name -> (scores of inliers [N], scores of outliers [M]).

    Raises:
        ValueError: for no scores, other shapes, or NaN.

    Example:
        >>> figure, ax = roc_curves({"-ELBO": ([0.0, 1.0, 2.0], [1.5, 2.5])})
        >>> ax.get_legend().get_texts()[0].get_text()
        '0.833  -ELBO'
    """
    ax = _square(ax)
    ax.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    for i, (area, name, points) in enumerate(_ranked(scores, auroc)):
        false, true = (np.append(0.0, rate) for rate in (points.false_positive_rate, points.true_positive_rate))
        ax.plot(false, true, label=f"{area:.3f}  {name}", **_line(i))
    return _finished(
        ax, title, "inliers accused (false positive rate)", "outliers caught (true positive rate)", "AUROC"
    )


def precision_recall_curves(
    scores: Pairs, *, title: str | None = "Precision and recall of outliers", ax: "Axes | None" = None
) -> tuple["Figure", "Axes"]:
    """The share of outliers among the accused over the share of outliers caught; the dashed line is chance.

    Args:
        scores: name -> (scores of inliers [N], scores of outliers [M]).

    Raises:
        ValueError: for no scores, other shapes, or NaN.

    Example:
        >>> figure, ax = precision_recall_curves({"-ELBO": ([0.0, 1.0, 2.0], [1.5, 2.5])})
    """
    ax = _square(ax)
    for i, (area, name, points) in enumerate(_ranked(scores, average_precision)):
        recall = np.append(0.0, points.true_positive_rate)
        ax.step(recall, np.append(points.precision[0], points.precision), label=f"{area:.3f}  {name}", **_line(i))
    inliers, outliers = next(iter(scores.values()))
    ax.axhline(len(outliers) / (len(inliers) + len(outliers)), color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    return _finished(ax, title, "outliers caught (recall)", "outliers among the accused (precision)", "area")


def _ranked(scores: Pairs, area: Any) -> list[tuple[float, str, Any]]:
    if not scores:
        raise ValueError("scores is empty, expected {name: (scores of inliers, scores of outliers)}.")
    found = [(area(*pair), name, curve(*pair)) for name, pair in scores.items()]
    return sorted(found, key=lambda item: -item[0])


def _line(i: int) -> dict[str, Any]:
    return {"color": COLORS[i % len(COLORS)], "linestyle": LINES[i % len(LINES)], "linewidth": 1.6}


def _square(ax: "Axes | None") -> "Axes":
    if ax is None:
        _, ax = new_axes(6.8, 4.2)
    ax.set_box_aspect(1)
    ax.set_xlim(-0.01, 1.01)
    ax.set_ylim(-0.01, 1.01)
    return ax


def _finished(ax: "Axes", title: str | None, x: str, y: str, area: str) -> tuple["Figure", "Axes"]:
    style(ax, title=title, x=x, y=y)
    ax.legend(
        title=area, fontsize=SMALL, title_fontsize=SMALL, frameon=False, loc="center left",
        bbox_to_anchor=(1.0, 0.5), alignment="left",
    )  # fmt: skip
    figure: Any = ax.figure
    return figure, ax


def histogram_grid(
    scores: Pairs,
    columns: int = 4,
    *,
    names: tuple[str, str] = ("inliers", "outliers"),
    title: str | None = None,
    ax: Sequence["Axes"] | None = None,
) -> tuple["Figure", Any]:
    """`score_histograms` of several scores, a panel each; returns the figure and its axes, one for each score.

    Args:
        scores: name -> (scores of inliers [N], scores of outliers [M]).
        columns: panels in a row.
        names: what the two are called.
        title: above all panels.
        ax: an axes for each score, by default those of a new figure.

    Raises:
        ValueError, TypeError: for no scores, other shapes, NaN, impossible columns, or another number of axes.

    Example:
        >>> figure, axes = histogram_grid({"-ELBO": ([0.0, 1.0, 2.0], [1.5, 2.5]), "KL": ([0.0, 1.0], [0.5, 2.0])})
        >>> [ax.get_title(loc="left") for ax in axes]
        ['-ELBO: AUROC 0.833', 'KL: AUROC 0.750']
    """
    from matplotlib.figure import Figure

    if not scores:
        raise ValueError("scores is empty, expected {name: (scores of inliers, scores of outliers)}.")
    columns = min(positive_integer("columns", columns), len(scores))
    rows = -(-len(scores) // columns)
    if ax is None:
        size = (2.9 * columns, 2.1 * rows + 0.4)
        panels = Figure(figsize=size, dpi=DPI, layout="constrained", facecolor="white").subplots(rows, columns)
        axes = np.ravel(panels)
    else:
        axes = np.ravel(np.array(ax))
        if len(axes) != len(scores):
            raise ValueError(f"ax has {len(axes)} axes, expected {len(scores)}, one for each score.")
    for i, (name, pair) in enumerate(scores.items()):
        score_histograms(*pair, names=names, title=f"{name}: AUROC {auroc(*pair):.3f}", x="", ax=axes[i])
        if i:
            axes[i].get_legend().remove()
    for unused in axes[len(scores) :]:
        unused.remove()
    figure: Any = axes[0].figure
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=TITLE, color=INK)
    return figure, axes[: len(scores)]
