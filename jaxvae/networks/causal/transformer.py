"""A causal Transformer: each element attends to those before it, however far away."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.checks import positive_integer
from jaxvae.networks.causal.elements import check_levels, init_elements, row_of, rows_of
from jaxvae.networks.causal.records import CausalNetwork, Params, Pick, checked, nothing
from jaxvae.networks.causal.taps import product

Array = jax.Array
Key = jax.Array
start = jax.nn.initializers.lecun_normal(dtype=jnp.float32)
table = jax.nn.initializers.normal(0.02, jnp.float32)


def causal_transformer(
    event_shape: tuple[int, ...],
    size: int = 1,
    *,
    width: int = 64,
    layers: int = 4,
    heads: int = 4,
    levels: int | None = None,
    patch: int = 1,
    zero_start: bool = False,
) -> CausalNetwork:
    """A Transformer over the elements of an event of any shape, in their order.

        h_i = value of x_{i-1} + position i + context,   h = h + attention(norm(h)),   h = h + mlp(norm(h))

    Its visit keeps the keys and values of what it has seen: an element costs one row of attention.

    Args:
        event_shape: of u; N elements cost N^2 numbers of attention for each head in a whole pass.
        size: numbers in the output of an element, such as `observation.channels`.
        width: of the rows h_i, a multiple of `heads`.
        layers, heads: how many.
        levels: elements are one of so many values, each with a vector of its own, as characters have; None: they are
            numbers, and enter as such.
        patch: so many elements in a row are told of all those before their patch and not of each other, as a flow's may
            be: N / patch rows, and attention costs its square less.
        zero_start: whether all outputs start at 0, as those of a flow's conditioner should.

    Raises:
        ValueError: for sizes that are no positive integers, a width that the heads do not divide, elements that patches
            do not divide, or patches of levels or beside a map.

    Source: Vaswani et al., 2017, arXiv 1706.03762; norms before the layers: Xiong et al., 2020, arXiv 2002.04745;
        patches of a flow: Zhai et al., 2024, arXiv 2412.06329 (TarFlow).

    Example:
        >>> network = causal_transformer((5,), 3, width=8, layers=1, heads=2, levels=3)
        >>> u = jnp.array([-1.0, 0.0, 1.0, 1.0, 0.0])  # levels 0, 1, 2, 2, 1
        >>> network.apply(network.init(jax.random.key(0), u, None), u, None).shape
        (5, 3)
    """
    for name, value in {"size": size, "width": width, "layers": layers, "heads": heads, "patch": patch}.items():
        positive_integer(name, value)
    check_levels(levels)
    if width % heads:
        raise ValueError(f"width is {width}, expected a multiple of the {heads} heads.")
    elements = math.prod(event_shape)
    if elements % patch or (patch > 1 and levels is not None):
        raise ValueError(
            f"patch is {patch} and levels {levels}, expected a patch that divides the {elements} elements, which are "
            f"numbers (levels None)."
        )
    count = elements // patch  # rows

    def init(key: Key, u: Array, context: Any = None) -> Params:
        keys = jax.random.split(key, layers + 4)
        made: dict[str, Any] = {f"layer_{n}": _init_layer(keys[n], width) for n in range(layers)}
        made["value"] = init_elements(keys[-4], width, levels, patch)
        made["position"] = table(keys[-3], (count, width))
        made["norm"] = jnp.ones(width, jnp.float32)
        made["out"] = (
            jnp.zeros((width, patch * size), jnp.float32) if zero_start else start(keys[-2], (width, patch * size))
        )
        made["out_bias"] = jnp.zeros(patch * size, jnp.float32)
        if context is not None:
            made["context"] = start(keys[-1], (context.shape[-1], width))
        return {"params": made}

    def told(params: Params, context: Any) -> Any:
        """What the context adds to every row: [1, width], or of a map, the same for all channels, [N, width]."""
        if context is None:
            return nothing(params, 1, width)
        if context.ndim > 1 and patch > 1:
            raise ValueError("the context is a map, expected a vector: a patch has no single place in it.")
        rows = product(context.reshape(-1, context.shape[-1]), params["context"])
        return rows if context.ndim == 1 else jnp.repeat(rows, count // len(rows), axis=0)

    def apply(variables: Params, u: Array, context: Any = None) -> Array:
        params = variables["params"]
        # The first element has none before it: its row is position and context alone.
        h = rows_of(params["value"], u.reshape(count, patch), levels) + params["position"] + told(params, context)
        seen = jnp.tril(jnp.ones((count, count), bool))
        for n in range(layers):
            layer = params[f"layer_{n}"]
            query, key, value = _split_heads(product(_norm(h, layer["norm"]), layer["attend"]), heads)
            h = h + _attend(layer, query, key, value, seen)
            h = h + _mlp(layer, h)
        return _out(params, h).reshape(*event_shape, size)

    def visit(variables: Params, pick: Pick, context: Any = None) -> Any:
        params = variables["params"]
        beside = jnp.asarray(params["position"]) + told(params, context)

        def element(carry: Any, index: Array) -> tuple[Any, Any]:
            before, kept = carry
            h = row_of(params["value"], before, index, levels) + beside[index][None]
            seen, after = (jnp.arange(count) <= index)[None], []
            for n, (keys, values) in enumerate(kept):
                layer = params[f"layer_{n}"]
                query, key, value = _split_heads(product(_norm(h, layer["norm"]), layer["attend"]), heads)
                keys, values = keys.at[:, index].set(key[:, 0]), values.at[:, index].set(value[:, 0])
                after.append((keys, values))
                h = h + _attend(layer, query, keys, values, seen)
                h = h + _mlp(layer, h)
            outputs = _out(params, h).reshape(patch, size)
            picked = [pick(index * patch + place, outputs[place]) for place in range(patch)]
            y = jax.tree.map(lambda *parts: jnp.stack(parts), *(y for _, y in picked))
            return (jnp.stack([value for value, _ in picked]), after), y

        empty = nothing(params, heads, count, width // heads)
        ys = jax.lax.scan(element, (nothing(params, patch), [(empty, empty)] * layers), jnp.arange(count))[1]
        return jax.tree.map(lambda y: y.reshape(*event_shape, *y.shape[2:]), ys)

    network = CausalNetwork(init, apply, visit, tuple(event_shape), size)
    return checked(network, lambda params: params.get("context"))


def _init_layer(key: Key, width: int) -> Params:
    keys = jax.random.split(key, 4)
    shapes = {
        "attend": (width, 3 * width),
        "join": (width, width),
        "wide": (width, 4 * width),
        "back": (4 * width, width),
    }
    made = {name: start(k, shape) for k, (name, shape) in zip(keys, shapes.items(), strict=True)}
    return {
        **made,
        "wide_bias": jnp.zeros(4 * width, jnp.float32),
        "norm": jnp.ones(width, jnp.float32),
        "mlp_norm": jnp.ones(width, jnp.float32),
    }


def _norm(h: Array, scale: Array) -> Array:
    """Rows of root mean square 1, times a scale (Zhang and Sennrich, 2019, arXiv 1910.07467)."""
    return h * jax.lax.rsqrt(jnp.mean(h**2, -1, keepdims=True) + 1e-6) * scale[None]


def _split_heads(rows: Array, heads: int) -> Array:
    """[n, 3 width] -> queries, keys and values [3, heads, n, width / heads]."""
    count, width = rows.shape[0], rows.shape[1] // 3
    return rows.reshape(count, 3, heads, width // heads).transpose(1, 2, 0, 3)


def _attend(layer: Params, query: Array, key: Array, value: Array, seen: Array) -> Array:
    """softmax(q k^T / sqrt(d)) v over the elements that are seen [n, N], all heads joined: [n, width]."""
    scores = jnp.einsum("hnd,hmd->hnm", query, key) / math.sqrt(query.shape[-1])
    weights = jax.nn.softmax(jnp.where(seen[None], scores, -jnp.inf))
    found = jnp.einsum("hnm,hmd->nhd", weights, value).reshape(query.shape[1], -1)
    return product(found, layer["join"])


def _mlp(layer: Params, h: Array) -> Array:
    wide = product(_norm(h, layer["mlp_norm"]), layer["wide"]) + layer["wide_bias"][None]
    return product(jax.nn.gelu(wide), layer["back"])


def _out(params: Params, h: Array) -> Array:
    return product(_norm(h, params["norm"]), params["out"]) + params["out_bias"][None]
