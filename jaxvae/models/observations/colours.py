"""An observation model of whole pixels: the channels of a pixel depend on each other, as the colours of things do."""

import functools
import math

import jax
import jax.numpy as jnp

from jaxvae.checks import positive_integer
from jaxvae.math.logistic import discretized_logistic_log_prob
from jaxvae.models.observations.levels import bounded_log_scale, discrete_observation, expected_level, to_level
from jaxvae.models.records import Key, Observation, Params

Array = jax.Array
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

    def parameters(outputs: Array) -> tuple[Array, ...]:
        """log w [.., M]; means and log-scales [.., C, M]; k [.., C, C, M], 0 where b >= c."""
        width = outputs.shape[-1] // (4 * components)
        if width > 3:
            raise ValueError(
                f"pixels have {width} channels, expected at most 3, red, green and blue: coupled_logistic_mixture has "
                f"three numbers to couple them with. Take logistic_mixture, whose channels are independent."
            )
        numbers = outputs.reshape(*outputs.shape[:-1], width, 4, components)
        logits, means, log_scales, raw = jnp.moveaxis(numbers, -2, 0)
        pairs = [(c, b) for c in range(width) for b in range(c)]
        coupling = jnp.zeros((*outputs.shape[:-1], width, width, components), outputs.dtype)
        for n, (c, b) in enumerate(pairs):
            coupling = coupling.at[..., c, b, :].set(jnp.tanh(raw[..., n, :]))
        return jax.nn.log_softmax(logits.sum(-2)), means, bounded_log_scale(log_scales, levels), coupling

    def seen(level: Array) -> Array:
        return 2 * level / (levels - 1) - 1

    def log_prob(params: Params, x: Array, outputs: Array) -> Array:
        log_w, means, log_scales, coupling = parameters(outputs)
        moved = means + jnp.einsum("...b,...cbm->...cm", seen(x.astype(outputs.dtype)), coupling)
        one = functools.partial(discretized_logistic_log_prob, levels=levels)
        rows = [a.reshape(-1, *a.shape[-2:]) for a in (moved, log_scales)]
        joint = jax.vmap(jax.vmap(one, (None, 1, 1)))(x.reshape(-1, x.shape[-1]), *rows)  # [pixels, M]
        return jax.nn.logsumexp(log_w.reshape(joint.shape) + joint, axis=-1).sum()

    def sample(params: Params, key: Key, outputs: Array) -> Array:
        key_component, key_noise = jax.random.split(key)
        log_w, *of_components = parameters(outputs)
        chosen = jax.random.categorical(key_component, log_w)[..., None]
        means, log_scales, coupling = (_take(a, chosen) for a in of_components)
        noise = jnp.exp(log_scales) * jax.random.logistic(key_noise, means.shape, means.dtype)
        drawn: list[Array] = []
        for c in range(means.shape[-1]):
            centre = means[..., c] + sum(coupling[..., c, b] * seen(drawn[b]) for b in range(c))
            drawn.append(to_level(centre + noise[..., c], levels))
        return jnp.stack(drawn, -1)

    def mean(params: Params, outputs: Array) -> Array:
        log_w, means, log_scales, coupling = parameters(outputs)
        width = means.shape[-2]

        def channels(c: int, before: list[Array]) -> list[Array]:
            """E of channel c and those after it, [.., M] each, where those before have these levels."""
            centre = means[..., c, :] + sum(coupling[..., c, b, :] * seen(before[b]) for b in range(c))
            expected = expected_level(centre, log_scales[..., c, :], levels)
            if c == width - 1:
                return [expected]
            scale = jnp.exp(log_scales[..., c, :])
            nodes = [to_level(centre + scale * math.log(u / (1 - u)), levels) for u in NODES]
            shift = expected - sum(nodes) / len(nodes)
            rest = [channels(c + 1, [*before, node + shift]) for node in nodes]
            return [expected, *(sum(found) / len(NODES) for found in zip(*rest, strict=True))]

        return (jnp.stack(channels(0, []), -2) * jnp.exp(log_w)[..., None, :]).sum(-1)

    return discrete_observation(
        "coupled_logistic_mixture", 4 * components, levels, log_prob, sample, mean, independent_channels=False
    )


def _take(values: Array, chosen: Array) -> Array:
    """values [.., M] of the chosen component [.., 1] of the same pixel."""
    index = chosen.reshape(*chosen.shape[:-1], *[1] * (values.ndim - chosen.ndim), 1)
    return jnp.take_along_axis(values, index, axis=-1)[..., 0]
