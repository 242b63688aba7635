"""The maps that a lecture on change of variables starts from: affine, a permutation, a matrix, any smooth map."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.checks import finite_number, positive_integer
from jaxvae.flows.records import Bijection, Key, Params, vector
from jaxvae.math.matrices import log_abs_det
from jaxvae.traced import log

Array = jax.Array
LEAST = 1e-3  # of a scale that data start: a column without spread has none


def affine(latent_dim: int, *, scale: float = 1.0, shift: float = 0.0) -> Bijection:
    """v = exp(log_scale) u + shift, element by element, with trained log_scale [Z] and shift [Z].

    Args:
        latent_dim: the number of dimensions Z.
        scale: where every scale starts, above 0. The logarithm is what is kept and trained; it is not bounded.
        shift: where every shift starts.

    Source: Dinh, Krueger and Bengio, 2014, arXiv 1410.8516, section 3.3.

    Example:
        >>> double = affine(1, scale=2.0, shift=1.0)  # Y = 2 X + 1 takes [0, 1] to [1, 3] and halves the density
        >>> params = double.init(jax.random.key(0), jnp.zeros(1), None)
        >>> u, log_det = double.inverse(params, jnp.array([3.0]), None)
        >>> round(float(u[0]), 4), round(float(jnp.exp(log_det)), 4)
        (1.0, 0.5)
    """
    latent_dim = positive_integer("latent_dim", latent_dim)
    finite_number("scale", scale, above=True)
    finite_number("shift", shift, low=-math.inf)

    def init(key: Key, u: Array, context: Any) -> Params:
        start = {"log_scale": log(scale), "shift": shift}
        return {name: jnp.full(latent_dim, value, jnp.float32) for name, value in start.items()}

    def forward(params: Params, u: Array, context: Any) -> tuple[Array, Array]:
        u = vector(u, latent_dim)
        return jnp.exp(params["log_scale"]) * u + params["shift"], params["log_scale"].sum()

    def inverse(params: Params, v: Array, context: Any) -> tuple[Array, Array]:
        v = vector(v, latent_dim)
        return (v - params["shift"]) * jnp.exp(-params["log_scale"]), -params["log_scale"].sum()

    def start(params: Params, v: Array, contexts: Any) -> Params:
        """Such that u has mean 0 and standard deviation 1 over the data."""
        return {"log_scale": jnp.log(jnp.maximum(v.std(0), LEAST)), "shift": v.mean(0)}

    return Bijection(init, forward, inverse, start)


def permutation(order: Sequence[int]) -> Bijection:
    """v_i = u_order[i]; it has no parameters and its log-determinant is 0.

    Raises:
        ValueError: if order is no permutation of 0..Z-1.

    Example:
        >>> permutation([2, 0, 1]).forward({}, jnp.array([10.0, 20.0, 30.0]), None)[0].tolist()
        [30.0, 10.0, 20.0]
    """
    places = np.asarray(order)
    if places.size and not np.issubdtype(places.dtype, np.integer):
        raise TypeError(f"order is {order!r}, expected integers, each of 0..Z-1 once, such as [2, 0, 1].")
    if places.ndim != 1 or not places.size or not np.array_equal(np.sort(places), np.arange(places.size)):
        raise ValueError(f"order is {order!r}, expected each of 0..Z-1 once, such as [2, 0, 1].")
    places, back = places.astype(np.int32), np.argsort(places).astype(np.int32)

    def forward(params: Params, u: Array, context: Any) -> tuple[Array, Array]:
        u = vector(u, places.size)
        return u[places], jnp.zeros((), u.dtype)

    def inverse(params: Params, v: Array, context: Any) -> tuple[Array, Array]:
        v = vector(v, places.size)
        return v[back], jnp.zeros((), v.dtype)

    return Bijection(_no_params, forward, inverse)


def reverse_order(latent_dim: int) -> Bijection:
    """v_i = u_(Z-1-i), the permutation to put between autoregressive layers.

    Example:
        >>> reverse_order(3).forward({}, jnp.array([1.0, 2.0, 3.0]), None)[0].tolist()
        [3.0, 2.0, 1.0]
    """
    return permutation(range(positive_integer("latent_dim", latent_dim))[::-1])


def linear_map(matrix: Any) -> Bijection:
    """v = T u for a fixed invertible matrix T: the unit cube becomes a parallelepiped of volume |det T|.

    Args:
        matrix: [Z, Z], rows first: v_i = sum_j T_ij u_j.

    Raises:
        ValueError: if the matrix is not square, not finite, or singular to working precision (condition number
            above 1e7).

    Example:
        >>> shear = linear_map([[2.0, 1.0], [0.0, 3.0]])
        >>> v, log_det = shear.forward({}, jnp.array([1.0, 1.0]), None)
        >>> v.tolist(), round(float(jnp.exp(log_det)), 4)
        ([3.0, 3.0], 6.0)
    """
    rows = np.asarray(matrix, np.float64)
    if rows.ndim != 2 or rows.shape[0] != rows.shape[1] or not rows.size:
        raise ValueError(f"matrix has shape {rows.shape}, expected a square (Z, Z).")
    if not np.isfinite(rows).all() or not np.linalg.cond(rows) < 1e7:
        raise ValueError(f"matrix is {rows.tolist()}, expected finite numbers and independent rows: it has no inverse.")
    inverted, log_det = np.linalg.inv(rows), float(np.linalg.slogdet(rows)[1])

    def forward(params: Params, u: Array, context: Any) -> tuple[Array, Array]:
        u = vector(u, len(rows))
        return jnp.asarray(rows, u.dtype) @ u, jnp.asarray(log_det, u.dtype)

    def inverse(params: Params, v: Array, context: Any) -> tuple[Array, Array]:
        v = vector(v, len(rows))
        return jnp.asarray(inverted, v.dtype) @ v, jnp.asarray(-log_det, v.dtype)

    return Bijection(_no_params, forward, inverse)


def smooth_map(function: Callable[[Array], Array], inverse_function: Callable[[Array], Array]) -> Bijection:
    """v = function(u) for any smooth invertible function; the log-determinant is that of its autodiff Jacobian.

    The Jacobian is made whole and costs Z^3: for teaching and for few dimensions.

    Args:
        function: [Z] -> [Z].
        inverse_function: [Z] -> [Z], such that inverse_function(function(u)) = u; this is not checked.

    Raises:
        ValueError: when called, if a function does not return the shape it was given.

    Example:
        >>> v, log_det = smooth_map(jnp.exp, jnp.log).forward({}, jnp.array([1.0, 2.0]), None)
        >>> float(log_det)
        3.0
    """

    def mapped(call: Callable[[Array], Array]) -> Callable[[Params, Array, Any], tuple[Array, Array]]:
        def apply(params: Params, u: Array, context: Any) -> tuple[Array, Array]:
            u = vector(u, jnp.size(u))
            v = call(u)
            if jnp.shape(v) != u.shape:
                raise ValueError(f"the function returned shape {jnp.shape(v)} for {u.shape}, expected the same shape.")
            return v, log_abs_det(jax.jacfwd(call)(u))

        return apply

    return Bijection(_no_params, mapped(function), mapped(inverse_function))


def _no_params(key: Key, u: Array, context: Any) -> Params:
    return {}
