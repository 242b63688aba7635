"""Codes in a plane as a chart: a colour, a name on the spot and an entry in the legend for each class."""

from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from jaxvae.evaluation.latents.projections import Projection
from jaxvae.evaluation.plots.figures import COLORS, MUTED, SMALL, halo_text, new_axes, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = jax.Array
MOST = len(COLORS)  # classes with a colour of their own


def projected_codes(
    projection: Projection,
    labels: jax.Array | np.ndarray | None = None,
    *,
    title: str | None = None,
    ax: "Axes | None" = None,
) -> tuple["Figure", "Axes"]:
    """Codes in a plane, coloured by label, in colours that stay apart for colour-blind readers.

    PCA keeps its scale, and each axis names its share of the variance. t-SNE has no ticks, since its axes, the
    distances between its clusters and their sizes mean nothing.

    Args:
        projection: see `jaxvae.evaluation.latents.project`.
        labels: [N] class names or numbers, at most 10 different ones, or None.
        title: by default the method and the number of codes.

    Raises:
        ValueError: for labels of another length, or of more classes than there are colours to tell apart.

    Example:
        >>> from jaxvae.evaluation.latents.projections import project
        >>> codes = np.random.default_rng(0).normal(size=(20, 3))
        >>> figure, ax = projected_codes(project(codes), np.arange(20) % 2)
        >>> [text.get_text() for text in ax.get_legend().get_texts()]
        ['0', '1']
    """
    points, shares = projection.points, projection.variance_shares
    classes, index = np.array(["codes"]), np.zeros(len(points), int)
    if labels is not None:
        if np.shape(labels) != (len(points),):
            raise ValueError(f"labels has shape {np.shape(labels)}, expected ({len(points)},), one for each code.")
        classes, index = np.unique(np.asarray(labels), return_inverse=True)
        if len(classes) > MOST:
            raise ValueError(
                f"labels has {len(classes)} classes, expected at most {MOST}, the colours that can be told apart. "
                f"Merge some, or draw some of them."
            )
    if ax is None:
        _, ax = new_axes(6.4, 5.6)
    size = float(np.clip(20000 / len(points), 3, 20))
    # All in one call, in the order of the examples, so that no class covers the others.
    x, y = points.T
    ax.scatter(x, y, s=size, color=np.array(COLORS)[index], alpha=0.75, linewidths=0)
    if labels is not None:
        _names(ax, points, index, [str(name) for name in classes])
    called = {"pca": "PCA", "tsne": "t-SNE"}.get(projection.method, projection.method)
    axes = [""] * 2 if shares is None else [f"PC {i}, {share:.0%} of the variance" for i, share in enumerate(shares, 1)]
    style(ax, title=f"{called} of {len(points)} codes" if title is None else title, x=axes[0], y=axes[1])
    if shares is None:
        ax.set_xticks([])
        ax.set_yticks([])
        ax.spines[:].set_visible(False)
    ax.set_aspect("equal", adjustable="box")
    ax.grid(visible=False)
    figure: Any = ax.figure
    return figure, ax


def codes(
    means: Array | np.ndarray,
    labels: Array | np.ndarray | None = None,
    latents: tuple[int, int] = (0, 1),
    *,
    circles: bool = True,
    title: str | None = "Posterior means",
    ax: "Axes | None" = None,
) -> tuple["Figure", "Axes"]:
    """Posterior means as points in the plane of two latents, coloured by label.

    The circles, of radius 1 and 2, hold 39 % and 86 % of a standard normal prior. Every class is also named
    where it is densest, or beside it where two would cover each other, so that nothing hangs on colour alone.

    Args:
        means: [N, Z], see `jaxvae.evaluation.latents.encode`.
        labels: [N] class names or numbers, or None.
        latents: which two to draw.
        circles: whether to draw them: they say nothing of another prior.

    Raises:
        ValueError: for other shapes, or latents that do not exist.
    """
    points = np.asarray(means)
    if points.ndim != 2 or len(points) == 0 or not all(0 <= latent < points.shape[1] for latent in latents):
        raise ValueError(f"means has shape {points.shape}, expected (N, Z) with latents {latents} in Z.")
    points = points[:, list(latents)]
    if labels is not None and np.shape(labels) != (len(points),):
        raise ValueError(f"labels has shape {np.shape(labels)}, expected ({len(points)},).")
    if ax is None:
        _, ax = new_axes(6.6, 6.0)
    from matplotlib.patches import Circle

    for radius in (1, 2) if circles else ():
        ax.add_patch(Circle((0, 0), radius, fill=False, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)), zorder=3))
    classes, index = None, np.zeros(len(points), int)
    if labels is not None:
        classes, index = np.unique(np.asarray(labels), return_inverse=True)
    x, y = points.T
    size = float(np.clip(20000 / len(points), 2, 20))
    # All in one call, in the order of the examples, so that no class covers the others.
    ax.scatter(x, y, s=size, color=np.array(COLORS)[index % len(COLORS)], alpha=0.7, linewidths=0)
    if classes is not None:
        _names(ax, points, index, [str(name) for name in classes])
    ax.set_aspect("equal", adjustable="datalim")
    style(ax, title=title, x=f"z[{latents[0]}]", y=f"z[{latents[1]}]")
    ax.grid(visible=False)
    figure: Any = ax.figure
    return figure, ax


def densest(points: np.ndarray, index: np.ndarray, cells: int = 32) -> np.ndarray:
    """A place for the name of each class [C, 2]: the middle of its points where they are many and most of all there.

    The median would not do: that of a class in two clusters may lie in a third.

    Args:
        points: [N, 2].
        index: [N] the class of each, 0 to C - 1, none of them empty.
        cells: on the longer side; a place is the middle of 3 x 3 cells.

    Example:
        >>> points = np.array([[0.0, 0.0], [0.0, 1.0], [9.0, 0.0], [5.0, 0.5]])
        >>> densest(points, np.array([0, 0, 0, 1]), cells=6).tolist()
        [[0.0, 0.5], [5.0, 0.5]]
    """
    low, span = points.min(axis=0), max(float(np.ptp(points, axis=0).max()), np.finfo(np.float32).tiny)
    at = np.minimum((points - low) / span * cells, cells - 1).astype(int) + 1  # within a rim of empty cells
    counts = np.zeros((index.max() + 1, cells + 2, cells + 2))
    np.add.at(counts, (index, *at.T), 1)
    around = np.sum([np.roll(counts, (i, j), (1, 2)) for i in (-1, 0, 1) for j in (-1, 0, 1)], axis=0)
    scores = np.square(around) / np.maximum(around.sum(axis=0), 1)  # how many, times their share of all that lie there
    places = []
    for own, score in enumerate(scores):
        best = np.array(np.unravel_index(score.argmax(), score.shape))
        places.append(points[(index == own) & (np.abs(at - best).max(axis=1) <= 1)].mean(axis=0))
    return np.array(places)


def apart(places: np.ndarray, least: float, rounds: int = 100) -> np.ndarray:
    """Points [N, 2] moved until no two are nearer than `least`, or as far as some rounds bring them.

    Example:
        >>> apart(np.array([[0.0, 0.0], [0.0, 0.5], [9.0, 9.0]]), 1.0).tolist()
        [[0.0, -0.25], [0.0, 0.75], [9.0, 9.0]]
    """
    moved = np.array(places, np.float64)
    for _ in range(rounds):
        still = True
        for i in range(len(moved)):
            for j in range(i):
                gap = moved[i] - moved[j]
                distance = float(np.hypot(*gap))
                if distance < least * (1 - 1e-6):
                    still = False
                    step = (least - distance) / 2 * (gap / distance if distance else np.array([0.0, 1.0]))
                    moved[i] += step
                    moved[j] -= step
        if still:
            break
    return moved


def _names(ax: "Axes", points: np.ndarray, index: np.ndarray, names: list[str]) -> None:
    """Each class by name on the spot, and in a legend where there are enough colours to tell them apart."""
    from matplotlib.lines import Line2D

    if np.isfinite(points).all():  # those of a model that has diverged have no place
        least = 0.04 * float(np.ptp(points, axis=0).max())
        for where, name in zip(apart(densest(points, index), least), names, strict=True):
            halo_text(ax, where, name)
    if len(names) > MOST:  # beyond, colours come again and only the names on the spot tell
        return
    marks = [
        Line2D([], [], marker="o", linestyle="", color=color, markersize=5, label=name)
        for name, color in zip(names, COLORS, strict=False)
    ]
    ax.legend(handles=marks, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=SMALL)
