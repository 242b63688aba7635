"""Invertible matrices that are trained, kept as the factors of their LU decomposition."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg

from jaxvae.checks import as_seed, positive_integer
from jaxvae.flows.events import rows_of
from jaxvae.flows.records import Bijection, Key, Params
from jaxvae.networks.rows import matmul_rows

Array = jax.Array


def lu_linear(channels: int, *, seed: int = 0) -> Bijection:
    """u = W v along the last axis, W = P L (U + diag(sign exp(log_scale))): Glow's invertible 1x1 convolution.

    log |det du/dv| = places * sum(log_scale), where the places are the pixels of [H, W, C], and one for a vector [C]

    The density takes one product, a draw two triangular systems; `invert` exchanges them. L is lower triangular with
    ones on its diagonal, U strictly upper triangular; W starts as a random rotation. The permutation P and the signs
    stay as they are.

    Args:
        channels: C.
        seed: of the rotation: they are part of the layer, like the order of a `permutation`, and no parameters.

    Raises:
        ValueError, TypeError: for impossible channels or seed, and later for u whose last axis has another length.

    Source: Kingma and Dhariwal, 2018, arXiv 1807.03039, section 3.2.

    Example:
        >>> layer = lu_linear(3)
        >>> params = layer.init(jax.random.key(0), jnp.zeros((2, 2, 3)), None)
        >>> v, log_det = layer.forward(params, jnp.ones((2, 2, 3)), None)
        >>> v.shape, abs(round(float(log_det), 4))  # a rotation keeps volume
        ((2, 2, 3), 0.0)
    """
    channels = positive_integer("channels", channels)
    normal = np.random.default_rng(as_seed("seed", seed)).normal(size=(channels, channels))
    permutation, lower, upper = scipy.linalg.lu(np.linalg.qr(normal)[0])
    places = permutation.argmax(1).astype(np.int32)  # (P x)_i = x[places[i]]
    back, sign = np.argsort(places).astype(np.int32), np.sign(np.diag(upper))

    def init(key: Key, u: Array, context: Any) -> Params:
        parts = {"lower": np.tril(lower, -1), "upper": np.triu(upper, 1), "log_scale": np.log(np.abs(np.diag(upper)))}
        return {name: jnp.asarray(part, jnp.float32) for name, part in parts.items()}

    def factors(params: Params) -> tuple[Array, Array]:
        one, scale = jnp.eye(channels, dtype=params["lower"].dtype), jnp.exp(params["log_scale"])
        low = jnp.tril(params["lower"], -1) + one
        return low, jnp.triu(params["upper"], 1) + jnp.diag(jnp.asarray(sign, scale.dtype) * scale)

    def rows(value: Array) -> Array:
        return rows_of(value, channels)

    def forward(params: Params, u: Array, context: Any) -> tuple[Array, Array]:
        low, up = factors(params)
        half = jax.scipy.linalg.solve_triangular(low, rows(u)[:, back].T, lower=True, unit_diagonal=True)
        v = jax.scipy.linalg.solve_triangular(up, half, lower=False).T
        return v.reshape(u.shape), -(u.size // channels) * params["log_scale"].sum()

    def inverse(params: Params, v: Array, context: Any) -> tuple[Array, Array]:
        low, up = factors(params)
        u = matmul_rows(matmul_rows(rows(v), up.T), low.T)[:, places]
        return u.reshape(v.shape), v.size // channels * params["log_scale"].sum()

    return Bijection(init, forward, inverse)
