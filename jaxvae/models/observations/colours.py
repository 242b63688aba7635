"""An observation model of whole pixels: the channels of a pixel depend on each other, as the colours of things do."""

import functools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxvae.checks import positive_integer
from jaxvae.math.logistic import discretized_logistic_log_prob
from jaxvae.models.observations.levels import bounded_log_scale, discrete_observation, expected_level, to_level
from jaxvae.models.records import Key, Observation, Params

Array = jax.Array
Coupling = dict[tuple[int, int], Array]
NODES = (1 / 6, 1 / 2, 5 / 6)  # quantiles of a channel at which the next is averaged


def coupled_logistic_mixture(components: int = 5, levels: int = 256) -> Observation:
    r"""A mixture of discretised logistics of a whole pixel: all channels share the component, and green sees red.

    P(x_1, .., x_C) = sum_m w_m prod_c P(x_c; mean_cm + sum_{b < c} k_cbm x_b, log_scale_cm), x_b on [-1, 1]

    w_m is a softmax of logits, to which every channel adds; k is in (-1, 1), a tanh. Of each channel the decoder emits,
    for each component, logit, mean, log-scale and one k: C = 3 has three pairs b < c, (red, green), (red, blue) and
    (green, blue); C = 1 is `logistic_mixture`. Log-scales are bounded as in `discretized_logistic`. The mean of a
    channel is exact where those before it are nearly sure or the mean moves in proportion to them; else it is the
    average over 3 quantiles of each, moved to their exact mean.

    Source: Salimans et al., 2017, arXiv 1701.05517.

    Example:
        >>> observation = coupled_logistic_mixture(components=2, levels=4)
        >>> outputs = jax.random.normal(jax.random.key(0), (1, 1, 3 * observation.channels))
        >>> colours = jnp.stack(jnp.meshgrid(*[jnp.arange(4.0)] * 3), -1).reshape(64, 1, 1, 3)
        >>> probability = jnp.exp(jax.vmap(lambda x: observation.log_prob({}, x, outputs))(colours))
        >>> round(float(probability.sum()), 5)
        1.0
    """
    levels, components = positive_integer("levels", levels, 2), positive_integer("components", components)

    # Channels and components come first, pixels last: a loop over a last axis of three components is not made of vector
    # instructions on a CPU, and a loss with its gradient took 167 ms so, 55 ms like this (32 pictures of 32x32).
    def parameters(outputs: Array) -> tuple[Array, Array, Array, Coupling]:
        """log w [M, ..]; means and log-scales [C, M, ..]; k [M, ..] of each pair (c, b), b < c."""
        width = outputs.shape[-1] // (4 * components)
        if width > 3:
            raise ValueError(
                f"pixels have {width} channels, expected at most 3, red, green and blue: coupled_logistic_mixture has "
                f"three numbers to couple them with. Take logistic_mixture, whose channels are independent."
            )
        numbers = outputs.reshape(*outputs.shape[:-1], width, 4, components)
        first = jnp.moveaxis(numbers, (-2, -3, -1), (0, 1, 2))
        logits, means, log_scales, raw = (part.squeeze(0) for part in jnp.split(first, 4))
        pairs = [(c, b) for c in range(width) for b in range(c)]
        coupling = {pair: jnp.tanh(raw[n]) for n, pair in enumerate(pairs)}
        return jax.nn.log_softmax(logits.sum(0), axis=0), means, bounded_log_scale(log_scales, levels), coupling

    def centre(c: int, means: Array, coupling: Coupling, before: Sequence[Array] | Array) -> Array:
        """The mean of channel c where those before it have these levels."""
        return means[c] + sum(coupling[c, b] * (2 * before[b] / (levels - 1) - 1) for b in range(c))

    def log_prob(params: Params, x: Array, outputs: Array) -> Array:
        rows = outputs.reshape(-1, outputs.shape[-1])
        colours = x.reshape(-1, x.shape[-1]).T[:, None]  # [C, 1, pixels]
        log_w, means, log_scales, coupling = parameters(rows)
        seen = colours.astype(outputs.dtype)
        centres = jnp.stack([centre(c, means, coupling, seen) for c in range(len(means))])
        level = jnp.broadcast_to(colours, centres.shape)
        one = functools.partial(discretized_logistic_log_prob, levels=levels)
        each = jax.vmap(one)(level.ravel(), centres.ravel(), log_scales.ravel()).reshape(centres.shape)
        return jax.nn.logsumexp(log_w + each.sum(0), axis=0).sum()

    def sample(params: Params, key: Key, outputs: Array) -> Array:
        key_component, key_noise = jax.random.split(key)
        log_w, means, log_scales, coupling = parameters(outputs)
        chosen = jax.random.categorical(key_component, log_w, axis=0)
        means, log_scales = _take(means, chosen), _take(log_scales, chosen)
        coupling = {pair: _take(k, chosen) for pair, k in coupling.items()}
        noise = jnp.exp(log_scales) * jax.random.logistic(key_noise, means.shape, means.dtype)
        drawn: list[Array] = []
        for c in range(len(means)):
            drawn.append(to_level(centre(c, means, coupling, drawn) + noise[c], levels))
        return jnp.stack(drawn, -1)

    def mean(params: Params, outputs: Array) -> Array:
        log_w, means, log_scales, coupling = parameters(outputs)

        def channels(c: int, before: list[Array]) -> list[Array]:
            """E of channel c and those after it, [M, ..] each, where those before have these levels."""
            middle, scale = centre(c, means, coupling, before), jnp.exp(log_scales[c])
            expected = expected_level(middle, log_scales[c], levels)
            if c == len(means) - 1:
                return [expected]
            nodes = [to_level(middle + scale * math.log(u / (1 - u)), levels) for u in NODES]
            shift = expected - sum(nodes) / len(nodes)
            rest = [channels(c + 1, [*before, node + shift]) for node in nodes]
            return [expected, *(sum(found) / len(NODES) for found in zip(*rest, strict=True))]

        return (jnp.stack(channels(0, []), -1) * jnp.exp(log_w)[..., None]).sum(0)

    return discrete_observation(
        "coupled_logistic_mixture", 4 * components, levels, log_prob, sample, mean, independent_channels=False
    )


def _take(values: Array, chosen: Array) -> Array:
    """values [.., M, *pixels] of the chosen component [*pixels] of the same pixel."""
    index = jnp.broadcast_to(chosen, (*values.shape[: -chosen.ndim - 1], 1, *chosen.shape))
    return jnp.take_along_axis(values, index, axis=-chosen.ndim - 1).squeeze(-chosen.ndim - 1)
