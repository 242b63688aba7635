"""Disentangled inferred priors: the aggregate posterior's covariance is pulled to the identity."""

import jax
import jax.numpy as jnp

from jaxvae.arguments import arguments
from jaxvae.roles import floats, number, one_of

Array = jax.Array
KINDS = ("I", "II")
POSTERIORS = "the posterior of one example a row"


@arguments(mean=floats("[B >= 2, Z]", POSTERIORS), log_var=floats("[B, Z]", POSTERIORS), kind=one_of(KINDS))
def posterior_covariance(mean: Array, log_var: Array, kind: str = "II") -> Array:
    r"""Covariance over a batch of posteriors, of their means (I) or of their samples (II).

    I: Cov[mean];  II: Cov[mean] + E[diag(exp(log_var))], which is Cov[z] by the law of total covariance.

    Args:
        mean: [B, Z] posterior means, B >= 2.
        log_var: [B, Z] natural logarithms of the variances; kind I does not use them.
        kind: "I" or "II".

    Returns:
        [Z, Z]; the batch is taken as the whole distribution (a division by B).

    Source: Kumar, Sattigeri and Balakrishnan, 2018, arXiv 1711.00848.

    Example:
        >>> posterior_covariance(jnp.array([[1.0], [-1.0]]), jnp.zeros((2, 1))).tolist()
        [[2.0]]
    """
    centred = mean - mean.mean(axis=0, keepdims=True)
    covariance = jnp.matmul(centred.T, centred, precision=jax.lax.Precision.HIGHEST) / mean.shape[0]
    return covariance if kind == "I" else covariance + jnp.diag(jnp.exp(log_var).mean(axis=0))


@arguments(off_diagonal=number(), diagonal=number())
def dip_penalty(
    mean: Array, log_var: Array, *, kind: str = "II", off_diagonal: Array | float = 10.0, diagonal: Array | float = 10.0
) -> Array:
    r"""DIP-VAE's penalty: off_diagonal sum_{i != j} C_ij^2 + diagonal sum_i (C_ii - 1)^2.

    Args:
        mean: [B, Z] posterior means, B >= 2.
        log_var: [B, Z] natural logarithms of the variances.
        kind: "I", where C is the covariance of the means, or "II", where it is that of the samples. Kind I lets the
            variances go where they like; the paper then gives the diagonal ten times the weight.
        off_diagonal: [] weight of the covariances, >= 0.
        diagonal: [] weight of the variances, >= 0.

    Returns:
        [] the penalty, added to minus the ELBO per example, in nats.

    Source: Kumar, Sattigeri and Balakrishnan, 2018, arXiv 1711.00848, equations 6 and 7.

    Example:
        >>> mean = jnp.array([[1.0, 1.0], [-1.0, -1.0]])  # unit variance, fully correlated
        >>> float(dip_penalty(mean, jnp.zeros((2, 2)), kind="I", off_diagonal=3.0))
        6.0
    """
    covariance = posterior_covariance(mean, log_var, kind)
    own = jnp.eye(covariance.shape[0], dtype=bool)
    apart = jnp.sum(jnp.where(own, 0.0, covariance) ** 2)
    return off_diagonal * apart + diagonal * jnp.sum((jnp.diag(covariance) - 1.0) ** 2)
