"""What observation models of the levels 0..levels-1 share: their record, their bounded scales, their mean."""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.models.records import Observation
from jaxvae.whole_numbers import as_levels

Array = jax.Array


def discrete_observation(
    name: str,
    channels: int,
    levels: int,
    log_prob: Callable[..., Array],
    sample: Callable[..., Array],
    mean: Callable[..., Array],
    *,
    independent_channels: bool = True,
) -> Observation:
    """An `Observation` of the whole numbers 0..levels-1, without parameters of its own."""

    def to_unit(x: Array) -> Array:
        return x.astype(jnp.promote_types(x.dtype, jnp.float32)) / (levels - 1)

    def check(x: Array, name: str = "x") -> None:
        as_levels(name, x, levels)

    own = levels if independent_channels else None
    return Observation(name, channels, dict, log_prob, sample, mean, to_unit, check, True, levels=own)


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


def to_level(value: Array, levels: int) -> Array:
    """The nearest level to a number on [-1, 1]."""
    return jnp.clip(jnp.round((value + 1) / 2 * (levels - 1)), 0, levels - 1)


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def expected_level(mean: Array, log_scale: Array, levels: int) -> Array:
    """E[X] of a discretised logistic = sum over k >= 1 of P(X >= k); the arrays are [...]."""
    return jax.nn.sigmoid(_above_edges(mean, log_scale, levels)).sum(-1)


@expected_level.defjvp
def _expected_level_jvp(levels: int, primals: Any, tangents: Any) -> tuple[Array, Array]:
    # Both slopes are summed over the levels before any tangent comes in, since a Jacobian has many of them.
    (mean, log_scale), (d_mean, d_log_scale) = primals, tangents
    above = _above_edges(mean, log_scale, levels)
    slopes = jax.nn.sigmoid(above) * jax.nn.sigmoid(-above)
    of_mean, of_log_scale = slopes.sum(-1) * jnp.exp(-log_scale), -(slopes * above).sum(-1)
    return expected_level(mean, log_scale, levels), of_mean * d_mean + of_log_scale * d_log_scale


def _above_edges(mean: Array, log_scale: Array, levels: int) -> Array:
    """How far the mean is above the lower edge of each level but the first, in scales: [..., levels - 1]."""
    edges = (2 * jnp.arange(1, levels, dtype=mean.dtype) - 1) / (levels - 1) - 1
    distance = mean[..., None] - jnp.broadcast_to(edges, (*mean.shape, levels - 1))
    return distance * jnp.exp(-log_scale)[..., None]
