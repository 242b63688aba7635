"""One level of a ladder's way up."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxvae.networks.rows import Dense
from jaxvae.networks.shapes import fitting
from jaxvae.networks.trunks import check_fields, mlp_trunk

Array = jax.Array


class MLPLevel(nn.Module):
    """d [...] -> (features [hidden[-1]], mean [latent_dim], log_var [latent_dim]) for `ladder_vae`.

    The features, the last hidden layer, are what the level above sees.

    Example:
        >>> level = MLPLevel(latent_dim=2, hidden=(16, 8))
        >>> x = jnp.zeros((8, 8, 1))
        >>> [part.shape for part in level.apply(level.init(jax.random.key(0), x), x)]
        [(8,), (2,), (2,)]
    """

    latent_dim: int
    hidden: tuple[int, ...] = (400,)
    activation: str = "relu"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.hidden:
            raise ValueError("hidden is (), expected the width of at least one layer: the level above sees the last.")
        super().__post_init__()

    @nn.compact
    def __call__(self, d: Array, *, train: bool = False) -> tuple[Array, Array, Array]:
        with fitting("d", d):
            h = mlp_trunk(d, self, train)
            mean, log_var = jnp.split(Dense(2 * self.latent_dim)(h), 2)
        return h, mean, log_var
