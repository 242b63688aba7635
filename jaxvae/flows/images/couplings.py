"""Couplings of pictures: some channels, or some pixels, decide how the others are moved."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.checks import as_float
from jaxvae.flows.events import event
from jaxvae.flows.images.layers import picture
from jaxvae.flows.records import Bijection, Conditioner, Key, Params
from jaxvae.flows.transforms import Transform, affine_transform, check_transform
from jaxvae.randomness import applied

Array = jax.Array
Move = Callable[[Array, Array], tuple[Array, Array]]


def channel_coupling(
    network: Conditioner, event_shape: tuple[int, ...], transform: Transform | None = None
) -> Bijection:
    """v_kept = u_kept, v_moved = transform(network(u_kept), u_moved): the first C // 2 channels are kept.

    Args:
        network: `.apply(variables, h)` returns [H, W, moved * transform.size] numbers for the kept channels
            [H, W, C // 2], such as `ConditionerConv(size)`; with a context, its numbers stand beside those of every
            pixel.
        event_shape: (H, W, C), at least two channels: `squeezed` makes four of one.
        transform: how one element is moved, by default `affine_transform()`.

    Raises:
        ValueError, TypeError: for one channel or an impossible transform, and later, when the network emits another
            shape.

    Source: Dinh, Sohl-Dickstein and Bengio, 2017, arXiv 1605.08803; Kingma and Dhariwal, 2018, arXiv 1807.03039.

    Example:
        >>> from jaxvae.networks.conditioner import ConditionerConv
        >>> layer = channel_coupling(ConditionerConv(2, features=4), (4, 4, 2))
        >>> params = layer.init(jax.random.key(0), jnp.zeros((4, 4, 2)), None)
        >>> bool((layer.forward(params, jnp.ones((4, 4, 2)), None)[0] == 1.0).all())
        True
    """
    height, width, channels = shape = picture(event_shape)
    transform = affine_transform() if transform is None else transform
    check_transform(transform)
    if channels < 2:
        raise ValueError(
            f"event_shape is {shape}, expected at least 2 channels: some decide how the others are moved. Squeeze the "
            f"pixels into channels first, or use masked_coupling."
        )
    kept, moved = channels // 2, channels - channels // 2
    expected = (height, width, moved * transform.size)

    def init(key: Key, u: Array, context: Any) -> Params:
        return {"network": network.init(key, beside(event(u, shape)[..., :kept], context))}

    def moved_by(move: Move) -> Callable[..., tuple[Array, Array]]:
        def apply(params: Params, u: Array, context: Any) -> tuple[Array, Array]:
            u = event(u, shape)
            raw = _emitted(network, params, beside(u[..., :kept], context), expected)
            v, log_slope = _each(move, transform.size, raw, u[..., kept:])
            return jnp.concatenate([u[..., :kept], v], -1), log_slope.sum()

        return apply

    return Bijection(init, moved_by(transform.forward), moved_by(transform.inverse))


def masked_coupling(network: Conditioner, mask: Any, transform: Transform | None = None) -> Bijection:
    """v = u where the mask is true, transform(network(mask u), u) elsewhere: RealNVP's layer at full resolution.

    Args:
        network: `.apply(variables, h)` returns [H, W, C * transform.size] numbers for h [H, W, C], in which what the
            mask leaves out is 0.
        mask: bool [H, W, C], such as `checkerboard((H, W, C))`; some elements true and some false.
        transform: how one element is moved, by default `affine_transform()`.

    Raises:
        ValueError, TypeError: for another mask or transform, and later, when the network emits another shape.

    Source: Dinh, Sohl-Dickstein and Bengio, 2017, arXiv 1605.08803, section 3.4.

    Example:
        >>> from jaxvae.networks.conditioner import ConditionerConv
        >>> layer = masked_coupling(ConditionerConv(2, features=4), checkerboard((4, 4, 1)))
        >>> params = layer.init(jax.random.key(0), jnp.zeros((4, 4, 1)), None)
        >>> layer.forward(params, jnp.ones((4, 4, 1)), None)[0].shape
        (4, 4, 1)
    """
    seen = np.asarray(mask)
    if seen.dtype != bool or seen.ndim != 3 or seen.all() or not seen.any():
        raise ValueError(
            f"mask has dtype {seen.dtype} and shape {seen.shape}, expected bools [H, W, C], some true and some false."
        )
    transform = affine_transform() if transform is None else transform
    check_transform(transform)
    shape = seen.shape
    expected = (*shape[:2], shape[2] * transform.size)

    def init(key: Key, u: Array, context: Any) -> Params:
        return {"network": network.init(key, beside(jnp.where(seen, event(u, shape), 0.0), context))}

    def moved_by(move: Move) -> Callable[..., tuple[Array, Array]]:
        def apply(params: Params, u: Array, context: Any) -> tuple[Array, Array]:
            u = event(u, shape)
            raw = _emitted(network, params, beside(jnp.where(seen, u, 0.0), context), expected)
            v, log_slope = _each(move, transform.size, raw, u)
            return jnp.where(seen, u, v), jnp.where(seen, 0.0, log_slope).sum()

        return apply

    return Bijection(init, moved_by(transform.forward), moved_by(transform.inverse))


def checkerboard(event_shape: tuple[int, ...], *, odd: bool = False) -> np.ndarray:
    """Bool [H, W, C]: true on the fields of one colour, those of even row plus column, or of odd.

    Example:
        >>> checkerboard((2, 2, 1))[..., 0].tolist()
        [[True, False], [False, True]]
    """
    rows, columns, _ = np.indices(picture(event_shape))
    return np.asarray((rows + columns) % 2 == int(odd))


def beside(h: Array, context: Any) -> Array:
    """h [H, W, C] with the numbers of the context as further channels of every pixel.

    Example:
        >>> beside(jnp.zeros((4, 4, 2)), jnp.ones(3)).shape
        (4, 4, 5)
    """
    if context is None:
        return h
    told = jnp.ravel(context)
    return jnp.concatenate([h, jnp.broadcast_to(told, (*h.shape[:2], told.size))], -1)


def _emitted(network: Conditioner, params: Params, h: Array, expected: tuple[int, ...]) -> Array:
    raw = as_float("the coupling network's output", applied(network, params["network"], h))
    if raw.shape != expected:
        raise ValueError(
            f"the coupling network returned shape {raw.shape}, expected {expected}. Check its last layer, or build it "
            f"with ConditionerConv({expected[2]})."
        )
    return raw


def _each(move: Move, size: int, raw: Array, u: Array) -> tuple[Array, Array]:
    """The move of every element of u [H, W, M], by the numbers raw [H, W, M * size]: (v, log-slopes [H, W, M])."""
    v, log_slope = jax.vmap(move)(raw.reshape(-1, size), u.reshape(-1))
    return v.reshape(u.shape), log_slope.reshape(u.shape)
