"""Layers of pictures without a network: pixels traded for channels, and channels that start from data."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.checks import positive_integer
from jaxvae.flows.elementary import LEAST
from jaxvae.flows.events import event, rows_of
from jaxvae.flows.records import Bijection, Key, Params

Array = jax.Array


def squeezed(event_shape: tuple[int, ...]) -> Bijection:
    """v [H, W, C] from u [H/2, W/2, 4 C]: each block of 2x2 pixels is one pixel of four times the channels.

    Channel 4 c + 2 i + j of u is row i and column j of the block in channel c; the log-determinant is 0.

    Args:
        event_shape: (H, W, C) of v, of even height and width.

    Raises:
        ValueError: for odd sides, or what is no picture.

    Source: Dinh, Sohl-Dickstein and Bengio, 2017, arXiv 1605.08803, section 3.6.

    Example:
        >>> squeezed((2, 2, 1)).inverse({}, jnp.arange(4.0).reshape(2, 2, 1), None)[0].tolist()
        [[[0.0, 1.0, 2.0, 3.0]]]
    """
    height, width, channels = picture(event_shape)
    if height % 2 or width % 2:
        raise ValueError(
            f"event_shape is {tuple(event_shape)}, whose sides are not both even: blocks of 2x2 pixels do not cover "
            f"it. Take fewer scales, or pad or crop the pictures to even sides."
        )
    small = (height // 2, width // 2, 4 * channels)

    def forward(params: Params, u: Array, context: Any) -> tuple[Array, Array]:
        blocks = event(u, small).reshape(height // 2, width // 2, channels, 2, 2)
        return blocks.transpose(0, 3, 1, 4, 2).reshape(height, width, channels), jnp.zeros((), u.dtype)

    def inverse(params: Params, v: Array, context: Any) -> tuple[Array, Array]:
        blocks = event(v, (height, width, channels)).reshape(height // 2, 2, width // 2, 2, channels)
        return blocks.transpose(0, 2, 4, 1, 3).reshape(small), jnp.zeros((), v.dtype)

    return Bijection(lambda key, u, context: {}, forward, inverse)


def actnorm(channels: int) -> Bijection:
    """v = exp(log_scale) u + shift, one scale and one shift for each channel of [..., C].

    log |det dv/du| = places * sum(log_scale)

    Started from data, u has mean 0 and standard deviation 1 in each channel. Without data it starts as the identity, so
    that there is no state in which it could not be drawn from.

    Args:
        channels: C.

    Raises:
        ValueError, TypeError: for impossible channels, and later for u whose last axis has another length.

    Source: Kingma and Dhariwal, 2018, arXiv 1807.03039, section 3.1.

    Example:
        >>> layer = actnorm(1)
        >>> params = layer.start(layer.init(None, None, None), jnp.array([[[[2.0], [4.0]]]]), None)
        >>> layer.inverse(params, jnp.array([[[2.0], [4.0]]]), None)[0].ravel().tolist()
        [-1.0, 1.0]
    """
    channels = positive_integer("channels", channels)

    def init(key: Key, u: Array, context: Any) -> Params:
        return {name: jnp.zeros(channels, jnp.float32) for name in ("log_scale", "shift")}

    def rows(value: Array) -> Array:
        return rows_of(value, channels)

    def forward(params: Params, u: Array, context: Any) -> tuple[Array, Array]:
        v = jnp.exp(params["log_scale"])[None] * rows(u) + params["shift"][None]
        return v.reshape(u.shape), u.size // channels * params["log_scale"].sum()

    def inverse(params: Params, v: Array, context: Any) -> tuple[Array, Array]:
        u = (rows(v) - params["shift"][None]) * jnp.exp(-params["log_scale"])[None]
        return u.reshape(v.shape), -(v.size // channels) * params["log_scale"].sum()

    def start(params: Params, v: Array, contexts: Any) -> Params:
        seen = rows(v)
        return {"log_scale": jnp.log(jnp.maximum(seen.std(0), LEAST)), "shift": seen.mean(0)}

    return Bijection(init, forward, inverse, start)


def picture(event_shape: tuple[int, ...]) -> tuple[int, int, int]:
    """The shape as (H, W, C); raises `ValueError` for any other number of axes.

    Example:
        >>> picture((28, 28, 1))
        (28, 28, 1)
    """
    shape = tuple(positive_integer("a side of event_shape", side) for side in event_shape)
    if len(shape) != 3:
        raise ValueError(f"event_shape is {shape}, expected that of a picture, (H, W, C).")
    return shape[0], shape[1], shape[2]
