"""The Jensen-Shannon divergence: exact for categoricals, from samples for any two densities."""

import math

import jax
import jax.numpy as jnp

from jaxvae.arguments import arguments
from jaxvae.math.numerics import log_softmax
from jaxvae.roles import real

Array = jax.Array


@arguments(logits_p=real("[..., K >= 1]"), logits_q=real("[..., K]"))
def js_divergence(logits_p: Array, logits_q: Array) -> Array:
    r"""Jensen-Shannon divergence of categoricals: KL(p || m) / 2 + KL(q || m) / 2, m = (p + q) / 2.

    Unlike the KL it is symmetric, and finite where one of them is 0.

    Args:
        logits_p: [..., K], unnormalised; -inf is a probability of 0, and not all K may be -inf.
        logits_q: the shape of logits_p.

    Returns:
        [] nats, summed over every variable, between 0 and log 2 for each.

    Source: Lin, 1991, Divergence measures based on the Shannon entropy, doi 10.1109/18.61115.

    Example:
        >>> never = -jnp.inf
        >>> round(float(js_divergence(jnp.array([0.0, never]), jnp.array([never, 0.0]))), 4)  # log 2
        0.6931
    """
    # A stand-in keeps -inf out of the derivative; its probability is 0 all the same.
    least = jnp.finfo(logits_p.dtype).min / 4
    log_p, log_q = (log_softmax(jnp.maximum(logits, least)) for logits in (logits_p, logits_q))
    return jnp.sum(0.5 * (jnp.exp(log_p) + jnp.exp(log_q)) * _knowledge(log_p - log_q))


@arguments(log_ratio=real("[S >= 1]", "one number for each sample"))
def js_divergence_estimate(log_ratio: Array) -> Array:
    r"""Jensen-Shannon divergence of two densities from samples of both: the mean of log 2 - H(label | x).

    With r = log p(x) - log q(x), H is the entropy of a coin with probability sigmoid(r): how unsure one still is, after
    seeing x, which of the two it came from. No term is negative or above log 2, and the mean is unbiased.

    Args:
        log_ratio: [S] log p(x) - log q(x), a half of the x drawn from p and the other half from q.

    Returns:
        [] nats, between 0 and log 2.

    Source: Lin, 1991, doi 10.1109/18.61115; as what an ideal critic measures, Goodfellow et al., 2014, arXiv 1406.2661.

    Example:
        >>> float(js_divergence_estimate(jnp.zeros(4)))  # p and q are the same at every sample
        0.0
    """
    return jnp.mean(_knowledge(log_ratio))


def _knowledge(log_ratio: Array) -> Array:
    """log 2 - H(sigmoid(r)), which is r tanh(r / 2) / 2 + log(1 - tanh(r / 2)^2) / 2, without cancelling anywhere."""
    small = jnp.abs(log_ratio) < 1.0
    near = jnp.where(small, log_ratio, 0.0)
    t = jnp.tanh(near / 2.0)
    far = jnp.minimum(jnp.abs(jnp.where(small, 1.0, log_ratio)), 60.0)
    beyond = math.log(2.0) - jnp.log1p(jnp.exp(-far)) - far / (1.0 + jnp.exp(far))
    return jnp.where(small, 0.5 * (near * t + jnp.log1p(-(t**2))), beyond)
