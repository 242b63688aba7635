"""Mixtures of densities."""

import math

import jax

from jaxvae.math.checks import as_float
from jaxvae.math.normal import normal_log_prob
from jaxvae.math.numerics import log_mean_exp, log_softmax

Array = jax.Array


def mixture_log_prob(logits: Array, log_probs: Array) -> Array:
    r"""Log-density of a mixture: log sum_k softmax(logits)_k exp(log_probs_k).

    Args:
        logits: [K] unnormalised logarithms of the weights; -inf is a weight of 0.
        log_probs: [K] log-density of each component at one point.

    Returns:
        [] nats.

    Raises:
        ValueError: on shapes that differ.
        TypeError: on integer inputs.

    Source: McLachlan and Peel, Finite Mixture Models, 2000.

    Example:
        >>> log_probs = jax.numpy.log(jax.numpy.array([0.1, 0.3]))
        >>> round(float(jax.numpy.exp(mixture_log_prob(jax.numpy.zeros(2), log_probs))), 6)
        0.2
    """
    logits, log_probs = as_float("logits", logits), as_float("log_probs", log_probs)
    if logits.ndim != 1 or logits.shape != log_probs.shape:
        raise ValueError(f"logits has shape {logits.shape} and log_probs {log_probs.shape}, expected both [K].")
    return log_mean_exp(log_softmax(logits) + log_probs) + math.log(logits.shape[0])


def gaussian_mixture_log_prob(x: Array, logits: Array, means: Array, log_vars: Array) -> Array:
    r"""Log-density of a mixture of diagonal Gaussians: log sum_k softmax(logits)_k N(x; means_k, exp(log_vars_k)).

    Args:
        x: [Z] one example.
        logits: [K] unnormalised logarithms of the weights.
        means, log_vars: [K, Z]; logarithms are natural.

    Returns:
        [] nats.

    Raises:
        ValueError: on shapes that do not fit, or a NaN outside `jit`.
        TypeError: on integer inputs.

    Source: McLachlan and Peel, Finite Mixture Models, 2000.

    Example:
        >>> components = jax.numpy.zeros((3, 2))
        >>> round(float(gaussian_mixture_log_prob(jax.numpy.zeros(2), jax.numpy.zeros(3), components, components)), 4)
        -1.8379
    """
    return mixture_log_prob(logits, jax.vmap(normal_log_prob, (None, 0, 0))(x, means, log_vars))
