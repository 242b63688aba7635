"""Residual blocks of one picture, its norm and its attention; a U-Net and a residual network are made of them."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxvae.networks.activations import activation_named
from jaxvae.networks.convolution import Conv, ConvTranspose
from jaxvae.networks.rows import Dense
from jaxvae.networks.trunks import check_image_shape, dropped

Array = jax.Array


class GroupNorm(nn.Module):
    """h [H, W, C] with mean 0 and variance 1 over each group of channels, at most eight groups; scaled and moved.

    Source: Wu and He, 2018, arXiv 1803.08494.
    """

    @nn.compact
    def __call__(self, h: Array) -> Array:
        shape = h.shape
        scale = self.param("scale", nn.initializers.ones, (shape[-1],), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (shape[-1],), jnp.float32)
        grouped = h.reshape(-1, math.gcd(shape[-1], 8), shape[-1] // math.gcd(shape[-1], 8))
        grouped = grouped - grouped.mean((0, 2), keepdims=True)
        grouped = grouped * jax.lax.rsqrt((grouped**2).mean((0, 2), keepdims=True) + 1e-5)
        return grouped.reshape(shape) * scale[None, None] + bias[None, None]


class Attention(nn.Module):
    """h [H, W, C] -> softmax(q k^T / sqrt(C)) v over all pixels, [H, W, C]; it starts at 0."""

    @nn.compact
    def __call__(self, h: Array) -> Array:
        width = h.shape[-1]
        query, key, value = jnp.split(Dense(3 * width)(h.reshape(-1, width)), 3, axis=-1)
        weights = jax.nn.softmax(query @ key.T / math.sqrt(width))
        return Dense(width, kernel_init=nn.initializers.zeros)(weights @ value).reshape(h.shape)


def residual_block(x: Array, width: int, module: Any, told: Array | None = None, train: bool = False) -> Array:
    """x + conv(act(norm(conv(act(norm(x))) + told))), the last at 0 where training starts; in a compact module.

    In training a share of module.block_dropout of what the last convolution reads is dropped, each number by itself.

    Source: He et al., 2016, arXiv 1603.05027 (norm and activation before the convolution); dropout between the two
    convolutions: Zagoruyko and Komodakis, 2016, arXiv 1605.07146.
    """
    act = activation_named(module.activation)
    h = Conv(width, 3, 1, module.native)(act(GroupNorm()(x)))
    if told is not None:
        h = h + Dense(width)(told)[None, None]
    h = dropped(act(GroupNorm()(h)), module, train, "block_dropout")
    h = Conv(width, 3, 1, module.native, nn.initializers.zeros)(h)
    return h + (x if x.shape[-1] == width else Dense(width)(x))


def plain_block(x: Array, width: int, module: Any) -> Array:
    """x + conv(act(conv(act(x)))) without a norm, the last at 0 where training starts; in a compact module.

    Source: Zhang, Dauphin and Ma, 2019, arXiv 1901.09321.
    """
    act = activation_named(module.activation)
    h = Conv(width, 3, 1, module.native)(act(x))
    h = Conv(width, 3, 1, module.native, nn.initializers.zeros)(act(h))
    return h + (x if x.shape[-1] == width else Dense(width)(x))


def down(x: Array, level: int, module: Any, block: Any = residual_block, stem: bool | None = None) -> Array:
    """[H, W, C] -> [H / 2, W / 2, features[level]]: a convolution of stride 2, then the blocks; in a compact module.

    The first resolution is a stem without blocks, unless it is the only one: there they would cost the most and see the
    least. `stem` says it otherwise.
    """
    width = module.features[level]
    x = Conv(width, 3, 2, module.native)(x)
    stem = (level == 0 and len(module.features) > 1) if stem is None else stem
    for _ in range(0 if stem else module.blocks):
        x = block(x, width, module)
    return x


def up(h: Array, level: int, module: Any, train: bool = False) -> Array:
    """[H, W, D] -> [2 H, 2 W, features[level - 1]]: the blocks, then each pixel made four, but not at level 0."""
    for _ in range(module.blocks):
        h = residual_block(h, module.features[level], module, train=train)
    return Dense(module.features[level - 1])(h).repeat(2, 0).repeat(2, 1) if level else h


def residual_trunk(x: Array, module: Any, train: bool = False) -> Array:
    """x [H, W, C] -> [H / 2^n, W / 2^n, D]: one resolution after the other, attention where it is asked, and a norm."""
    check_image_shape("x", x.shape, len(module.features))
    for level in range(len(module.features)):
        x = down(x, level, module, functools.partial(residual_block, train=train))
    return activation_named(module.activation)(GroupNorm()(_attended(x, module)))


def reverse_residual_trunk(h: Array, module: Any, train: bool = False) -> Array:
    """h [H / 2^n, W / 2^n, D] -> [H, W, C * channels]: one resolution after the other; the last layer starts at 0.

    Its kernel of 4 x 4 and stride 2 lies on every output pixel as often as on any other, so that no grid is seen.
    """
    h = _attended(h, module)
    for level in reversed(range(len(module.features))):
        h = up(h, level, module, train)
    h = activation_named(module.activation)(GroupNorm()(h))
    return ConvTranspose(module.event_shape[2] * module.channels, 4, 2, module.native, nn.initializers.zeros)(h)


def opinion(features: Array, module: Any, dense: str | None = None, logit: str | None = None) -> Array:
    """Features [F] -> logit []: module.dense units and one, both after the activation; with names of those layers."""
    act = activation_named(module.activation)
    return Dense(1, name=logit)(act(Dense(module.dense, name=dense)(act(features))))[0]


def _attended(h: Array, module: Any) -> Array:
    return h + Attention()(GroupNorm()(h)) if module.attention else h
