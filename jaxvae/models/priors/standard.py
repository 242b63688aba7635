"""Priors p(z); their context is None."""

import jax
import jax.numpy as jnp

from jaxvae.checks import positive_integer
from jaxvae.math.normal import normal_log_prob, reparameterize
from jaxvae.models.records import Conditional, DiagNormal, Key, Params

Array = jax.Array


def standard_normal(latent_dim: int) -> Conditional:
    """p(z) = N(0, I) with `latent_dim` latents; it has no parameters.

    Example:
        >>> prior = standard_normal(2)
        >>> round(float(prior.log_prob({}, jnp.zeros(2), None)), 4)  # -log(2 pi)
        -1.8379
    """
    latent_dim = positive_integer("latent_dim", latent_dim)

    def init(key: Key, context: None = None) -> Params:
        return {}

    def distribution(params: Params, context: None = None) -> DiagNormal:
        zeros = jnp.zeros(latent_dim, jnp.float32)
        return DiagNormal(zeros, zeros)

    def sample(params: Params, key: Key, context: None = None) -> tuple[Array, Array]:
        z = reparameterize(key, *distribution(params))
        return z, log_prob(params, z)

    def log_prob(params: Params, z: Array, context: None = None) -> Array:
        return normal_log_prob(z, *distribution(params))

    def mean(params: Params, context: None = None) -> Array:
        return distribution(params).mean

    return Conditional(init, sample, log_prob, mean, distribution)
