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
from jaxvae.networks.activations import GATED, activation_named
from jaxvae.networks.convolution import Conv, ConvTranspose
from jaxvae.networks.rows import Dense

Array = jax.Array
POSITIVE = ("latent_dim", "size", "classes", "channels", "blocks")
SIZES = ("hidden", "features", "event_shape")
ONE_OR_MORE = ("dense", "kernel_size")  # a number, or one for each layer
DROPPED = ("dropout", "block_dropout")  # shares


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
    for name in (name for name in ONE_OR_MORE if name in given):
        for size in as_sizes(given[name]):
            positive_integer(name, size)
    if given.get("outputs") is not None:
        positive_integer("outputs", given["outputs"], 2 * given["latent_dim"])
    if given["activation"] != GATED or "hidden" not in given:
        activation_named(given["activation"])
    for name in (name for name in DROPPED if not 0 <= given.get(name, 0.0) < 1):
        raise ValueError(f"{name} is {given[name]!r}, expected a share of at least 0 and below 1.")
    if given.get("output_bias") is not None:
        _check_output_bias(given["output_bias"], given["event_shape"], given["channels"])
    if "features" in given and not given["features"]:
        raise ValueError("features is (), expected the channels of at least one layer. For none use an MLP.")
    if "features" in given and "event_shape" in given:
        layers = getattr(module, "halvings", len(given["features"]))
        check_image_shape("event_shape", given["event_shape"], layers, given.get("pad", False))
    sizes = given.get("kernel_size")
    if isinstance(sizes, tuple | list) and len(sizes) != len(given["features"]):
        raise ValueError(
            f"kernel_size is {sizes}, expected one number, or {len(given['features'])}: one for each of features."
        )


def as_sizes(sizes: Any) -> tuple[int, ...]:
    """One number or several, as several.

    Example:
        >>> as_sizes(256), as_sizes((256, 128))
        ((256,), (256, 128))
    """
    return tuple(sizes) if isinstance(sizes, tuple | list) else (sizes,)


def check_image_shape(name: str, shape: tuple[int, ...], layers: int, pad: bool = False) -> None:
    """Raises `ValueError` unless the shape is (H, W, C) with sides that halve `layers` times; with `pad`, that reach so
    far."""
    if len(shape) != 3:
        raise ValueError(f"{name} has shape {tuple(shape)}, expected one image (H, W, C), without a batch axis.")
    factor = 2**layers
    if pad:
        if min(shape[:2]) < factor:
            raise ValueError(
                f"{name} has shape {tuple(shape)}, but {layers} layers of stride 2 need sides of at least {factor} "
                f"pixels. Resize the images to {' x '.join(str(max(side, factor)) for side in shape[:2])}, or use "
                f"fewer layers."
            )
        return
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


def mlp_trunk(x: Array, module: Any, train: bool = False) -> Array:
    """x [...], or a tree of arrays, through a dense layer of each of module.hidden, each followed by the activation.

    In training a share of module.dropout of what comes out of each is then dropped. Where the activation is "gated", a
    layer is h = (A x + a) * sigmoid(B x + b), both halves of one product.

    Source: Dauphin, Fan, Auli and Grangier, 2017, arXiv 1612.08083; in a VAE: Tomczak and Welling, 2018, arXiv
    1705.07120.
    """
    h = x.reshape(-1) if hasattr(x, "reshape") else ravel_pytree(x)[0]
    for width in module.hidden:
        if module.activation == GATED:
            value, gate = jnp.split(Dense(2 * width)(h), 2)
            h = value * nn.sigmoid(gate)
        else:
            h = activation_named(module.activation)(Dense(width)(h))
        h = dropped(h, module, train)
    return h


def dense_trunk(h: Array, module: Any, train: bool = False, *, reverse: bool = False) -> Array:
    """h [D] through a dense layer for each of module.dense, each followed by the activation and, in training, by
    dropout."""
    for width in as_sizes(module.dense)[:: -1 if reverse else 1]:
        h = dropped(activation_named(module.activation)(Dense(width)(h)), module, train)
    return h


def dropped(h: Array, module: Any, train: bool, field: str = "dropout") -> Array:
    """In training h with a share of module.dropout of its numbers at 0, the others over 1 - dropout; else h."""
    rate = getattr(module, field, 0.0)
    return nn.Dropout(rate, deterministic=not train)(h) if rate else h


def conv_trunk(x: Array, module: Any) -> Array:
    """x [H, W, C] through a convolution of stride 2 for each of module.features, each followed by the activation.

    With module.pad, x is laid in the middle of zeros first, whose sides halve as often: `margins`.
    """
    pad, layers = getattr(module, "pad", False), len(module.features)
    check_image_shape("x", x.shape, layers, pad)
    if pad:
        x = jnp.pad(x, (*margins(x.shape[:2], layers), (0, 0)))
    for width, kernel in zip(module.features, _kernels(module), strict=True):
        layer = Conv(width, kernel, native=getattr(module, "native", None))
        x = activation_named(module.activation)(layer(x))
    return x


def reverse_conv_trunk(h: Array, module: Any) -> Array:
    """h [H / 2^n, W / 2^n, D] -> [H, W, C * channels]: the layers of `conv_trunk` in reverse; the last is linear."""
    native, (*kernels, last) = getattr(module, "native", None), _kernels(module)[::-1]
    for width, kernel in zip(module.features[-2::-1], kernels, strict=True):
        h = activation_named(module.activation)(ConvTranspose(width, kernel, native=native)(h))
    h = ConvTranspose(module.event_shape[2] * module.channels, last, native=native)(h)
    return h[cut(module)] if getattr(module, "pad", False) else h


def margins(sides: tuple[int, ...], layers: int) -> list[tuple[int, int]]:
    """What is missing before and behind each side to a multiple of 2 to the number of layers.

    Example:
        >>> margins((28, 33), 4)
        [(2, 2), (7, 8)]
    """
    return [(missing // 2, missing - missing // 2) for missing in (-side % 2**layers for side in sides)]


def cut(module: Any) -> tuple[slice, slice]:
    """Where the picture lies in what a decoder with `pad` makes."""
    sides = module.event_shape[:2]
    (top, _), (left, _) = margins(sides, len(module.features))
    return slice(top, top + sides[0]), slice(left, left + sides[1])


def _kernels(module: Any) -> tuple[int, ...]:
    size = module.kernel_size
    return as_sizes(size) if isinstance(size, tuple | list) else (size,) * len(module.features)
