"""Gaussians with diagonal covariance: sampling, density, and the two closed-form KL divergences."""

import math

import jax
import jax.numpy as jnp

from jaxvae.arguments import arguments
from jaxvae.math.numerics import expm1_minus, flat, inverse_scale
from jaxvae.roles import key, real

Array = jax.Array


@arguments(key=key(), mean=real(), log_var=real(like="mean"))
def reparameterize(key: Array, mean: Array, log_var: Array) -> Array:
    r"""Sample of N(mean, exp(log_var)) that can be differentiated.

    z = mean + exp(log_var / 2) eps, eps ~ N(0, 1)

    Args:
        key: a JAX random key; it is consumed.
        mean: [...] of one example.
        log_var: the shape of mean (or a scalar), natural logarithm of the variance.

    Returns:
        [...] the sample, float32 (float64 if an input is). The noise is drawn in that precision whatever the
        model's: bfloat16 noise takes 128 distinct values and never exceeds 2.9.

    Source: Kingma and Welling, 2013, arXiv 1312.6114.

    Example:
        >>> import jax
        >>> z = reparameterize(jax.random.key(0), jnp.zeros(3), jnp.full(3, -100.0))
        >>> bool((abs(z) < 1e-20).all())
        True
    """
    noise = jax.random.normal(key, mean.shape, jnp.result_type(mean, log_var))
    return mean + jnp.exp(log_var / 2.0) * noise


@arguments(x=real(), mean=real(like="x"), log_var=real(like="x"))
def normal_log_prob(x: Array, mean: Array, log_var: Array) -> Array:
    r"""Gaussian log-density: -1/2 sum(log 2 pi + log_var + (x - mean)^2 exp(-log_var)).

    Args:
        x: [...] one example.
        mean: the shape of x (or a scalar).
        log_var: the shape of x (or a scalar), natural logarithm of the variance; float32 is exact for
            |log_var| <= 100.

    Returns:
        [] nats, summed over every element of x.

    Source: Kingma and Welling, 2013, arXiv 1312.6114.

    Example:
        >>> round(float(normal_log_prob(jnp.zeros(2), jnp.zeros(2), jnp.zeros(2))), 4)
        -1.8379
    """
    x, mean, log_var = flat(x, mean, log_var)
    residual = (x - mean) * inverse_scale(log_var / 2.0)
    return -0.5 * jnp.sum(math.log(2.0 * math.pi) + log_var + residual**2)


@arguments(mean=real(), log_var=real(like="mean"))
def normal_kl_standard(mean: Array, log_var: Array) -> Array:
    r"""KL divergence to the standard normal: KL(N(mean, exp(log_var)) || N(0, 1)).

    1/2 sum(mean^2 + exp(log_var) - 1 - log_var)

    Args:
        mean: [...] of one example.
        log_var: the shape of mean (or a scalar), natural logarithm of the variance; from 89 on, +inf.

    Returns:
        [] nats, never negative, summed over every element.

    Source: Kingma and Welling, 2013, arXiv 1312.6114, appendix B.

    Example:
        >>> float(normal_kl_standard(jnp.array([3.0, 4.0]), jnp.zeros(2)))
        12.5
    """
    return 0.5 * jnp.sum(mean**2 + expm1_minus(log_var))


@arguments(mean_q=real(), log_var_q=real(like="mean_q"), mean_p=real(like="mean_q"), log_var_p=real(like="mean_q"))
def normal_kl(mean_q: Array, log_var_q: Array, mean_p: Array, log_var_p: Array) -> Array:
    r"""KL divergence between two diagonal Gaussians, KL(q || p).

    1/2 sum(exp(d) - 1 - d + (mean_q - mean_p)^2 exp(-log_var_p)), with d = log_var_q - log_var_p.

    The logarithms are subtracted before anything is exponentiated, so that no variance underflows to 0.

    Args:
        mean_q: [...] of one example.
        log_var_q, mean_p, log_var_p: the shape of mean_q (or scalars); logarithms are natural.

    Returns:
        [] nats, never negative, summed over every element; +inf where it exceeds the largest float.

    Source: Kingma and Welling, 2013, arXiv 1312.6114, appendix B, for a general p.

    Example:
        >>> float(normal_kl(jnp.ones(3), jnp.zeros(3), jnp.zeros(3), jnp.zeros(3)))
        1.5
    """
    residual = (mean_q - mean_p) * inverse_scale(log_var_p / 2.0)
    return 0.5 * jnp.sum(expm1_minus(log_var_q - log_var_p) + residual**2)
