"""Convolutional encoder and decoder of one image; each layer halves or doubles its sides."""

import math

import jax
from flax import linen as nn

from jaxvae.networks.activations import activation_named
from jaxvae.networks.mlp import posterior_layers
from jaxvae.networks.rows import Dense
from jaxvae.networks.shapes import check_latent, fitting
from jaxvae.networks.trunks import check_fields, conv_trunk, dense_trunk, from_bias, reverse_conv_trunk

Array = jax.Array


class ConvEncoder(nn.Module):
    """x [H, W, C] -> (mean [latent_dim], log_var [latent_dim]): convolutions of stride 2, then a dense layer.

    H and W must be multiples of 2 to the number of layers; with `pad` an image of other sides is laid on zeros that
    are. `kernel_size` is one number or one for each convolution, `dense` one or one for each dense layer. Weights start
    as LeCun normal, biases at zero. A kernel of 4 x 4 costs 1.4 times the time of one of 3 x 3. `outputs` and
    `dropout`, of what the layers of `dense` make, as `MLPEncoder` has them. `native` says whether convolutions are left
    to `jax.lax`: by default they are, unless the backend is a CPU.

    Example:
        >>> encoder = ConvEncoder(latent_dim=2, features=(4, 8), dense=16)
        >>> x = jax.numpy.zeros((8, 8, 1))
        >>> mean, log_var = encoder.apply(encoder.init(jax.random.key(0), x), x)
        >>> mean.shape, log_var.shape
        ((2,), (2,))
    """

    latent_dim: int
    features: tuple[int, ...] = (32, 64)
    dense: int | tuple[int, ...] = 256
    activation: str = "relu"
    kernel_size: int | tuple[int, ...] = 3
    outputs: int | None = None
    native: bool | None = None
    pad: bool = False
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> tuple[Array, ...]:
        with fitting("x", x):
            h = dense_trunk(conv_trunk(x, self).reshape(-1), self, train)
            return posterior_layers(h, self.latent_dim, self.outputs)

    @nn.nowrap
    def with_outputs(self, latent_dim: int, outputs: int) -> "ConvEncoder":
        """The encoder of a posterior that reads so many numbers; itself, if told another number or of other latents."""
        fits = self.outputs is None and latent_dim == self.latent_dim
        return self.clone(outputs=outputs) if fits and outputs > 2 * latent_dim else self


class ConvDecoder(nn.Module):
    """z [Z] -> outputs [H, W, C * channels], unconstrained: the encoder's layers in reverse.

    `features`, `dense` and `kernel_size` are listed as the encoder's, the widest last; `native` is the encoder's, and
    with `pad` the outputs are cut to the image. An `output_bias`, one number for each output in the order of the flat
    event, makes a learned picture that starts at it and is added to all outputs: where it starts at the mean image, no
    latent has to learn the background that all images share.

    Example:
        >>> decoder = ConvDecoder((8, 8, 1), features=(4, 8), dense=16)
        >>> z = jax.numpy.zeros(3)
        >>> decoder.apply(decoder.init(jax.random.key(0), z), z).shape
        (8, 8, 1)
    """

    event_shape: tuple[int, ...]
    channels: int = 1
    features: tuple[int, ...] = (32, 64)
    dense: int | tuple[int, ...] = 256
    activation: str = "relu"
    kernel_size: int | tuple[int, ...] = 3
    native: bool | None = None
    output_bias: tuple[float, ...] | None = None
    pad: bool = False
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self)
        super().__post_init__()

    @nn.compact
    def __call__(self, z: Array, *, train: bool = False) -> Array:
        check_latent(z)
        activation = activation_named(self.activation)
        factor = 2 ** len(self.features)
        start = (*(-(-side // factor) for side in self.event_shape[:2]), self.features[-1])
        with fitting("z", z):
            h = dense_trunk(z, self, train, reverse=True)
            h = activation(Dense(math.prod(start))(h)).reshape(start)
            return from_bias(reverse_conv_trunk(h, self), self)
