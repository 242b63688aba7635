"""Categories: their log-probability, and samples that can be differentiated, with their KL to the uniform."""

import math

import jax
import jax.numpy as jnp

from jaxvae.arguments import arguments
from jaxvae.math.numerics import log_softmax
from jaxvae.roles import key, level, positive, real

Array = jax.Array


@arguments(x=level("[...]", below="K"), logits=real("[..., K >= 1]"))
def categorical_log_prob(x: Array, logits: Array) -> Array:
    r"""Categorical log-probability from logits: sum(log softmax(logits)[x]).

    Args:
        x: [...] one example, whole numbers 0..K-1 (an integer array, or floats that hold whole numbers).
        logits: [..., K], unnormalised; -inf is a probability of 0, and not all K may be -inf.

    Returns:
        [] nats, summed over every element of x. Inside `jit` an x out of range gives NaN.

    Source: van den Oord, Kalchbrenner and Kavukcuoglu, 2016, arXiv 1601.06759, for pixels as categories.

    Example:
        >>> import math
        >>> round(math.exp(categorical_log_prob(jnp.array([2]), jnp.log(jnp.array([[0.2, 0.3, 0.5]])))), 6)
        0.5
    """
    # A negative index would count from the end: send it out of range, where the gather fills in NaN.
    whole = (x >= 0) & (x < logits.shape[-1]) & (x % 1 == 0)
    index = jnp.where(whole, x, logits.shape[-1]).astype(jnp.int32)
    log_prob = log_softmax(logits)
    return jnp.sum(jnp.take_along_axis(log_prob, index[..., None], axis=-1, mode="fill", fill_value=jnp.nan))


@arguments(key=key(), logits=real("[..., K]"), temperature=positive())
def gumbel_softmax(key: Array, logits: Array, temperature: Array | float) -> tuple[Array, Array]:
    r"""One sample, relaxed and hard: softmax((logits + g) / temperature) and one_hot(argmax(logits + g)), g Gumbel.

    The hard sample is an exact draw of the categorical distribution whatever the temperature; the relaxed one tends to
    it as the temperature falls to 0, and to the uniform weights as it grows.

    Args:
        key: consumed.
        logits: [..., K], unnormalised; -inf is a probability of 0.
        temperature: [] positive; may be traced, to follow a schedule.

    Returns:
        (relaxed [..., K], a point of the simplex; hard [..., K], of 0 and 1).

    Source: Jang, Gu and Poole, 2017, arXiv 1611.01144; Maddison, Mnih and Teh, 2017, arXiv 1611.00712.

    Example:
        >>> relaxed, hard = gumbel_softmax(jax.random.key(0), jnp.zeros(3), 0.5)
        >>> round(float(relaxed.sum()), 5), float(hard.sum())
        (1.0, 1.0)
    """
    noisy = logits + jax.random.gumbel(key, logits.shape, logits.dtype)
    # The largest is taken off before the division: a small temperature then sends the others to -inf and it to 0. Below
    # the square of the last digit it changes nothing more, and its reciprocal would overflow.
    temperature = jnp.maximum(jnp.asarray(temperature, logits.dtype), jnp.finfo(logits.dtype).eps ** 2)
    possible = noisy > -jnp.inf
    gap = jnp.where(possible, noisy - jax.lax.stop_gradient(noisy.max(axis=-1, keepdims=True)), 0.0)
    relaxed = jax.nn.softmax(jnp.where(possible, gap / temperature, -jnp.inf), axis=-1)
    return relaxed, jax.nn.one_hot(jnp.argmax(noisy, axis=-1), logits.shape[-1], dtype=logits.dtype)


@arguments(logits=real("[..., K >= 1]"))
def categorical_kl_uniform(logits: Array) -> Array:
    r"""KL divergence of categorical distributions to the uniform: sum_k p_k (log p_k + log K), p = softmax(logits).

    Args:
        logits: [..., K], unnormalised; -inf is a probability of 0, and not all K may be -inf.

    Returns:
        [] nats, summed over every variable, between 0 and log K for each.

    Source: Jang, Gu and Poole, 2017, arXiv 1611.01144, for its use as the KL of a VAE.

    Example:
        >>> round(float(categorical_kl_uniform(jnp.array([0.0, -jnp.inf]))), 5)  # log 2
        0.69315
    """
    possible = logits > -jnp.inf
    # Where p is 0 the product is 0; a stand-in keeps -inf out of the derivative.
    log_p = log_softmax(jnp.where(possible, logits, jnp.finfo(logits.dtype).min / 2))
    p = jnp.exp(log_p)
    return jnp.sum(jnp.where(possible & (p > 0), p * (log_p + math.log(logits.shape[-1])), 0.0))
