"""MADE over an event of any shape: a masked network in which every element sees those before it."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.checks import positive_integer
from jaxvae.networks.causal.records import CausalNetwork, checked, visit_by_passes
from jaxvae.networks.made import MADE

Array = jax.Array


def masked_network(
    event_shape: tuple[int, ...], size: int = 1, *, hidden: tuple[int, ...] = (512,), activation: str = "relu"
) -> CausalNetwork:
    """`MADE` on the elements of an event in their order: one pass for all outputs, and one for each element drawn.

    Args:
        event_shape: of u.
        size: numbers in the output of an element, such as `observation.channels`.
        hidden: units of the hidden layers; fewer than there are elements leave some unseen.
        activation: by name.

    Source: Germain, Gregor, Murray and Larochelle, 2015, arXiv 1502.03509.

    Example:
        >>> network = masked_network((2, 2, 1), hidden=(8,))
        >>> u = jnp.zeros((2, 2, 1))
        >>> network.apply(network.init(jax.random.key(0), u, None), u, None).shape
        (2, 2, 1, 1)
    """
    elements, size = math.prod(event_shape), positive_integer("size", size)
    made = MADE(elements, size, tuple(hidden), activation)

    def given(context: Any) -> tuple[Any, ...]:
        return () if context is None else (context,)

    def init(key: Array, u: Array, context: Any) -> Any:
        return made.init(key, u.reshape(-1), *given(context))

    def apply(variables: Any, u: Array, context: Any = None) -> Array:
        rows: Any = made.apply(variables, u.reshape(-1), *given(context))
        return jnp.reshape(rows, (*event_shape, size))

    def visit(variables: Any, pick: Any, context: Any = None) -> Any:
        return visit_by_passes(apply, variables, pick, context, event_shape)

    return checked(
        CausalNetwork(init, apply, visit, tuple(event_shape), size),
        lambda params: params.get("Dense_0", {}).get("kernel"),
    )
