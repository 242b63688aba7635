"""The Gumbel-softmax: samples of a categorical distribution that can be differentiated, and its KL to the uniform."""

import math

import jax
import jax.numpy as jnp

from jaxvae.arguments import arguments
from jaxvae.math.numerics import log_softmax
from jaxvae.roles import key, positive, real

Array = jax.Array


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
