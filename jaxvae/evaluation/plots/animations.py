"""Animated GIFs: figures as frames, a path there and back, and a file that is written whole.

    frames = [rendered(draw(value)) for value in gaussian_quantiles(24)]
    save_gif(there_and_back(frames), "traversal.gif")

Pillow and matplotlib are imported when the first frame is made.
"""

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxvae.checks import finite_number, positive_integer
from jaxvae.files import whole_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def rendered(figure: "Figure", *, dpi: int = 80) -> np.ndarray:
    """The pixels of a figure, uint8 [H, W, 3].

    Example:
        >>> from jaxvae.evaluation.plots.image_grids import image_grid
        >>> rendered(image_grid(np.zeros((6, 8, 8, 1)))[0]).shape[-1]
        3
    """
    from PIL import Image

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    buffer.seek(0)
    return np.asarray(Image.open(buffer).convert("RGB"))


def there_and_back(frames: Sequence[Any]) -> list[Any]:
    """The frames forwards, then backwards without repeating an end, so that a loop has no jump.

    Example:
        >>> there_and_back([1, 2, 3])
        [1, 2, 3, 2]
    """
    return [*frames, *frames[-2:0:-1]]


def same_size(frames: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Frames [H, W, C] of several sizes, filled up with white on the right and below; a title may widen a figure.

    Example:
        >>> [frame.shape for frame in same_size([np.zeros((2, 3, 1), np.uint8), np.zeros((4, 1, 1), np.uint8)])]
        [(4, 3, 1), (4, 3, 1)]
    """
    height, width = (max(frame.shape[axis] for frame in frames) for axis in (0, 1))
    edges = [[(0, height - frame.shape[0]), (0, width - frame.shape[1]), (0, 0)] for frame in frames]
    return [np.pad(frame, edge, constant_values=255) for frame, edge in zip(frames, edges, strict=True)]


def save_gif(
    frames: Sequence[np.ndarray],
    path: str | os.PathLike[str],
    *,
    seconds: float | Sequence[float] = 0.1,
    colors: int = 256,
) -> Path:
    """Writes frames as a GIF that loops for ever, whole or not at all; the same frames give the same bytes.

    Grey frames keep all their levels, or that many. Colours are those of a palette for each frame, without dithering.

    Args:
        frames: uint8 [T, H, W], [T, H, W, 1] or [T, H, W, 3], or a list of T such frames of one shape.
        path: a name that ends in .gif.
        seconds: how long each frame is shown, one number or T of them; a GIF counts in hundredths, from 0.02 on.
        colors: at most so many in a frame, 2 to 256; with 32 the file has half the size.

    Returns:
        the path.

    Raises:
        ValueError: for no frames, frames of different shapes or none of those above, another ending, or times and
            colours that a GIF cannot keep.
        TypeError: for frames that are not uint8.
        FileNotFoundError: if the folder does not exist.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_gif(np.zeros((2, 4, 4), np.uint8), Path(folder) / "a.gif").name
        'a.gif'
    """
    path, arrays = Path(path), [np.asarray(frame) for frame in frames]
    if path.suffix.lower() != ".gif":
        raise ValueError(f"path is {str(path)!r}, expected a name that ends in .gif.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent}, expected one for {path.name}. Make it.")
    shapes = sorted({array.shape for array in arrays})
    if len(shapes) != 1:
        raise ValueError(f"frames have the shapes {shapes}, expected at least one frame, all of one shape.")
    if len(shapes[0]) not in (2, 3) or (len(shapes[0]) == 3 and shapes[0][2] not in (1, 3)):
        raise ValueError(f"frames have shape {shapes[0]}, expected (H, W), (H, W, 1) or (H, W, 3).")
    for array in arrays:
        if array.dtype != np.uint8:
            raise TypeError(
                f"frames have dtype {array.dtype}, expected uint8. Pass (255 * frames).round().astype('uint8')."
            )
    times = [seconds] * len(arrays) if isinstance(seconds, int | float) else list(seconds)
    if len(times) != len(arrays):
        raise ValueError(f"seconds has {len(times)} entries, expected one number or {len(arrays)}, one for each frame.")
    for time in times:
        finite_number("seconds", time, 0.02, 655)
    most = palette_size(colors)
    first, *rest = [_indexed(array, most) for array in arrays]
    with whole_file(path) as file:
        first.save(
            file,
            format="GIF",
            save_all=True,
            append_images=rest,
            duration=[10 * round(100 * time) for time in times],  # milliseconds
            loop=0,
            optimize=most < 256,  # shorter codes for a shorter palette
        )
    return path


def palette_size(colors: int) -> int:
    """Returns the number of colours of a frame if a GIF can keep it; else raises an error that names it.

    Example:
        >>> palette_size(1000)
        Traceback (most recent call last):
        ValueError: colors is 1000, expected at most 256, the palette of a GIF.
    """
    if positive_integer("colors", colors, 2) > 256:
        raise ValueError(f"colors is {colors}, expected at most 256, the palette of a GIF.")
    return int(colors)


def _indexed(frame: np.ndarray, colors: int) -> Any:
    from PIL import Image

    if frame.ndim == 3 and frame.shape[2] == 1:
        frame = frame[..., 0]
    if frame.ndim == 3 and (frame[..., :1] == frame).all():  # drawn in colour, but grey
        frame = frame[..., 0]
    if frame.ndim == 2:
        steps = (colors - 1) / 255  # from one grey to the next: 1 keeps them all
        return Image.fromarray(((frame * steps).round() / steps).round().astype(np.uint8))
    return Image.fromarray(frame).quantize(colors, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
