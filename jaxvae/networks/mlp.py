"""Fully connected encoders and decoders of one example, whatever its shape."""

import math

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxvae.networks.rows import Dense
from jaxvae.networks.shapes import check_latent, fitting
from jaxvae.networks.trunks import check_fields, constant, mlp_trunk

Array = jax.Array


class MLPEncoder(nn.Module):
    """x [...] -> (mean [latent_dim], log_var [latent_dim]) through hidden layers of the given widths.

    Weights start as Flax's Dense does (LeCun normal), biases at zero. `activation` is that of a function, or "gated":
    layers (A x + a) * sigmoid(B x + b), as a VampPrior is trained with (arXiv 1705.07120). `dropout` is for
    `networks.with_dropout` to set. A posterior that reads more than a mean and a log_var asks for `outputs` numbers in
    all, `posterior.outputs(latent_dim)`, and gets (mean, log_var, rest); rest starts near 0.

    Example:
        >>> encoder = MLPEncoder(latent_dim=2, hidden=(16,))
        >>> x = jnp.zeros((8, 8, 1))
        >>> mean, log_var = encoder.apply(encoder.init(jax.random.key(0), x), x)
        >>> mean.shape, log_var.shape
        ((2,), (2,))
    """

    latent_dim: int
    hidden: tuple[int, ...] = (400,)
    activation: str = "relu"
    outputs: int | None = None
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> tuple[Array, ...]:
        with fitting("x", x):
            h = mlp_trunk(x, self, train)
            return posterior_layers(h, self.latent_dim, self.outputs)

    @nn.nowrap
    def with_outputs(self, latent_dim: int, outputs: int) -> "MLPEncoder":
        """The encoder of a posterior that reads so many numbers; itself, if told another number or of other latents."""
        fits = self.outputs is None and latent_dim == self.latent_dim
        return self.clone(outputs=outputs) if fits and outputs > 2 * latent_dim else self


class MLPDecoder(nn.Module):
    """z [Z] -> outputs [..., C * channels] for an event [..., C], unconstrained.

    The last bias starts at `output_bias`, one number for each output in the order of the flat event, or at zero. At the
    logits of the mean image it spares training the blurred average (Burda et al., 2016, arXiv 1509.00519).

    Example:
        >>> decoder = MLPDecoder((8, 8, 1), channels=2)
        >>> z = jnp.zeros(3)
        >>> decoder.apply(decoder.init(jax.random.key(0), z), z).shape
        (8, 8, 2)
    """

    event_shape: tuple[int, ...]
    channels: int = 1
    hidden: tuple[int, ...] = (400,)
    activation: str = "relu"
    output_bias: tuple[float, ...] | None = None
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self)
        super().__post_init__()

    @nn.compact
    def __call__(self, z: Array, *, train: bool = False) -> Array:
        check_latent(z)
        shape = (*self.event_shape[:-1], self.event_shape[-1] * self.channels)
        with fitting("z", z):
            h = mlp_trunk(z, self, train)
            return Dense(math.prod(shape), bias_init=constant(self.output_bias))(h).reshape(shape)


def posterior_layers(h: Array, latent_dim: int, outputs: int | None) -> tuple[Array, ...]:
    """(mean, log_var), and the rest of so many outputs if there is any; call it inside a compact module.

    The rest starts small: as correlations of a posterior it would begin far from the prior otherwise.
    """
    mean, log_var = jnp.split(Dense(2 * latent_dim)(h), 2)
    rest = 0 if outputs is None else outputs - 2 * latent_dim
    if not rest:
        return mean, log_var
    small = nn.initializers.variance_scaling(0.01, "fan_in", "truncated_normal")
    return mean, log_var, Dense(rest, kernel_init=small)(h)
