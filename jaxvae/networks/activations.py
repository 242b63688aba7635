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
GATED = "gated"  # of the dense layers of an MLP, see `trunks.mlp_trunk`: a layer of its own, no function of one number


def activation_named(name: str) -> Callable[[Array], Array]:
    """The activation of that name; raises `ValueError` with the nearest name for an unknown one.

    Example:
        >>> float(activation_named("relu")(-1.0))
        0.0
    """
    if name == GATED:
        raise ValueError(
            f"activation is {GATED!r}, which the hidden layers of MLPEncoder, MLPDecoder and their like alone have. "
            f"Take an MLP (--model.network mlp), or an activation of {', '.join(ACTIVATIONS)}."
        )
    if name not in ACTIVATIONS:
        near = difflib.get_close_matches(str(name), (*ACTIVATIONS, GATED), 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"activation is {name!r}, expected one of {', '.join((*ACTIVATIONS, GATED))}.{hint}")
    return ACTIVATIONS[name]
