"""Laplace log-density."""

import math

import jax
import jax.numpy as jnp

from jaxvae.arguments import arguments
from jaxvae.math.numerics import flat, inverse_scale
from jaxvae.roles import real

Array = jax.Array


@arguments(x=real(), mean=real(like="x"), log_scale=real(like="x"))
def laplace_log_prob(x: Array, mean: Array, log_scale: Array) -> Array:
    r"""Laplace log-density: -sum(log 2 + log_scale + |x - mean| exp(-log_scale)).

    Args:
        x: [...] one example.
        mean: the shape of x (or a scalar).
        log_scale: the shape of x (or a scalar), natural logarithm of the scale b; float32 is exact for
            |log_scale| <= 80.

    Returns:
        [] nats, summed over every element of x. The gradient at x = mean is 0.

    Source: Laplace, 1774; as a decoder it is the L1 loss of Isola et al., 2017, arXiv 1611.07004.

    Example:
        >>> round(float(laplace_log_prob(jnp.ones(2), jnp.zeros(2), jnp.zeros(2))), 4)
        -3.3863
    """
    x, mean, log_scale = flat(x, mean, log_scale)
    residual = x - mean
    distance = residual * jnp.sign(residual)  # the slope of jnp.abs at 0 is 1, which would favour one side
    return -jnp.sum(math.log(2.0) + log_scale + distance * inverse_scale(log_scale))
