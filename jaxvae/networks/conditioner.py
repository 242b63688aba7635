"""Networks for flows: one that starts at zero, and an encoder that also emits a context."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxvae.math.checks import positive_integer
from jaxvae.networks.activations import activation_named
from jaxvae.networks.mlp import check_sizes, hidden_layers
from jaxvae.networks.shapes import fitting

Array = jax.Array


class ConditionerMLP(nn.Module):
    """h [N] -> [size] through hidden layers; the last layer starts at 0, so that a flow starts as the identity.

    Example:
        >>> network = ConditionerMLP(4, hidden=(16,))
        >>> network.apply(network.init(jax.random.key(0), jnp.ones(3)), jnp.ones(3)).tolist()
        [0.0, 0.0, 0.0, 0.0]
    """

    size: int
    hidden: tuple[int, ...] = (64, 64)
    activation: str = "silu"

    def __post_init__(self) -> None:
        positive_integer("size", self.size)
        check_sizes("hidden", self.hidden)
        activation_named(self.activation)
        super().__post_init__()

    @nn.compact
    def __call__(self, h: Array) -> Array:
        with fitting("h", h):
            last = nn.Dense(self.size, kernel_init=nn.initializers.zeros)
            return last(hidden_layers(h.reshape(-1), self.hidden, self.activation))


class ContextEncoder(nn.Module):
    """x [...] -> (mean [latent_dim], log_var [latent_dim], context [context_dim]), for a flow posterior.

    Source: Kingma et al., 2016, arXiv 1606.04934, where the third output is called h.

    Example:
        >>> encoder = ContextEncoder(latent_dim=2, context_dim=5, hidden=(16,))
        >>> x = jnp.zeros((8, 8, 1))
        >>> [part.shape for part in encoder.apply(encoder.init(jax.random.key(0), x), x)]
        [(2,), (2,), (5,)]
    """

    latent_dim: int
    context_dim: int
    hidden: tuple[int, ...] = (400,)
    activation: str = "relu"

    def __post_init__(self) -> None:
        positive_integer("latent_dim", self.latent_dim)
        positive_integer("context_dim", self.context_dim)
        check_sizes("hidden", self.hidden)
        activation_named(self.activation)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array) -> tuple[Array, Array, Array]:
        with fitting("x", x):
            h = hidden_layers(x.reshape(-1), self.hidden, self.activation)
            mean, log_var = jnp.split(nn.Dense(2 * self.latent_dim)(h), 2)
            return mean, log_var, nn.Dense(self.context_dim)(h)
