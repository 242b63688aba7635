"""From a user's array of images to uint8 [N, H, W, C], 0 black to 255 white; any other scale is refused."""

from typing import Any

import numpy as np

from jaxvae.data.arrays import as_numbers, raw_bytes
from jaxvae.data.rows import chunks

Array = np.ndarray
CHUNK = 1024  # images looked at together, so that a large float array needs no second copy of itself
DARK = 16  # pixels 0..255 that go no further are levels that nobody scaled


def as_pixels(what: str, value: Any) -> Array:
    """uint8 [N, H, W, C]: bytes as they are, booleans as 0 and 255, floats in [0, 1] times 255 and rounded."""
    array = _with_channel(as_numbers(what, value))
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if np.issubdtype(array.dtype, np.floating):
        return _rounded(what, array)
    if array.dtype == np.uint8:
        check_pixels(what, array)
        return array
    expected = f"{what} have dtype {array.dtype}, expected uint8 in 0..255, bool, or floats in [0, 1]."
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{expected}{raw_bytes(array)}")
    low, high = int(array.min()), int(array.max())
    kinds = "for tokens kind='tokens', for counts kind='counts'"
    if low < 0 or high > 255:
        fix = f"For levels 0..{high} pass images / {high}" if low >= 0 else "For pixels scale them to [0, 1]"
    else:
        fix = f"For integers in 0..255 pass images.astype(numpy.uint8), for levels 0..{high} images / {max(high, 1)}"
    raise ValueError(f"{expected} Its values are {low} to {high}. {fix}; {kinds}.")


def check_pixels(what: str, array: Array) -> None:
    """Raises `ValueError` for uint8 pixels that are all next to black: 0 and 1, or levels that nobody scaled."""
    brightest = 0
    for part in chunks(array, CHUNK):
        brightest = max(brightest, int(part.max(initial=0)))
        if brightest > DARK:
            return
    if brightest:
        scaled = f"{what}.astype(bool)" if brightest == 1 else f"{what} / {brightest}"
        raise ValueError(
            f"{what} are uint8 with no value above {brightest}, which is next to black where 255 is white. For levels "
            f"0..{brightest} pass jaxvae.data.from_array({scaled}); if they are that dark, {what} / 255."
        )


def _with_channel(array: Array) -> Array:
    shape = array.shape
    if array.ndim not in (3, 4):
        raise ValueError(
            f"images have shape {shape}, expected [N, H, W] or [N, H, W, C]. For flat pixels pass "
            f"images.reshape(-1, height, width), for a single image images[None]; for what are no images say which "
            f"kind they are: kind='tokens', 'counts' or 'table'."
        )
    if array.size == 0:
        raise ValueError(f"images are empty (shape {shape}), expected at least one image of at least one pixel.")
    if array.ndim == 4 and shape[1] in (1, 3) and shape[3] > 4:
        raise ValueError(
            f"images have shape {shape}, which looks like [N, C, H, W]; expected [N, H, W, C]. "
            f"Pass numpy.moveaxis(images, 1, -1)."
        )
    return array if array.ndim == 4 else array[..., None]


def _rounded(what: str, array: Array) -> Array:
    """Floats in [0, 1] as uint8, some images at a time."""
    result = np.empty(array.shape, np.uint8)
    for start in range(0, len(array), CHUNK):
        part = array[start : start + CHUNK]
        bad = ~((part >= 0) & (part <= 1))  # true for a NaN too
        if bad.any():
            first = tuple(int(i) for i in np.argwhere(bad)[0])
            index = (first[0] + start, *first[1:])
            raise ValueError(
                f"{what} have the value {part[first]} at index {index}, expected floats in [0, 1]. "
                f"{_to_unit(what, array, part[first])}"
            )
        result[start : start + CHUNK] = np.rint(part.astype(np.float32) * 255)
    return result


def _to_unit(what: str, array: Array, found: Any) -> str:
    """How to bring floats of another range to [0, 1]."""
    if not np.isfinite(found):
        return "Find where it comes from."
    low, high = float(np.nanmin(array)), float(np.nanmax(array))
    if low >= 0 and high <= DARK and high % 1 == 0 and (array == np.trunc(array)).all():
        return f"For levels 0..{high:g} pass {what} / {high:g}."
    if low >= 0 and high <= 255:
        return f"For pixels in 0..255 pass {what} / 255."
    if -1 <= low < -0.5 and high <= 1:
        return f"For pixels in [-1, 1] pass ({what} + 1) / 2."
    return f"They go from {low:g} to {high:g}: scale them to [0, 1], or pass kind='table' for numbers as they are."
