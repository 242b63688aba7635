"""Figures without pyplot: no global state, no display, safe in threads; one look, and files written whole.

matplotlib is imported when the first figure is made.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxvae.files import whole_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 8.0  # inches: 10 points are then legible in a column of 800 pixels
DPI = 150
INK, MUTED, FAINT = "#1f2328", "#6e7781", "#d8dee4"
TITLE, TEXT, SMALL = 11.0, 9.5, 8.5  # points
# Ten colours that stay apart for colour-blind readers; Petroff, 2021, arXiv 2107.02270, but for his darker grey: as
# small points the two greys look alike, and ink does not.
BLUE, ORANGE, RED, GREY, PURPLE = "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6"
COLORS = (BLUE, ORANGE, RED, GREY, PURPLE, "#a96b59", "#e76300", "#b9ac70", INK, "#92dadd")
BRIGHT = tuple(color for color in COLORS if color != GREY)  # where grey means unused


def new_axes(width: float = WIDTH, height: float = 4.0, columns: int = 1) -> tuple["Figure", Any]:
    """A figure of that size in inches with one `Axes`, or an array of several side by side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white")
    return figure, figure.subplots(1, columns, squeeze=True)


def style(ax: "Axes", *, title: str | None = None, x: str = "", y: str = "", pad: float = 8) -> None:
    """The look of every chart: two thin spines, a faint horizontal grid, the title on the left."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(MUTED)
    ax.grid(axis="y", color=FAINT, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.tick_params(labelsize=SMALL, color=MUTED, labelcolor=INK, length=3)
    ax.set_xlabel(x, fontsize=TEXT, color=INK)
    ax.set_ylabel(y, fontsize=TEXT, color=INK)
    set_title(ax, title, pad)


def set_title(ax: "Axes", title: str | None, pad: float = 8) -> None:
    """A title on the left, `pad` points above."""
    if title:
        ax.set_title(title, fontsize=TITLE, loc="left", color=INK, pad=pad)


def halo_text(ax: "Axes", where: Sequence[float], text: str) -> None:
    """Bold words with a white halo at (x, y), legible on top of points."""
    x, y = where
    ax.text(x, y, text, ha="center", va="center", weight="bold", size=TEXT, color=INK, path_effects=halo())


def halo() -> list[Any]:
    """The `path_effects=` of words that stand on top of points or lines: a white rim."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=3, foreground="white")]


def thinned(count: int, most: int) -> Sequence[int]:
    """Indices of at most `most` labels out of `count`, symmetric, with both ends and a middle if any.

    Example:
        >>> list(thinned(9, 5)), list(thinned(20, 7))
        ([0, 2, 4, 6, 8], [0, 4, 8, 11, 15, 19])
    """
    if count <= most:
        return range(count)
    most -= (count - most) % 2
    for labels in range(most, 3, -2):
        if (count - 1) % (labels - 1) == 0:
            return range(0, count, (count - 1) // (labels - 1))
    return [round(i * (count - 1) / (most - 1)) for i in range(most)]


def save(figure: "Figure", path: str | os.PathLike[str]) -> Path:
    """Writes a PNG whole or not at all; the same figure gives the same bytes.

    Returns:
        the path.

    Raises:
        ValueError: if the name does not end in .png.
        FileNotFoundError: if the folder does not exist.
        OSError: naming the path and a remedy, as on a full disk; an older file of that name is then unharmed.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise ValueError(f"path is {str(path)!r}, expected a name that ends in .png.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent}, expected one for {path.name}. Make it.")
    # "tight" widens the page to what is drawn: no title or label is cut off, however long a caller makes it.
    # Without the metadata matplotlib's version would be written into the file.
    with whole_file(path) as file:
        figure.savefig(file, format="png", bbox_inches="tight", pad_inches=0.08, metadata={"Software": None})
    return path
