"""Invertible maps of one number whose parameters a network emits: what coupling and autoregressive layers share."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxvae.checks import finite_number
from jaxvae.flows.records import soft_bound

Array = jax.Array


class Transform(NamedTuple):
    """An increasing map of one number, given `size` unconstrained numbers; all zeros give the identity.

    Attributes:
        size: how many numbers a network must emit for each element.
        forward: (raw [size], u []) -> (v [], log dv/du []).
        inverse: (raw [size], v []) -> (u [], log du/dv []).
    """

    size: int
    forward: Callable[[Array, Array], tuple[Array, Array]]
    inverse: Callable[[Array, Array], tuple[Array, Array]]


def affine_transform(limit: float = 3.0) -> Transform:
    """v = exp(s) u + t, with t = raw_1 and s = limit tanh(raw_0 / limit).

    The soft bound keeps one layer's scale in [exp(-limit), exp(limit)], so that no input and no weight can make a
    chain overflow; near 0 it is the identity, and s is raw_0 itself.

    Raises:
        ValueError, TypeError: unless limit is finite and above 0.

    Source: Dinh, Sohl-Dickstein and Bengio, 2017, arXiv 1605.08803.

    Example:
        >>> v, log_slope = affine_transform().forward(jnp.array([0.0, 5.0]), jnp.float32(2.0))
        >>> float(v), float(log_slope)
        (7.0, 0.0)
    """
    finite_number("limit", limit, above=True)

    def forward(raw: Array, u: Array) -> tuple[Array, Array]:
        log_scale = soft_bound(raw[0], limit)
        return jnp.exp(log_scale) * u + raw[1], log_scale

    def inverse(raw: Array, v: Array) -> tuple[Array, Array]:
        log_scale = soft_bound(raw[0], limit)
        return (v - raw[1]) * jnp.exp(-log_scale), -log_scale

    return Transform(2, forward, inverse)


def check_transform(value: Any) -> None:
    """Raises `TypeError` unless the value is a `Transform`."""
    if not isinstance(value, Transform):
        raise TypeError(f"transform is {value!r}, expected a Transform. Call one, such as affine_transform().")
