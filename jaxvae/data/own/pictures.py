"""One picture to one uint8 array, and pictures of any size to one size; nothing is dropped in silence."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray
SUFFIXES = (".png", ".jpg", ".jpeg", ".jfif", ".mpo", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pbm", ".pgm", ".ppm")
# Pictures all the same: passing over them would be a smaller data set than the folder shows.
UNREADABLE = (".heic", ".heif", ".avif", ".jxl", ".jp2", ".tga", ".psd", ".svg", ".exr", ".dng", ".cr2", ".nef", ".arw")
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")  # no format that starts another program
CHANNELS = {"1": 1, "L": 1, "RGB": 3}
SKIP = "Of many, skip_unreadable=True (--data.skip-unreadable) leaves out such pictures and counts them."
Background = int | tuple[int, int, int]
Colour = tuple[int, int, int]


class Unreadable(ValueError):
    """A file that holds no picture, or no whole one; any other fault is mended by an option."""


@contextmanager
def quiet() -> Iterator[None]:
    """Within the block Pillow warns of nothing, and a picture of too many pixels is an error."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def read_picture(path: Path, channels: int | None = None, background: Colour | None = None) -> Array:
    """Decodes one file as uint8 [H, W, 1] (grey) or [H, W, 3] (colour), turned upright as its camera says.

    A palette becomes colour. Of a camera's file of several pictures (MPO) the first is taken, the one it shows.

    Args:
        path: PNG, JPEG, BMP, GIF, WebP, TIFF or PPM.
        channels: 1 or 3 converts; None keeps what the file has.
        background: the colour behind what is transparent; None refuses transparent pictures.

    Raises:
        ValueError: naming a file that is empty, damaged, animated, transparent, CMYK, 16-bit or too large.
    """
    if path.stat().st_size == 0:
        raise Unreadable(f"{path} is empty (0 bytes), expected a picture. Delete it or restore it. {SKIP}")
    return decoded(path, path, channels, background)


def decoded(path: Any, content: Any, channels: int | None = None, background: Colour | None = None) -> Array:
    """`read_picture` of a path, or of an open file of bytes; in messages it is called `path`."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with quiet(), Image.open(content, formats=FORMATS) as opened:
            frames = 1 if opened.format == "MPO" else getattr(opened, "n_frames", 1)
            transparent = opened.mode in ("RGBA", "LA", "PA") or "transparency" in opened.info
            _check(path, opened.mode, frames, transparent and background is None)
            image = ImageOps.exif_transpose(opened)
            if transparent and background is not None:
                image = _flattened(image, background)
            if image.mode == "P" or (channels == 3 and image.mode in CHANNELS):
                image = image.convert("RGB")
            if image.mode == "1" or channels == 1:
                image = image.convert("L")
            array = np.asarray(image)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        limit = Image.MAX_IMAGE_PIXELS
        raise ValueError(f"{path} is too large ({error}), expected at most {limit} pixels. Shrink it.") from error
    except UnidentifiedImageError as error:
        kinds = ", ".join(FORMATS)
        raise Unreadable(f"{path} is no picture that can be read, expected one of {kinds}. {SKIP}") from error
    except Exception as error:  # a forged picture makes of its decoder what it likes
        if isinstance(error, ValueError) and str(path) in str(error):
            raise
        why = f"{str(error) or type(error).__name__:.200}"
        raise Unreadable(f"{path} is damaged or cut short ({why}). Restore it or delete it. {SKIP}") from error
    return array if array.ndim == 3 else array[..., None]


def _flattened(image: Any, background: Colour) -> Any:
    """A transparent picture on a background: grey on grey stays grey, all else is colour."""
    from PIL import Image

    grey = image.mode in ("1", "L", "LA") and len(set(background)) == 1
    behind = Image.new("RGBA", image.size, (*background, 255))
    flat = Image.alpha_composite(behind, image.convert("RGBA")).convert("RGB")
    return flat.getchannel(0) if grey else flat


def fit(image: Array, size: tuple[int, int]) -> Array:
    """Crops uint8 [H, W, C] at the centre to the wanted proportions and resamples it (Lanczos) to (height, width).

    Example:
        >>> fit(np.zeros((218, 178, 3), np.uint8), (64, 64)).shape
        (64, 64, 3)
    """
    from PIL import Image, ImageOps

    if image.shape[:2] == size:
        return image
    height, width = size
    planes = [
        np.asarray(ImageOps.fit(Image.fromarray(plane), (width, height), Image.Resampling.LANCZOS))
        for plane in np.moveaxis(image, -1, 0)
    ]
    return np.stack(planes, axis=-1)


def central(image: Array, crop: tuple[int, int], name: str) -> Array:
    """The middle (height, width) of a picture [H, W, C]; of an odd rest one pixel more is left out below and right.

    Raises:
        ValueError: for a picture that is smaller; `name` is the file's.

    Example:
        >>> central(np.arange(20).reshape(4, 5, 1), (2, 3), "a.png")[..., 0].tolist()
        [[6, 7, 8], [11, 12, 13]]
    """
    (height, width), (rows, columns) = crop, image.shape[:2]
    if height > rows or width > columns:
        raise ValueError(
            f"{name} has {rows} x {columns} pixels, expected at least the {height} x {width} of crop. Pass a smaller "
            f"crop=(height, width), on the command line --data.crop HEIGHT WIDTH."
        )
    top, left = (rows - height) // 2, (columns - width) // 2
    return image[top : top + height, left : left + width]


def check_size(size: object, name: str = "size") -> tuple[int, int] | None:
    """Returns (height, width), or None as it came; raises `ValueError` unless both are positive integers."""
    if size is None:
        return None
    pair = tuple(size) if isinstance(size, tuple | list) else (size, size)
    if len(pair) != 2 or any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in pair):
        raise ValueError(f"{name} is {size!r}, expected (height, width) in pixels, or one number for both.")
    return pair


def check_background(background: object) -> Colour | None:
    """Returns (red, green, blue), or None as it came; raises `ValueError` unless all are integers 0 to 255."""
    if background is None:
        return None
    colour = tuple(background) if isinstance(background, tuple | list) else (background,) * 3
    if len(colour) != 3 or any(isinstance(n, bool) or not isinstance(n, int) or not 0 <= n <= 255 for n in colour):
        raise ValueError(f"background is {background!r}, expected 0 (black) to 255 (white), or (red, green, blue).")
    return colour


def _check(path: Any, mode: str, frames: int, transparent: bool) -> None:
    if frames > 1:
        raise ValueError(f"{path} is animated ({frames} frames), expected one picture a file. Save its frames apart.")
    if transparent:
        raise ValueError(
            f"{path} is transparent (mode {mode}), expected grey or RGB. Pass background=255 for white behind it, "
            f"on the command line --data.background 255 255 255."
        )
    if mode not in (*CHANNELS, "P", "RGBA", "LA", "PA"):
        deep = mode.startswith(("I", "F"))
        fix = "Read it yourself, and pass jaxvae.data.from_array(pixels / 65535)" if deep else "Convert it to RGB first"
        raise ValueError(f"{path} has mode {mode}, expected 8-bit grey or RGB. {fix}.")
