"""Observation models over the integer levels 0..levels-1 of a pixel, whose probabilities sum to 1."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.checks import positive_integer
from jaxvae.math.categorical import categorical_log_prob
from jaxvae.math.logistic import discretized_logistic_log_prob, logistic_mixture_log_prob
from jaxvae.models.records import Key, Observation, Params
from jaxvae.whole_numbers import as_levels

Array = jax.Array


def _discrete(name: str, channels: int, levels: int, log_prob, sample, mean) -> Observation:
    def to_unit(x: Array) -> Array:
        return x.astype(jnp.promote_types(x.dtype, jnp.float32)) / (levels - 1)

    def check(x: Array, name: str = "x") -> None:
        as_levels(name, x, levels)

    return Observation(name, channels, dict, log_prob, sample, mean, to_unit, check, True, levels=levels)


def bounded_log_scale(log_scale: Array, levels: int) -> Array:
    """The decoder's log-scale, between a ninth of the width of a level and the whole range of levels, log 2.

    Below, smoothly: a log-scale that runs away ends in NaN. Above, from 0 on, v -> log 2 v / (v + log 2): a scale far
    beyond the range says nothing more of the levels than that all are alike, and the mean of such a pixel is the middle
    of the range, a grey patch, wherever the decoder puts it. The slope falls as 1 / v^2 only, so that training finds
    its way back; at 0 it is 1, and no log-scale below is moved.

    Source: a floor as in Salimans et al., 2017, arXiv 1701.05517; the ceiling is our own.

    Example:
        >>> float(bounded_log_scale(jnp.float32(1e6), 256)) < math.log(2)
        True
    """
    floored = jnp.logaddexp(log_scale, math.log(2 / (levels - 1) / 9))
    above = jnp.maximum(floored, 0.0)
    return jnp.where(floored > 0.0, math.log(2) * above / (above + math.log(2)), floored)


def _to_level(value: Array, levels: int) -> Array:
    """The nearest level to a number on [-1, 1]."""
    return jnp.clip(jnp.round((value + 1) / 2 * (levels - 1)), 0, levels - 1)


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def _expected_level(mean: Array, log_scale: Array, levels: int) -> Array:
    """E[X] of a discretised logistic = sum over k >= 1 of P(X >= k); the arrays are [...]."""
    return jax.nn.sigmoid(_above_edges(mean, log_scale, levels)).sum(-1)


@_expected_level.defjvp
def _expected_level_jvp(levels: int, primals: Any, tangents: Any) -> tuple[Array, Array]:
    # Both slopes are summed over the levels before any tangent comes in, since a Jacobian has many of them.
    (mean, log_scale), (d_mean, d_log_scale) = primals, tangents
    above = _above_edges(mean, log_scale, levels)
    slopes = jax.nn.sigmoid(above) * jax.nn.sigmoid(-above)
    of_mean, of_log_scale = slopes.sum(-1) * jnp.exp(-log_scale), -(slopes * above).sum(-1)
    return _expected_level(mean, log_scale, levels), of_mean * d_mean + of_log_scale * d_log_scale


def _above_edges(mean: Array, log_scale: Array, levels: int) -> Array:
    """How far the mean is above the lower edge of each level but the first, in scales: [..., levels - 1]."""
    edges = (2 * jnp.arange(1, levels, dtype=mean.dtype) - 1) / (levels - 1) - 1
    distance = mean[..., None] - jnp.broadcast_to(edges, (*mean.shape, levels - 1))
    return distance * jnp.exp(-log_scale)[..., None]


def discretized_logistic(levels: int = 256) -> Observation:
    """Each level has the mass a logistic distribution puts on its bin; mean and scale per pixel from the decoder.

    x holds whole numbers 0..levels-1; the decoder's numbers live on the [-1, 1] scale. Its log-scales are bounded
    smoothly: from below by log(2 / (9 (levels - 1))), for they would run away and end in NaN; from above by log 2, the
    whole range, for beyond it all levels are alike and a pixel's mean is grey wherever it is put. The ceiling moves no
    log-scale up to 0. (`discretized_logistic_log_prob` takes any.) PixelCNN++ clips at -7 and has no ceiling.

    Source: Kingma et al., 2016, arXiv 1606.04934; Salimans et al., 2017, arXiv 1701.05517.

    Example:
        >>> observation = discretized_logistic()
        >>> x, outputs = jnp.full((1, 1, 1), 128.0), jnp.zeros((1, 1, 2))
        >>> round(float(observation.log_prob({}, x, outputs)), 1)  # near log(1/4 * 2/255)
        -6.2
    """
    levels = positive_integer("levels", levels, 2)

    def parameters(outputs: Array) -> tuple[Array, Array]:
        mean, log_scale = jnp.split(outputs, 2, axis=-1)
        return mean, bounded_log_scale(log_scale, levels)

    def log_prob(params: Params, x: Array, outputs: Array) -> Array:
        return discretized_logistic_log_prob(x, *parameters(outputs), levels=levels)

    def sample(params: Params, key: Key, outputs: Array) -> Array:
        mean, log_scale = parameters(outputs)
        return _to_level(mean + jnp.exp(log_scale) * jax.random.logistic(key, mean.shape, mean.dtype), levels)

    def mean(params: Params, outputs: Array) -> Array:
        return _expected_level(*parameters(outputs), levels)

    return _discrete("discretized_logistic", 2, levels, log_prob, sample, mean)


def logistic_mixture(components: int = 5, levels: int = 256) -> Observation:
    """A mixture of `components` discretised logistics for each pixel and channel, channels independent.

    Log-scales are bounded as in `discretized_logistic`.

    Source: Salimans et al., 2017, arXiv 1701.05517 (without its coupling of colour channels).

    Example:
        >>> logistic_mixture(components=5).channels
        15
    """
    levels, components = positive_integer("levels", levels, 2), positive_integer("components", components)

    def parameters(outputs: Array) -> tuple[Array, Array, Array]:
        shape = (*outputs.shape[:-1], outputs.shape[-1] // (3 * components), 3, components)
        logits, means, log_scales = jnp.moveaxis(outputs.reshape(shape), -2, 0)
        return logits, means, bounded_log_scale(log_scales, levels)

    def log_prob(params: Params, x: Array, outputs: Array) -> Array:
        return logistic_mixture_log_prob(x, *parameters(outputs), levels=levels)

    def sample(params: Params, key: Key, outputs: Array) -> Array:
        key_component, key_noise = jax.random.split(key)
        logits, means, log_scales = parameters(outputs)
        chosen = jax.random.categorical(key_component, logits)[..., None]
        mean, log_scale = (jnp.take_along_axis(a, chosen, axis=-1)[..., 0] for a in (means, log_scales))
        noise = jax.random.logistic(key_noise, mean.shape, mean.dtype)
        return _to_level(mean + jnp.exp(log_scale) * noise, levels)

    def mean(params: Params, outputs: Array) -> Array:
        logits, means, log_scales = parameters(outputs)
        return (jax.nn.softmax(logits) * _expected_level(means, log_scales, levels)).sum(-1)

    return _discrete("logistic_mixture", 3 * components, levels, log_prob, sample, mean)


def categorical(levels: int = 256) -> Observation:
    """A softmax over the `levels` values of each pixel and channel, which knows nothing of their order.

    Source: van den Oord et al., 2016, arXiv 1601.06759.

    Example:
        >>> round(float(categorical(4).log_prob({}, jnp.zeros((1, 1, 1)), jnp.zeros((1, 1, 4)))), 4)  # -log 4
        -1.3863
    """
    levels = positive_integer("levels", levels, 2)

    def logits(outputs: Array) -> Array:
        return outputs.reshape(*outputs.shape[:-1], outputs.shape[-1] // levels, levels)

    def log_prob(params: Params, x: Array, outputs: Array) -> Array:
        return categorical_log_prob(x, logits(outputs))

    def sample(params: Params, key: Key, outputs: Array) -> Array:
        return jax.random.categorical(key, logits(outputs)).astype(outputs.dtype)

    def mean(params: Params, outputs: Array) -> Array:
        # Asked for nothing else, accelerators round the factors of a product to 10 bits, and 255 becomes 256.
        values = jnp.arange(levels, dtype=outputs.dtype)
        return jnp.matmul(jax.nn.softmax(logits(outputs)), values, precision=jax.lax.Precision.HIGHEST)

    return _discrete("categorical", levels, levels, log_prob, sample, mean)
