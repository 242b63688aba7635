"""Residual encoder and decoder of one image, deep enough for photographs; each resolution halves the sides."""

import math

import jax
from flax import linen as nn

from jaxvae.networks.mlp import posterior_layers
from jaxvae.networks.residual.blocks import residual_trunk, reverse_residual_trunk
from jaxvae.networks.rows import Dense
from jaxvae.networks.shapes import check_latent, fitting
from jaxvae.networks.trunks import check_fields, dense_trunk, from_bias

Array = jax.Array


class ResNetEncoder(nn.Module):
    """x [H, W, C] -> (mean [latent_dim], log_var [latent_dim]): residual blocks, then a dense layer.

    For each of `features` a convolution of stride 2 and so many `blocks`, x + conv(act(norm(conv(act(norm(x)))))),
    with norms over groups of channels, so that no example sees another; the first of several is a stem without blocks,
    where they would cost the most and see the least. H and W must be multiples of 2 to the number
    of `features`. `attention` lets all pixels of the coarsest resolution see each other; `outputs`, `native` and
    `dropout` as `ConvEncoder` has them. `block_dropout`, of what the last convolution of each block reads, is for
    `networks.with_dropout` to set.

    Source: He et al., 2016, arXiv 1603.05027; Wu and He, 2018, arXiv 1803.08494.

    Example:
        >>> encoder = ResNetEncoder(latent_dim=2, features=(4, 8), dense=16)
        >>> x = jax.numpy.zeros((8, 8, 3))
        >>> mean, log_var = encoder.apply(encoder.init(jax.random.key(0), x), x)
        >>> mean.shape, log_var.shape
        ((2,), (2,))
    """

    latent_dim: int
    features: tuple[int, ...] = (32, 64, 128)
    dense: int = 256
    blocks: int = 1
    attention: bool = False
    activation: str = "silu"
    outputs: int | None = None
    native: bool | None = None
    dropout: float = 0.0
    block_dropout: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> tuple[Array, ...]:
        with fitting("x", x):
            h = dense_trunk(residual_trunk(x, self, train).reshape(-1), self, train)
            return posterior_layers(h, self.latent_dim, self.outputs)

    @nn.nowrap
    def with_outputs(self, latent_dim: int, outputs: int) -> "ResNetEncoder":
        """The encoder of a posterior that reads so many numbers; itself, if told another number or of other latents."""
        fits = self.outputs is None and latent_dim == self.latent_dim
        return self.clone(outputs=outputs) if fits and outputs > 2 * latent_dim else self


class ResNetDeterministicEncoder(nn.Module):
    """x [H, W, C] -> code [latent_dim]: the layers of `ResNetEncoder`, without a variance.

    Example:
        >>> encoder, x = ResNetDeterministicEncoder(2, features=(4, 8), dense=16), jax.numpy.zeros((8, 8, 3))
        >>> encoder.apply(encoder.init(jax.random.key(0), x), x).shape
        (2,)
    """

    latent_dim: int
    features: tuple[int, ...] = (32, 64, 128)
    dense: int = 256
    blocks: int = 1
    attention: bool = False
    activation: str = "silu"
    native: bool | None = None
    dropout: float = 0.0
    block_dropout: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        with fitting("x", x):
            h = dense_trunk(residual_trunk(x, self, train).reshape(-1), self, train)
            return Dense(self.latent_dim)(h)


class ResNetDecoder(nn.Module):
    """z [Z] -> outputs [H, W, C * channels], unconstrained: the encoder's blocks in reverse.

    A picture grows by making each pixel four, which the next blocks tell apart. `features` are listed as the encoder's,
    the widest last; the finest has blocks too. `output_bias` as `ConvDecoder` has it.

    Example:
        >>> decoder = ResNetDecoder((8, 8, 3), channels=2, features=(4, 8), dense=16)
        >>> z = jax.numpy.zeros(3)
        >>> decoder.apply(decoder.init(jax.random.key(0), z), z).shape
        (8, 8, 6)
    """

    event_shape: tuple[int, ...]
    channels: int = 1
    features: tuple[int, ...] = (32, 64, 128)
    dense: int = 256
    blocks: int = 1
    attention: bool = False
    activation: str = "silu"
    output_bias: tuple[float, ...] | None = None
    native: bool | None = None
    dropout: float = 0.0
    block_dropout: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self)
        super().__post_init__()

    @nn.compact
    def __call__(self, z: Array, *, train: bool = False) -> Array:
        check_latent(z)
        factor = 2 ** len(self.features)
        start = (*(side // factor for side in self.event_shape[:2]), self.features[-1])
        with fitting("z", z):
            h = dense_trunk(z, self, train, reverse=True)
            h = Dense(math.prod(start))(h).reshape(start)
            return from_bias(reverse_residual_trunk(h, self, train), self)
