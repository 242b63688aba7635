"""Pictures made of images: each is tiled into one array and drawn once, fast at any number of tiles.

Images are [..., H, W, C] with C = 1 or 3, raw uint8 or on [0, 1]: what a model draws after `model.to_unit`.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from jaxvae.checks import positive_integer
from jaxvae.evaluation.plots.figures import INK, SMALL, TEXT, WIDTH, new_axes, set_title, thinned

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Images = jax.Array | np.ndarray
Values = Sequence[float] | np.ndarray
LARGEST, TALLEST = 0.8, 10.0  # inches: of one tile, of a whole picture
BEYOND = 20.0  # no scale of [0, 1] with some noise: levels 0..255, or a model that has diverged
DEEP = -0.8  # a hundredth of all pixels below this and none below -1: a scale of [-1, 1], and no noise around [0, 1]


def unit_images(name: str, images: Images, axes: int = 1) -> np.ndarray:
    """Images [..., H, W, C] with `axes` leading axes as float32 on [0, 1]; a little beyond is clipped.

    Raises:
        ValueError: for another shape or number of channels, no images, NaN, or values on another scale: integers other
            than uint8 and 0 and 1, and pixels on [-1, 1].
    """
    array = np.asarray(images)
    if array.ndim != axes + 3 or array.shape[-1] not in (1, 3) or array.size == 0:
        raise ValueError(
            f"{name} has shape {array.shape}, expected ({'N' if axes == 1 else 'N, K'}, H, W, C), at least "
            f"one image of 1 or 3 channels. For grey images without a channel axis pass {name}[..., None]."
        )
    if array.dtype == np.uint8:
        return array.astype(np.float32) / 255
    if array.dtype.kind in "iu" and not 0 <= array.min() <= array.max() <= 1:
        raise ValueError(
            f"{name} has dtype {array.dtype} and values from {array.min()} to {array.max()}, expected floats on [0, 1] "
            f"or uint8. For levels divide by the largest one, for pixels 0..255 pass {name}.astype(numpy.uint8)."
        )
    array = array.astype(np.float32)
    if array.min() >= -1 and array.max() <= 1 and (array <= DEEP).mean() >= 0.01:
        raise ValueError(
            f"{name} has values from {array.min()} to {array.max()}, expected pixels on [0, 1], black at 0. For pixels "
            f"on [-1, 1] pass ({name} + 1) / 2."
        )
    if not np.abs(array).max() <= BEYOND:
        raise ValueError(
            f"{name} has values from {array.min()} to {array.max()}, expected pixels on [0, 1], or raw "
            f"uint8. For what a model draws pass model.to_unit({name})."
        )
    return array.clip(0, 1)


def tile(cells: np.ndarray, row_gaps: Sequence[int], column_gaps: Sequence[int]) -> tuple[np.ndarray, ...]:
    """Joins cells [R, K, H, W, C] into one picture on white.

    Args:
        cells: the images, row by row.
        row_gaps, column_gaps: [R - 1] and [K - 1] white pixels between neighbours.

    Returns:
        The picture, and the pixel coordinates of the centres of its rows [R] and columns [K].
    """
    height, width, channels = cells.shape[2:]
    top = np.cumsum([0, *(height + gap for gap in row_gaps)])
    left = np.cumsum([0, *(width + gap for gap in column_gaps)])
    picture = np.ones((top[-1] + height, left[-1] + width, channels), np.float32)
    for y, row in zip(top, cells, strict=True):
        for x, cell in zip(left, row, strict=True):
            picture[y : y + height, x : x + width] = cell
    return picture, top + (height - 1) / 2, left + (width - 1) / 2


def show(
    cells: np.ndarray,
    ax: "Axes | None",
    *,
    title: str | None,
    row_gaps: Sequence[int],
    column_gaps: Sequence[int],
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
    x: str = "",
    y: str = "",
) -> tuple["Figure", "Axes"]:
    """Draws cells [R, K, H, W, C] with a label for each row and column; an empty label is left out."""
    picture, row_centres, column_centres = tile(cells, row_gaps, column_gaps)
    if ax is None:
        # Roughly what constrained layout will take for the text, so that the picture fills the rest.
        beside = 0.12 + 0.075 * max(map(len, rows), default=0) + (0.2 if y else 0)
        below = 0.08 + (0.22 if any(columns) else 0) + (0.2 if x else 0) + (0.3 if title else 0)
        room = (WIDTH - beside) / picture.shape[1], (TALLEST - below) / picture.shape[0]
        scale = min(LARGEST / max(cells.shape[2:4]), *room)
        width = beside + max(picture.shape[1] * scale, 0.092 * len(title or ""), 1.0)
        _, ax = new_axes(width, picture.shape[0] * scale + below)
        ax.set_anchor("W")  # a title longer than the picture begins with it and ends on the page
    ax.imshow(picture[..., 0] if picture.shape[-1] == 1 else picture, cmap="gray", vmin=0, vmax=1)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0, labelsize=SMALL, labelcolor=INK)
    ax.set_xticks(*_labelled(column_centres, columns))
    ax.set_yticks(*_labelled(row_centres, rows))
    ax.set_xlabel(x, fontsize=TEXT, color=INK)
    ax.set_ylabel(y, fontsize=TEXT, color=INK)
    set_title(ax, title)
    figure: Any = ax.figure
    return figure, ax


def _labelled(centres: np.ndarray, labels: Sequence[str]) -> tuple[list[float], list[str]]:
    pairs = [(float(centre), label) for centre, label in zip(centres, labels, strict=False) if label]
    return [centre for centre, _ in pairs], [label for _, label in pairs]


def gap_of(cells: np.ndarray) -> int:
    """The white line between tiles, in pixels of the images."""
    return max(1, round(min(cells.shape[-3:-1]) / 16))


def framed(cells: np.ndarray) -> np.ndarray:
    """Images with a black frame of one pixel, for grids that should look seamless but not run together."""
    return np.pad(cells, [(0, 0), (0, 0), (1, 1), (1, 1), (0, 0)])


def value_labels(values: Values, most: int) -> list[str]:
    """Labels of at most `most` of the values, the rest empty."""
    kept = set(thinned(len(values), most))
    labels = [f"{value + 0.0:.2f}".replace("-", "\N{MINUS SIGN}") for value in values]
    return [label if i in kept else "" for i, label in enumerate(labels)]


def in_rows(images: np.ndarray, columns: int) -> np.ndarray:
    """[N, H, W, C] -> [R, columns, H, W, C], filled up with white."""
    rows = -(-len(images) // columns)
    cells = np.ones((rows * columns, *images.shape[1:]), np.float32)
    cells[: len(images)] = images
    return cells.reshape(rows, columns, *images.shape[1:])


def image_grid(
    images: Images, columns: int | None = None, *, title: str | None = None, ax: "Axes | None" = None
) -> tuple["Figure", "Axes"]:
    """Images [N, H, W, C] in rows, read like text, as one picture.

    Args:
        columns: images in a row; by default a grid half again as wide as high, at most 16.
        title: for example "Prior samples".
        ax: where to draw, by default on a new figure.

    Raises:
        ValueError: for images of another shape or scale.

    Example:
        >>> figure, ax = image_grid(np.zeros((6, 8, 8, 3)), columns=3)
        >>> ax.images[0].get_array().shape
        (17, 26, 3)
    """
    array = unit_images("images", images)
    if columns is None:
        columns = min(16, int(np.ceil(np.sqrt(1.5 * len(array)))))
    cells = in_rows(array, min(positive_integer("columns", columns), len(array)))
    rows, columns = cells.shape[:2]
    gap = gap_of(cells)
    return show(cells, ax, title=title, row_gaps=[gap] * (rows - 1), column_gaps=[gap] * (columns - 1))


def compare(
    rows: Mapping[str, Images], columns: int = 12, *, title: str | None = None, ax: "Axes | None" = None
) -> tuple["Figure", "Axes"]:
    """The same examples seen in several ways, one under the other: {label: images [N, H, W, C]}.

    More than `columns` examples go on in a new band of rows.

    Raises:
        ValueError: for images of another shape or scale, or rows of different shapes.

    Example:
        >>> x = np.zeros((4, 8, 8, 1))
        >>> figure, ax = compare({"original": x, "blurred": x, "reconstruction": x})
    """
    arrays = {name: unit_images(name, images) for name, images in rows.items()}
    shapes = {name: array.shape for name, array in arrays.items()}
    if len(set(shapes.values())) != 1:
        raise ValueError(f"the rows have shapes {shapes}, expected one shape: the same examples in each.")
    columns = min(positive_integer("columns", columns), *(len(array) for array in arrays.values()))
    cells = np.stack([in_rows(array, columns) for array in arrays.values()], axis=1)
    bands, kinds = cells.shape[:2]
    cells = cells.reshape(bands * kinds, *cells.shape[2:])
    gap = gap_of(cells)
    row_gaps = [gap if (row + 1) % kinds else 4 * gap for row in range(bands * kinds - 1)]
    column_gaps = [gap] * (columns - 1)
    return show(cells, ax, title=title, row_gaps=row_gaps, column_gaps=column_gaps, rows=list(arrays) * bands)


def reconstructions(
    x: Images,
    reconstructed: Images,
    columns: int = 12,
    *,
    title: str | None = "Reconstructions",
    ax: Any = None,
) -> tuple["Figure", "Axes"]:
    """Originals [N, H, W, C] above their reconstructions; see `compare` for more than two kinds of rows."""
    return compare({"original": x, "reconstruction": reconstructed}, columns, title=title, ax=ax)
