"""Laplace log-density."""

import math

import jax
import jax.numpy as jnp

from jaxvae.checks import as_float, flat, not_nan, same_shape
from jaxvae.math.numerics import inverse_scale

Array = jax.Array


def laplace_log_prob(x: Array, mean: Array, log_scale: Array) -> Array:
    r"""Laplace log-density: -sum(log 2 + log_scale + |x - mean| exp(-log_scale)).

    Args:
        x: [...] one example.
        mean: the shape of x (or a scalar).
        log_scale: the shape of x (or a scalar), natural logarithm of the scale b; float32 is exact for
            |log_scale| <= 80.

    Returns:
        [] nats, summed over every element of x. The gradient at x = mean is 0.

    Raises:
        ValueError: on shapes that differ, or a NaN outside `jit`.
        TypeError: on integer inputs.

    Source: Laplace, 1774; as a decoder it is the L1 loss of Isola et al., 2017, arXiv 1611.07004.

    Example:
        >>> round(float(laplace_log_prob(jnp.ones(2), jnp.zeros(2), jnp.zeros(2))), 4)
        -3.3863
    """
    x, mean, log_scale = as_float("x", x), as_float("mean", mean), as_float("log_scale", log_scale)
    same_shape(x=x, mean=mean, log_scale=log_scale)
    not_nan(x=x, mean=mean, log_scale=log_scale)
    x, mean, log_scale = flat(x, mean, log_scale)
    residual = x - mean
    distance = residual * jnp.sign(residual)  # the slope of jnp.abs at 0 is 1, which would favour one side
    return -jnp.sum(math.log(2.0) + log_scale + distance * inverse_scale(log_scale))
