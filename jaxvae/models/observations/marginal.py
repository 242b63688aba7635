"""A Gaussian whose standard deviation is the best one for each example, made into a density that may be reported."""

import math

import jax
import jax.numpy as jnp

from jaxvae.checks import as_float, finite_number, same_shape
from jaxvae.models.observations.continuous import identity, normal
from jaxvae.models.records import Key, Observation, Params
from jaxvae.traced import log, log_gamma

Array = jax.Array


def marginal_normal(std: float = 0.1, freedom: float = 3.0, per_channel: bool = False) -> Observation:
    r"""x ~ N(outputs, sigma^2) with one sigma for each example, found from the example itself.

    Putting sigma^2 = |x - f|^2 / D, the value that makes x most probable, into a Gaussian gives
    -D/2 (log(2 pi sigma^2) + 1). **That is no density over x**: sigma depends on x, the integral over x diverges, and
    no bound on log p(x) follows from it. So here sigma is integrated out instead, sigma^2 ~ scaled inverse
    chi-square(freedom, std^2), which leaves a multivariate Student-t, normalised and a likelihood like any other:

    log p = log G((v + D)/2) - log G(v/2) - D/2 log(pi v std^2) - (v + D)/2 log(1 + |x - f|^2 / (v std^2))

    Its gradient in f is that of a Gaussian with the variance (v std^2 + |x - f|^2) / (v + D) held fixed, so it trains
    as the optimal sigma does, and a perfect fit costs no infinity. (Held fixed or differentiated through, the
    optimal sigma has the same gradient in f: at a maximum over sigma the derivative in sigma is 0.) For one sigma
    shared by all examples, which is a density by itself, use `normal("learned")`.

    Args:
        std: the typical sigma expected before x is seen.
        freedom: how many pixels' worth of belief in it, v; the variance of x is finite above 2.
        per_channel: one sigma for each colour of each example, where one is told better than another: a product over
            the last axis of such densities, D then being height times width.

    Raises:
        ValueError, TypeError: for a std or freedom that is not a positive, finite number.

    Source: Rybkin, Daniilidis and Levine, 2021, arXiv 2006.13202, for the optimal sigma; integrated out: Bishop, 2006,
        Pattern Recognition and Machine Learning, section 2.3.7.

    Example:
        >>> cauchy = marginal_normal(std=1.0, freedom=1.0)
        >>> round(float(cauchy.log_prob({}, jnp.zeros((1, 1, 1)), jnp.zeros((1, 1, 1)))), 4)  # -log pi
        -1.1447
    """
    finite_number("std", std, above=True)
    finite_number("freedom", freedom, above=True)

    def log_prob(params: Params, x: Array, outputs: Array) -> Array:
        x, outputs = as_float("x", x), as_float("outputs", outputs)
        same_shape(x=x, outputs=outputs)
        groups = x.shape[-1] if per_channel else 1
        size = x.size // groups
        half = 0.5 * (freedom + size)
        peak = log_gamma(half) - log_gamma(freedom / 2) - 0.5 * size * log(math.pi * freedom * std**2)
        error = jnp.sum((((x - outputs) / std) ** 2).reshape(size, groups), 0)
        return groups * peak - half * jnp.log1p(error / freedom).sum()

    def sample(params: Params, key: Key, outputs: Array) -> Array:
        key_width, key_noise = jax.random.split(key)
        shape = outputs.shape[-1:] if per_channel else ()
        # freedom / chi-square(freedom), as a logarithm: for little freedom the gamma variable underflows.
        log_gamma = jax.random.loggamma(key_width, jnp.asarray(freedom / 2, outputs.dtype), shape)
        width = std * jnp.exp(0.5 * (log(freedom / 2) - log_gamma))
        return outputs + jnp.broadcast_to(width, outputs.shape) * jax.random.normal(
            key_noise, outputs.shape, outputs.dtype
        )

    def mean(params: Params, outputs: Array) -> Array:
        return outputs

    return Observation(
        "marginal_normal", 1, dict, log_prob, sample, mean, identity, normal().check, False, independent=False
    )
