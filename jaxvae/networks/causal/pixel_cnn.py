"""The gated PixelCNN: what is above a pixel in one stack, what is left of it in another, and no blind spot."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.checks import positive_integer
from jaxvae.networks.causal.pixel_stacks import Sizes, channel_outputs, init_stacks, stack_above, stack_left, with_ones
from jaxvae.networks.causal.records import CausalNetwork, Params, Pick, checked, nothing

Array = jax.Array
Key = jax.Array


def gated_pixel_cnn(
    event_shape: tuple[int, ...],
    size: int = 1,
    *,
    features: int = 16,
    layers: int = 5,
    first: int = 3,
    reach: int = 1,
    hidden: int = 32,
) -> CausalNetwork:
    """A gated PixelCNN over pictures (H, W, C); the channels of a pixel are told those before them.

    Its visit keeps what it has computed: a row of the upper stack once, a pixel of the left stack once.

    Args:
        event_shape: (H, W, C).
        size: numbers in the output of an element, such as `observation.channels`.
        features: channels of either stack.
        layers: of either stack; the last sees first + reach (layers - 1) rows up and as many columns left.
        first: rows above, and columns to each side, that the first layer sees.
        reach: the same of every other layer, beside its own row and column.
        hidden: units of the layer between the sum of all layers and the outputs.

    Raises:
        ValueError: for an event that is no picture, or sizes that are no positive integers.

    Source: van den Oord, Kalchbrenner, Vinyals, Espeholt, Graves and Kavukcuoglu, 2016, arXiv 1606.05328. The residual
    of the upper stack, the sum of all layers before the head, and a head that is told the channels before are ours.

    Example:
        >>> network = gated_pixel_cnn((4, 4, 3), features=2, layers=2)
        >>> u = jnp.zeros((4, 4, 3))
        >>> network.apply(network.init(jax.random.key(0), u, None), u, None).shape
        (4, 4, 3, 1)
    """
    if len(event_shape) != 3:
        raise ValueError(f"event_shape is {event_shape!r}, expected that of a picture, (height, width, channels).")
    height, width, channels = (positive_integer("a side of event_shape", side) for side in event_shape)
    sizes = Sizes(channels, size, features, layers, first, reach, hidden)
    for name, value in sizes._asdict().items():
        positive_integer(name, value)

    def init(key: Key, u: Array, context: Any = None) -> Params:
        return {"params": init_stacks(key, sizes, None if context is None else context.shape[-1])}

    def apply(variables: Params, u: Array, context: Any = None) -> Array:
        params, seen = variables["params"], with_ones(u)
        above = _zeros_before(seen, 0, first)[:-1]
        links = stack_above(params, sizes, above, lambda n, v: _zeros_before(v, 0, reach), context)
        left = _zeros_before(seen, 1, first)[:, :-1]
        summed = stack_left(params, sizes, left, lambda n, h: _zeros_before(h, 1, reach), links)
        return jnp.stack([channel_outputs(params, summed, u[..., :c]) for c in range(channels)], axis=-2)

    def visit(variables: Params, pick: Pick, context: Any = None) -> Any:
        params = variables["params"]

        def row(carry: Any, at: Any) -> tuple[Any, Any]:
            (above, before), (number, told) = carry, at
            after: list[Array] = []
            links = stack_above(params, sizes, above, _kept(before, after, 0), told)
            start = nothing(params, 1, first, channels + 1), [nothing(params, 1, reach, features)] * (layers - 1)
            by_column = [link.swapaxes(0, 1)[:, None] for link in links]  # [W, 1, 1, 2 features]
            places = number * width + jnp.arange(width)
            pixels, ys = jax.lax.scan(pixel, start, (places, by_column))[1]
            return (jnp.concatenate([above[1:], with_ones(pixels)[None]]), after), ys

        def pixel(carry: Any, at: Any) -> tuple[Any, Any]:
            (left, before), (place, links) = carry, at
            after: list[Array] = []
            summed = stack_left(params, sizes, left, _kept(before, after, 1), links)[0, 0]
            values = nothing(params, 0)
            ys: list[Any] = []
            for c in range(channels):
                value, y = pick(place * channels + c, channel_outputs(params, summed, values))
                values = jnp.append(values, value)
                ys.append(y)
            left = jnp.concatenate([left[:, 1:], with_ones(values)[None, None]], axis=1)
            return (left, after), (values, jax.tree.map(lambda *parts: jnp.stack(parts), *ys))

        start = nothing(params, first, width, channels + 1), [nothing(params, reach, width, features)] * (layers - 1)
        told = None
        if context is not None:  # one row of a map, or the vector again
            told = context[:, None] if context.ndim == 3 else jnp.broadcast_to(context, (height, *context.shape))
        return jax.lax.scan(row, start, (jnp.arange(height), told))[1]

    return checked(
        CausalNetwork(init, apply, visit, (height, width, channels), size),
        lambda params: params["layer_0"].get("context"),
    )


def _zeros_before(x: Array, axis: int, count: int) -> Array:
    return jnp.pad(x, [(count if axis == at else 0, 0) for at in range(x.ndim)])


def _kept(before: list[Array], after: list[Array], axis: int) -> Any:
    """The history of a visit: what layer n - 1 emitted last, then what it emits now, whose end is kept in `after`."""

    def history(n: int, new: Array) -> Array:
        block = jnp.concatenate([before[n - 1], new], axis)
        after.append(jax.lax.slice_in_dim(block, 1, block.shape[axis], axis=axis))
        return block

    return history
