"""What is left of a picture: grey, coarse, noisy or in part; contexts of a conditional model that restores it.

Each takes one picture [H, W, C] on [0, 1] and leaves its height and width; `jax.vmap` makes the batch.
"""

import jax
import jax.numpy as jnp

from jaxvae.checks import finite_number, positive_integer

Array = jax.Array
LUMA = (0.299, 0.587, 0.114)


def grey(x: Array) -> Array:
    """The brightness of a colour picture: x [H, W, 3] -> 0.299 red + 0.587 green + 0.114 blue, [H, W, 1].

    Source: ITU-R BT.601.

    Example:
        >>> round(float(grey(jnp.zeros((2, 2, 3)).at[..., 0].set(1.0))[0, 0, 0]), 3)
        0.299
    """
    if x.ndim != 3 or x.shape[-1] != 3:
        raise ValueError(f"x has shape {x.shape}, expected a colour picture (H, W, 3).")
    return (x * jnp.asarray(LUMA, x.dtype)[None, None]).sum(-1, keepdims=True)


def low_resolution(x: Array, factor: int = 4) -> Array:
    """x [H, W, C] with each square of factor x factor pixels become its mean, at the old size.

    Raises:
        ValueError, TypeError: for sides that are no multiples of the factor.

    Example:
        >>> low_resolution(jnp.arange(4.0).reshape(2, 2, 1), 2).ravel().tolist()
        [1.5, 1.5, 1.5, 1.5]
    """
    factor = positive_integer("factor", factor)
    return coarse(x, factor).repeat(factor, 0).repeat(factor, 1)


def coarse(x: Array, factor: int = 4) -> Array:
    """The same as the small picture [H / factor, W / factor, C] that it is.

    Example:
        >>> coarse(jnp.zeros((8, 4, 3)), 4).shape
        (2, 1, 3)
    """
    height, width, channels = x.shape
    if height % positive_integer("factor", factor) or width % factor:
        raise ValueError(f"x has shape {x.shape} and factor is {factor}, expected sides that are multiples of it.")
    return x.reshape(height // factor, factor, width // factor, factor, channels).mean((1, 3))


def noisy(key: Array, x: Array, std: float = 0.2) -> Array:
    """x + std * e with e ~ N(0, I): not clipped, so that the noise says nothing of the edges of [0, 1].

    Example:
        >>> float(noisy(jax.random.key(0), jnp.zeros((64, 64, 1)), 0.5).std().round(1))
        0.5
    """
    finite_number("std", std, low=0.0)
    return x + std * jax.random.normal(key, x.shape, x.dtype)


def masked(x: Array, known: Array) -> Array:
    """What is seen of x [H, W, C], and where: x where known and 0 elsewhere, with the mask as one more channel.

    Args:
        x: a picture.
        known: booleans [H, W], true where a pixel is seen.

    Example:
        >>> masked(jnp.full((1, 2, 1), 0.7), jnp.array([[True, False]])).round(1).tolist()
        [[[0.699999988079071, 1.0], [0.0, 0.0]]]
    """
    if jnp.shape(known) != x.shape[:2]:
        raise ValueError(f"known has shape {jnp.shape(known)}, expected {x.shape[:2]}, one for each pixel.")
    seen = jnp.asarray(known, x.dtype)[..., None]
    return jnp.concatenate([x * seen, seen], axis=-1)
