"""The powers of a cost, their table and their picture, for `experiments.benchmarks.cost_laws`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from experiments.benchmarks.cost_laws import Axis, Measured


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """The power b of the fit y = a x^b, by least squares of logarithms.

    Example:
        >>> round(slope([1, 2, 4], [3, 12, 48]), 6)
        2.0
    """
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def ends(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """The slopes over the lower and over the upper half of the points, which share the middle one.

    Example:
        >>> [round(value, 6) for value in ends([1, 2, 4, 8, 16], [1, 1, 1, 2, 4])]
        [0.0, 1.0]
    """
    half = len(x) // 2
    upper = half - 1 + len(x) % 2
    return slope(x[: half + 1], y[: half + 1]), slope(x[upper:], y[upper:])


def show(axes: "Sequence[Axis]", found: "Sequence[Measured]") -> None:
    """Prints the table of slopes."""
    from jaxvae.evaluation.measured import print_table

    cells = []
    for axis, (milliseconds, megabytes) in zip(axes, found, strict=True):
        times, sizes = ends(axis.values, milliseconds), ends(axis.values, megabytes)
        written = [f"{value:.2f}" for value in (*times, *sizes)]
        span = f"{axis.values[0]} to {axis.values[-1]}"
        cells.append((axis.name, span, *written[:2], f"{axis.time:g}", *written[2:], f"{axis.memory:g}"))
    columns = ("axis", "from, to", "time: below", "above", "theory", "memory: below", "above", "theory ")
    caption = "powers over the lower and the upper half of the points; MLP 784-400-20, batch 128, unless it is said"
    print_table("cost of a training step", columns, cells, caption)


def draw(axes: "Sequence[Axis]", found: "Sequence[Measured]") -> "Figure":
    """Small multiples: time and memory of each axis relative to its last point, with the theory's lines."""
    from matplotlib.figure import Figure

    from jaxvae.evaluation.plots.figures import BLUE, ORANGE, SMALL, style

    rows, columns = -(-len(axes) // 3), min(3, len(axes))
    figure = Figure(figsize=(3.2 * columns, 2.4 * rows), dpi=100, layout="constrained", facecolor="white")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in panels[len(axes) :]:
        ax.set_visible(False)
    for ax, axis, measured in zip(panels, axes, found, strict=False):
        kinds = ("processor time", BLUE, "o", axis.time), ("memory", ORANGE, "s", axis.memory)
        for (name, colour, mark, power), values in zip(kinds, measured, strict=True):
            relative = np.array(values) / values[-1]
            line = (np.array(axis.values) / axis.values[-1]) ** power
            ax.plot(axis.values, line, color=colour, linewidth=0.9, linestyle=":")
            label = f"{name}: {ends(axis.values, values)[1]:.2f} ({power:g})"
            ax.plot(axis.values, relative, f"{mark}-", color=colour, markersize=4, linewidth=1.4, label=label)
        low, high = np.log10(ax.dataLim.intervaly)
        decades = 10.0 ** np.array([np.floor(low + 0.1) - 0.15, np.ceil(high - 0.1) + 0.15])
        ax.set(xscale="log", yscale="log", ylim=decades)
        ax.set_xticks(axis.values, [str(value) for value in axis.values])
        ax.minorticks_off()
        style(ax, title=axis.name)
        ax.legend(fontsize=SMALL - 1, frameon=False)
    figure.supylabel("cost of a step, of the last point's", fontsize=SMALL)
    return figure
