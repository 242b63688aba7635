"""Glow: steps of actnorm, an invertible 1x1 convolution and a coupling, at several scales."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.checks import positive_integer
from jaxvae.flows.events import event, unflatten
from jaxvae.flows.images.couplings import beside, channel_coupling
from jaxvae.flows.images.layers import actnorm, picture, squeezed
from jaxvae.flows.lu import lu_linear
from jaxvae.flows.records import Bijection, Conditioner, Key, Params, chain, check_bijection, soft_bound, vector
from jaxvae.flows.transforms import Transform
from jaxvae.randomness import applied

Array = jax.Array
MakeNetwork = Callable[[int], Conditioner]
LIMIT = 5.0  # of the log-scale of what leaves


def glow(
    event_shape: tuple[int, ...],
    make_network: MakeNetwork,
    *,
    scales: int = 2,
    steps: int = 4,
    transform: Transform | None = None,
) -> Bijection:
    """A flow of pictures v [H, W, C] from a vector u [H W C], for `flow_model`, at several scales.

    At each scale, in the direction of the density: 2x2 pixels become channels (`squeezed`), `steps` steps of `actnorm`,
    `lu_linear` and `channel_coupling`, then half of the channels leave, as a Gaussian of the half that stays (`split`).

    Args:
        event_shape: (H, W, C), whose sides halve `scales` times.
        make_network: (size) -> a network [H, W, ...] -> [H, W, size] that starts at 0, such as
            `functools.partial(ConditionerConv, features=32)`.
        scales, steps: how many.
        transform: of the couplings, by default `affine_transform()`.

    Raises:
        ValueError: for sides that do not halve so often.

    Source: Kingma and Dhariwal, 2018, arXiv 1807.03039.

    Example:
        >>> from jaxvae.networks.conditioner import ConditionerConv
        >>> flow = glow((4, 4, 1), lambda size: ConditionerConv(size, features=4), scales=2, steps=1)
        >>> params = flow.init(jax.random.key(0), jnp.zeros(16), None)
        >>> v, log_det = flow.forward(params, jnp.ones(16), None)
        >>> v.shape, abs(round(float(log_det), 4))  # starts as a rotation
        ((4, 4, 1), 0.0)
    """
    height, width, channels = picture(event_shape)
    scales, steps = positive_integer("scales", scales), positive_integer("steps", steps)
    if height % 2**scales or width % 2**scales:
        raise ValueError(
            f"event_shape is {tuple(event_shape)}, whose sides do not halve {scales} times. Take fewer scales, or pad "
            f"or crop the pictures to multiples of {2**scales}."
        )
    small = (height // 2, width // 2, 4 * channels)

    def step(index: int) -> list[Bijection]:
        moved = small[2] - small[2] // 2
        network = make_network(moved * (2 if transform is None else transform.size))
        return [channel_coupling(network, small, transform), lu_linear(small[2], seed=index), actnorm(small[2])]

    layers = [layer for index in range(steps) for layer in step(scales * 1000 + index)]
    if scales == 1:
        below = chain(unflatten(small), actnorm(small[2]))
    else:
        rest = (*small[:2], small[2] // 2)
        inner = glow(rest, make_network, scales=scales - 1, steps=steps, transform=transform)
        below = split(inner, make_network(2 * (small[2] - rest[2])), small)
    return chain(below, *layers, squeezed((height, width, channels)))


def split(rest: Bijection, network: Conditioner, event_shape: tuple[int, ...]) -> Bijection:
    """v [H, W, C] from a vector u: half of the channels by `rest`, the others as a Gaussian of those.

    h = rest(u_1) [H, W, C // 2],    z = m(h) + exp(s(h)) u_2,    v = (h, z)

    Args:
        rest: a bijection of a vector to [H, W, C // 2].
        network: [H, W, C // 2] -> [H, W, 2 (C - C // 2)]: m, then s, softly bounded by 5.
        event_shape: (H, W, C).

    Source: Dinh, Sohl-Dickstein and Bengio, 2017, arXiv 1605.08803, section 3.6; the Gaussian is learned in Kingma and
        Dhariwal, 2018, arXiv 1807.03039.

    Example:
        >>> from jaxvae.networks.conditioner import ConditionerConv
        >>> layer = split(unflatten((2, 2, 1)), ConditionerConv(2, features=4), (2, 2, 2))
        >>> params = layer.init(jax.random.key(0), jnp.zeros(8), None)
        >>> layer.forward(params, jnp.arange(8.0), None)[0][..., 1].tolist()
        [[4.0, 5.0], [6.0, 7.0]]
    """
    check_bijection(rest)
    height, width, channels = shape = picture(event_shape)
    kept = channels // 2
    leaving = (height, width, channels - kept)
    size, first = math.prod(shape), height * width * kept

    def init(key: Key, u: Array, context: Any) -> Params:
        key_rest, key_network = jax.random.split(key)
        h = jnp.zeros((height, width, kept), jnp.float32)
        network_params = network.init(key_network, beside(h, context))
        return {"rest": rest.init(key_rest, vector(u, size)[:first], context), "network": network_params}

    def gaussian(params: Params, h: Array, context: Any) -> tuple[Array, Array]:
        raw = event(applied(network, params["network"], beside(h, context)), (*leaving[:2], 2 * leaving[2]))
        mean, log_scale = jnp.split(raw, 2, axis=-1)
        return mean, soft_bound(log_scale, LIMIT)

    def forward(params: Params, u: Array, context: Any) -> tuple[Array, Array]:
        u = vector(u, size)
        h, log_det = rest.forward(params["rest"], u[:first], context)
        mean, log_scale = gaussian(params, h, context)
        z = mean + jnp.exp(log_scale) * u[first:].reshape(leaving)
        return jnp.concatenate([h, z], -1), log_det + log_scale.sum()

    def inverse(params: Params, v: Array, context: Any) -> tuple[Array, Array]:
        v = event(v, shape)
        u, log_det = rest.inverse(params["rest"], v[..., :kept], context)
        mean, log_scale = gaussian(params, v[..., :kept], context)
        left = (v[..., kept:] - mean) * jnp.exp(-log_scale)
        return jnp.concatenate([u, left.reshape(-1)]), log_det - log_scale.sum()

    def start(params: Params, v: Array, contexts: Any) -> Params:
        assert rest.start is not None
        return params | {"rest": rest.start(params["rest"], v[..., :kept], contexts)}

    return Bijection(init, forward, inverse, None if rest.start is None else start)
