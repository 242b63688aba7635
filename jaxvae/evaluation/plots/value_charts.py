"""A number against an option: a line for each combination of the others, or a point for each trial."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jaxvae.evaluation.plots.figures import BRIGHT, MUTED, SMALL, WIDTH, new_axes, style
from jaxvae.evaluation.statistics import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDE = 20.0  # values that lie further apart than by this factor are drawn on a logarithmic axis


def value_lines(
    lines: Mapping[str, tuple[Sequence[float], Sequence[Estimate]]],
    *,
    x: str,
    y: str,
    title: str | None = None,
    ax: "Axes | None" = None,
) -> tuple["Figure", "Axes"]:
    """Estimates with their errors against the values of one option; less is better.

    Args:
        lines: {name: (values, estimates)}, each with as many of both.
        x: the option. y: the number, with its unit.
        title: by default the best value.
        ax: where to draw, by default in a new figure.

    Raises:
        ValueError: for no lines, or values and estimates of different length.

    Example:
        >>> figure, ax = value_lines({"": ([1, 2], [Estimate(3.0, 0.1, 5), Estimate(2.0, 0.1, 5)])}, x="beta", y="nats")
        >>> ax.get_title(loc="left")
        'Best at beta = 2: 2.00 ± 0.10'
    """
    if not lines or any(len(values) != len(found) or not values for values, found in lines.values()):
        raise ValueError(f"lines is {dict(lines)!r}, expected at least one, with as many values as estimates.")
    if ax is None:
        _, ax = new_axes(WIDTH * 0.8, 4.0)
    points = [
        (value, found) for values, estimates in lines.values() for value, found in zip(values, estimates, strict=True)
    ]
    best = min(points, key=lambda point: point[1].mean)
    for index, (name, (values, estimates)) in enumerate(lines.items()):
        colour = BRIGHT[index % len(BRIGHT)]
        means = [estimate.mean for estimate in estimates]
        errors = [estimate.standard_error if estimate.standard_error >= 0 else 0.0 for estimate in estimates]
        ax.errorbar(values, means, errors, fmt="o-", color=colour, markersize=5, linewidth=1.4, capsize=3, label=name)
    low, high = min(value for value, _ in points), max(value for value, _ in points)
    if low > 0 and high / low >= WIDE:
        ax.set_xscale("log")
    ticks = sorted({value for value, _ in points})
    if len(ticks) <= 8:
        ax.set_xticks(ticks, [f"{value:g}" for value in ticks])
        ax.minorticks_off()
    if len(lines) > 1:
        ax.legend(fontsize=SMALL, labelcolor=MUTED, frameon=False)
    style(ax, title=title or f"Best at {x.rpartition('.')[2]} = {best[0]:g}: {best[1]}", x=x, y=y)
    figure: Any = ax.figure
    return figure, ax


def trial_points(
    values: Sequence[float],
    nats: Sequence[float],
    *,
    x: str,
    y: str,
    title: str | None = None,
    ax: "Axes | None" = None,
) -> tuple["Figure", "Axes"]:
    """A point for each trial of a search, later ones darker, and the best one ringed; less is better.

    The axis ends above where the worst half of the trials would press the better half flat; those beyond are drawn as
    triangles at its edge.

    Args:
        values: [N] of one option, in the order of the trials. nats: [N] of each trial.
        x: the option. y: the number, with its unit.
        title: by default the best trial.
        ax: where to draw, by default in a new figure.

    Raises:
        ValueError: for no trials, or values and nats of different length.

    Example:
        >>> figure, ax = trial_points([1e-3, 1e-2, 3e-3], [170.0, 180.0, 165.0], x="optim.lr", y="nats")
        >>> ax.get_title(loc="left")
        'Best of 3 trials at lr = 0.003: 165.00'
    """
    if not len(values) or len(values) != len(nats):
        raise ValueError(f"there are {len(values)} values and {len(nats)} nats, expected as many, at least one.")
    if ax is None:
        _, ax = new_axes(WIDTH * 0.8, 4.0)
    found, best = sorted(nats), min(range(len(nats)), key=lambda index: nats[index])
    room = max(found[len(found) // 2] - found[0], 1e-9)
    top = min(found[-1], found[0] + 4 * room)
    for marker, some in (("o", [value <= top for value in nats]), ("^", [value > top for value in nats])):
        places = [index for index, here in enumerate(some) if here]
        shades: Any = [0.25 + 0.75 * (index + 1) / len(nats) for index in places]
        if places:
            heights = [min(nats[index], top) for index in places]
            ax.scatter([values[i] for i in places], heights, s=34, marker=marker, color=BRIGHT[0], alpha=shades)
    ax.scatter([values[best]], [nats[best]], s=130, facecolors="none", edgecolors=BRIGHT[1], linewidths=1.8)
    if min(values) > 0 and max(values) / min(values) >= WIDE:
        ax.set_xscale("log")
    best_of = f"Best of {len(nats)} trials at {x.rpartition('.')[2]} = {values[best]:.3g}: {nats[best]:.2f}"
    style(ax, title=title or best_of, x=x, y=y)
    figure: Any = ax.figure
    return figure, ax
