"""The two stacks of a gated PixelCNN and its head, on whole pictures or on one row or pixel of them.

    above    v_l = v_{l-1} + gate(A_l * rows up to this one of v_{l-1})
    left     h_l = h_{l-1} + W_l gate(L_l * columns up to this one of h_{l-1} + K_l v_l)

The first layer sees strictly earlier rows and columns and passes nothing through; gate(a, b) = tanh(a) sigmoid(b).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxvae.networks.causal.records import nothing
from jaxvae.networks.causal.taps import above_taps, left_taps, product

Array = jax.Array
Key = jax.Array
Layer = dict[str, Array]
# (n, what layer n - 1 emitted) -> the same after what came before it, which layer n sees too
History = Callable[[int, Array], Array]
start = jax.nn.initializers.lecun_normal(dtype=jnp.float32)


class Sizes(NamedTuple):
    """Of a gated PixelCNN, see `gated_pixel_cnn`; `channels` are the picture's, `size` numbers come out for each."""

    channels: int
    size: int
    features: int
    layers: int
    first: int
    reach: int
    hidden: int


def init_stacks(key: Key, sizes: Sizes, told: int | None) -> dict[str, Any]:
    """Weights of all layers and of the head; `told` is the length of the context, None where there is none."""
    keys = jax.random.split(key, sizes.layers + 1)
    made = {f"layer_{n}": _init_layer(keys[n], sizes, n, told) for n in range(sizes.layers)}
    return {**made, "head": init_head(keys[-1], sizes.channels, sizes.hidden, sizes.hidden, sizes.size)}


def _init_layer(key: Key, sizes: Sizes, number: int, told: int | None) -> Layer:
    width, first, reach = sizes.features, sizes.first, sizes.reach
    above, left, inputs = (reach + 1) * (2 * reach + 1), reach + 1, width
    if number == 0:
        above, left, inputs = first * (2 * first + 1), first, sizes.channels + 1
    shapes = {
        "above": (above * inputs, 2 * width),
        "left": (left * inputs, 2 * width),
        "link": (2 * width, 2 * width),
        "skip": (width, sizes.hidden),
    }
    if number + 1 < sizes.layers:  # after the last nothing comes that would see it
        shapes["out"] = (width, width)
    if told is not None:
        shapes["context"] = (told, 4 * width)
    made = {name: start(k, shapes[name]) for name, k in zip(shapes, jax.random.split(key, len(shapes)), strict=True)}
    return {**made, "above_bias": jnp.zeros(2 * width, jnp.float32), "left_bias": jnp.zeros(2 * width, jnp.float32)}


def init_head(key: Key, channels: int, inputs: int, hidden: int, size: int) -> dict[str, Layer]:
    """Weights of `channel_outputs` for each channel: of `inputs` features and the channels before it."""
    made = {}
    for channel, key_channel in enumerate(jax.random.split(key, channels)):
        keys = jax.random.split(key_channel)
        made[f"channel_{channel}"] = {
            "in": start(keys[0], (inputs + channel, hidden)),
            "in_bias": jnp.zeros(hidden, jnp.float32),
            "out": start(keys[1], (hidden, size)),
            "out_bias": jnp.zeros(size, jnp.float32),
        }
    return made


def with_ones(u: Array) -> Array:
    """A channel of ones beside those of a picture [..., C]: outside it is 0, so that black is not the outside."""
    return jnp.concatenate([u, jnp.ones((*u.shape[:-1], 1), u.dtype)], axis=-1)


def stack_above(params: dict[str, Any], sizes: Sizes, block: Array, history: History, context: Any) -> list[Array]:
    """What each layer's left stack is told of the rows above: [H, W, 2 features] a layer, the context put in."""
    links: list[Array] = []
    v = block
    for n in range(sizes.layers):
        layer = params[f"layer_{n}"]
        rows, reach = (sizes.reach + 1, sizes.reach) if n else (sizes.first, sizes.first)
        seen = above_taps(history(n, v) if n else block, rows, reach)
        for_above, for_left = _told(layer, context)
        row = product(seen, layer["above"]) + layer["above_bias"][None, None] + for_above
        links.append(product(row, layer["link"]) + layer["left_bias"][None, None] + for_left)
        v = v + gate(row) if n else gate(row)
    return links


def stack_left(params: dict[str, Any], sizes: Sizes, block: Array, history: History, links: list[Array]) -> Array:
    """The features of each pixel [H, W, hidden], of what is left of it and of the links of its rows above."""
    summed, h = nothing(params), block
    for n, link in enumerate(links):
        layer = params[f"layer_{n}"]
        seen = left_taps(history(n, h), sizes.reach + 1) if n else left_taps(block, sizes.first)
        gated = gate(product(seen, layer["left"]) + link)
        if "out" in layer:
            out = product(gated, layer["out"])
            h = h + out if n else out
        summed = summed + product(gated, layer["skip"])
    return summed


def gate(pair: Array) -> Array:
    """[..., 2 F] -> tanh of the first half times sigmoid of the second [..., F]."""
    value, switch = jnp.split(pair, 2, axis=-1)
    return jnp.tanh(value) * jax.nn.sigmoid(switch)


def channel_outputs(params: dict[str, Any], features: Array, before: Array) -> Array:
    """The outputs [..., size] for the next channel of pixels of which those `before` [..., c] are known."""
    head = params["head"][f"channel_{before.shape[-1]}"]
    seen = jnp.concatenate([jax.nn.relu(features), before], axis=-1)
    lead = (None,) * (seen.ndim - 1)
    hidden = jax.nn.relu(product(seen, head["in"]) + head["in_bias"][lead])
    return product(hidden, head["out"]) + head["out_bias"][lead]


def _told(layer: Layer, context: Any) -> tuple[Any, Any]:
    """What the context adds to either stack: [1, 1, 2 F] for a vector, [H, W, 2 F] for a map."""
    if context is None:
        return 0.0, 0.0
    told = product(context, layer["context"])
    above, left = jnp.split(told if told.ndim == 3 else told[None, None], 2, axis=-1)
    return above, left
