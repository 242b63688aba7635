"""Fully connected encoders and decoders of one example, whatever its shape."""

import math

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxvae.networks.rows import Dense
from jaxvae.networks.shapes import check_latent, fitting
from jaxvae.networks.trunks import check_fields, mlp_trunk

Array = jax.Array


class MLPEncoder(nn.Module):
    """x [...] -> (mean [latent_dim], log_var [latent_dim]) through hidden layers of the given widths.

    Weights start as Flax's Dense does (LeCun normal), biases at zero. With `extra` numbers the output is
    (mean, log_var, rest [extra]), for posteriors that need more than a diagonal Gaussian; rest starts near 0.

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
    extra: int = 0

    def __post_init__(self) -> None:
        check_fields(self)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array) -> tuple[Array, ...]:
        with fitting("x", x):
            h = mlp_trunk(x, self)
            return posterior_layers(h, self.latent_dim, self.extra)


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

    def __post_init__(self) -> None:
        check_fields(self)
        size = math.prod(self.event_shape) * self.channels
        if self.output_bias is not None and len(self.output_bias) != size:
            raise ValueError(
                f"output_bias has {len(self.output_bias)} numbers, expected {size}: one for each output of an event of "
                f"shape {tuple(self.event_shape)} with {self.channels} number(s) per channel."
            )
        super().__post_init__()

    @nn.compact
    def __call__(self, z: Array) -> Array:
        check_latent(z)
        shape = (*self.event_shape[:-1], self.event_shape[-1] * self.channels)
        with fitting("z", z):
            h = mlp_trunk(z, self)
            return Dense(math.prod(shape), bias_init=constant(self.output_bias))(h).reshape(shape)


def constant(values: tuple[float, ...] | None) -> nn.initializers.Initializer:
    """An initialiser that gives these numbers, or zeros."""
    if values is None:
        return nn.initializers.zeros_init()
    return lambda key, shape, dtype=jnp.float32: jnp.asarray(values, dtype).reshape(shape)


def posterior_layers(h: Array, latent_dim: int, extra: int) -> tuple[Array, ...]:
    """(mean, log_var), and rest [extra] if any is asked for; call it inside a compact module.

    The rest starts small: as correlations of a posterior it would begin far from the prior otherwise.
    """
    mean, log_var = jnp.split(Dense(2 * latent_dim)(h), 2)
    if not extra:
        return mean, log_var
    small = nn.initializers.variance_scaling(0.01, "fan_in", "truncated_normal")
    return mean, log_var, Dense(extra, kernel_init=small)(h)
