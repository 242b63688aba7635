"""The uniform prior of latents on the unit sphere."""

import jax
import jax.numpy as jnp

from jaxvae.checks import positive_integer
from jaxvae.math.von_mises_fisher import log_sphere_area, unit_vector
from jaxvae.models.records import Conditional, Key, Params

Array = jax.Array


def uniform_sphere(latent_dim: int) -> Conditional:
    """p(z) uniform on the unit sphere of `latent_dim` coordinates; it has no parameters, and its mean is 0.

    Raises:
        ValueError, TypeError: if latent_dim is no integer of at least 2.

    Source: Davidson et al., 2018, arXiv 1804.00891.

    Example:
        >>> prior = uniform_sphere(3)
        >>> round(float(prior.log_prob({}, jnp.array([0.0, 0.0, 1.0]), None)), 4)  # -log(4 pi)
        -2.531
    """
    latent_dim = positive_integer("latent_dim", latent_dim, 2)

    def init(key: Key, context: None = None) -> Params:
        return {}

    def sample(params: Params, key: Key, context: None = None) -> tuple[Array, Array]:
        z = unit_vector(jax.random.normal(key, (latent_dim,), jnp.float32))
        return z, log_prob(params, z)

    def log_prob(params: Params, z: Array, context: None = None) -> Array:
        if z.shape != (latent_dim,):
            raise ValueError(f"z has shape {z.shape}, expected ({latent_dim},), a unit vector. Use jax.vmap.")
        return jnp.full((), -log_sphere_area(latent_dim), z.dtype)

    def mean(params: Params, context: None = None) -> Array:
        return jnp.zeros(latent_dim, jnp.float32)

    return Conditional(init, sample, log_prob, mean, support="sphere")
