"""Mixtures of densities."""

import math

import jax
import jax.numpy as jnp

from jaxvae.arguments import arguments
from jaxvae.math.normal import normal_log_prob
from jaxvae.math.numerics import inverse_scale, log_mean_exp, log_softmax
from jaxvae.roles import floats, real

Array = jax.Array
BLOCK = 8  # components in flight in a derivative


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
        >>> log_probs = jnp.log(jnp.array([0.1, 0.3]))
        >>> round(float(jnp.exp(mixture_log_prob(jnp.zeros(2), log_probs))), 6)
        0.2
    """
    return log_mean_exp(log_softmax(logits) + log_probs) + math.log(logits.shape[0])


@arguments(x=real("[Z]"), logits=real("[K]"), means=real("[K, Z]"), log_vars=real("[K, Z]"))
def gaussian_mixture_log_prob(x: Array, logits: Array, means: Array, log_vars: Array) -> Array:
    r"""Log-density of a mixture of diagonal Gaussians: log sum_k softmax(logits)_k N(x; means_k, exp(log_vars_k)).

    Args:
        x: [Z] one example.
        logits: [K] unnormalised logarithms of the weights.
        means, log_vars: [K, Z]; logarithms are natural, and float32 is right to 1e-5 for |log_vars| <= 80.

    Returns:
        [] nats.

    Source: McLachlan and Peel, Finite Mixture Models, 2000.

    Example:
        >>> components = jnp.zeros((3, 2))
        >>> round(float(gaussian_mixture_log_prob(jnp.zeros(2), jnp.zeros(3), components, components)), 4)
        -1.8379
    """
    dtype = jnp.result_type(x, logits, means, log_vars)
    # Adding 0 makes a JAX array of a NumPy constant that `vmap` holds inside `jit`: a custom rule accepts no other.
    parts = (x + 0.0, log_softmax(logits), means + 0.0, log_vars + 0.0)
    return _gaussian_mixture(*(part.astype(dtype) for part in parts))


@jax.custom_jvp
def _gaussian_mixture(x: Array, log_weights: Array, means: Array, log_vars: Array) -> Array:
    log_probs = log_weights + jax.vmap(normal_log_prob, (None, 0, 0))(x, means, log_vars)
    return log_mean_exp(log_probs) + math.log(log_weights.shape[0])


@_gaussian_mixture.defjvp
def _gaussian_mixture_jvp(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
    """sum_k r_k (dw_k + e_k . (dm_k - dx) / s_k + (e_k^2 - 1) . dv_k / 2), e_k = (x - m_k) / s_k, r = p(k | x).

    A few components are taken at a time, and made anew on the way back: all of them at once fill arrays [B, K, Z] in a
    batch and take eight times as long. Products of matrices, with the squares multiplied out, take half as long, but
    lose all digits where a standard deviation s_k is small beside the mean m_k.
    """
    (x, log_weights, means, log_vars), (dx, dw, dm, dv) = primals, tangents
    log_probs = log_weights + jax.vmap(normal_log_prob, (None, 0, 0))(x, means, log_vars)
    top = jnp.max(log_probs)
    weights = jnp.exp(log_probs - jnp.where(top > -math.inf, top, 0.0))
    r = weights / jnp.maximum(weights.sum(), 1.0)

    @jax.checkpoint
    def along(component: tuple[Array, ...]) -> Array:
        r, dw, mean, inverse, d_mean, d_log_var = component
        e = jnp.where(r > 0, (x - mean) * inverse, 0.0)  # far from a component of weight 0 the square overflows
        return r * (dw + jnp.sum(e * (inverse * (d_mean - dx)) + 0.5 * (e * e - 1.0) * d_log_var))

    components = (r, dw, means, inverse_scale(log_vars / 2.0), dm, dv)
    slopes = jax.lax.map(along, components, batch_size=min(BLOCK, len(r)))
    return _gaussian_mixture(*primals), slopes.sum()
