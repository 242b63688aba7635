"""A Gaussian posterior whose latents are correlated through a few shared directions."""

from collections.abc import Callable

import jax

from jaxvae.checks import positive_integer
from jaxvae.math.multivariate import low_rank_normal_kl, low_rank_normal_log_prob, low_rank_normal_sample
from jaxvae.models.posteriors.gaussian import correlated_gaussian, emitted
from jaxvae.models.posteriors.outputs import Posterior, asked_for, reads
from jaxvae.models.records import Conditional, Key, Network, Params, part_of
from jaxvae.randomness import applied

Array = jax.Array


def low_rank_posterior(rank: int) -> Posterior:
    """q(z | x) = N(mean(x), diag(exp(log_var(x))) + U(x) U(x)^T), U [latent_dim, rank].

    A posterior constructor for `vae(..., posterior=low_rank_posterior(rank))`. The encoder emits (mean, log_var, rest)
    with `rest` [latent_dim * rank], the rows of U one after another. U = 0 is the diagonal Gaussian, but the gradient
    hardly leaves it: start near 0, not at it. The KL to a diagonal Gaussian prior is exact.

    Args:
        rank: columns of U, at least 1.

    Raises:
        ValueError, TypeError: if rank is not a positive integer, and later, if the encoder emits another shape.

    Source: Rezende, Mohamed and Wierstra, 2014, arXiv 1401.4082, section 4.3 (rank 1); Ong, Nott and Smith, 2018,
        arXiv 1701.03208 (any rank).

    Example:
        >>> from jaxvae.networks.mlp import MLPEncoder
        >>> posterior = low_rank_posterior(1)(MLPEncoder(3, (8,)), 3)
        >>> x = jax.numpy.zeros((4, 4, 1))
        >>> z, log_density = posterior.sample(posterior.init(jax.random.key(0), x), jax.random.key(1), x)
        >>> z.shape, log_density.shape
        ((3,), ())
    """
    rank = positive_integer("rank", rank)

    @reads(lambda latent_dim: (2 + rank) * latent_dim)
    def posterior(
        encoder: Network, latent_dim: int, *, to_input: Callable[[Array], Array] = lambda x: x, name: str = "encoder"
    ) -> Conditional:
        encoder = asked_for(encoder, latent_dim, (2 + rank) * latent_dim)

        def init(key: Key, x: Array) -> Params:
            return {name: encoder.init(key, to_input(x))}

        def parts(params: Params, x: Array) -> tuple[Array, Array, Array]:
            outputs = applied(encoder, part_of(params, name), to_input(x))
            mean, log_var, rest = emitted(outputs, latent_dim, latent_dim * rank)
            return mean, log_var, rest.reshape(latent_dim, rank)

        return correlated_gaussian(init, parts, low_rank_normal_sample, low_rank_normal_log_prob, low_rank_normal_kl)

    return posterior
