"""Rows of a table as charts: columns against each other, and each column before and after."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxvae.evaluation.plots.figures import BLUE, DPI, MUTED, ORANGE, SMALL, TEXT, TITLE, WIDTH, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 6  # columns that are legible beside each other
POINTS = 500  # rows of a scatter plot
BINS = 30


def column_pairs(
    groups: Mapping[str, Any], names: Sequence[str], *, columns: Sequence[int] | None = None, title: str | None = None
) -> tuple["Figure", Any]:
    """Columns of one table or two against each other: histograms on the diagonal, rows as points below it.

    Histograms are shares of the rows, over bins that the groups have in common. Points are the first 500 rows. Axes end
    where the middle 99 % of either group do, which the picture says: a single row far out would hide all others.

    Args:
        groups: {name: rows [N, D]}, such as data and samples, at most two of one width.
        names: of the D columns.
        columns: which are drawn, at most six; by default the first.
        title: above.

    Raises:
        ValueError: for rows of another shape, a name too few, or too many groups or columns.

    Example:
        >>> rows = np.random.default_rng(0).normal(size=(50, 3))
        >>> figure, axes = column_pairs({"data": rows, "samples": rows + 1}, ["a", "b", "c"])
        >>> axes.shape, axes[2, 0].get_xlabel(), axes[2, 0].get_ylabel()
        ((3, 3), 'a', 'c')
    """
    from matplotlib.figure import Figure

    tables = {name: np.asarray(rows, np.float64) for name, rows in groups.items()}
    chosen = list(range(min(MOST, len(names)))) if columns is None else list(columns)
    if not 1 <= len(tables) <= 2 or not 1 <= len(chosen) <= MOST:
        raise ValueError(
            f"groups are {len(tables)} and columns {len(chosen)}, expected one or two tables and 1 to {MOST} columns."
        )
    for name, rows in tables.items():
        if rows.ndim != 2 or rows.shape[1] != len(names) or len(rows) == 0:
            raise ValueError(f"{name} has shape {rows.shape}, expected (N, {len(names)}), a column for each name.")
    count, ends = len(chosen), {column: _ends(tables, column) for column in chosen}
    side = WIDTH / max(count, 3)
    figure = Figure(figsize=(side * count + 0.6, side * count + 0.9), dpi=DPI, layout="constrained", facecolor="white")
    axes = figure.subplots(count, count, squeeze=False, sharex="col")
    for i, row in enumerate(chosen):
        for j, column in enumerate(chosen):
            ax = axes[i, j]
            if j > i:
                ax.set_visible(False)
                continue
            for (name, rows), color in zip(tables.items(), (BLUE, ORANGE), strict=False):
                if i == j:
                    ax.hist(
                        rows[:, column],
                        bins=_bins(tables, column, ends[column]),
                        weights=np.full(len(rows), 1 / len(rows)),
                        histtype="step",
                        color=color,
                        label=name,
                        linewidth=1.2,
                    )
                else:
                    points = rows[:POINTS]
                    ax.scatter(points[:, column], points[:, row], s=4, color=color, alpha=0.5, linewidths=0)
            ax.set_xlim(*ends[column])
            if i != j:
                ax.set_ylim(*ends[row])
            below, left = i == count - 1, j == 0
            style(ax, x=str(names[column]) if below else "", y=_side(names, row, i, j) if left else "")
            ax.grid(visible=False)
            ax.tick_params(labelbottom=below, labelleft=left and i != j)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    words: dict[str, Any] = {"loc": "upper right", "frameon": False, "fontsize": TEXT, "title_fontsize": SMALL}
    figure.legend(handles, labels, title="the middle 99 %", **words)
    if title:
        figure.suptitle(title, fontsize=TITLE, x=0.01, ha="left")
    return figure, axes


def column_reconstructions(
    originals: Any, again: Any, names: Sequence[str], *, columns: Sequence[int] | None = None, title: str | None = None
) -> tuple["Figure", Any]:
    """Each column of some rows against its reconstruction; what is kept whole lies on the diagonal.

    Args:
        originals, again: rows [N, D].
        names, columns, title: as in `column_pairs`.

    Raises:
        ValueError: for rows of two shapes, or of another number of columns than there are names.

    Example:
        >>> rows = np.random.default_rng(0).normal(size=(50, 2))
        >>> figure, axes = column_reconstructions(rows, rows / 2, ["a", "b"])
        >>> [ax.get_title(loc="left") for ax in axes]
        ['a', 'b']
    """
    from matplotlib.figure import Figure

    before, after = np.asarray(originals, np.float64), np.asarray(again, np.float64)
    if before.shape != after.shape or before.ndim != 2 or before.shape[1] != len(names):
        raise ValueError(f"the rows have shapes {before.shape} and {after.shape}, expected (N, {len(names)}) twice.")
    chosen = list(range(min(MOST, len(names)))) if columns is None else list(columns)
    across = min(3, len(chosen))
    down = -(-len(chosen) // across)
    size = (2.7 * across, 2.7 * down + 0.4)
    figure = Figure(figsize=size, dpi=DPI, layout="constrained", facecolor="white")
    axes = figure.subplots(down, across, squeeze=False).ravel()
    for ax in axes[len(chosen) :]:
        ax.set_visible(False)
    for ax, column in zip(axes, chosen, strict=False):
        ax.scatter(before[:POINTS, column], after[:POINTS, column], s=6, color=BLUE, alpha=0.6, linewidths=0)
        ax.axline((before[0, column],) * 2, slope=1, color=MUTED, linewidth=0.8)
        style(ax, title=str(names[column]), x="original", y="reconstruction")
        ax.tick_params(labelsize=SMALL)
    if title:
        figure.suptitle(title, fontsize=TITLE, x=0.01, ha="left")
    return figure, axes[: len(chosen)]


def most_varying(x: Any, most: int = MOST) -> list[int]:
    """The columns of largest variance, in their order; of standardised columns, all alike, the first.

    Example:
        >>> most_varying(np.array([[0.0, 0.0, 5.0], [1.0, 9.0, 0.0]]), 2)
        [1, 2]
    """
    spread = np.asarray(x, np.float64).std(0).round(1)
    return sorted(np.argsort(-spread, kind="stable")[:most].tolist())


def _ends(tables: Mapping[str, np.ndarray], column: int) -> tuple[float, float]:
    """Where an axis ends: the middle 99 % of either group, with a little beside it."""
    found = [np.quantile(rows[:, column], [0.005, 0.995]) for rows in tables.values()]
    low, high = float(min(low for low, _ in found)), float(max(high for _, high in found))
    room = 0.05 * (high - low) or 0.5
    return low - room, high + room


def _bins(tables: Mapping[str, np.ndarray], column: int, ends: tuple[float, float]) -> np.ndarray:
    """Edges from one end to the other; one bin for each whole number where there are a few of nothing else."""
    whole = all((rows[:, column] == np.round(rows[:, column])).all() for rows in tables.values())
    if whole and ends[1] - ends[0] < BINS:
        return np.arange(np.floor(ends[0]) - 0.5, ends[1] + 1.5)
    return np.linspace(*ends, BINS + 1)


def _side(names: Sequence[str], row: int, i: int, j: int) -> str:
    return "share of rows" if i == j else str(names[row])
