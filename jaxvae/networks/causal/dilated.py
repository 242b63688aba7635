"""WaveNet: a stack of causal convolutions of two taps, each twice as far apart as those of the layer below."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.checks import positive_integer
from jaxvae.networks.causal.elements import check_levels, init_elements, row_of, rows_of
from jaxvae.networks.causal.pixel_stacks import gate
from jaxvae.networks.causal.records import CausalNetwork, Params, Pick, checked, nothing
from jaxvae.networks.causal.taps import product

Array = jax.Array
Key = jax.Array
start = jax.nn.initializers.lecun_normal(dtype=jnp.float32)


def wavenet(
    event_shape: tuple[int, ...],
    size: int = 1,
    *,
    features: int = 32,
    layers: int = 8,
    cycle: int = 10,
    hidden: int = 64,
    levels: int | None = None,
) -> CausalNetwork:
    """A dilated causal stack over the elements of an event in their order, such as the samples of a sound.

        h_{l+1}[i] = h_l[i] + W_l g,   g = gate(A_l h_l[i - d_l] + B_l h_l[i] + context),   d_l = 2^(l mod cycle)

    The outputs are read from the sum of S_l g over all layers. The weights do not know how long an event is: those
    trained on windows draw longer sounds. A visit keeps the last d_l rows of each layer, so an element costs one
    row of every layer, however far the stack sees.

    Args:
        event_shape: of u, such as (samples,).
        size: numbers in the output of an element, such as `observation.channels`.
        features: of the rows h.
        layers: the outputs see 1 + sum of d_l elements, 2^layers up to a cycle; each further cycle adds as many.
        cycle: layers after which the distance starts at 1 again.
        hidden: units of the layer between the sum of all layers and the outputs.
        levels: elements are one of so many values, each with a vector of its own; None: they enter as numbers.

    Raises:
        ValueError: for sizes that are no positive integers.

    Source: van den Oord et al., 2016, arXiv 1609.03499; the kept rows: Le Paine et al., 2016, arXiv 1611.09482.

    Example:
        >>> network = wavenet((16,), 3, features=4, layers=4)
        >>> u = jnp.linspace(-1.0, 1.0, 16)
        >>> network.apply(network.init(jax.random.key(0), u, None), u, None).shape
        (16, 3)
    """
    count = math.prod(event_shape)
    sizes = {"size": size, "features": features, "layers": layers, "cycle": cycle, "hidden": hidden}
    for name, value in sizes.items():
        positive_integer(name, value)
    check_levels(levels)
    distances = [2 ** (layer % cycle) for layer in range(layers)]

    def init(key: Key, u: Array, context: Any = None) -> Params:
        keys = jax.random.split(key, layers + 3)
        told = None if context is None else context.shape[-1]
        made: dict[str, Any] = {f"layer_{n}": _init_layer(keys[n], features, hidden, told) for n in range(layers)}
        made["value"] = init_elements(keys[-3], features, levels)
        made["in"], made["in_bias"] = start(keys[-2], (hidden, hidden)), jnp.zeros(hidden, jnp.float32)
        made["out"], made["out_bias"] = start(keys[-1], (hidden, size)), jnp.zeros(size, jnp.float32)
        return {"params": made}

    def outputs(params: Params, h: Array, earlier: Any, context: Any) -> Array:
        """[n, size] of rows h [n, features], where earlier(n, h) are the rows of layer n that came before them."""
        summed = nothing(params, len(h), hidden)
        for n in range(layers):
            layer = params[f"layer_{n}"]
            pair = jnp.concatenate([earlier(n, h), h], axis=-1)
            told = 0.0 if context is None else product(context.reshape(-1, context.shape[-1]), layer["context"])
            gated = gate(product(pair, layer["taps"]) + layer["taps_bias"][None] + told)
            summed = summed + product(gated, layer["skip"])
            h = h + product(gated, layer["join"]) if "join" in layer else h
        found = jax.nn.relu(product(jax.nn.relu(summed), params["in"]) + params["in_bias"][None])
        return product(found, params["out"]) + params["out_bias"][None]

    def apply(variables: Params, u: Array, context: Any = None) -> Array:
        params = variables["params"]

        def earlier(n: int, h: Array) -> Array:
            return jnp.pad(h, ((min(distances[n], count), 0), (0, 0)))[:count]

        found = outputs(params, rows_of(params["value"], u.reshape(-1), levels), earlier, _by_element(context, count))
        return found.reshape(*event_shape, size)

    def visit(variables: Params, pick: Pick, context: Any = None) -> Any:
        params, told = variables["params"], _by_element(context, count)

        def element(carry: Any, index: Array) -> tuple[Any, Any]:
            before, kept = carry
            after: list[Array] = []

            def earlier(n: int, h: Array) -> Array:
                place = index % distances[n]
                after.append(kept[n].at[place].set(h[0]))
                found: Array = kept[n][place][None]
                return found

            here = told if told is None or told.ndim == 1 else told[index]
            output = outputs(params, row_of(params["value"], before, index, levels), earlier, here)[0]
            value, y = pick(index, output)
            return (value, after), y

        kept = [nothing(params, distance, features) for distance in distances]
        ys = jax.lax.scan(element, (nothing(params), kept), jnp.arange(count))[1]
        return jax.tree.map(lambda y: y.reshape(*event_shape, *y.shape[1:]), ys)

    return checked(
        CausalNetwork(init, apply, visit, tuple(event_shape), size), lambda params: params["layer_0"].get("context")
    )


def _by_element(context: Any, count: int) -> Any:
    """The context of every element [N, Z], of a map the same for all channels of a place; a vector as it is."""
    if context is None or context.ndim == 1:
        return context
    rows = context.reshape(-1, context.shape[-1])
    return jnp.repeat(rows, count // len(rows), axis=0)


def _init_layer(key: Key, features: int, hidden: int, told: int | None) -> Params:
    shapes = {"taps": (2 * features, 2 * features), "skip": (features, hidden), "join": (features, features)}
    if told is not None:
        shapes["context"] = (told, 2 * features)
    made = {name: start(k, shapes[name]) for name, k in zip(shapes, jax.random.split(key, len(shapes)), strict=True)}
    return {**made, "taps_bias": jnp.zeros(2 * features, jnp.float32)}
