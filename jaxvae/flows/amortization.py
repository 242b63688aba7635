"""A bijection whose parameters are emitted for each example instead of shared by all."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from jaxvae.checks import as_float
from jaxvae.flows.records import Bijection, Conditioner, Key, Params, check_bijection
from jaxvae.randomness import applied

Array = jax.Array


def amortized(bijection: Bijection, make_network: Callable[[int], Conditioner]) -> Bijection:
    """The same bijection with parameters base + network(context), one set for each example.

    Planar and radial layers of a posterior are meant so: their parameters come from the encoder. The shared `base`
    is trained too, and is where the layer starts if the network starts at 0.

    Args:
        bijection: a layer, or a chain of them; it sees no context itself.
        make_network: (size) -> a network that emits `size` numbers for the context as a vector, such as
            `ConditionerMLP`; size is the number of parameters of the bijection.

    Raises:
        ValueError: where there is no context, the bijection has no parameters, or the network emits another number
            of values.
        TypeError: if the first argument is no `Bijection`.

    Source: Rezende and Mohamed, 2015, arXiv 1505.05770, section 4.

    Example:
        >>> from jaxvae.flows.planar_flow import planar
        >>> from jaxvae.networks.conditioner import ConditionerMLP
        >>> layer = amortized(planar(2), ConditionerMLP)
        >>> params = layer.init(jax.random.key(0), jnp.zeros(2), jnp.zeros(4))
        >>> sorted(params), layer.forward(params, jnp.ones(2), jnp.zeros(4))[0].shape
        (['base', 'network'], (2,))
    """
    check_bijection(bijection)

    def seen(context: Any) -> Array:
        if context is None:
            raise ValueError(
                "the context is None, expected an array: amortized parameters are computed from it. Use an encoder "
                "that returns (mean, log_var, context), or the bijection itself, with shared parameters."
            )
        return jnp.ravel(context)

    def init(key: Key, u: Array, context: Any) -> Params:
        key_base, key_network = jax.random.split(key)
        base = bijection.init(key_base, u, None)
        size = ravel_pytree(base)[0].size
        if size == 0:
            raise ValueError("the bijection has no parameters to emit. Use it as it is.")
        return {"base": base, "network": make_network(size).init(key_network, seen(context))}

    def emitted(params: Params, context: Any) -> Params:
        flat, restore = ravel_pytree(params["base"])
        change = applied(make_network(flat.size), params["network"], seen(context))
        change = as_float("the network's output", change)
        if change.shape != flat.shape:
            raise ValueError(
                f"the network returned shape {change.shape}, expected {flat.shape}, the number of parameters of the "
                f"bijection. Let make_network(size) emit `size` numbers."
            )
        return restore(flat + change.astype(flat.dtype))

    def forward(params: Params, u: Array, context: Any) -> tuple[Array, Array]:
        return bijection.forward(emitted(params, context), u, None)

    def inverse(params: Params, v: Array, context: Any) -> tuple[Array, Array]:
        return bijection.inverse(emitted(params, context), v, None)

    return Bijection(init, forward, inverse)
