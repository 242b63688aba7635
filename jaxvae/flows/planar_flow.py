"""Planar flows: the space is stretched or squeezed across one hyperplane."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.checks import positive_integer
from jaxvae.flows.records import Bijection, Key, Params, vector
from jaxvae.math.numerics import expm1_minus

Array = jax.Array

LIMIT = 0.99  # a layer's slope is at least 1 - LIMIT along its one direction, so that float32 still inverts it to 1e-4
BISECTIONS = {jnp.dtype("float32"): 40, jnp.dtype("float64"): 70}  # until the interval is below the last digit


def planar(latent_dim: int) -> Bijection:
    r"""v = u + s tanh(w . u + b), invertible for every value of its parameters w [Z], u_raw [Z] and b [].

    log |det dv/du| = log(1 + (w . s) (1 - tanh(w . u + b)^2))

    The map is invertible if and only if w . s > -1, and the paper gets there by s = u_raw + (m(w . u_raw) - w . u_raw)
    w / |w|^2 with m(x) = log(1 + exp(x)) - 1, which has no limit as w goes to 0. Here m(x) = x for x >= 0 and
    c (exp(x / c) - 1) below, c = 0.99: then s = u_raw wherever nothing needs mending, the correction fades with w, and
    the log-determinant stays above log 0.01.

    The forward direction is the fast one. The inverse solves for the scalar w . u by bisection, and its gradient is
    that of the implicit function.

    Args:
        latent_dim: the number of dimensions Z.

    Source: Rezende and Mohamed, 2015, arXiv 1505.05770, equations 10 to 12 and appendix A.1.

    Example:
        >>> layer = planar(2)
        >>> params = layer.init(jax.random.key(0), jnp.zeros(2), None)
        >>> v, log_det = layer.forward(params, jnp.array([0.5, -1.0]), None)
        >>> [round(float(x), 4) for x in layer.inverse(params, v, None)[0]]
        [0.5, -1.0]
    """
    latent_dim = positive_integer("latent_dim", latent_dim)

    def init(key: Key, u: Array, context: Any) -> Params:
        key_w, key_u = jax.random.split(key)
        return {
            "w": jax.random.normal(key_w, (latent_dim,), jnp.float32) / latent_dim**0.5,
            "u_raw": 0.01 * jax.random.normal(key_u, (latent_dim,), jnp.float32),
            "b": jnp.zeros((), jnp.float32),
        }

    def direction(params: Params) -> tuple[Array, Array, Array]:
        """w, s, and w . s without the rounding of a sum."""
        w, raw = params["w"], params["u_raw"]
        along, square = w @ raw, w @ w
        # m(x) - x by the primitive that does not cancel; it goes as |w|^2, so that nothing grows where w vanishes.
        excess = LIMIT * expm1_minus(jnp.minimum(along, 0.0) / LIMIT)
        there = square > 1e-18  # below, its own square underflows in the derivative
        return w, raw + jnp.where(there, excess / jnp.where(there, square, 1.0), 0.0) * w, above_minus_one(along)

    def forward(params: Params, u: Array, context: Any) -> tuple[Array, Array]:
        u = vector(u, latent_dim)
        w, s, slope = direction(params)
        height = jnp.tanh(w @ u + params["b"])
        return u + s * height, jnp.log1p(slope * (1.0 - height**2))

    def inverse(params: Params, v: Array, context: Any) -> tuple[Array, Array]:
        v = vector(v, latent_dim)
        w, s, slope = direction(params)
        along = root(lambda a: a + slope * jnp.tanh(a + params["b"]), w @ v, jnp.abs(slope))
        height = jnp.tanh(along + params["b"])
        return v - s * height, -jnp.log1p(slope * (1.0 - height**2))

    return Bijection(init, forward, inverse)


def above_minus_one(x: Array) -> Array:
    """x for x >= 0, and below a smooth bend that never falls under -LIMIT; 0 at 0, with slope 1.

    Example:
        >>> float(above_minus_one(jnp.float32(2.0))), float(above_minus_one(jnp.float32(-1e3)))
        (2.0, -0.9900000095367432)
    """
    return jnp.where(x >= 0.0, x, LIMIT * jnp.expm1(jnp.minimum(x, 0.0) / LIMIT))


def root(function: Any, target: Array, width: Array) -> Array:
    """The scalar a within `width` of the target where an increasing function(a) = target; by bisection.

    `custom_root` gives it the derivative of the implicit function: bisection itself has none.

    Example:
        >>> round(float(root(lambda a: a + 0.5 * jnp.tanh(a), jnp.float32(1.0), jnp.float32(0.5))), 4)
        0.6983
    """

    def solve(residual: Any, start: Array) -> Array:
        def halve(_: int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
            low, high = ends
            middle = 0.5 * (low + high)
            below = residual(middle) < 0.0
            return jnp.where(below, middle, low), jnp.where(below, high, middle)

        reach = jax.lax.stop_gradient(width)
        low, high = jax.lax.fori_loop(0, BISECTIONS[start.dtype], halve, (start - reach, start + reach))
        return 0.5 * (low + high)

    return jax.lax.custom_root(
        lambda a: function(a) - target, target, solve, lambda linear, y: y / linear(jnp.ones_like(y))
    )
