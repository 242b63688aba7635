"""Gaussians whose covariance is no diagonal: a diagonal and a few factors, or full."""

import math

import jax
import jax.numpy as jnp

from jaxvae.arguments import arguments
from jaxvae.math.matrices import qr, solve_unit_lower, times
from jaxvae.math.normal import reparameterize
from jaxvae.math.numerics import expm1_minus, inverse_scale
from jaxvae.roles import key, real

Array = jax.Array
VECTOR, FACTOR, LOWER = real("[Z]"), real("[Z, R]"), real("[Z, Z]")


@arguments(x=VECTOR, mean=VECTOR, log_var=VECTOR, factor=FACTOR)
def low_rank_normal_log_prob(x: Array, mean: Array, log_var: Array, factor: Array) -> Array:
    r"""Gaussian log-density with covariance D + U U^T, D = diag(exp(log_var)).

    -1/2 (Z log 2 pi + sum(log_var) + log det(1 + W^T W) + e^T (1 + W W^T)^-1 e), W = D^-1/2 U, e = D^-1/2 (x - mean).

    Both last terms come from the QR decomposition of W stacked on the identity: the quadratic form is the squared
    length of a residual, so that nothing is squared and then subtracted, and no D is too small to be factorised.

    Args:
        x, mean: [Z] of one example.
        log_var: [Z] natural logarithm of D.
        factor: [Z, R] U.

    Returns:
        [] nats.

    Source: Rezende, Mohamed and Wierstra, 2014, arXiv 1401.4082, section 4.3; the lemmas of Woodbury and Sylvester.

    Example:
        >>> value = low_rank_normal_log_prob(jnp.zeros(2), jnp.zeros(2), jnp.zeros(2), jnp.ones((2, 1)))
        >>> round(float(value), 4)  # -log(2 pi) - log(3) / 2
        -2.3872
    """
    inverse = inverse_scale(log_var / 2.0)
    q, half_log_det = _stacked(factor * inverse[:, None])
    residual = jnp.concatenate([(x - mean) * inverse, jnp.zeros(factor.shape[1], q.dtype)])
    residual = residual - times(q, times(q.T, residual))
    return -0.5 * jnp.sum(math.log(2.0 * math.pi) + log_var) - half_log_det - 0.5 * jnp.sum(residual**2)


@arguments(mean=VECTOR, log_var=VECTOR, factor=FACTOR, mean_p=VECTOR, log_var_p=VECTOR)
def low_rank_normal_kl(mean: Array, log_var: Array, factor: Array, mean_p: Array, log_var_p: Array) -> Array:
    r"""KL(N(mean, D + U U^T) || N(mean_p, exp(log_var_p))), the second one diagonal.

    For p = N(0, I): 1/2 (sum(mean^2 + exp(log_var) - 1 - log_var + U^2) - log det(1 + U^T D^-1 U)).

    Args:
        mean, log_var: [Z] of one example; log_var is the natural logarithm of D.
        factor: [Z, R] U.
        mean_p, log_var_p: [Z] of the second Gaussian.

    Returns:
        [] nats.

    Source: Rezende, Mohamed and Wierstra, 2014, arXiv 1401.4082, for the covariance.

    Example:
        >>> zero = jnp.zeros(2)
        >>> round(float(low_rank_normal_kl(zero, zero, jnp.ones((2, 1)), zero, zero)), 4)  # (2 - log 3) / 2
        0.4507
    """
    inverse = inverse_scale(log_var_p / 2.0)
    _, half_log_det = _stacked(factor * inverse_scale(log_var / 2.0)[:, None])
    squares = ((mean - mean_p) * inverse) ** 2 + jnp.sum((factor * inverse[:, None]) ** 2, axis=1)
    return 0.5 * jnp.sum(squares + expm1_minus(log_var - log_var_p)) - half_log_det


@arguments(key=key(), mean=VECTOR, log_var=VECTOR, factor=FACTOR)
def low_rank_normal_sample(key: Array, mean: Array, log_var: Array, factor: Array) -> Array:
    r"""Sample of N(mean, D + U U^T) that can be differentiated: mean + D^1/2 e + U f, with e, f standard normal.

    Args:
        key: consumed.
        mean, log_var: [Z] of one example.
        factor: [Z, R].

    Returns:
        [Z] the sample.

    Example:
        >>> z = low_rank_normal_sample(jax.random.key(0), jnp.zeros(2), jnp.full(2, -100.0), jnp.ones((2, 1)))
        >>> bool(z[0] == z[1])
        True
    """
    key_own, key_shared = jax.random.split(key)
    shared = jax.random.normal(key_shared, factor.shape[1:], factor.dtype)
    return reparameterize(key_own, mean, log_var) + times(factor, shared)


@arguments(x=VECTOR, mean=VECTOR, log_var=VECTOR, lower=LOWER)
def full_normal_log_prob(x: Array, mean: Array, log_var: Array, lower: Array) -> Array:
    r"""Gaussian log-density with covariance L L^T, L = diag(exp(log_var / 2)) + the strict lower part of `lower`.

    -1/2 (sum(log 2 pi + log_var) + |L^-1 (x - mean)|^2)

    Args:
        x, mean: [Z] of one example.
        log_var: [Z] twice the natural logarithm of the diagonal of L, so that `lower` = 0 is a diagonal Gaussian.
        lower: [Z, Z], of which only what lies below the diagonal counts.

    Returns:
        [] nats.

    Source: Kingma and Welling, 2019, arXiv 1906.02691, section 2.5.1.

    Example:
        >>> value = full_normal_log_prob(jnp.zeros(2), jnp.zeros(2), jnp.zeros(2), jnp.ones((2, 2)))
        >>> round(float(value), 4)  # the determinant of L is 1 whatever stands below its diagonal
        -1.8379
    """
    # L = D (1 + N): each row is divided by its own scale, so that no row overflows or vanishes beside another.
    inverse = inverse_scale(log_var / 2.0)
    rows = jnp.tril(lower, -1) * inverse[:, None]
    residual = solve_unit_lower(rows, (x - mean) * inverse)
    return -0.5 * jnp.sum(math.log(2.0 * math.pi) + log_var + residual**2)


@arguments(mean=VECTOR, log_var=VECTOR, lower=LOWER, mean_p=VECTOR, log_var_p=VECTOR)
def full_normal_kl(mean: Array, log_var: Array, lower: Array, mean_p: Array, log_var_p: Array) -> Array:
    r"""KL(N(mean, L L^T) || N(mean_p, exp(log_var_p))), the second one diagonal; see `full_normal_log_prob` for L.

    For p = N(0, I): 1/2 (sum(mean^2 + exp(log_var) - 1 - log_var) + sum of the squares below the diagonal of L).

    Args:
        mean, log_var: [Z] of one example; log_var is twice the natural logarithm of the diagonal of L.
        lower: [Z, Z], of which only what lies below the diagonal counts.
        mean_p, log_var_p: [Z] of the second Gaussian.

    Returns:
        [] nats, never negative: a sum of terms that are not.

    Source: Kingma and Welling, 2019, arXiv 1906.02691, section 2.5.1, for the covariance.

    Example:
        >>> zero = jnp.zeros(2)
        >>> float(full_normal_kl(zero, zero, jnp.ones((2, 2)), zero, zero))
        0.5
    """
    inverse = inverse_scale(log_var_p / 2.0)
    squares = ((mean - mean_p) * inverse) ** 2 + jnp.sum((jnp.tril(lower, -1) * inverse[:, None]) ** 2, axis=1)
    return 0.5 * jnp.sum(squares + expm1_minus(log_var - log_var_p))


@arguments(key=key(), mean=VECTOR, log_var=VECTOR, lower=LOWER)
def full_normal_sample(key: Array, mean: Array, log_var: Array, lower: Array) -> Array:
    r"""Sample of N(mean, L L^T) that can be differentiated: mean + L e, e standard normal.

    Args:
        key: consumed.
        mean, log_var: [Z] of one example.
        lower: [Z, Z], of which only what lies below the diagonal counts.

    Returns:
        [Z] the sample.

    Example:
        >>> full_normal_sample(jax.random.key(0), jnp.zeros(2), jnp.zeros(2), jnp.ones((2, 2))).shape
        (2,)
    """
    noise = jax.random.normal(key, mean.shape, mean.dtype)
    return mean + jnp.exp(log_var / 2.0) * noise + times(jnp.tril(lower, -1), noise)


def _stacked(scaled: Array) -> tuple[Array, Array]:
    """The orthogonal factor of W [Z, R] stacked on the identity, and half the logarithm of det(1 + W^T W)."""
    q, r = qr(jnp.concatenate([scaled, jnp.eye(scaled.shape[1], dtype=scaled.dtype)]))
    return q, jnp.sum(jnp.log(jnp.diagonal(r)))
