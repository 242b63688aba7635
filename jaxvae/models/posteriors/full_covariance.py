"""A Gaussian posterior with a full covariance."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.math.multivariate import full_normal_kl, full_normal_log_prob, full_normal_sample
from jaxvae.models.posteriors.gaussian import correlated_gaussian, emitted
from jaxvae.models.posteriors.outputs import asked_for, reads
from jaxvae.models.records import Conditional, Key, Network, Params, part_of
from jaxvae.randomness import applied

Array = jax.Array


@reads(lambda latent_dim: 2 * latent_dim + latent_dim * (latent_dim - 1) // 2)
def full_covariance_posterior(
    encoder: Network, latent_dim: int, *, to_input: Callable[[Array], Array] = lambda x: x, name: str = "encoder"
) -> Conditional:
    """q(z | x) = N(mean(x), L(x) L(x)^T), L lower triangular with the diagonal exp(log_var / 2).

    Args:
        encoder: a network whose `.apply(variables, x)` returns (mean [Z], log_var [Z], rest [Z (Z - 1) / 2]), rest
            being what lies below the diagonal of L, row after row; rest = 0 is the diagonal Gaussian.
        latent_dim: the number of latents, Z.
        to_input: maps x, in the units of the likelihood, to what the encoder should see.
        name: the name of the encoder's parameters in the dict.

    Raises:
        ValueError: if the encoder emits another shape.

    Source: Kingma and Welling, 2019, arXiv 1906.02691, section 2.5.1.

    Example:
        >>> from jaxvae.networks.mlp import MLPEncoder
        >>> posterior = full_covariance_posterior(MLPEncoder(3, (8,)), 3)
        >>> x = jnp.zeros((4, 4, 1))
        >>> z, log_density = posterior.sample(posterior.init(jax.random.key(0), x), jax.random.key(1), x)
        >>> z.shape, log_density.shape
        ((3,), ())
    """
    encoder = asked_for(encoder, latent_dim, full_covariance_posterior.outputs(latent_dim))
    below = np.tril_indices(latent_dim, -1)

    def init(key: Key, x: Array) -> Params:
        return {name: encoder.init(key, to_input(x))}

    def parts(params: Params, x: Array) -> tuple[Array, Array, Array]:
        outputs = applied(encoder, part_of(params, name), to_input(x))
        mean, log_var, rest = emitted(outputs, latent_dim, len(below[0]))
        return mean, log_var, jnp.zeros((latent_dim, latent_dim), rest.dtype).at[below].set(rest)

    return correlated_gaussian(init, parts, full_normal_sample, full_normal_log_prob, full_normal_kl)
