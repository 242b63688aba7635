"""The two bounds that all others are made of: pure functions from `Terms` to nats per example, higher is better."""

import jax

from jaxvae.arguments import arguments
from jaxvae.math.numerics import log_mean_exp
from jaxvae.objectives.terms import SAMPLED_TERMS, TERMS, Terms
from jaxvae.roles import number

Array = jax.Array


@arguments(terms=TERMS, beta=number())
def elbo(terms: Terms, beta: Array | float = 1.0) -> Array:
    r"""Evidence lower bound: E_q[log p(x | z)] - beta KL(q(z | x) || p(z)), averaged over samples.

    With beta other than 1 this is the beta-VAE objective, which bounds log p(x) only for beta >= 1.

    Args:
        terms: `Terms` of one example, with or without a leading sample axis [K].
        beta: [] weight of the KL, >= 0; may be traced, so that it can follow a warm-up.

    Returns:
        [] nats.

    Source: Kingma and Welling, 2013, arXiv 1312.6114; beta: Higgins et al., 2017.

    Example:
        >>> import jax.numpy as jnp
        >>> terms = Terms(jnp.float32(-80.0), jnp.array([20.0, 5.0]), jnp.float32(-104.0), jnp.float32(0.0), None, None)
        >>> float(elbo(terms)), float(elbo(terms, beta=4.0))
        (-105.0, -180.0)
    """
    return (terms.log_likelihood - beta * terms.kl.sum(axis=-1)).mean()


@arguments(terms=SAMPLED_TERMS)
def iwae_bound(terms: Terms) -> Array:
    r"""Importance-weighted bound: log (1/K) sum_k p(x, z_k) / q(z_k | x), the samples on the leading axis.

    Equals the one-sample ELBO for K = 1 and rises to log p(x) with K.

    Args:
        terms: `Terms` of one example with a leading sample axis [K].

    Returns:
        [] nats.

    Source: Burda, Grosse and Salakhutdinov, 2016, arXiv 1509.00519.

    Example:
        >>> import jax.numpy as jnp
        >>> zero = jnp.zeros(2)
        >>> terms = Terms(zero, jnp.zeros((2, 1)), jnp.log(jnp.array([0.1, 0.3])), zero, None, None)
        >>> round(float(jnp.exp(iwae_bound(terms))), 6)
        0.2
    """
    return log_mean_exp(terms.log_weight, axis=0)
