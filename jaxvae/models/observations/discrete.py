"""Observation models over the integer levels 0..levels-1 of a pixel, whose probabilities sum to 1."""

import jax
import jax.numpy as jnp

from jaxvae.checks import positive_integer
from jaxvae.math.categorical import categorical_log_prob
from jaxvae.math.logistic import discretized_logistic_log_prob, logistic_mixture_log_prob
from jaxvae.models.observations.levels import bounded_log_scale, discrete_observation, expected_level, to_level
from jaxvae.models.records import Key, Observation, Params

Array = jax.Array


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
        return to_level(mean + jnp.exp(log_scale) * jax.random.logistic(key, mean.shape, mean.dtype), levels)

    def mean(params: Params, outputs: Array) -> Array:
        return expected_level(*parameters(outputs), levels)

    return discrete_observation("discretized_logistic", 2, levels, log_prob, sample, mean)


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
        return to_level(mean + jnp.exp(log_scale) * noise, levels)

    def mean(params: Params, outputs: Array) -> Array:
        logits, means, log_scales = parameters(outputs)
        return (jax.nn.softmax(logits) * expected_level(means, log_scales, levels)).sum(-1)

    return discrete_observation("logistic_mixture", 3 * components, levels, log_prob, sample, mean)


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

    return discrete_observation("categorical", levels, levels, log_prob, sample, mean)
