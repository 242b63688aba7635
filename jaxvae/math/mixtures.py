"""Mixtures of densities."""

import functools
import math

import jax

from jaxvae.arguments import arguments
from jaxvae.math.normal import normal_log_prob
from jaxvae.math.numerics import inverse_scale, log_mean_exp, log_softmax
from jaxvae.roles import floats, real

Array = jax.Array


@arguments(logits=floats("[K]"), log_probs=floats("[K]"))
def mixture_log_prob(logits: Array, log_probs: Array) -> Array:
    r"""Log-density of a mixture: log sum_k softmax(logits)_k exp(log_probs_k).

    Args:
        logits: [K] unnormalised logarithms of the weights; -inf is a weight of 0.
        log_probs: [K] log-density of each component at one point.

    Returns:
        [] nats.

    Source: McLachlan and Peel, Finite Mixture Models, 2000.

    Example:
        >>> log_probs = jax.numpy.log(jax.numpy.array([0.1, 0.3]))
        >>> round(float(jax.numpy.exp(mixture_log_prob(jax.numpy.zeros(2), log_probs))), 6)
        0.2
    """
    return log_mean_exp(log_softmax(logits) + log_probs) + math.log(logits.shape[0])


@arguments(x=real("[Z]"), logits=real("[K]"), means=real("[K, Z]"), log_vars=real("[K, Z]"))
def gaussian_mixture_log_prob(x: Array, logits: Array, means: Array, log_vars: Array) -> Array:
    r"""Log-density of a mixture of diagonal Gaussians: log sum_k softmax(logits)_k N(x; means_k, exp(log_vars_k)).

    Args:
        x: [Z] one example.
        logits: [K] unnormalised logarithms of the weights.
        means, log_vars: [K, Z]; logarithms are natural.

    Returns:
        [] nats.

    Source: McLachlan and Peel, Finite Mixture Models, 2000.

    Example:
        >>> components = jax.numpy.zeros((3, 2))
        >>> round(float(gaussian_mixture_log_prob(jax.numpy.zeros(2), jax.numpy.zeros(3), components, components)), 4)
        -1.8379
    """
    dtype = jax.numpy.result_type(x, logits, means, log_vars)
    # Adding 0 makes a JAX array of a NumPy constant that `vmap` holds inside `jit`: a custom rule accepts no other.
    parts = (x + 0.0, log_softmax(logits), means + 0.0, log_vars + 0.0)
    return _gaussian_mixture(*(part.astype(dtype) for part in parts))


@jax.custom_jvp
def _gaussian_mixture(x: Array, log_weights: Array, means: Array, log_vars: Array) -> Array:
    log_probs = log_weights + jax.vmap(normal_log_prob, (None, 0, 0))(x, means, log_vars)
    return log_mean_exp(log_probs) + math.log(log_weights.shape[0])


@_gaussian_mixture.defjvp
def _gaussian_mixture_jvp(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
    """The slope as products of matrices: over a batch, automatic ones fill arrays [B, K, Z] and take ten times as long.

    With r_k the posterior weight of component k and s = exp(-log_vars), the slope is
    sum_k r_k (dw_k + (x - m_k) s_k (dm_k - dx) + ((x - m_k)^2 s_k - 1) dv_k / 2), its squares multiplied out.
    """
    (x, log_weights, means, log_vars), (dx, dw, dm, dv) = primals, tangents
    log_probs = log_weights + jax.vmap(normal_log_prob, (None, 0, 0))(x, means, log_vars)
    value = log_mean_exp(log_probs) + math.log(log_weights.shape[0])
    possible = value > -math.inf
    r = jax.numpy.where(possible, jax.numpy.exp(log_probs - jax.numpy.where(possible, value, 0.0)), 0.0)
    s = inverse_scale(log_vars)
    dot = functools.partial(jax.numpy.matmul, precision="highest")
    slope = dot(r, dw) + dot(dot(r, means * s) - dot(r, s) * x, dx)
    slope += dot(dot(r, s * dm), x) - dot(r, jax.numpy.sum(means * s * dm, axis=1))
    slope += 0.5 * dot(dot(r, s * dv), x**2) - dot(dot(r, s * means * dv), x)
    return value, slope + 0.5 * dot(r, jax.numpy.sum((means**2 * s - 1.0) * dv, axis=1))
