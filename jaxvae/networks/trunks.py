"""What networks share: the checks of their fields, an MLP trunk, and a convolutional one in both directions.

A trunk is called inside a compact module, whose fields say how many layers there are and of what kind.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.flatten_util import ravel_pytree

from jaxvae.checks import positive_integer
from jaxvae.networks.activations import activation_named
from jaxvae.networks.convolution import Conv, ConvTranspose
from jaxvae.networks.rows import Dense

Array = jax.Array
POSITIVE = ("latent_dim", "size", "classes", "channels", "dense", "kernel_size", "blocks")
SIZES = ("hidden", "features", "event_shape")


def check_fields(module: nn.Module) -> None:
    """Raises `TypeError` or `ValueError` for sizes, widths or an activation that no layer can have.

    Example:
        >>> from jaxvae.networks.mlp import MLPEncoder
        >>> MLPEncoder(latent_dim=0)
        Traceback (most recent call last):
        ValueError: latent_dim is 0, expected an integer of at least 1.
    """
    given = {name: getattr(module, name) for name in module.__dataclass_fields__}
    for name in (name for name in POSITIVE if name in given):
        positive_integer(name, given[name])
    for name in (name for name in SIZES if name in given):
        if not isinstance(given[name], tuple | list):
            raise TypeError(f"{name} is {given[name]!r}, expected a tuple of positive integers such as (400,).")
        for size in given[name]:
            positive_integer(name, size)
    if given.get("outputs") is not None:
        positive_integer("outputs", given["outputs"], 2 * given["latent_dim"])
    activation_named(given["activation"])
    if given.get("output_bias") is not None:
        _check_output_bias(given["output_bias"], given["event_shape"], given["channels"])
    if "features" in given and not given["features"]:
        raise ValueError("features is (), expected the channels of at least one layer. For none use an MLP.")
    if "features" in given and "event_shape" in given:
        layers = getattr(module, "halvings", len(given["features"]))
        check_image_shape("event_shape", given["event_shape"], layers)


def check_image_shape(name: str, shape: tuple[int, ...], layers: int) -> None:
    """Raises `ValueError` unless the shape is (H, W, C) with sides that halve `layers` times."""
    if len(shape) != 3:
        raise ValueError(f"{name} has shape {tuple(shape)}, expected one image (H, W, C), without a batch axis.")
    factor = 2**layers
    if shape[0] % factor or shape[1] % factor:
        near = " x ".join(f"{max(1, round(side / factor)) * factor}" for side in shape[:2])
        raise ValueError(
            f"{name} has shape {tuple(shape)}, but {layers} layers of stride 2 need sides that are multiples of "
            f"{factor}. Pad or resize the images to {near}, or use fewer layers."
        )


def _check_output_bias(bias: tuple[float, ...], event_shape: tuple[int, ...], channels: int) -> None:
    size = math.prod(event_shape) * channels
    if len(bias) != size:
        raise ValueError(
            f"output_bias has {len(bias)} numbers, expected {size}: one for each output of an event of shape "
            f"{tuple(event_shape)} with {channels} number(s) per channel."
        )


def constant(values: tuple[float, ...] | None) -> nn.initializers.Initializer:
    """An initialiser that gives these numbers, or zeros."""
    if values is None:
        return nn.initializers.zeros_init()
    return lambda key, shape, dtype=jnp.float32: jnp.asarray(values, dtype).reshape(shape)


def from_bias(outputs: Array, module: Any) -> Array:
    """outputs [H, W, D] plus a learned picture that starts at module.output_bias; as they are where that is None."""
    if module.output_bias is None:
        return outputs
    return outputs + module.param("output_bias", constant(module.output_bias), outputs.shape, jnp.float32)


def mlp_trunk(x: Array, module: Any) -> Array:
    """x [...], or a tree of arrays, through a dense layer of each of module.hidden, each followed by the activation."""
    h = x.reshape(-1) if hasattr(x, "reshape") else ravel_pytree(x)[0]
    for width in module.hidden:
        h = activation_named(module.activation)(Dense(width)(h))
    return h


def conv_trunk(x: Array, module: Any) -> Array:
    """x [H, W, C] through a convolution of stride 2 for each of module.features, each followed by the activation."""
    check_image_shape("x", x.shape, len(module.features))
    for width in module.features:
        layer = Conv(width, module.kernel_size, native=getattr(module, "native", None))
        x = activation_named(module.activation)(layer(x))
    return x


def reverse_conv_trunk(h: Array, module: Any) -> Array:
    """h [H / 2^n, W / 2^n, D] -> [H, W, C * channels]: the layers of `conv_trunk` in reverse; the last is linear."""
    native = getattr(module, "native", None)
    for width in module.features[-2::-1]:
        h = activation_named(module.activation)(ConvTranspose(width, module.kernel_size, native=native)(h))
    return ConvTranspose(module.event_shape[2] * module.channels, module.kernel_size, native=native)(h)
