"""A gated recurrent unit: what came before in one vector, whatever its length."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.checks import positive_integer
from jaxvae.math.matrices import qr
from jaxvae.networks.causal.elements import check_levels, init_elements, row_of, rows_of
from jaxvae.networks.causal.records import CausalNetwork, Params, Pick, checked, nothing
from jaxvae.networks.causal.taps import product

Array = jax.Array
Key = jax.Array
start = jax.nn.initializers.lecun_normal(dtype=jnp.float32)


def turn(key: Key, width: int) -> Array:
    """A rotation or reflection [width, width], each as likely as any other."""
    return qr(jax.random.normal(key, (width, width), jnp.float32))[0]


def gated_recurrent(
    event_shape: tuple[int, ...], size: int = 1, *, width: int = 64, levels: int | None = None
) -> CausalNetwork:
    """A GRU over the elements of an event in their order; e_i is the row of the element before i.

        r, s = sigmoid(W e_i + U h_{i-1}),   n = tanh(V e_i + r * (K h_{i-1} + k)),   h_i = (1 - s) n + s h_{i-1}

    Args:
        event_shape: of u.
        size: numbers in the output of an element, such as `observation.channels`.
        width: of the state h, and of the rows e.
        levels: elements are one of so many values, each with a vector of its own, as characters have; None: they enter
            as numbers.

    Raises:
        ValueError: for sizes that are no positive integers.

    Source: Cho et al., 2014, arXiv 1406.1078; r after the product, as cuDNN and flax.linen.GRUCell have it.

    Example:
        >>> network = gated_recurrent((5,), 3, width=8, levels=3)
        >>> u = jnp.array([-1.0, 0.0, 1.0, 1.0, 0.0])  # levels 0, 1, 2, 2, 1
        >>> network.apply(network.init(jax.random.key(0), u, None), u, None).shape
        (5, 3)
    """
    count = math.prod(event_shape)
    positive_integer("size", size)
    positive_integer("width", width)
    check_levels(levels)

    def init(key: Key, u: Array, context: Any = None) -> Params:
        keys = jax.random.split(key, 6)
        made = {
            "value": init_elements(keys[0], width, levels),
            "in": start(keys[1], (width, 3 * width)),
            "in_bias": jnp.zeros(3 * width, jnp.float32),
            "state": jnp.concatenate([turn(k, width) for k in jax.random.split(keys[2], 3)], axis=1),
            "state_bias": jnp.zeros(width, jnp.float32),
            "out": start(keys[3], (width, size)),
            "out_bias": jnp.zeros(size, jnp.float32),
        }
        if context is not None:
            made["context"] = start(keys[4], (context.shape[-1], 3 * width))
        return {"params": made}

    def inputs(params: Params, rows: Array, context: Any) -> Array:
        """What elements bring to the three gates: [n, 3 width]."""
        found = product(rows, params["in"]) + params["in_bias"][None]
        if context is None:
            return found
        told = product(context.reshape(-1, context.shape[-1]), params["context"])
        return found + (told if len(told) in (1, len(rows)) else jnp.repeat(told, count // len(told), axis=0))

    def moved(params: Params, h: Array, given: Array) -> Array:
        """The next state [width], of the last one and of what an element brings [3 width]."""
        new, reset, stay = jnp.split(given, 3)
        of_new, of_reset, of_stay = jnp.split(product(h[None], params["state"])[0], 3)
        candidate = jnp.tanh(new + jax.nn.sigmoid(reset + of_reset) * (of_new + params["state_bias"]))
        stay = jax.nn.sigmoid(stay + of_stay)
        return (1.0 - stay) * candidate + stay * h

    def read(params: Params, h: Array) -> Array:
        return product(h, params["out"]) + params["out_bias"][None]

    def apply(variables: Params, u: Array, context: Any = None) -> Array:
        params = variables["params"]

        def element(h: Array, given: Array) -> tuple[Array, Array]:
            h = moved(params, h, given)
            return h, h

        given = inputs(params, rows_of(params["value"], u.reshape(-1), levels), context)
        states = jax.lax.scan(element, nothing(params, width), given)[1]
        return read(params, states).reshape(*event_shape, size)

    def visit(variables: Params, pick: Pick, context: Any = None) -> Any:
        params = variables["params"]
        beside = (
            inputs(params, nothing(params, count, width), context) - params["in_bias"][None]
        )  # what the context brings to each

        def element(carry: Any, index: Array) -> tuple[Any, Any]:
            before, h = carry
            given = inputs(params, row_of(params["value"], before, index, levels), None)[0] + beside[index]
            h = moved(params, h, given)
            value, y = pick(index, read(params, h[None])[0])
            return (value, h), y

        ys = jax.lax.scan(element, (nothing(params), nothing(params, width)), jnp.arange(count))[1]
        return jax.tree.map(lambda y: y.reshape(*event_shape, *y.shape[1:]), ys)

    network = CausalNetwork(init, apply, visit, tuple(event_shape), size)
    return checked(network, lambda params: params.get("context"))
