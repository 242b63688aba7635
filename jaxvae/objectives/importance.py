"""Between the ELBO and the importance-weighted bound: weaker bounds whose encoder gradient has less noise."""

import jax
import jax.numpy as jnp

from jaxvae.arguments import arguments
from jaxvae.checks import divides
from jaxvae.math.numerics import log_mean_exp
from jaxvae.objectives.bounds import elbo, iwae_bound
from jaxvae.objectives.terms import SAMPLED_TERMS, Terms
from jaxvae.roles import integer, number

Array = jax.Array


@arguments(terms=SAMPLED_TERMS, groups=integer())
def miwae_bound(terms: Terms, groups: int) -> Array:
    r"""Mean of M importance-weighted bounds of K / M samples each: (1/M) sum_m log (M/K) sum_{k in m} w_k.

    One group is the IWAE bound, K groups are the one-sample ELBO.

    Args:
        terms: `Terms` of one example with a leading sample axis [K].
        groups: M, a divisor of K.

    Returns:
        [] nats.

    Source: Rainforth, Kosiorek, Le, Maddison, Igl, Wood and Teh, 2018, arXiv 1802.04537.

    Example:
        >>> zero = jnp.zeros(2)
        >>> terms = Terms(zero, jnp.zeros((2, 1)), jnp.log(jnp.array([0.1, 0.3])), zero, None, None)
        >>> [round(float(jnp.exp(miwae_bound(terms, groups))), 4) for groups in (1, 2)]
        [0.2, 0.1732]
    """
    divides("groups", groups, terms.log_weight.size, "samples of an example")
    return log_mean_exp(terms.log_weight.reshape(groups, -1), axis=1).mean()


@arguments(terms=SAMPLED_TERMS, beta=number(0.0, 1.0))
def ciwae_bound(terms: Terms, beta: Array | float) -> Array:
    r"""Convex combination of two bounds: beta ELBO + (1 - beta) IWAE.

    Args:
        terms: `Terms` of one example with a leading sample axis [K].
        beta: [] in [0, 1], the share of the ELBO; may be traced.

    Returns:
        [] nats.

    Source: Rainforth, Kosiorek, Le, Maddison, Igl, Wood and Teh, 2018, arXiv 1802.04537.

    Example:
        >>> zero = jnp.zeros(2)
        >>> weights = jnp.log(jnp.array([0.1, 0.3]))
        >>> terms = Terms(weights, jnp.zeros((2, 1)), weights, zero, None, None)
        >>> [round(float(jnp.exp(ciwae_bound(terms, beta))), 4) for beta in (0.0, 0.5, 1.0)]
        [0.2, 0.1861, 0.1732]
    """
    return _share(beta, elbo(terms)) + _share(1.0 - beta, iwae_bound(terms))


def _share(weight: Array | float, bound: Array) -> Array:
    """weight * bound, and 0 for a weight of 0 even where the bound is -inf."""
    return jnp.where(jnp.equal(weight, 0.0), 0.0, weight * bound)
