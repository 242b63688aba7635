"""What a normalising flow is made of: bijections of one vector or picture, and how to compose and turn them round."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from jaxvae.checks import as_float, refuse_state

Array = jax.Array
Key = jax.Array
Params = dict[str, Any]


class Conditioner(Protocol):
    """The network a layer is handed: anything with `.init(key, *inputs)` and `.apply(variables, *inputs)`."""

    def init(self, key: Key, /, *inputs: Array) -> Any: ...

    def apply(self, variables: Any, /, *inputs: Array) -> Any: ...


class Bijection(NamedTuple):
    """An invertible map of one vector [Z], with the logarithm of how much it stretches volume.

    If u has density p(u), then v = f(u) has log p(v) = log p(u) - log |det df/du|.

    Attributes:
        init: (key, u [Z], context) -> params, a dict of the layer's own; `chain` gives each layer its place in it.
        forward: (params, u [Z], context) -> (v [Z], log |det dv/du| [] in nats).
        inverse: (params, v [Z], context) -> (u [Z], log |det du/dv| [] in nats), minus the one of `forward` at u.
        start: (params, v [N, Z], contexts [N, ...]) -> params from which training starts well on such data; None where
            they stay as `init` made them. `flow_model(data=)` asks for it.

    The context is an array that the map may depend on, such as an encoder's output, or None. Layers of pictures take
    events of other shapes than [Z], and may change the shape.

    Source: Rezende and Mohamed, 2015, arXiv 1505.05770; Papamakarios et al., 2021, arXiv 1912.02762.

    Example:
        >>> from jaxvae.flows.elementary import affine
        >>> double = affine(1, scale=2.0, shift=1.0)  # Y = 2 X + 1
        >>> params = double.init(jax.random.key(0), jnp.zeros(1), None)
        >>> v, log_det = double.forward(params, jnp.array([0.5]), None)
        >>> float(v[0]), round(float(jnp.exp(log_det)), 4)
        (2.0, 2.0)
    """

    init: Callable[[Key, Array, Any], Params]
    forward: Callable[[Params, Array, Any], tuple[Array, Array]]
    inverse: Callable[[Params, Array, Any], tuple[Array, Array]]
    start: Callable[[Params, Array, Any], Params] | None = None


def invert(bijection: Bijection) -> Bijection:
    """The same map read backwards: forward and inverse exchanged; data start none of its parameters.

    Raises:
        TypeError: if it is no `Bijection`.

    Example:
        >>> from jaxvae.flows.elementary import affine
        >>> half = invert(affine(1, scale=2.0))
        >>> float(half.forward(half.init(jax.random.key(0), jnp.zeros(1), None), jnp.ones(1), None)[0][0])
        0.5
    """
    check_bijection(bijection)
    return Bijection(bijection.init, bijection.inverse, bijection.forward)


def chain(*bijections: Bijection) -> Bijection:
    """f = f_n o ... o f_1: the first layer named is the first that `forward` applies; log-determinants add.

    Args:
        *bijections: the layers; each is given the same context. Layer i keeps its parameters under "layer_i", if it
            has any.

    Raises:
        ValueError: for no layers.
        TypeError: if one of them is no `Bijection`.

    Example:
        >>> from jaxvae.flows.elementary import affine
        >>> both = chain(affine(2, scale=2.0), affine(2, shift=1.0))
        >>> params = both.init(jax.random.key(0), jnp.zeros(2), None)
        >>> sorted(params), both.forward(params, jnp.ones(2), None)[0].tolist()
        (['layer_0', 'layer_1'], [3.0, 3.0])
    """
    if not bijections:
        raise ValueError("chain was given no bijections, expected at least one layer, as in chain(planar(2)).")
    for bijection in bijections:
        check_bijection(bijection)
    layers = [(f"layer_{index}", bijection) for index, bijection in enumerate(bijections)]

    def init(key: Key, u: Array, context: Any) -> Params:
        found = {}
        for k, (name, layer) in zip(jax.random.split(key, len(layers)), layers, strict=True):
            found[name] = layer.init(k, u, context)
            refuse_state(found[name], name)
            shape = jax.eval_shape(layer.forward, found[name], u, context)[0].shape
            u = u if shape == u.shape else jnp.zeros(shape, u.dtype)  # what the next layer is made for
        return {name: params for name, params in found.items() if params}  # weights files hold no empty dict

    def forward(params: Params, u: Array, context: Any) -> tuple[Array, Array]:
        total = jnp.zeros((), as_float("the flow's input", u).dtype)
        for name, layer in layers:
            u, log_det = layer.forward(params.get(name, {}), u, context)
            total += log_det
        return u, total

    def inverse(params: Params, v: Array, context: Any) -> tuple[Array, Array]:
        total = jnp.zeros((), as_float("the flow's input", v).dtype)
        for name, layer in reversed(layers):
            v, log_det = layer.inverse(params.get(name, {}), v, context)
            total += log_det
        return v, total

    def start(params: Params, v: Array, contexts: Any) -> Params:
        found = dict(params)
        first = next(index for index, (_, layer) in enumerate(layers) if layer.start is not None)
        for name, layer in reversed(layers[first:]):
            if layer.start is not None:
                found[name] = layer.start(found[name], v, contexts)
            told = None if contexts is None else 0
            v, _ = jax.vmap(layer.inverse, (None, 0, told))(found.get(name, {}), v, contexts)
        return found

    starts = any(layer.start is not None for _, layer in layers)
    return Bijection(init, forward, inverse, start if starts else None)


def check_bijection(value: Any) -> None:
    """Raises `TypeError` unless the value is a `Bijection`."""
    if not isinstance(value, Bijection):
        raise TypeError(f"{value!r} is no Bijection. Call its constructor, as in planar(2).")


def vector(value: Array, latent_dim: int) -> Array:
    """The value as a float vector [latent_dim]; raises `ValueError` for another shape."""
    value = as_float("the flow's input", value)
    if value.shape != (latent_dim,):
        raise ValueError(
            f"the flow's input has shape {value.shape}, expected one vector ({latent_dim},). Build the layer for that "
            f"many dimensions; for a batch use jax.vmap."
        )
    return value


def soft_bound(raw: Array, limit: float) -> Array:
    """limit tanh(raw / limit): the identity near 0, and never beyond +-limit; smooth everywhere.

    Example:
        >>> round(float(soft_bound(jnp.float32(0.01), 3.0)), 4), float(soft_bound(jnp.float32(1e6), 3.0))
        (0.01, 3.0)
    """
    return limit * jnp.tanh(raw / limit)
