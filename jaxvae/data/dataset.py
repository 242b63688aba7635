"""`Dataset`: labelled images as plain NumPy arrays, and the one place where a user's array becomes one."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray
CHUNK = 1024  # images rounded at a time, so that a large float array needs no second copy of itself


class Dataset(NamedTuple):
    """Images of one split, in memory or memory-mapped, never changed by the library.

    Attributes:
        name: what it is called, for run folders and messages.
        images: uint8 [N, H, W, C], 0 black to 255 white.
        labels: int64 [N] class of each image, or None.
        factors: int64 [N, F] index of each image along each known factor of variation, or None.
        factor_names: F names.
        split: "train", "test", or what the source calls it.
        source: where it came from, one line.

    Example:
        >>> import numpy as np
        >>> data = from_array(np.zeros((5, 8, 8), np.uint8), labels=[0, 1, 2, 1, 0], name="blank")
        >>> data.images.shape, data.images.dtype.name, data.labels.tolist()
        ((5, 8, 8, 1), 'uint8', [0, 1, 2, 1, 0])
    """

    name: str
    images: Array
    labels: Array | None
    factors: Array | None
    factor_names: tuple[str, ...]
    split: str
    source: str


def from_array(
    images: Any,
    *,
    labels: Any = None,
    factors: Any = None,
    factor_names: Sequence[str] = (),
    name: str = "array",
    split: str = "train",
    source: str = "an array from Python",
) -> Dataset:
    """Checks an array and makes it a `Dataset`; uint8 data is shared with the caller, not copied.

    Args:
        images: [N, H, W, C], or [N, H, W] which gains C = 1. uint8 as it is; bool as 0 and 255; floats in [0, 1]
            are multiplied by 255 and ROUNDED to uint8, so they keep 8 bits.
        labels: integers [N], not negative.
        factors: integers [N, F], with F `factor_names`.
        name, split, source: kept in the record.

    Raises:
        ValueError: another dtype, rank or range, a NaN (its index is named), no images, labels of another length.

    Example:
        >>> import numpy as np
        >>> from_array(np.full((2, 4, 4), 0.5)).images[0, 0, 0, 0]
        np.uint8(128)
    """
    array = _with_channel(_as_array("images", images))
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * np.uint8(255)
    elif np.issubdtype(array.dtype, np.floating):
        array = _rounded(array)
    elif array.dtype != np.uint8:
        raise ValueError(
            f"images have dtype {array.dtype}, expected uint8 in 0..255, bool, or floats in [0, 1]. "
            f"For integers in 0..255 pass images.astype(numpy.uint8)."
        )
    count = len(array)
    label_array = None if labels is None else _indices("labels", labels, (count,))
    factor_names = tuple(factor_names)
    factor_array = None if factors is None else _indices("factors", factors, (count, len(factor_names)))
    return Dataset(name, array, label_array, factor_array, factor_names, split, source)


def check_split(name: str, split: str, splits: Sequence[str]) -> None:
    """Raises `ValueError` listing the splits unless `split` is one of them."""
    if split not in splits:
        raise ValueError(f"{name} has no split {split!r}, expected one of: {', '.join(splits)}.")


def _as_array(what: str, value: Any) -> Array:
    try:
        return np.asarray(value)
    except ValueError as error:  # a ragged list
        raise ValueError(f"{what} cannot be made one array ({error}); give all of them the same shape.") from error


def _with_channel(array: Array) -> Array:
    shape = array.shape
    if array.ndim not in (3, 4):
        raise ValueError(
            f"images have shape {shape}, expected [N, H, W] or [N, H, W, C]. "
            f"For flat pixels pass images.reshape(-1, height, width), for a single image images[None]."
        )
    if array.size == 0:
        raise ValueError(f"images are empty (shape {shape}), expected at least one image of at least one pixel.")
    if array.ndim == 4 and shape[1] in (1, 3) and shape[3] > 4:
        raise ValueError(
            f"images have shape {shape}, which looks like [N, C, H, W]; expected [N, H, W, C]. "
            f"Pass numpy.moveaxis(images, 1, -1)."
        )
    return array if array.ndim == 4 else array[..., None]


def _rounded(array: Array) -> Array:
    """Floats in [0, 1] as uint8, some images at a time."""
    result = np.empty(array.shape, np.uint8)
    for start in range(0, len(array), CHUNK):
        part = array[start : start + CHUNK]
        bad = ~((part >= 0) & (part <= 1))  # true for a NaN too
        if bad.any():
            first = tuple(int(i) for i in np.argwhere(bad)[0])
            index = (first[0] + start, *first[1:])
            value = part[first]
            fix = "Find where it comes from." if np.isnan(value) else "For pixels in 0..255 pass images / 255."
            raise ValueError(f"images have the value {value} at index {index}, expected floats in [0, 1]. {fix}")
        result[start : start + CHUNK] = np.rint(part.astype(np.float32) * 255)
    return result


def _indices(what: str, value: Any, shape: tuple[int, ...]) -> Array:
    array = _as_array(what, value)
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{what} have dtype {array.dtype}, expected integers. Pass {what}.astype(int) if they are.")
    if array.shape != shape:
        wanted = "one for each image" if len(shape) == 1 else "one row for each image and a column for each factor name"
        raise ValueError(f"{what} have shape {array.shape}, expected {shape}: {wanted}.")
    if array.size and array.min() < 0:
        first = tuple(int(i) for i in np.argwhere(array < 0)[0])
        raise ValueError(f"{what} have the value {array[first]} at index {first}, expected integers from 0 up.")
    return array.astype(np.int64)
