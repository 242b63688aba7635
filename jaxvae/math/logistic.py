"""Discretised logistic likelihoods of pixel levels 0..levels-1, one component and a mixture."""

import math
from functools import partial

import jax
import jax.numpy as jnp

from jaxvae.arguments import arguments
from jaxvae.math.numerics import flat, inverse_scale, log1mexp_of_exp, log_mean_exp, log_softmax, x_over_expm1
from jaxvae.roles import integer, level, real

Array = jax.Array


@arguments(x=level("[...]", below="levels"), mean=real(like="x"), log_scale=real(like="x"), levels=integer(2))
def discretized_logistic_log_prob(x: Array, mean: Array, log_scale: Array, levels: int = 256) -> Array:
    r"""Log-probability of whole pixel levels under a logistic that is integrated over each bin.

    sum(log(sigmoid(b) - sigmoid(a))), b and a the upper and lower edge of the bin of x, minus mean, over the
    scale. Level x is centred on 2 x / (levels - 1) - 1 and its bin is 2 / (levels - 1) wide; the first and
    the last bin take the whole tail, so that the probabilities of all levels sum to 1.

    Args:
        x: [...] one example, whole numbers 0..levels-1 (an integer array, or floats that hold whole numbers).
        mean: the shape of x (or a scalar), on the scale where the levels span [-1, 1].
        log_scale: the shape of x (or a scalar), natural logarithm of the scale, in the units of mean;
            float32 is exact for |log_scale| <= 80.
        levels: number of pixel levels, at least 2.

    Returns:
        [] nats, summed over every element of x.

    Source: Salimans et al., 2017, arXiv 1701.05517; Kingma et al., 2016, arXiv 1606.04934.

    Example:
        >>> import math
        >>> total = sum(math.exp(discretized_logistic_log_prob(jnp.array(x), 0.1, -2.0)) for x in range(256))
        >>> round(total, 5)
        1.0
    """
    return jnp.sum(_log_bin(levels, *flat(x, mean, log_scale)))


@arguments(
    x=level("[...]", below="levels"),
    logits=real("[..., M >= 1]"),
    means=real(like="logits"),
    log_scales=real(like="logits"),
    levels=integer(2),
)
def logistic_mixture_log_prob(x: Array, logits: Array, means: Array, log_scales: Array, levels: int = 256) -> Array:
    r"""Mixture of discretised logistics: sum(log sum_m softmax(logits)_m P(x; mean_m, log_scale_m)).

    Args:
        x: [...] one example, whole numbers 0..levels-1 (an integer array, or floats that hold whole numbers).
        logits: [..., M] unnormalised log-weights of the components.
        means, log_scales: [..., M], as in `discretized_logistic_log_prob`.
        levels: number of pixel levels, at least 2.

    Returns:
        [] nats, summed over every element of x.

    Source: Salimans et al., 2017, arXiv 1701.05517 (without the coupling of colour channels).

    Example:
        >>> two = jnp.zeros((4, 2))
        >>> mixture = logistic_mixture_log_prob(jnp.arange(4), two, two, two)
        >>> single = discretized_logistic_log_prob(jnp.arange(4), jnp.zeros(4), jnp.zeros(4))
        >>> bool(abs(mixture - single) < 1e-5)
        True
    """
    # Components first: compiled loops over a last axis of a few components were measured ten times slower.
    count = logits.shape[-1]
    weights, centres, scales = (a.reshape(-1, count).T for a in (log_softmax(logits), means, log_scales))
    component = _log_bin(levels, jnp.broadcast_to(x.ravel(), centres.shape), centres, scales)
    return jnp.sum(log_mean_exp(weights + component, axis=0) + math.log(count))


def _edges(levels: int, x: Array, mean: Array, log_scale: Array) -> tuple[Array, ...]:
    """(edge - mean) / scale at the upper and the lower edge; 1 / scale; log(bin width / scale)."""
    inverse = inverse_scale(log_scale)
    dtype = inverse.dtype
    grid = 2.0 ** (jnp.finfo(dtype).nmant - levels.bit_length())

    def above_mean(numerator: Array) -> Array:
        # The edge is numerator / (levels - 1). Rounded to one float, over a scale of 1e-7, it is wrong by
        # half a nat; so it is split into few leading bits, whose product with levels - 1 is exact, and a
        # small rest.
        coarse = jnp.round(numerator / (levels - 1) * grid) / grid
        return (coarse - mean) + (numerator - coarse * (levels - 1)) / (levels - 1)

    centre = 2.0 * x.astype(dtype) - (levels - 1)
    upper, lower = above_mean(centre + 1.0) * inverse, above_mean(centre - 1.0) * inverse
    return upper, lower, inverse, math.log(2.0 / (levels - 1)) - log_scale


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _log_bin(levels: int, x: Array, mean: Array, log_scale: Array) -> Array:
    """log(sigmoid(b) - sigmoid(a)) = log sigmoid(b) + log sigmoid(-a) + log(1 - exp(a - b)), all negative."""
    upper, lower, _, log_width = _edges(levels, x, mean, log_scale)
    below_upper, above_lower = -jax.nn.softplus(-upper), -jax.nn.softplus(lower)
    inside = below_upper + above_lower + log1mexp_of_exp(log_width)
    return jnp.where(x == 0, below_upper, jnp.where(x == levels - 1, above_lower, inside))


@_log_bin.defjvp
def _log_bin_jvp(
    levels: int, primals: tuple[Array, Array, Array], tangents: tuple[Array, Array, Array]
) -> tuple[Array, Array]:
    (x, mean, log_scale), (_, dmean, dlog_scale) = primals, tangents
    upper, lower, inverse, log_width = _edges(levels, x, mean, log_scale)
    first, last = x == 0, x == levels - 1
    above_upper, below_lower = jax.nn.sigmoid(-upper), jax.nn.sigmoid(lower)
    # The same number twice: sigmoids cancel in a narrow bin, hyperbolic tangents in a wide one.
    narrow = 0.5 * (jnp.tanh(upper / 2.0) + jnp.tanh(lower / 2.0))
    middle = jnp.where(log_width < 0.0, narrow, below_lower - above_upper)
    in_mean = inverse * jnp.where(first, -above_upper, jnp.where(last, below_lower, middle))
    # Held back from infinity, where the sigmoid is 0 and the product would be NaN.
    at_upper, at_lower = -jnp.minimum(upper, 700.0) * above_upper, jnp.maximum(lower, -700.0) * below_lower
    inside = at_upper + at_lower - x_over_expm1(jnp.exp(log_width))
    in_log_scale = jnp.where(first, at_upper, jnp.where(last, at_lower, inside))
    return _log_bin(levels, x, mean, log_scale), in_mean * dmean + in_log_scale * dlog_scale
