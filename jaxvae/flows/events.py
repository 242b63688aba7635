"""Maps between a vector and an event of any shape, and between the real line and pixels on [0, 1]."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.checks import as_float, finite_number, positive_integer
from jaxvae.flows.records import Bijection, Params, vector

Array = jax.Array


def unflatten(event_shape: tuple[int, ...], patch: int = 1) -> Bijection:
    """v = u in the shape of an event, from a vector in the order of `v.ravel()`; its log-determinant is 0.

    Args:
        event_shape: of v.
        patch: of a picture, the vector holds one square after the other, of so many pixels a side.

    Raises:
        ValueError: for a patch that does not divide the sides of a picture, or of another event.

    Example:
        >>> unflatten((2, 1)).forward({}, jnp.array([1.0, 2.0]), None)[0].tolist()
        [[1.0], [2.0]]
        >>> unflatten((2, 4, 1), patch=2).forward({}, jnp.arange(8.0), None)[0][..., 0].tolist()
        [[0.0, 1.0, 4.0, 5.0], [2.0, 3.0, 6.0, 7.0]]
    """
    size = math.prod(event_shape)
    if positive_integer("patch", patch) > 1 and (len(event_shape) != 3 or any(n % patch for n in event_shape[:2])):
        raise ValueError(f"patch is {patch}, expected a divisor of both sides of a picture, here {event_shape}.")
    height, width, channels = event_shape if patch > 1 else (1, size, 1)
    squares = height // patch, width // patch, patch, patch, channels

    def forward(params: Params, u: Array, context: Any) -> tuple[Array, Array]:
        u = vector(u, size)
        if patch > 1:
            u = u.reshape(squares).transpose(0, 2, 1, 3, 4)
        return u.reshape(event_shape), jnp.zeros((), u.dtype)

    def inverse(params: Params, v: Array, context: Any) -> tuple[Array, Array]:
        v = event(v, event_shape)
        if patch > 1:
            v = v.reshape(squares[0], patch, squares[1], patch, channels).transpose(0, 2, 1, 3, 4)
        return v.reshape(-1), jnp.zeros((), v.dtype)

    return Bijection(lambda key, u, context: {}, forward, inverse)


def from_logits(margin: float = 1e-6) -> Bijection:
    """v = (sigmoid(u) - a) / (1 - 2 a): real numbers of any shape to pixels on [0, 1], with the margin a.

    u = logit(a + (1 - 2 a) v),    log |du/dv| = sum log(1 - 2 a) - log s - log(1 - s),    s = a + (1 - 2 a) v

    Nats of a flow that ends in it are those of v itself. The margin keeps the logits of 0 and 1 finite; a draw may lie
    outside [0, 1] by a / (1 - 2 a), and what lies further outside has the density 0.

    Args:
        margin: a, at least 0 and below 1/2. Papamakarios et al. took 1e-6 for MNIST and 0.05 for CIFAR-10.

    Raises:
        ValueError, TypeError: for a margin outside [0, 1/2).

    Source: Dinh, Sohl-Dickstein and Bengio, 2017, arXiv 1605.08803, section 4.1.

    Example:
        >>> v, log_det = from_logits(0.05).forward({}, jnp.zeros((1, 1, 1)), None)
        >>> round(float(v[0, 0, 0]), 4), round(float(jnp.exp(log_det)), 4)  # (1/4) / 0.9
        (0.5, 0.2778)
    """
    finite_number("margin", margin)
    if not margin < 0.5:
        raise ValueError(f"margin is {margin}, expected less than 0.5, such as 1e-6.")
    width = 1.0 - 2.0 * margin

    def forward(params: Params, u: Array, context: Any) -> tuple[Array, Array]:
        u = as_float("the flow's input", u)
        near = (jax.nn.sigmoid(-jnp.abs(u)) - margin) / width  # from the nearer end, where float32 has digits
        v = jnp.where(u > 0.0, 1.0 - near, near)
        return v, (jax.nn.log_sigmoid(u) + jax.nn.log_sigmoid(-u) - jnp.log(width)).sum()

    def inverse(params: Params, v: Array, context: Any) -> tuple[Array, Array]:
        v = as_float("the flow's input", v)
        s, rest = margin + width * v, margin + width * (1.0 - v)
        inside = (s > 0.0) & (rest > 0.0)
        below, above = jnp.log(jnp.where(inside, s, 0.5)), jnp.log(jnp.where(inside, rest, 0.5))
        return below - above, jnp.where(inside, jnp.log(width) - below - above, -jnp.inf).sum()

    return Bijection(lambda key, u, context: {}, forward, inverse)


def rows_of(value: Array, channels: int) -> Array:
    """The value [..., C] as rows [N, C]; raises `ValueError` for another last axis.

    Example:
        >>> rows_of(jnp.zeros((2, 3, 4)), 4).shape
        (6, 4)
    """
    value = as_float("the flow's input", value)
    if value.ndim == 0 or value.shape[-1] != channels:
        raise ValueError(f"the flow's input has shape {value.shape}, expected a last axis of {channels}.")
    return value.reshape(-1, channels)


def event(value: Array, event_shape: tuple[int, ...]) -> Array:
    """The value as a float array of the event's shape; raises `ValueError` for another shape.

    Example:
        >>> event(jnp.zeros((2, 1)), (2, 1)).shape
        (2, 1)
    """
    value = as_float("the flow's input", value)
    if value.shape != tuple(event_shape):
        raise ValueError(
            f"the flow's input has shape {value.shape}, expected one example {tuple(event_shape)}. Build the layer "
            f"for that shape; for a batch use jax.vmap."
        )
    return value
