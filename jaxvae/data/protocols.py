"""How an image becomes the x of a model: each protocol a pure function of one key and one uint8 image.

They run on the device inside the compiled step, so that data stays uint8 in memory; for a batch use `jax.vmap` with one
key per example. Numbers obtained under different protocols cannot be compared.
"""

import hashlib
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array
Key = jax.Array
Preprocess = Callable[[Key, Array], Array]
Bits = TypeVar("Bits", jax.Array, np.ndarray)


def grey(key: Key, image: Array) -> Array:
    """x = image / 255, float32 in [0, 1]; the key is not used.

    Example:
        >>> grey(jax.random.key(0), jnp.array([0, 255], jnp.uint8)).tolist()
        [0.0, 1.0]
    """
    return _uint8(image).astype(jnp.float32) / 255


def threshold(key: Key, image: Array) -> Array:
    """x = 1 where the pixel is at least 128, else 0, float32; the key is not used.

    Example:
        >>> threshold(jax.random.key(0), jnp.array([0, 127, 128, 255], jnp.uint8)).tolist()
        [0.0, 0.0, 1.0, 1.0]
    """
    return (_uint8(image) >= 128).astype(jnp.float32)


def dynamic(key: Key, image: Array) -> Array:
    """x ~ Bernoulli(image / 255), float32 0 or 1, drawn afresh with every key; the key is consumed.

    A pixel is white with probability round(65536 image / 255) / 65536: exact at 0 and 255, within 7.6e-6 between.

    Source: Salakhutdinov and Murray, 2008, doi 10.1145/1390156.1390266; Burda et al., 2016, arXiv 1509.00519.

    Example:
        >>> dynamic(jax.random.key(0), jnp.array([0, 255], jnp.uint8)).tolist()
        [0.0, 1.0]
    """
    return is_white(random_halves(key, image.shape), _uint8(image).astype(jnp.int32)).astype(jnp.float32)


def levels(key: Key, image: Array, count: int = 256) -> Array:
    """x = image as float32 integers 0..255, for discretised likelihoods; the key is not used.

    Of fewer levels the nearest: x = round((count - 1) image / 255), a half up, an integer 0..count - 1.

    Example:
        >>> levels(jax.random.key(0), jnp.array([0, 255], jnp.uint8)).tolist()
        [0.0, 255.0]
        >>> levels(jax.random.key(0), jnp.array([0, 15, 16, 255], jnp.uint8), 17).tolist()
        [0.0, 1.0, 1.0, 16.0]
    """
    return _level(image, count).astype(jnp.float32)


def dequantize(key: Key, image: Array, count: int = 256) -> Array:
    """x = (image + u) / 256 with u uniform, float32 strictly between 0 and 1; the key is consumed.

    Of fewer levels x = (level + u) / count, see `levels`, and floor(count x) is the level.

    u is one of the 32,768 midpoints (b + 1/2) / 32768, so that x is exact in float32 and floor(256 x) is the image.
    A density p(x) is a bound on the probability of the image: log P(image) >= E[log p(x)] - D log 256 nats.

    Source: Theis et al., 2016, arXiv 1511.01844.

    Example:
        >>> x = dequantize(jax.random.key(0), jnp.array([0, 7, 255], jnp.uint8))
        >>> jnp.floor(256 * x).tolist()
        [0.0, 7.0, 255.0]
    """
    return with_noise(random_halves(key, image.shape), _level(image, count), count)


def as_it_is(key: Key, x: Array) -> Array:
    """x itself, for numbers that are no pixels: already in the units of the likelihood; the key is not used.

    Example:
        >>> as_it_is(jax.random.key(0), jnp.array([2.5, -1.0])).tolist()
        [2.5, -1.0]
    """
    return x


PROTOCOLS: dict[str, Preprocess] = {
    "grey": grey,
    "threshold": threshold,
    "dynamic": dynamic,
    "levels": levels,
    "dequantize": dequantize,
}


def fixed_binarization(images: np.ndarray, seed: int = 0) -> tuple[np.ndarray, str]:
    """One draw of Bernoulli(images / 255) that is the same everywhere, so that test numbers can be compared.

    The noise is the 16-bit parts, lowest first, of `numpy.random.Philox(key=seed).random_raw` in the order of the
    array. NumPy promises those words for ever (NEP 19) but not the methods of `Generator`, and JAX promises neither,
    so the seed and the hash name the draw.

    Args:
        images: uint8 [N, H, W, C].
        seed: integer in 0..2**64 - 1.

    Returns:
        uint8 [N, H, W, C] of 0 and 255 (every protocol then gives the same 0 and 1), and the SHA-256 in hexadecimal of
        its bits, eight to a byte, first bit highest.

    Raises:
        ValueError: for a seed that is no such integer, or images of another kind.

    Example:
        >>> binary, digest = fixed_binarization(np.array([[[[0], [255], [128]]]], np.uint8))
        >>> binary.ravel().tolist(), digest[:8]
        ([0, 255, 0], 'c3641f85')
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**64:
        raise ValueError(f"seed is {seed!r}, expected an integer in 0..2**64 - 1.")
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.ndim != 4:
        raise ValueError(
            f"images are {_kind(images)}, expected a uint8 NumPy array [N, H, W, C], such as Dataset.images."
        )
    pixels = np.asarray(images)
    words = np.random.Philox(key=int(seed)).random_raw(-(-pixels.size // 4)).astype("<u8")
    halves = words.view("<u2")[: pixels.size].reshape(pixels.shape)
    white = is_white(halves.astype(np.int32), pixels.astype(np.int32))
    return white.astype(np.uint8) * np.uint8(255), hashlib.sha256(np.packbits(white).tobytes()).hexdigest()


def random_halves(key: Key, shape: tuple[int, ...]) -> Array:
    """Uniform integers 0..65535, int32 of any shape: the 16-bit halves of random words; the key is consumed.

    With threefry keys the words are the key data of a split, which keeps both words of each block where
    `jax.random.bits` folds them into one: four pixels a block, a quarter of the work of `jax.random.bernoulli`.

    Example:
        >>> random_halves(jax.random.key(0), (28, 28, 1)).shape
        (28, 28, 1)
    """
    count = int(np.prod(shape))
    blocks = -(-count // 4)
    if str(jax.random.key_impl(key)) == "threefry2x32":
        words = jax.random.key_data(jax.random.split(key, blocks))
    else:  # the words of other keys are not all independent
        words = jax.random.bits(key, (blocks, 2), jnp.uint32)
    return jnp.stack([words & 0xFFFF, words >> 16]).reshape(-1)[:count].reshape(shape).astype(jnp.int32)


def is_white(halves: Bits, pixels: Bits) -> Bits:
    """True for round(65536 pixel / 255) of the 65,536 values of a half; both int32, of one shape."""
    return halves * 255 + 127 < pixels * 65536


def with_noise(halves: Array, pixels: Array, count: int = 256) -> Array:
    """(pixel + (b + 1/2) / 32768) / count with b the upper 15 bits of a half; int32 in, float32 out, nothing rounded.

    Of another count than 256 the division is rounded, and 13 bits keep the noise so far from the next level that
    floor(count x) is still the pixel.
    """
    noise = halves | 1 if count == 256 else (halves & 0xFFF8) | 4
    return (pixels * 65536 + noise).astype(jnp.float32) * (2.0**-16 / count)


def _level(image: Array, count: int) -> Array:
    """The nearest of `count` levels, int32."""
    pixels = _uint8(image).astype(jnp.int32)
    return pixels if count == 256 else (2 * (count - 1) * pixels + 255) // 510


def _uint8(image: Array) -> Array:
    if image.dtype != jnp.uint8:
        raise TypeError(
            f"the image is {_kind(image)}, expected uint8 0..255, as in Dataset.images: a protocol makes x of pixels, "
            f"and of no tokens, counts or tables. jaxvae.data.from_array makes uint8 of floats in [0, 1]."
        )
    return image


def _kind(value: Any) -> str:
    return f"{getattr(value, 'dtype', type(value).__name__)} of shape {getattr(value, 'shape', None)}"
