"""What compressors that know nothing of the images make of them."""

import bz2
import io
import math
from typing import Any

import numpy as np


def rival_bytes(x: np.ndarray, levels: int) -> dict[str, int]:
    """Bytes that others need for the same images, all of them in one file; those that are not installed are left out.

    "raw" has as few bits for a pixel as its values need. PNG and WebP are given one picture of all images side by side,
    bz2 and zstd the raw bytes, or eight binary pixels in a byte.

    Args:
        x: whole numbers 0 .. levels - 1, [N, H, W, C] of 1 or 3 channels, or any [N, ...], which are no picture.
        levels: at most 256.

    Example:
        >>> found = rival_bytes(np.zeros((10, 4, 4, 1)), 2)
        >>> found["raw"], min(found.values()) > 10
        (20, True)
    """
    whole = x.astype(np.uint8)
    packed = np.packbits(whole.reshape(len(x), -1), axis=1).tobytes() if levels == 2 else whole.tobytes()
    found = {"raw": math.ceil(whole.size * math.ceil(math.log2(levels)) / 8), "bz2": len(bz2.compress(packed, 9))}
    if (compressor := _zstandard()) is not None:
        found["zstd"] = len(compressor(packed))
    if x.ndim == 4 and x.shape[-1] in (1, 3):
        found |= _pictures(whole, levels)
    return found


def _pictures(whole: np.ndarray, levels: int) -> dict[str, int]:
    from PIL import Image, features

    count, height, width, channels = whole.shape
    across = min(count, max(1, round(math.sqrt(count * height / width))))
    down = -(-count // across)
    filled = np.concatenate([whole, np.zeros((across * down - count, *whole.shape[1:]), np.uint8)])
    sheet = filled.reshape(down, across, height, width, channels).swapaxes(1, 2)
    sheet = sheet.reshape(down * height, across * width, channels)
    sheet = sheet if channels == 3 else sheet[..., 0]
    image = Image.fromarray(sheet * np.uint8(255) if levels == 2 else sheet)
    found = {"PNG": _saved(image.convert("1") if levels == 2 and channels == 1 else image, "PNG", optimize=True)}
    if features.check("webp") and max(image.size) <= 16383:
        found["WebP"] = _saved(image.convert("RGB"), "WEBP", lossless=True, quality=100, method=6)
    return found


def _saved(image: Any, form: str, **options: Any) -> int:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return len(buffer.getvalue())


def _zstandard() -> Any:
    """A function that compresses at the highest level, or None where zstandard is not installed."""
    try:
        import zstandard
    except ImportError:
        return None
    return zstandard.ZstdCompressor(level=22).compress
