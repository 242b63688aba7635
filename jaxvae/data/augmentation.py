"""What is done to training images before they become x, to have more of them."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

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
