"""Latents on the unit sphere: a von Mises-Fisher posterior, for `vae(..., posterior=, prior=uniform_sphere(Z))`."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxvae.checks import positive_integer
from jaxvae.math.von_mises_fisher import (
    unit_vector,
    von_mises_fisher_log_density,
    von_mises_fisher_sample,
)
from jaxvae.models.posteriors.gaussian import gaussian_posterior
from jaxvae.models.posteriors.outputs import reads
from jaxvae.models.records import Conditional, Key, Network, Params

Array = jax.Array
LARGEST = 1e5  # of the concentration


@reads(lambda latent_dim: 2 * latent_dim)
def hyperspherical_posterior(
    encoder: Network, latent_dim: int, *, to_input: Callable[[Array], Array] = lambda x: x, name: str = "encoder"
) -> Conditional:
    r"""q(z | x) = vMF(mean / |mean|, kappa) on the unit sphere, with 1 / kappa = 1e-5 + exp(the mean of log_var).

    The encoder is an ordinary one: the length of its mean is not used, and its log-variances have one number between
    them. Fresh networks emit about 0, so kappa begins near 1. The KL to `uniform_sphere` is the one-sample estimate in
    `Terms`; in closed form it is `von_mises_fisher_kl_uniform`.

    Args:
        encoder: a network whose `.apply(variables, x)` returns `(mean [latent_dim], log_var [latent_dim])`.
        latent_dim: d, the number of coordinates of z, at least 2.
        to_input: maps x, in the units of the likelihood, to what the encoder should see.
        name: the name of the encoder's parameters in the dict.

    Returns:
        A `Conditional` whose densities are relative to the area of the sphere and whose `mean` is the mean direction,
        a unit vector.

    Source: Davidson, Falorsi, De Cao, Kipf and Tomczak, 2018, arXiv 1804.00891.

    Example:
        >>> from jaxvae.networks.mlp import MLPEncoder
        >>> posterior = hyperspherical_posterior(MLPEncoder(latent_dim=3), 3)
        >>> x = jnp.zeros((4, 4, 1))
        >>> z, log_density = posterior.sample(posterior.init(jax.random.key(0), x), jax.random.key(1), x)
        >>> round(float(jnp.sum(z**2)), 4)
        1.0
    """
    latent_dim = positive_integer("latent_dim", latent_dim, 2)
    emitted = gaussian_posterior(encoder, latent_dim, to_input=to_input, name=name)
    assert emitted.distribution is not None
    distribution = emitted.distribution

    def parameters(params: Params, x: Array) -> tuple[Array, Array]:
        direction, log_var = distribution(params, x)
        return unit_vector(direction), jnp.exp(-jnp.logaddexp(jnp.mean(log_var), -math.log(LARGEST)))

    def sample(params: Params, key: Key, x: Array) -> tuple[Array, Array]:
        direction, concentration = parameters(params, x)
        z = von_mises_fisher_sample(key, direction, concentration)
        return z, von_mises_fisher_log_density(z, direction, concentration)

    def log_prob(params: Params, z: Array, x: Array) -> Array:
        return von_mises_fisher_log_density(z, *parameters(params, x))

    def mean(params: Params, x: Array) -> Array:
        return parameters(params, x)[0]

    return Conditional(emitted.init, sample, log_prob, mean, support="sphere")
