"""The KL of a VAE in three parts: what the code tells of x, how its latents hang together, how each is shaped."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxvae.arguments import arguments
from jaxvae.math.normal import normal_log_prob
from jaxvae.roles import array, integer, key, one_of, real

Array = jax.Array
SAMPLINGS = ("stratified", "weighted")
CODES = real("[B, Z]", "one code of each example of a batch")


class KLParts(NamedTuple):
    """The parts of the average KL, in nats; their sum is the average of log q(z | x) - log p(z).

    Attributes:
        mutual_information: [] E log q(z | x) / q(z), what the code tells of the example.
        total_correlation: [] E log q(z) / prod_l q(z_l), how far the latents are from independent.
        dimension_wise_kl: [] E log prod_l q(z_l) / p(z), how far each latent is from its prior.
    """

    mutual_information: Array
    total_correlation: Array
    dimension_wise_kl: Array


@arguments(batch=integer(2), dataset_size=integer("batch"))
def stratified_log_weights(batch: int, dataset_size: int) -> Array:
    r"""Logarithms of the weights [i, j] of q(z_i | x_j) in an unbiased estimate of q(z_i) from one batch.

    w_ii = 1 / N,  w_ij = (N - 1) / (N (B - 1)) for j != i

    The aggregate posterior is q(z) = 1/N sum_n q(z | x_n). For z_i, drawn from q(z | x_i), the term n = i is in the
    batch for certain and counts 1/N, as it does in q(z). The N - 1 others are seen through B - 1 draws, which
    therefore share the rest (N - 1) / N equally. Each row sums to 1, and for B = N every weight is 1/N: the exact q(z).

    The authors' code fills a flattened [B, B] matrix and steps by B where the diagonal steps by B + 1. The 1/N falls
    on column 0, and the own posterior, by far the largest density, gets 1 / (B - 1): the mutual information cannot
    exceed log(B - 1) by more than noise, 4.1 nats for a batch of 64, however large the data set.

    Args:
        batch: B, at least 2.
        dataset_size: N, at least B.

    Returns:
        [B, B] logarithms; no unit.

    Source: Chen et al., 2018, arXiv 1802.04942, appendix C.2, averaged over the order of the batch.

    Example:
        >>> jnp.exp(stratified_log_weights(2, 4)).tolist()
        [[0.25, 0.75], [0.75, 0.25]]
    """
    others = math.log((dataset_size - 1) / (batch - 1)) - math.log(dataset_size)
    return jnp.where(jnp.eye(batch, dtype=bool), -math.log(dataset_size), others)


@arguments(z=CODES, mean=CODES, log_var=CODES, sampling=one_of(SAMPLINGS), log_prior=real("[B]", "one for each z"))
def decompose_kl(
    z: Array,
    mean: Array,
    log_var: Array,
    dataset_size: int,
    *,
    sampling: str = "stratified",
    log_prior: Array | None = None,
) -> KLParts:
    r"""Splits the average KL of a batch of diagonal Gaussian posteriors into its three parts.

    E KL(q(z | x) || p(z)) = I(x; z) + KL(q(z) || prod_l q(z_l)) + sum_l KL(q(z_l) || p(z_l))

    The logarithms of q(z_i) and of each q(z_il) are estimated from the batch. The logarithm of an unbiased estimate is
    low on average (Jensen), so the mutual information is rather too large and the total correlation too small.

    Args:
        z: [B, Z] one sample of each posterior, B >= 2.
        mean: [B, Z] posterior means.
        log_var: [B, Z] natural logarithms of the variances.
        dataset_size: N, how many examples the batch was drawn from, at least B.
        sampling: "stratified", with the weights of `stratified_log_weights`, or "weighted", with 1 / (N B) for all. The
            latter is low by log N for every density that the own posterior does not dominate: a constant, so its
            gradient serves for training, but its parts are no numbers to report.
        log_prior: [B] log p(z) in nats, by default that of a standard normal. The last part is a sum over latents
            only where p has independent ones.

    Returns:
        `KLParts`, each [] nats, averaged over the batch; negative where the estimate is noise.

    Source: Chen et al., 2018, arXiv 1802.04942, equation 2 and appendix C.

    Example:
        >>> mean = jnp.array([[3.0], [-3.0]])
        >>> parts = decompose_kl(mean, mean, jnp.full((2, 1), -4.0), 2)
        >>> round(float(parts.mutual_information), 4)  # two codes far apart tell one bit, log 2 nats
        0.6931
    """
    size = z.shape[0]
    log_weights = stratified_log_weights(size, dataset_size)
    if sampling == "weighted":
        log_weights = jnp.full_like(log_weights, -math.log(size * dataset_size))
    if log_prior is None:
        log_prior = jax.vmap(normal_log_prob)(z, jnp.zeros_like(z), jnp.zeros_like(z))

    each_latent = jax.vmap(normal_log_prob)
    densities = jax.vmap(jax.vmap(each_latent, (None, 0, 0)), (0, None, None))(z, mean, log_var)  # [i, j, l]
    joint = jax.nn.logsumexp(log_weights + densities.sum(axis=-1), axis=1)
    marginals = jax.nn.logsumexp(log_weights[..., None] + densities, axis=1).sum(axis=-1)
    own = jax.vmap(normal_log_prob)(z, mean, log_var)
    return KLParts(jnp.mean(own - joint), jnp.mean(joint - marginals), jnp.mean(marginals - log_prior))


@arguments(key=key(), z=array("[B, Z]", CODES.what))
def permute_latents(key: Array, z: Array) -> Array:
    r"""Draws of prod_l q(z_l): each latent of a batch of codes permuted over the batch by itself.

    Args:
        key: a JAX random key; it is consumed.
        z: [B, Z] codes.

    Returns:
        [B, Z]; column l holds the numbers of z's column l in another order.

    Source: Kim and Mnih, 2018, arXiv 1802.05983, algorithm 1.

    Example:
        >>> z = permute_latents(jax.random.key(0), jnp.arange(10.0).reshape(5, 2))
        >>> jnp.sort(z, axis=0)[:, 1].tolist()
        [1.0, 3.0, 5.0, 7.0, 9.0]
    """
    return jax.vmap(jax.random.permutation, (0, 1), 1)(jax.random.split(key, z.shape[1]), z)
