"""What is done to training images before they become x, to have more of them."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.checks import positive_integer

Preprocess = Callable[[Any, Any], Any]


def flipped(preprocess: Preprocess) -> Preprocess:
    """The same preprocessing of an image [H, W, C] or, with probability 1/2, of its mirror image, left for right.

    Whether it is mirrored is drawn from the key, which in training is that of (run, step, example): a run that goes on
    from a checkpoint sees the images of the unbroken one.

    Args:
        preprocess: (key, raw [H, W, C]) -> x, such as one of `PROTOCOLS`.

    Example:
        >>> mirrored = flipped(lambda key, image: image)
        >>> image = jnp.array([[[1], [2]]])
        >>> sorted({str(mirrored(jax.random.key(seed), image).ravel()) for seed in range(5)})
        ['[1 2]', '[2 1]']
    """

    def augmented(key: Any, image: Any) -> Any:
        coin, own = jax.random.split(key)
        return preprocess(own, jnp.where(jax.random.bernoulli(coin), image[:, ::-1], image))

    return augmented


def shifted(preprocess: Preprocess, pixels: int) -> Preprocess:
    """The same preprocessing of an image [H, W, C] moved by -pixels .. pixels down and across, uniformly drawn.

    It is a random crop of the image that its own border was continued around; the key is used as in `flipped`.

    Args:
        preprocess: (key, raw [H, W, C]) -> x.
        pixels: how far at most, a whole number of at least 1.

    Example:
        >>> moved = shifted(lambda key, image: image, 1)
        >>> image = jnp.arange(3)[None, :, None]
        >>> sorted({str(moved(jax.random.key(seed), image).ravel()) for seed in range(9)})
        ['[0 0 1]', '[0 1 2]', '[1 2 2]']
    """
    pixels = positive_integer("pixels", pixels)

    def augmented(key: Any, image: Any) -> Any:
        way, own = jax.random.split(key)
        down, across = jax.random.randint(way, (2,), 0, 2 * pixels + 1)
        wide = jnp.pad(image, ((pixels, pixels), (pixels, pixels), (0, 0)), mode="edge")
        return preprocess(own, jax.lax.dynamic_slice(wide, (down, across, 0), image.shape))

    return augmented


def jittered(preprocess: Preprocess, strength: float) -> Preprocess:
    """The same preprocessing of an image [H, W, C] of 0 to 255 with its brightness, contrast and colours changed.

    Each is drawn uniformly within +-strength: contrast multiplies the distance from the image's mean by 1 + c,
    saturation that of each colour from the pixel's own mean by 1 + s, and brightness adds 255 b. What leaves 0 to 255
    is cut off there, and whole numbers stay whole. The key is used as in `flipped`.

    Args:
        preprocess: (key, raw uint8 [H, W, C]) -> x.
        strength: above 0 and at most 1.

    Source: Howard, 2013, arXiv 1312.5402, section 2.2.

    Example:
        >>> changed = jittered(lambda key, image: image, 0.5)
        >>> image = jnp.full((1, 1, 1), 100, jnp.uint8)
        >>> len({int(changed(jax.random.key(seed), image)[0, 0, 0]) for seed in range(9)}) > 5
        True
    """
    if not 0 < strength <= 1:
        raise ValueError(f"strength is {strength}, expected a number above 0 and at most 1.")

    def augmented(key: Any, image: Any) -> Any:
        change, own = jax.random.split(key)
        brightness, contrast, saturation = jax.random.uniform(change, (3,), minval=-strength, maxval=strength)
        x = image.astype(jnp.float32)
        grey = x.mean(-1, keepdims=True)
        x = grey + (1 + saturation) * (x - grey)
        x = x.mean() + (1 + contrast) * (x - x.mean()) + 255 * brightness
        return preprocess(own, jnp.clip(jnp.round(x), 0, 255).astype(image.dtype))

    return augmented
