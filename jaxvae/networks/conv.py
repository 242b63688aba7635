"""Convolutional encoder and decoder of one image; each layer halves or doubles its sides."""

import math

import jax
from flax import linen as nn

from jaxvae.checks import positive_integer
from jaxvae.networks.activations import activation_named
from jaxvae.networks.convolution import Conv, ConvTranspose
from jaxvae.networks.mlp import check_sizes, posterior_layers
from jaxvae.networks.rows import Dense
from jaxvae.networks.shapes import check_latent, fitting

Array = jax.Array


class ConvEncoder(nn.Module):
    """x [H, W, C] -> (mean [latent_dim], log_var [latent_dim]): convolutions of stride 2, then a dense layer.

    H and W must be multiples of 2 to the number of layers. Weights start as LeCun normal, biases at zero. A kernel of
    4 x 4 costs 1.4 times the time of one of 3 x 3. With `extra` numbers the output is (mean, log_var, rest [extra]),
    for posteriors that need more than a diagonal Gaussian; rest starts near 0. `native` says whether convolutions are
    left to `jax.lax`: by default they are, unless the backend is a CPU.

    Example:
        >>> encoder = ConvEncoder(latent_dim=2, features=(4, 8), dense=16)
        >>> x = jax.numpy.zeros((8, 8, 1))
        >>> mean, log_var = encoder.apply(encoder.init(jax.random.key(0), x), x)
        >>> mean.shape, log_var.shape
        ((2,), (2,))
    """

    latent_dim: int
    features: tuple[int, ...] = (32, 64)
    dense: int = 256
    activation: str = "relu"
    kernel_size: int = 3
    extra: int = 0
    native: bool | None = None

    def __post_init__(self) -> None:
        positive_integer("latent_dim", self.latent_dim)
        positive_integer("extra", self.extra, 0)
        check_convolutional(self.features, self.dense, self.activation, self.kernel_size)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array) -> tuple[Array, ...]:
        check_image_shape("x", x.shape, len(self.features))
        activation = activation_named(self.activation)
        with fitting("x", x):
            h = x
            for width in self.features:
                h = activation(Conv(width, self.kernel_size, native=self.native)(h))
            h = activation(Dense(self.dense)(h.reshape(-1)))
            return posterior_layers(h, self.latent_dim, self.extra)


class ConvDecoder(nn.Module):
    """z [Z] -> outputs [H, W, C * channels], unconstrained: the encoder's layers in reverse.

    `features` are listed as the encoder's, the widest last; `native` is the encoder's.

    Example:
        >>> decoder = ConvDecoder((8, 8, 1), features=(4, 8), dense=16)
        >>> z = jax.numpy.zeros(3)
        >>> decoder.apply(decoder.init(jax.random.key(0), z), z).shape
        (8, 8, 1)
    """

    event_shape: tuple[int, ...]
    channels: int = 1
    features: tuple[int, ...] = (32, 64)
    dense: int = 256
    activation: str = "relu"
    kernel_size: int = 3
    native: bool | None = None

    def __post_init__(self) -> None:
        check_sizes("event_shape", self.event_shape)
        positive_integer("channels", self.channels)
        check_convolutional(self.features, self.dense, self.activation, self.kernel_size)
        check_image_shape("event_shape", self.event_shape, len(self.features))
        super().__post_init__()

    @nn.compact
    def __call__(self, z: Array) -> Array:
        check_latent(z)
        activation = activation_named(self.activation)
        height, width, image_channels = self.event_shape
        factor = 2 ** len(self.features)
        start = (height // factor, width // factor, self.features[-1])
        with fitting("z", z):
            h = activation(Dense(self.dense)(z))
            h = activation(Dense(math.prod(start))(h)).reshape(start)
            for features in self.features[-2::-1]:
                h = activation(ConvTranspose(features, self.kernel_size, native=self.native)(h))
            return ConvTranspose(image_channels * self.channels, self.kernel_size, native=self.native)(h)


def check_convolutional(features: tuple[int, ...], dense: int, activation: str, kernel_size: int) -> None:
    """Raises `TypeError` or `ValueError` for layers that cannot be built."""
    check_sizes("features", features)
    if len(features) == 0:
        raise ValueError("features is (), expected the channels of at least one layer. For none use an MLP.")
    positive_integer("dense", dense)
    positive_integer("kernel_size", kernel_size)
    activation_named(activation)


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
