"""Convolutional networks between an image and a grid of vectors, the codes of a VQ-VAE."""

import jax
from flax import linen as nn

from jaxvae.networks.activations import activation_named
from jaxvae.networks.rows import Dense
from jaxvae.networks.shapes import fitting
from jaxvae.networks.trunks import check_fields, conv_trunk, reverse_conv_trunk

Array = jax.Array


class ConvGridEncoder(nn.Module):
    """x [H, W, C] -> grid [H / 2^n, W / 2^n, size]: n convolutions of stride 2, then a linear map at each position.

    Example:
        >>> encoder, x = ConvGridEncoder(size=3, features=(4, 8)), jax.numpy.zeros((8, 8, 1))
        >>> encoder.apply(encoder.init(jax.random.key(0), x), x).shape
        (2, 2, 3)
    """

    size: int
    features: tuple[int, ...] = (32, 64)
    activation: str = "relu"
    kernel_size: int = 3

    def __post_init__(self) -> None:
        check_fields(self)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array) -> Array:
        with fitting("x", x):
            return Dense(self.size)(conv_trunk(x, self))


class ConvGridDecoder(nn.Module):
    """z [H / 2^n, W / 2^n, D] -> outputs [H, W, C * channels]: `ConvGridEncoder` in reverse, the widest layer first.

    Example:
        >>> decoder, z = ConvGridDecoder((8, 8, 1), features=(4, 8)), jax.numpy.zeros((2, 2, 3))
        >>> decoder.apply(decoder.init(jax.random.key(0), z), z).shape
        (8, 8, 1)
    """

    event_shape: tuple[int, ...]
    channels: int = 1
    features: tuple[int, ...] = (32, 64)
    activation: str = "relu"
    kernel_size: int = 3

    def __post_init__(self) -> None:
        check_fields(self)
        super().__post_init__()

    @nn.compact
    def __call__(self, z: Array) -> Array:
        activation, factor = activation_named(self.activation), 2 ** len(self.features)
        expected = tuple(side // factor for side in self.event_shape[:2])
        if z.ndim != 3 or z.shape[:2] != expected:
            raise ValueError(
                f"z has shape {z.shape}, expected a grid ({expected[0]}, {expected[1]}, D) for images of "
                f"{self.event_shape} and {len(self.features)} layer(s). Use ConvGridEncoder with the same features."
            )
        with fitting("z", z):
            h = activation(Dense(self.features[-1])(z))
            return reverse_conv_trunk(h, self)
