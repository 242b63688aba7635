"""How long an image is after lossless compression, in nats: a description of it that knows no model."""

import io
import lzma
import math
import zlib
from collections.abc import Callable, Sequence

import jax
import numpy as np

Array = jax.Array
NATS_PER_BYTE = 8 * math.log(2)


def compressed_nats(images: Array | np.ndarray, codecs: str | Sequence[str] = "png") -> np.ndarray:
    r"""L(x) = 8 log(2) (bytes of the compressed x): an upper bound on the complexity of each image, nats.

    A codec has a header and a block size of its own, the same for all images, so that L ranks and differs by nats but
    is no fair code length of a small image. Of several codecs the shortest counts, image by image.

    Args:
        images: uint8 [N, H, W, C] with C = 1 or 3: levels 0..255, as the likelihood sees them. Of binarised images
            pass 0 and 255.
        codecs: one or several of "png", "webp", "jpeg2000" (all lossless), "zlib" and "lzma" (of the raw bytes).

    Returns:
        [N] nats.

    Raises:
        ValueError: for another dtype or shape, no images, or an unknown codec.

    Source: Serra et al., 2020, arXiv 1909.11480.

    Example:
        >>> flat = np.zeros((1, 28, 28, 1), np.uint8)
        >>> noise = np.random.default_rng(0).integers(0, 256, flat.shape, np.uint8)
        >>> compressed_nats(flat) < compressed_nats(noise)
        array([ True])
    """
    array = np.asarray(images)
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[-1] not in (1, 3) or array.size == 0:
        raise ValueError(
            f"images are {array.dtype} of shape {array.shape}, expected uint8 levels 0..255 of shape (N, H, W, C) with "
            f"1 or 3 channels. Pass the raw images."
        )
    names = [codecs] if isinstance(codecs, str) else list(codecs)
    unknown = [name for name in names if name not in CODECS]
    if unknown or not names:
        raise ValueError(f"codecs is {codecs!r}, expected some of {', '.join(CODECS)}.")
    lengths = [[len(CODECS[name](image)) for name in names] for image in array]
    return NATS_PER_BYTE * np.min(lengths, axis=1).astype(np.float64)


def _pillow(format: str, **options: object) -> Callable[[np.ndarray], bytes]:
    def compress(image: np.ndarray) -> bytes:
        from PIL import Image

        buffer = io.BytesIO()
        Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(buffer, format, **options)
        return buffer.getvalue()

    return compress


CODECS: dict[str, Callable[[np.ndarray], bytes]] = {
    "png": _pillow("PNG", optimize=True),
    "webp": _pillow("WEBP", lossless=True, quality=100, method=6),
    "jpeg2000": _pillow("JPEG2000", irreversible=False),
    "zlib": lambda image: zlib.compress(image.tobytes(), 9),
    "lzma": lambda image: lzma.compress(image.tobytes(), lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2}]),
}
