"""A U-Net of one picture: residual blocks down to a coarse one and up again, each beside the block of its size."""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxvae.checks import positive_integer
from jaxvae.networks.activations import activation_named
from jaxvae.networks.convolution import Conv, ConvTranspose
from jaxvae.networks.denoisers.told import conditioning
from jaxvae.networks.residual.blocks import Attention, GroupNorm, residual_block
from jaxvae.networks.rows import Dense
from jaxvae.networks.shapes import fitting
from jaxvae.networks.trunks import check_fields

Array = jax.Array


class UNet(nn.Module):
    """(z [H, W, C], gamma [], context or None) -> [H, W, C * channels]: blocks of `features` at each resolution.

    Each resolution but the first has half the sides of the one before, so that H and W are multiples of 2 to their
    number less one. `dense` is the width of what tells each block noise and context; `attention` lets all pixels of the
    coarsest see each other; `block_dropout` is for `networks.with_dropout` to set. The last layer starts at 0;
    `channels` is 1, or the number of levels for `prediction="levels"`.

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
    block_dropout: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self)
        positive_integer("blocks", self.blocks)
        super().__post_init__()

    @property
    def halvings(self) -> int:
        """How often the sides halve."""
        return len(self.features) - 1

    @nn.compact
    def __call__(self, z: Array, gamma: Array, context: Array | None = None, *, train: bool = False) -> Array:
        block = functools.partial(residual_block, module=self, train=train)
        with fitting("z", z):
            told = conditioning(gamma, context, self.dense)
            h = Conv(self.features[0], 3, 1, self.native)(z)
            kept = [h]
            for level, width in enumerate(self.features):
                if level:
                    h = Conv(width, 3, 2, self.native)(h)
                    kept.append(h)
                for _ in range(self.blocks):
                    h = block(h, width, told=told)
                    kept.append(h)
            h = block(h, self.features[-1], told=told)
            if self.attention:
                h = h + Attention()(GroupNorm()(h))
                h = block(h, self.features[-1], told=told)
            for level, width in reversed(list(enumerate(self.features))):
                for _ in range(self.blocks + 1):
                    h = block(jnp.concatenate([h, kept.pop()], -1), width, told=told)
                if level:
                    h = ConvTranspose(self.features[level - 1], 3, 2, self.native)(h)
            h = activation_named(self.activation)(GroupNorm()(h))
            return Dense(self.event_shape[2] * self.channels, kernel_init=nn.initializers.zeros)(h)
