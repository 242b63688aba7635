"""Radial flows: the space is pulled towards a point, or pushed away from it."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.checks import positive_integer
from jaxvae.flows.planar_flow import above_minus_one
from jaxvae.flows.records import Bijection, Key, Params, soft_bound, vector

Array = jax.Array

LOG_RADIUS = 5.0  # the logarithm of alpha is softly bounded by it


def radial(latent_dim: int) -> Bijection:
    r"""v = u + rho h (u - centre), h = alpha / (alpha + r), r = |u - centre|; invertible for all its parameters.

    log |det dv/du| = (Z - 1) log(1 + rho h) + log(1 + rho h^2)

    In the paper's symbols beta = rho alpha and the condition is beta >= -alpha, that is rho >= -1. Here
    rho = `above_minus_one`(rho_raw) keeps it above -0.99, and it is 0 where rho_raw is 0. alpha = exp(5
    tanh(log_alpha / 5)). The inverse solves a quadratic in r and is as fast as the forward direction.

    Args:
        latent_dim: the number of dimensions Z.

    Source: Rezende and Mohamed, 2015, arXiv 1505.05770, equation 14 and appendix A.2; Tabak and Turner, 2013.

    Example:
        >>> layer = radial(2)
        >>> params = layer.init(jax.random.key(0), jnp.zeros(2), None)
        >>> v, log_det = layer.forward(params, jnp.array([0.5, -1.0]), None)
        >>> [round(float(x), 4) for x in layer.inverse(params, v, None)[0]]
        [0.5, -1.0]
    """
    latent_dim = positive_integer("latent_dim", latent_dim)

    def init(key: Key, u: Array, context: Any) -> Params:
        key_c, key_r = jax.random.split(key)
        return {
            "centre": 0.1 * jax.random.normal(key_c, (latent_dim,), jnp.float32),
            "log_alpha": jnp.zeros((), jnp.float32),
            "rho_raw": 0.01 * jax.random.normal(key_r, (), jnp.float32),
        }

    def shape(params: Params) -> tuple[Array, Array]:
        return jnp.exp(soft_bound(params["log_alpha"], LOG_RADIUS)), above_minus_one(params["rho_raw"])

    def log_determinant(rho: Array, h: Array) -> Array:
        return (latent_dim - 1) * jnp.log1p(rho * h) + jnp.log1p(rho * h**2)

    def forward(params: Params, u: Array, context: Any) -> tuple[Array, Array]:
        offset = vector(u, latent_dim) - params["centre"]
        alpha, rho = shape(params)
        h = alpha / (alpha + length(offset))
        return u + rho * h * offset, log_determinant(rho, h)

    def inverse(params: Params, v: Array, context: Any) -> tuple[Array, Array]:
        offset = vector(v, latent_dim) - params["centre"]
        alpha, rho = shape(params)
        far = length(offset)
        # r + rho alpha r / (alpha + r) = far is r^2 + b r - alpha far = 0; of two forms of its root, the one that adds.
        b = alpha * (1.0 + rho) - far
        spread = jnp.sqrt(b**2 + 4.0 * alpha * far)
        r = jnp.where(b > 0.0, 2.0 * alpha * far / (jnp.abs(b) + spread), 0.5 * (jnp.abs(b) + spread))
        h = alpha / (alpha + r)
        return params["centre"] + offset / (1.0 + rho * h), -log_determinant(rho, h)

    return Bijection(init, forward, inverse)


def length(x: Array) -> Array:
    """|x| with gradient 0 instead of NaN at x = 0.

    Example:
        >>> float(length(jnp.array([3.0, 4.0]))), jax.grad(length)(jnp.zeros(2)).tolist()
        (5.0, [0.0, 0.0])
    """
    square = x @ x
    apart = square > 1e-30
    return jnp.where(apart, jnp.sqrt(jnp.where(apart, square, 1.0)), 0.0)
