"""The picture of a scoreboard: a strip of draws for each contender, and beside it a panel for each number."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxvae.evaluation.plots.figures import BRIGHT, DPI, FAINT, GREY, INK, MUTED, SMALL, TEXT, style
from jaxvae.evaluation.plots.image_grids import tile, unit_images
from jaxvae.evaluation.scoreboard.records import COLUMNS, Standing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = ("nats", "coverage", "frechet", "copied", "many", "probe")
LOGARITHMIC = ("frechet", "many", "one", "minutes", "parameters", "path", "jump")
OUTSIDE = ("data", "published", "drawn")  # who stands beside the contenders, in grey
STRIP, ROW = 8, 0.44  # draws of each; inches


def board_chart(
    rows: Sequence[Standing], *, columns: Sequence[str] = SHOWN, title: str | None = None
) -> tuple["Figure", Any]:
    """A row for each contender: draws, then a dot with its standard error in a panel for each column.

    A hollow dot is an upper limit of -log P, a full one is exact. Contenders of one family have one colour. The best of
    a column, in the direction that its title says, has a ring; real images, and what other people drew or published,
    are grey and take no part.

    Args:
        rows: of the board, the first at the top; those that failed have their name alone.
        columns: which numbers, names in `COLUMNS`.
        title: of the whole picture.

    Returns:
        The figure and its axes, [0] of the draws and one for each column.

    Raises:
        ValueError: for no rows, or an unknown column.

    Example:
        >>> from jaxvae.evaluation.scoreboard.records import Cell
        >>> rows = [Standing("a", "VAE", "", {"nats": Cell(90.0, 1.0, "bound")}), Standing("b", "GAN", "")]
        >>> figure, axes = board_chart(rows, columns=("nats",))
        >>> axes[1].get_title(loc="left")
        '-log P, nats ↓'
    """
    from matplotlib.figure import Figure

    unknown = [name for name in columns if name not in COLUMNS]
    if not rows or unknown:
        raise ValueError(f"there are {len(rows)} rows and unknown columns {unknown}, expected some of {list(COLUMNS)}.")
    families = [name for name in dict.fromkeys(row.family for row in rows) if name not in OUTSIDE]
    widths = [3.1, *[1.35] * len(columns)]
    figure = Figure(
        figsize=(1.0 + sum(widths), 1.0 + ROW * len(rows)), dpi=DPI, layout="constrained", facecolor="white"
    )
    axes = figure.subplots(1, 1 + len(columns), width_ratios=widths)
    _strips(axes[0], rows)
    for ax, name in zip(axes[1:], columns, strict=True):
        _panel(ax, name, rows, families)
    if title:
        figure.suptitle(title, fontsize=TEXT + 2, color=INK, x=0.01, ha="left")
    return figure, axes


def _strips(ax: Any, rows: Sequence[Standing]) -> None:
    """The names, and draws beside them."""
    for place, row in enumerate(rows):
        if row.draws is None:
            words = "failed" if row.failed else ""
            ax.text(0.1, place, words, va="center", fontsize=SMALL, color=MUTED)
            continue
        cells = unit_images("draws", row.draws[:STRIP])[None]
        picture, _, _ = tile(cells, [], [max(1, cells.shape[3] // 6)] * (cells.shape[1] - 1))
        shown = picture.repeat(3, -1) if picture.shape[-1] == 1 else picture
        ax.imshow(shown, extent=(0, STRIP, place + 0.42, place - 0.42), aspect="auto", interpolation="nearest")
    ax.set_xlim(0, STRIP)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_yticks(range(len(rows)), [row.name for row in rows])
    ax.set_xticks([])
    ax.tick_params(labelsize=TEXT, length=0, labelcolor=INK)
    ax.spines[:].set_visible(False)


def _panel(ax: Any, name: str, rows: Sequence[Standing], families: Sequence[str]) -> None:
    from matplotlib.ticker import NullFormatter

    column = COLUMNS[name]
    found = {place: row.columns[name] for place, row in enumerate(rows) if name in row.columns}
    numbers = {place: cell for place, cell in found.items() if cell.value is not None}
    for place, cell in numbers.items():
        family = rows[place].family
        color = GREY if family in OUTSIDE else BRIGHT[families.index(family) % len(BRIGHT)]
        face = "white" if cell.evidence.endswith("bound") else color
        ax.errorbar(
            cell.value, place, xerr=cell.standard_error or 0.0, fmt="o", color=color, markerfacecolor=face,
            markersize=5.5, elinewidth=1.5,
        )  # fmt: skip
    best = _best(column.better, {p: c.value for p, c in numbers.items() if rows[p].family not in OUTSIDE})
    if best is not None:
        ax.plot(numbers[best].value, best, "o", markersize=12, markerfacecolor="none", markeredgecolor=MUTED)
    arrows = {"lower": " \N{DOWNWARDS ARROW}", "higher": " \N{UPWARDS ARROW}", "near 1": " \N{RIGHTWARDS ARROW}1"}
    arrows["near 0"] = " \N{RIGHTWARDS ARROW}0"
    style(ax, title=column.title + arrows.get(column.better, ""))
    ax.grid(visible=False, axis="y")
    ax.grid(axis="x", color=FAINT, linewidth=0.8)
    if name in LOGARITHMIC and all(cell.value > 0 for cell in numbers.values() if cell.value is not None):
        ax.set_xscale("log")
        ax.xaxis.set_minor_formatter(NullFormatter())
    for place in range(1, len(rows)):
        if rows[place].family != rows[place - 1].family:
            ax.axhline(place - 0.5, color=FAINT, linewidth=0.8)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_yticks(range(len(rows)), [""] * len(rows))
    ax.tick_params(axis="y", length=0)
    ax.margins(x=0.12)


def _best(better: str, values: dict[int, Any]) -> int | None:
    if not values or not better:
        return None
    away = {"lower": lambda v: v, "higher": lambda v: -v, "near 1": lambda v: abs(np.log(max(v, 1e-9)))}
    distance = away.get(better, abs)
    return min(values, key=lambda place: distance(values[place]))
