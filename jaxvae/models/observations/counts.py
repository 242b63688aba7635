"""Observation models over counts 0, 1, 2, ... without an upper end: their probabilities sum to 1.

The networks see log(1 + x) / log(1 + largest): counts span decades, and an encoder of raw ones is ruled by the few
that are large. `largest` is only this scale; larger counts are valid and appear above 1.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxvae import traced
from jaxvae.checks import finite_number, positive_integer
from jaxvae.math.negative_binomial import negative_binomial_log_prob, zero_inflated_negative_binomial_log_prob
from jaxvae.math.poisson import poisson_log_prob, poisson_sample
from jaxvae.models.records import Key, Observation, Params
from jaxvae.whole_numbers import as_counts

Array = jax.Array
Functions = tuple[Callable[..., Array], Callable[..., Array], Callable[..., Array]]


def _observation(name: str, channels: int, largest: int, functions: Functions, init: Callable = dict) -> Observation:
    scale = math.log1p(positive_integer("largest", largest))

    def to_unit(x: Array) -> Array:
        return jnp.log1p(x.astype(jnp.promote_types(x.dtype, jnp.float32))) / scale

    def check(x: Array, name: str = "x") -> None:
        as_counts(name, x)

    return Observation(name, channels, init, *functions, to_unit, check, True)


def poisson(largest: int = 255) -> Observation:
    """Counts x ~ Poisson(exp(outputs)), whose variance is its mean.

    x holds whole numbers 0..2^24. The decoder emits the logarithm of the rate: at most 88, where float32 overflows,
    and samples are exact for rates up to 2^24.

    Args:
        largest: the count that networks and pictures see as 1; they see log(1 + x) / log(1 + largest).

    Source: Lopez et al., 2018, arXiv 1709.02082, whose negative binomial it is for an infinite concentration.

    Example:
        >>> round(float(poisson().log_prob({}, jnp.full((1, 1, 1), 2), jnp.zeros((1, 1, 1)))), 4)  # -1 - log 2
        -1.6931
    """

    def log_prob(params: Params, x: Array, outputs: Array) -> Array:
        return poisson_log_prob(x, outputs)

    def sample(params: Params, key: Key, outputs: Array) -> Array:
        return poisson_sample(key, outputs)

    def mean(params: Params, outputs: Array) -> Array:
        return jnp.exp(outputs)

    return _observation("poisson", 1, largest, (log_prob, sample, mean))


def negative_binomial(
    concentration: str = "learned", start: float = 1.0, floor: float = 1e-3, largest: int = 255
) -> Observation:
    """Counts more spread than a Poisson's: mean m = exp(outputs) and variance m + m^2 / r.

    Args:
        concentration: r is "learned", one number, or "per_pixel", emitted by the decoder as well: all log-means on the
            last axis, then as many raw log-concentrations.
        start: r to begin with; a large one is nearly a Poisson. (1 / r is what other texts call the dispersion.)
        floor: r is floor + exp(raw).
        largest: the count that networks and pictures see as 1, as in `poisson`.

    Raises:
        ValueError, TypeError: for an unknown concentration, a start or floor that is not positive, a start that is not
            above the floor, or a largest that is no positive integer.

    Source: Lopez et al., 2018, arXiv 1709.02082 (scVI).

    Example:
        >>> observation = negative_binomial()
        >>> x, outputs = jnp.zeros((1, 1, 1)), jnp.zeros((1, 1, 1))
        >>> round(float(observation.log_prob(observation.init(), x, outputs)), 4)  # log 1/2
        -0.6931
    """
    init, split = _concentrated(concentration, start, floor)

    def log_prob(params: Params, x: Array, outputs: Array) -> Array:
        return negative_binomial_log_prob(x, *split(params, outputs, 1))

    def sample(params: Params, key: Key, outputs: Array) -> Array:
        return _sample(key, *split(params, outputs, 1))

    def mean(params: Params, outputs: Array) -> Array:
        return jnp.exp(split(params, outputs, 1)[0])

    channels = 2 if concentration == "per_pixel" else 1
    return _observation("negative_binomial", channels, largest, (log_prob, sample, mean), init)


def zero_inflated_negative_binomial(
    concentration: str = "learned", start: float = 1.0, floor: float = 1e-3, largest: int = 255
) -> Observation:
    """Counts that are 0 with probability sigmoid(zero logits), else negative binomial; options as there.

    The decoder emits on the last axis all log-means, (with "per_pixel") all raw log-concentrations, all zero logits.

    Source: Lopez et al., 2018, arXiv 1709.02082 (scVI).

    Example:
        >>> observation = zero_inflated_negative_binomial()
        >>> x, outputs = jnp.zeros((1, 1, 1)), jnp.zeros((1, 1, 2))
        >>> round(float(observation.log_prob(observation.init(), x, outputs)), 4)  # log(1/2 + 1/4)
        -0.2877
    """
    init, split = _concentrated(concentration, start, floor)

    def log_prob(params: Params, x: Array, outputs: Array) -> Array:
        return zero_inflated_negative_binomial_log_prob(x, *split(params, outputs, 2))

    def sample(params: Params, key: Key, outputs: Array) -> Array:
        key_zero, key_count = jax.random.split(key)
        log_mean, log_concentration, logits = split(params, outputs, 2)
        zero = jax.random.bernoulli(key_zero, jax.nn.sigmoid(logits))
        return jnp.where(zero, 0.0, _sample(key_count, log_mean, log_concentration))

    def mean(params: Params, outputs: Array) -> Array:
        log_mean, _, logits = split(params, outputs, 2)
        return jnp.exp(log_mean + jax.nn.log_sigmoid(-logits))

    channels = 3 if concentration == "per_pixel" else 2
    return _observation("zero_inflated_negative_binomial", channels, largest, (log_prob, sample, mean), init)


def _concentrated(concentration: str, start: float, floor: float) -> tuple[Callable, Callable]:
    """How the concentration begins, and how outputs are cut into log-mean, log-concentration and the rest."""
    if concentration not in ("learned", "per_pixel"):
        raise ValueError(f"concentration is {concentration!r}, expected 'learned' or 'per_pixel'.")
    finite_number("start", start, above=True)
    finite_number("floor", floor, above=True)
    if traced.surely(start <= floor):
        raise ValueError(f"start is {start}, expected more than the floor {floor}. Lower the floor.")
    first = traced.log(start - floor)

    def init() -> Params:
        return {"observation": {"log_concentration": jnp.float32(first)}} if concentration == "learned" else {}

    def split(params: Params, outputs: Array, emitted: int) -> tuple[Array, ...]:
        if concentration == "learned":
            log_mean, *rest = jnp.split(outputs, emitted, axis=-1)
            raw = jnp.broadcast_to(params["observation"]["log_concentration"], log_mean.shape)
        else:
            log_mean, moved, *rest = jnp.split(outputs, emitted + 1, axis=-1)
            raw = moved + first
        return log_mean, jnp.logaddexp(raw, traced.log(floor)), *rest

    return init, split


def _sample(key: Key, log_mean: Array, log_concentration: Array) -> Array:
    """A Poisson whose rate is gamma distributed; the gamma variable is drawn as a logarithm, since it may underflow."""
    key_rate, key_count = jax.random.split(key)
    spread = jax.random.loggamma(key_rate, jnp.exp(jnp.minimum(log_concentration, 60.0)))
    return poisson_sample(key_count, log_mean + (spread - jnp.minimum(log_concentration, 60.0)))
