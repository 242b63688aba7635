"""The first PixelCNN: masked convolutions over the pixels before, in residual blocks."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.checks import positive_integer
from jaxvae.networks.causal.pixel_stacks import channel_outputs, init_head, with_ones
from jaxvae.networks.causal.records import CausalNetwork, Params, Pick, checked, nothing
from jaxvae.networks.causal.taps import product

Array = jax.Array
Key = jax.Array
start = jax.nn.initializers.lecun_normal(dtype=jnp.float32)


def masked_pixel_cnn(
    event_shape: tuple[int, ...],
    size: int = 1,
    *,
    features: int = 16,
    layers: int = 5,
    first: int = 3,
    reach: int = 1,
    hidden: int = 32,
    residual: bool = True,
) -> CausalNetwork:
    """A PixelCNN over pictures (H, W, C); the channels of a pixel are told those before them.

        h_1 = A * (pixels before),   h_{l+1} = h_l + B_l * relu(h_l)   with B_l over the pixels before and this one

    A mask of squares leaves a blind spot: through any number of layers a pixel never sees those to its upper right
    beyond a slope of one row for `reach` columns. `gated_pixel_cnn` has none. A visit keeps the rows of every layer and
    computes one pixel of each.

    Args:
        event_shape: (H, W, C).
        size: numbers in the output of an element, such as `observation.channels`.
        features: channels of a layer.
        layers: how many; the last sees first + reach (layers - 1) rows up.
        first: rows above, and columns to each side, of the first layer.
        reach: the same of the others.
        hidden: units of the layer between the last features and the outputs.
        residual: whether a layer adds to the one below it, or replaces it, as the plain stack does.

    Raises:
        ValueError: for an event that is no picture, or sizes that are no positive integers.

    Source: van den Oord, Kalchbrenner and Kavukcuoglu, 2016, arXiv 1601.06759; a head that is told the channels before
    in place of masks among channels is ours.

    Example:
        >>> network = masked_pixel_cnn((4, 4, 3), features=2, layers=2)
        >>> u = jnp.zeros((4, 4, 3))
        >>> network.apply(network.init(jax.random.key(0), u, None), u, None).shape
        (4, 4, 3, 1)
    """
    if len(event_shape) != 3:
        raise ValueError(f"event_shape is {event_shape!r}, expected that of a picture, (height, width, channels).")
    height, width, channels = (positive_integer("a side of event_shape", side) for side in event_shape)
    sizes = {"size": size, "features": features, "layers": layers, "first": first, "reach": reach, "hidden": hidden}
    for name, value in sizes.items():
        positive_integer(name, value)
    reaches = [first] + [reach] * (layers - 1)

    def seen(n: int) -> int:
        """How many pixels layer n sees, in their order: those before this one and, but for the first layer, itself."""
        return reaches[n] * (2 * reaches[n] + 1) + reaches[n] + (n > 0)

    def init(key: Key, u: Array, context: Any = None) -> Params:
        keys, made = jax.random.split(key, layers + 1), dict[str, Any]()
        for n in range(layers):
            key_taps, key_told = jax.random.split(keys[n])
            inputs = seen(n) * (features if n else channels + 1)
            layer = {"taps": start(key_taps, (inputs, features)), "bias": jnp.zeros(features, jnp.float32)}
            if context is not None:
                layer["context"] = start(key_told, (context.shape[-1], features))
            made[f"layer_{n}"] = layer
        made["head"] = init_head(keys[-1], channels, features, hidden, size)
        return {"params": made}

    def layer_of(params: Params, n: int, taps: Array, h: Any, context: Any) -> Array:
        layer = params[f"layer_{n}"]
        out = product(taps, layer["taps"]) + layer["bias"][None, None]
        if context is not None:
            told = product(context, layer["context"])
            out = out + (told if told.ndim == 3 else told[None, None])
        return h + out if n and residual else out

    def apply(variables: Params, u: Array, context: Any = None) -> Array:
        params, h = variables["params"], with_ones(u)
        for n in range(layers):
            taps = _windows(jax.nn.relu(h) if n else h, reaches[n], seen(n))
            h = layer_of(params, n, taps, h, context)
        return jnp.stack([channel_outputs(params, h, u[..., :c]) for c in range(channels)], axis=-2)

    def visit(variables: Params, pick: Pick, context: Any = None) -> Any:
        params = variables["params"]

        def pixel(kept: list[Array], place: Array) -> tuple[list[Array], Any]:
            row, column = place // width, place % width
            here = context[row, column][None, None] if context is not None and context.ndim == 3 else context
            after, h = [kept[0]], nothing(params)
            for n in range(layers):
                side = reaches[n]
                if n:  # what the layer below has here is new, and this one sees it
                    known = jax.lax.dynamic_update_slice(kept[n], jax.nn.relu(h), (row + side, column + side, 0))
                    after.append(known)
                depth = after[n].shape[-1]
                window = jax.lax.dynamic_slice(after[n], (row, column, 0), (side + 1, 2 * side + 1, depth))
                taps = window.reshape(-1, depth)[: seen(n)].reshape(1, 1, -1)
                h = layer_of(params, n, taps, h, here)
            values, ys = nothing(params, 0), list[Any]()
            for c in range(channels):
                value, y = pick(place * channels + c, channel_outputs(params, h[0, 0], values))
                values = jnp.append(values, value)
                ys.append(y)
            pixel_values = with_ones(values)[None, None]
            after[0] = jax.lax.dynamic_update_slice(kept[0], pixel_values, (row + first, column + first, 0))
            return after, jax.tree.map(lambda *parts: jnp.stack(parts), *ys)

        depths = [channels + 1] + [features] * (layers - 1)
        kept = [nothing(params, height + r, width + 2 * r, d) for r, d in zip(reaches, depths, strict=True)]
        ys = jax.lax.scan(pixel, kept, jnp.arange(height * width))[1]
        return jax.tree.map(lambda y: y.reshape(height, width, *y.shape[1:]), ys)

    return checked(
        CausalNetwork(init, apply, visit, (height, width, channels), size),
        lambda params: params["layer_0"].get("context"),
    )


def _windows(h: Array, reach: int, seen: int) -> Array:
    """[H, W, F] -> [H, W, seen F]: of a window of reach + 1 rows, this pixel's the last, the first `seen` pixels."""
    height, width, _ = h.shape
    padded = jnp.pad(h, ((reach, 0), (reach, reach), (0, 0)))
    places = [(row, column) for row in range(reach + 1) for column in range(2 * reach + 1)][:seen]
    return jnp.concatenate([padded[row : row + height, column : column + width] for row, column in places], axis=-1)
