"""A kernel density of the codes of a trained model: a prior without parameters, for `with_prior`."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.checks import as_float, finite_number
from jaxvae.evaluation.fitted_priors.closed_form import Codes, as_codes, parameterless, standard
from jaxvae.math.numerics import log_mean_exp
from jaxvae.models.records import Conditional, Key, Params

Array = jax.Array

BANDWIDTHS = tuple(float(h) for h in np.geomspace(0.02, 1.5, 14))  # what cross-validation chooses among


def fit_kde(codes: Codes, bandwidth: str | float = "scott") -> Conditional:
    """A kernel density: the mean of N(code_n, h^2 diag(variances of the codes)) over all N codes.

    A density costs N kernels, and the codes are part of the compiled program: thin them out beyond some 10,000.

    Args:
        codes: [N, Z] floats; every latent must vary.
        bandwidth: h, in standard deviations of each latent: a number; "scott", N^(-1 / (Z + 4)); "silverman",
            (N (Z + 2) / 4)^(-1 / (Z + 4)); or "cross_validation", the best of 14 sizes on every tenth code.

    Raises:
        ValueError, TypeError: for impossible codes, a latent that never varies, or an unknown or impossible bandwidth.

    Source: Scott, Multivariate Density Estimation, 1992; Silverman, Density Estimation, 1986.

    Example:
        >>> prior = fit_kde(np.random.default_rng(0).normal(size=(100, 2)), bandwidth=0.3)
        >>> prior.sample({}, jax.random.key(0), None)[0].shape
        (2,)
    """
    center, scale = standard(codes)
    codes = as_codes(codes)
    count, size = codes.shape
    rules = {
        "scott": count ** (-1 / (size + 4)),
        "silverman": (count * (size + 2) / 4) ** (-1 / (size + 4)),
    }
    if isinstance(bandwidth, str) and bandwidth == "cross_validation":
        h = _best_bandwidth((codes - center) / scale)
    elif isinstance(bandwidth, str):
        if bandwidth not in rules:
            names = "'scott', 'silverman' or 'cross_validation'"
            raise ValueError(f"bandwidth is {bandwidth!r}, expected a positive number, {names}.")
        h = rules[bandwidth]
    else:
        finite_number("bandwidth", bandwidth, above=True)
        h = float(bandwidth)
    kernels, width = jnp.asarray((codes - center) / scale, jnp.float32), jnp.asarray(scale, jnp.float32)
    middle, log_volume = jnp.asarray(center, jnp.float32), float(np.log(scale).sum())

    def log_prob(params: Params, z: Array, context: None = None) -> Array:
        if jnp.shape(z) != (size,):
            raise ValueError(f"z has shape {jnp.shape(z)}, expected ({size},). For a batch use jax.vmap.")
        return _kernel_density((as_float("z", z) - middle) / width, kernels, h) - log_volume

    def sample(params: Params, key: Key, context: None = None) -> tuple[Array, Array]:
        key_code, key_noise = jax.random.split(key)
        chosen = kernels[jax.random.randint(key_code, (), 0, count)]
        z = middle + width * (chosen + h * jax.random.normal(key_noise, (size,), jnp.float32))
        return z, log_prob(params, z)

    return parameterless(sample, log_prob, middle)


def _kernel_density(y: Array, kernels: Array, h: Any) -> Array:
    """log (1/N) sum_n N(y; kernel_n, h^2 I) for y [Z] and kernels [N, Z]."""
    distance = jnp.sum((kernels - y[None]) ** 2, axis=1)
    return log_mean_exp(-0.5 * distance / h**2) - y.size * (0.5 * math.log(2 * math.pi) + jnp.log(h))


def _best_bandwidth(codes: np.ndarray) -> float:
    """The bandwidth under which every tenth code is likeliest, given the others."""
    held_out = np.arange(len(codes)) % 10 == 9
    if not held_out.any():
        raise ValueError(f"there are {len(codes)} codes, expected at least 10 for bandwidth 'cross_validation'.")
    kernels, judged = jnp.asarray(codes[~held_out], jnp.float32), jnp.asarray(codes[held_out], jnp.float32)

    @jax.jit
    def score(h: Array) -> Array:
        return jax.lax.map(lambda y: _kernel_density(y, kernels, h), judged, batch_size=100).mean()

    return max(BANDWIDTHS, key=lambda h: float(score(jnp.float32(h))))
