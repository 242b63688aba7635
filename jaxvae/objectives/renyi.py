"""The variational Renyi bounds, from the most pessimistic sample to the most optimistic one."""

import jax
import jax.numpy as jnp

from jaxvae.arguments import arguments
from jaxvae.objectives.terms import SAMPLED_TERMS, Terms
from jaxvae.roles import number

Array = jax.Array


@arguments(terms=SAMPLED_TERMS, alpha=number(-jnp.inf))
def renyi_bound(terms: Terms, alpha: Array | float) -> Array:
    r"""Variational Renyi bound: 1 / (1 - alpha) log (1/K) sum_k w_k^(1 - alpha), w_k = p(x, z_k) / q(z_k | x).

    alpha = 1 is the limit, the one-sample ELBO averaged over samples; alpha = 0 is the IWAE bound; it falls as alpha
    grows, from the largest log-weight at -infinity to the smallest at infinity. Below 0 it need not bound log p(x).

    Args:
        terms: `Terms` of one example with a leading sample axis [K].
        alpha: [] any finite number; may be traced.

    Returns:
        [] nats; -inf where alpha >= 1 and a sample has weight 0, or where all have.

    Source: Li and Turner, 2016, arXiv 1602.02311.

    Example:
        >>> zero = jnp.zeros(2)
        >>> terms = Terms(zero, jnp.zeros((2, 1)), jnp.log(jnp.array([0.1, 0.3])), zero, None, None)
        >>> [round(float(jnp.exp(renyi_bound(terms, alpha))), 4) for alpha in (0.0, 1.0, 2.0)]
        [0.2, 0.1732, 0.15]
    """
    weights = terms.log_weight
    power = jnp.asarray(1.0 - alpha, weights.dtype)
    limit = power == 0
    power = jnp.where(limit, 1.0, power)
    # Differences from the largest power are never positive, so that a huge power reaches its limit and not overflow.
    extreme = jax.lax.stop_gradient(jnp.where(power > 0, weights.max(), weights.min()))
    lost = extreme == -jnp.inf
    reference = jnp.where(jnp.isfinite(extreme), extreme, 0.0)
    scaled = power * (jnp.where(lost, 0.0, weights) - reference)
    # Near alpha = 1 the mean of the powers is 1 minus very little, which only expm1 and log1p can tell.
    less = jnp.expm1(scaled).mean()
    near = less > -0.5
    log_mean = jnp.where(near, jnp.log1p(jnp.where(near, less, 0.0)), jnp.log(jnp.exp(scaled).mean()))
    bound = jnp.where(lost, -jnp.inf, reference + log_mean / power)
    return jnp.where(limit, weights.mean(), bound)


@arguments(terms=SAMPLED_TERMS)
def vr_max_bound(terms: Terms) -> Array:
    r"""Largest log-weight of the samples: max_k log p(x, z_k) - log q(z_k | x), the Renyi bound of alpha -> -infinity.

    Only the best sample gets a gradient. It exceeds the IWAE bound by at most log K, and may exceed log p(x).

    Args:
        terms: `Terms` of one example with a leading sample axis [K].

    Returns:
        [] nats.

    Source: Li and Turner, 2016, arXiv 1602.02311.

    Example:
        >>> zero = jnp.zeros(2)
        >>> terms = Terms(zero, jnp.zeros((2, 1)), jnp.log(jnp.array([0.1, 0.3])), zero, None, None)
        >>> round(float(jnp.exp(vr_max_bound(terms))), 4)
        0.3
    """
    return terms.log_weight.max()
