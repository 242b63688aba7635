"""Activation functions by name."""

import difflib
from collections.abc import Callable

import jax
from flax import linen as nn

Array = jax.Array
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": nn.relu,
    "gelu": nn.gelu,
    "silu": nn.silu,
    "tanh": nn.tanh,
    "elu": nn.elu,
    "leaky_relu": nn.leaky_relu,
    "softplus": nn.softplus,
}


def activation_named(name: str) -> Callable[[Array], Array]:
    """The activation of that name; raises `ValueError` with the nearest name for an unknown one.

    Example:
        >>> float(activation_named("relu")(-1.0))
        0.0
    """
    if name not in ACTIVATIONS:
        near = difflib.get_close_matches(str(name), ACTIVATIONS, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"activation is {name!r}, expected one of {', '.join(ACTIVATIONS)}.{hint}")
    return ACTIVATIONS[name]
