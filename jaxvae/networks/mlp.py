"""Fully connected encoders and decoders of one example, whatever its shape."""

import math

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxvae.math.checks import positive_integer
from jaxvae.networks.activations import activation_named
from jaxvae.networks.shapes import check_latent, fitting

Array = jax.Array


class MLPEncoder(nn.Module):
    """x [...] -> (mean [latent_dim], log_var [latent_dim]) through hidden layers of the given widths.

    Weights start as Flax's Dense does (LeCun normal), biases at zero.

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

    def __post_init__(self) -> None:
        positive_integer("latent_dim", self.latent_dim)
        check_sizes("hidden", self.hidden)
        activation_named(self.activation)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array) -> tuple[Array, Array]:
        with fitting("x", x):
            h = hidden_layers(x.reshape(-1), self.hidden, self.activation)
            mean, log_var = jnp.split(nn.Dense(2 * self.latent_dim)(h), 2)
        return mean, log_var


class MLPDecoder(nn.Module):
    """z [Z] -> outputs [..., C * channels] for an event [..., C], unconstrained.

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

    def __post_init__(self) -> None:
        check_sizes("event_shape", self.event_shape)
        positive_integer("channels", self.channels)
        check_sizes("hidden", self.hidden)
        activation_named(self.activation)
        super().__post_init__()

    @nn.compact
    def __call__(self, z: Array) -> Array:
        check_latent(z)
        shape = (*self.event_shape[:-1], self.event_shape[-1] * self.channels)
        with fitting("z", z):
            h = hidden_layers(z, self.hidden, self.activation)
            return nn.Dense(math.prod(shape))(h).reshape(shape)


def hidden_layers(h: Array, widths: tuple[int, ...], activation: str) -> Array:
    """Dense layers, each followed by the activation; call it inside a compact module."""
    for width in widths:
        h = activation_named(activation)(nn.Dense(width)(h))
    return h


def check_sizes(name: str, sizes: tuple[int, ...]) -> None:
    """Raises `TypeError` or `ValueError` unless every size is a positive integer."""
    if not isinstance(sizes, tuple | list):
        raise TypeError(f"{name} is {sizes!r}, expected a tuple of positive integers such as (400,).")
    for size in sizes:
        positive_integer(name, size)
