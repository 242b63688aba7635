"""Disentangled inferred priors: the aggregate posterior's covariance is pulled to the identity."""

import jax
import jax.numpy as jnp

from jaxvae.checks import as_float, finite_number

Array = jax.Array
KINDS = ("I", "II")


def posterior_covariance(mean: Array, log_var: Array, kind: str = "II") -> Array:
    r"""Covariance over a batch of posteriors, of their means (I) or of their samples (II).

    I: Cov[mean];  II: Cov[mean] + E[diag(exp(log_var))], which is Cov[z] by the law of total covariance.

    Args:
        mean: [B, Z] posterior means, B >= 2.
        log_var: [B, Z] natural logarithms of the variances; kind I does not use them.
        kind: "I" or "II".

    Returns:
        [Z, Z]; the batch is taken as the whole distribution (a division by B).

    Raises:
        ValueError: for another kind or shape.
        TypeError: on integer inputs.

    Source: Kumar, Sattigeri and Balakrishnan, 2018, arXiv 1711.00848.

    Example:
        >>> posterior_covariance(jnp.array([[1.0], [-1.0]]), jnp.zeros((2, 1))).tolist()
        [[2.0]]
    """
    mean, log_var = as_float("mean", mean), as_float("log_var", log_var)
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}, expected 'I' (posterior means) or 'II' (samples).")
    if mean.ndim != 2 or mean.shape[0] < 2:
        raise ValueError(f"mean has shape {mean.shape}, expected [B, Z] with a batch of at least 2.")
    if log_var.shape != mean.shape:
        raise ValueError(f"log_var has shape {log_var.shape}, expected {mean.shape}, the shape of mean.")
    centred = mean - mean.mean(axis=0, keepdims=True)
    covariance = jnp.matmul(centred.T, centred, precision=jax.lax.Precision.HIGHEST) / mean.shape[0]
    return covariance if kind == "I" else covariance + jnp.diag(jnp.exp(log_var).mean(axis=0))


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

    Raises:
        ValueError: for another kind or shape, or a weight that is negative or not finite.
        TypeError: on integer inputs.

    Source: Kumar, Sattigeri and Balakrishnan, 2018, arXiv 1711.00848, equations 6 and 7.

    Example:
        >>> mean = jnp.array([[1.0, 1.0], [-1.0, -1.0]])  # unit variance, fully correlated
        >>> float(dip_penalty(mean, jnp.zeros((2, 2)), kind="I", off_diagonal=3.0))
        6.0
    """
    finite_number("off_diagonal", off_diagonal)
    finite_number("diagonal", diagonal)
    covariance = posterior_covariance(mean, log_var, kind)
    own = jnp.eye(covariance.shape[0], dtype=bool)
    apart = jnp.sum(jnp.where(own, 0.0, covariance) ** 2)
    return off_diagonal * apart + diagonal * jnp.sum((jnp.diag(covariance) - 1.0) ** 2)
