"""Generated pictures of one shape with five known factors, in the manner of dSprites; any size, any grid."""

from collections.abc import Callable, Sequence

import numpy as np

from jaxvae.data.dataset import Dataset, check_split, from_array
from jaxvae.data.splits import held_out, stable_permutation

Array = np.ndarray
SEED = 0
RADIUS = 0.22  # of the largest shape, in picture widths, centre to farthest point
FACTORS = ("shape", "scale", "orientation", "x", "y")

# The grid of dSprites (737,280 pictures), for load("shapes", size=64, **DSPRITES).
DSPRITES = {
    "shapes": ("square", "ellipse", "heart"),
    "scales": tuple(np.linspace(0.5, 1, 6).tolist()),
    "orientations": tuple(np.linspace(0, 2 * np.pi, 40).tolist()),
    "columns": tuple(np.linspace(0, 1, 32).tolist()),
    "rows": tuple(np.linspace(0, 1, 32).tolist()),
}


def load(
    split: str = "train",
    *,
    size: int = 32,
    shapes: Sequence[str] = ("square", "ellipse", "heart"),
    scales: Sequence[float] = (0.5, 0.65, 0.8, 1.0),
    orientations: Sequence[float] = tuple(np.arange(8) * np.pi / 16),
    columns: Sequence[float] = tuple(np.linspace(0, 1, 8)),
    rows: Sequence[float] = tuple(np.linspace(0, 1, 8)),
    count: int | None = None,
) -> Dataset:
    """Draws every combination of the factors: uint8 [N, size, size, 1], white on black, antialiased.

    The default grid has 3 x 4 x 8 x 8 x 8 = 6,144 pictures; its orientations cover a quarter turn, where no two
    are the same picture (a square repeats after a quarter turn, an ellipse after a half). A sixth, drawn with a fixed
    seed, is the test split. `labels` is the shape, `factors` the index into each of the five lists.

    Args:
        split: "train", "test" or "all", the last in the order of the grid, rows changing fastest.
        size: height and width in pixels, at least 4.
        shapes: out of "square", "ellipse", "heart".
        scales: relative sizes in (0, 1].
        orientations: radians, clockwise.
        columns, rows: positions of the centre in [0, 1]; at 0 and 1 the largest shape still fits.
        count: draw only so many of the split's combinations, picked with a fixed seed; each factor stays independent of
            the others. By default all of them.

    Raises:
        ValueError: an unknown shape, a value out of range, an empty list, or more pictures than the split has.
        TypeError: a count that is no integer.

    Source: after Matthey et al., 2017, https://github.com/deepmind/dsprites-dataset.

    Example:
        >>> data = load("test", size=16, scales=[1.0])
        >>> data.images.shape, data.factor_names
        ((256, 16, 16, 1), ('shape', 'scale', 'orientation', 'x', 'y'))
    """
    check_split("shapes", split, ("train", "test", "all"))
    _check(size, shapes, scales=scales, orientations=orientations, columns=columns, rows=rows)
    grid = (len(shapes), len(scales), len(orientations), len(columns), len(rows))
    total = int(np.prod(grid))
    chosen = np.arange(total)
    if split != "all":
        shuffled = stable_permutation(total, SEED)
        chosen = shuffled[held_out(total, total // 6) == (split == "test")]
    if count is not None:
        chosen = _some(chosen, count, split)
    factors = np.stack(np.unravel_index(chosen, grid), axis=-1)
    values = [np.asarray(value, np.float32) for value in (scales, orientations, columns, rows)]
    return from_array(
        _draw(factors, size, shapes, values),
        labels=factors[:, 0],
        factors=factors,
        factor_names=FACTORS,
        class_names=shapes,
        name="shapes",
        split=split,
        source=f"generated, grid {' x '.join(map(str, grid))}, {size} pixels",
    )


def _some(chosen: Array, count: int, split: str) -> Array:
    """`count` of the chosen combinations, no order of the grid left in them."""
    if isinstance(count, bool) or not isinstance(count, int):
        raise TypeError(f"count is {count!r} ({type(count).__name__}), expected an integer.")
    if not 1 <= count <= len(chosen):
        raise ValueError(f"count is {count}, expected 1 to {len(chosen)}, the pictures of the split {split!r}.")
    return chosen[stable_permutation(len(chosen), SEED + 1)[:count]]


def _check(size: int, shapes: Sequence[str], **values: Sequence[float]) -> None:
    if isinstance(size, bool) or not isinstance(size, int) or size < 4:
        raise ValueError(f"size is {size!r}, expected an integer of at least 4 pixels.")
    unknown = [shape for shape in shapes if shape not in OUTSIDE]
    if unknown or not shapes or isinstance(shapes, str):
        raise ValueError(f"shapes are {shapes!r}, expected some of {', '.join(OUTSIDE)}, as a list.")
    limits = {"scales": (1e-3, 1.0), "orientations": (-100.0, 100.0), "columns": (0.0, 1.0), "rows": (0.0, 1.0)}
    for name, given in values.items():
        low, high = limits[name]
        try:
            array = np.asarray(given, np.float64)
        except (TypeError, ValueError):
            array = np.zeros(0)
        if array.ndim != 1 or array.size == 0 or not np.all((array >= low) & (array <= high)):
            raise ValueError(f"{name} are {given!r:.200}, expected a list of numbers in [{low:g}, {high:g}].")


def _draw(factors: Array, size: int, shapes: Sequence[str], values: Sequence[Array]) -> Array:
    """The pictures with these factor indices [N, 5] as uint8 [N, size, size], about a million pixels at a time."""
    images = np.empty((len(factors), size, size), np.uint8)
    pixels = (np.arange(size, dtype=np.float32) + np.float32(0.5)) / size
    for part in np.array_split(np.arange(len(factors)), -(-images.size // 2**20)):
        for index, name in enumerate(shapes):
            at = part[factors[part, 0] == index]
            scale, angle, column, row = (value[factors[at, 1 + i]][:, None, None] for i, value in enumerate(values))
            dx, dy = pixels - _centre(column), pixels[:, None] - _centre(row)
            right = (np.cos(angle) * dx + np.sin(angle) * dy) / (RADIUS * scale)
            down = (np.cos(angle) * dy - np.sin(angle) * dx) / (RADIUS * scale)
            distance = OUTSIDE[name](right, down) * (RADIUS * scale * size)  # pixels, negative inside
            images[at] = np.rint(255 * np.clip(0.5 - distance, 0, 1))
    return images


def _centre(position: Array) -> Array:
    """From [0, 1] to picture widths, so that the largest shape stays inside."""
    return RADIUS + 0.02 + position * (1 - 2 * (RADIUS + 0.02))


# Signed distances to the edge of a shape that fits the unit circle, y downwards; right near the edge, where it counts.


def _square(x: Array, y: Array) -> Array:
    return np.maximum(np.abs(x), np.abs(y)) - np.float32(np.sqrt(0.5))


def _ellipse(x: Array, y: Array) -> Array:
    value = x * x + 4 * y * y - 1
    return value / np.maximum(2 * np.sqrt(x * x + 16 * y * y), 1e-6)


def _heart(x: Array, y: Array) -> Array:
    """A square on its corner and a disc over each of its upper sides."""
    half = np.float32(0.56)  # of the square's side; with the shift the smallest circle around is the unit circle
    y = y - np.float32(0.207)
    right, left = (x - y) / np.float32(np.sqrt(2)), (-x - y) / np.float32(np.sqrt(2))
    square = np.maximum(np.abs(right), np.abs(left)) - half
    discs = np.minimum(np.hypot(right - half, left), np.hypot(right, left - half)) - half
    return np.minimum(square, discs)


OUTSIDE: dict[str, Callable[[Array, Array], Array]] = {"square": _square, "ellipse": _ellipse, "heart": _heart}
