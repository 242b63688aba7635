"""A U-Net of one picture: residual blocks down to a coarse one and up again, each beside the block of its size."""

import math

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxvae.checks import positive_integer
from jaxvae.networks.activations import activation_named
from jaxvae.networks.convolution import Conv, ConvTranspose
from jaxvae.networks.denoisers.told import conditioning
from jaxvae.networks.rows import Dense
from jaxvae.networks.shapes import fitting
from jaxvae.networks.trunks import check_fields

Array = jax.Array


class UNet(nn.Module):
    """(z [H, W, C], gamma [], context or None) -> [H, W, C * channels]: blocks of `features` at each resolution.

    Each resolution but the first has half the sides of the one before, so that H and W are multiples of 2 to their
    number less one. `dense` is the width of what tells each block noise and context; `attention` lets all pixels of the
    coarsest see each other. The last layer starts at 0; `channels` is 1, or the number of levels for
    `prediction="levels"`.

    Source: Ronneberger et al., 2015, arXiv 1505.04597; the blocks: Ho, Jain and Abbeel, 2020, arXiv 2006.11239.

    Example:
        >>> network, z, gamma = UNet((8, 8, 1), features=(4, 8)), jnp.zeros((8, 8, 1)), jnp.zeros(())
        >>> network.apply(network.init(jax.random.key(0), z, gamma, None), z, gamma, None).shape
        (8, 8, 1)
    """

    event_shape: tuple[int, ...]
    channels: int = 1
    features: tuple[int, ...] = (32, 64)
    dense: int = 128
    blocks: int = 1
    attention: bool = False
    activation: str = "silu"
    native: bool | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        positive_integer("blocks", self.blocks)
        super().__post_init__()

    @property
    def halvings(self) -> int:
        """How often the sides halve."""
        return len(self.features) - 1

    @nn.compact
    def __call__(self, z: Array, gamma: Array, context: Array | None = None) -> Array:
        with fitting("z", z):
            told = conditioning(gamma, context, self.dense)
            h = Conv(self.features[0], 3, 1, self.native)(z)
            kept = [h]
            for level, width in enumerate(self.features):
                if level:
                    h = Conv(width, 3, 2, self.native)(h)
                    kept.append(h)
                for _ in range(self.blocks):
                    h = self._block(h, told, width)
                    kept.append(h)
            h = self._block(h, told, self.features[-1])
            if self.attention:
                h = h + Attention()(GroupNorm()(h))
                h = self._block(h, told, self.features[-1])
            for level, width in reversed(list(enumerate(self.features))):
                for _ in range(self.blocks + 1):
                    h = self._block(jnp.concatenate([h, kept.pop()], -1), told, width)
                if level:
                    h = ConvTranspose(self.features[level - 1], 3, 2, self.native)(h)
            h = activation_named(self.activation)(GroupNorm()(h))
            return Dense(self.event_shape[2] * self.channels, kernel_init=nn.initializers.zeros)(h)

    def _block(self, x: Array, told: Array, width: int) -> Array:
        """x + conv(act(norm(conv(act(norm(x))) + told))), the last at 0 where training starts."""
        act = activation_named(self.activation)
        h = Conv(width, 3, 1, self.native)(act(GroupNorm()(x)))
        h = h + Dense(width)(told)[None, None]
        h = Conv(width, 3, 1, self.native, nn.initializers.zeros)(act(GroupNorm()(h)))
        return h + (x if x.shape[-1] == width else Dense(width)(x))


class GroupNorm(nn.Module):
    """h [H, W, C] with mean 0 and variance 1 over each group of channels, at most eight groups; scaled and moved.

    Source: Wu and He, 2018, arXiv 1803.08494.
    """

    @nn.compact
    def __call__(self, h: Array) -> Array:
        shape = h.shape
        scale = self.param("scale", nn.initializers.ones, (shape[-1],))
        bias = self.param("bias", nn.initializers.zeros, (shape[-1],))
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
