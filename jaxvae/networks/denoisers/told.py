"""How a network is told the amount of noise, and the context."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxvae.networks.rows import Dense

Array = jax.Array
PERIODS = (64.0, 32.0, 16.0, 8.0, 4.0, 2.0)  # in gamma, which runs over some twenty


def noise_features(gamma: Array) -> Array:
    """Sines and cosines [12] of gamma [], the logarithm of noise over signal, of periods from 64 to 2.

    Source: Vaswani et al., 2017, arXiv 1706.03762, of positions; Kingma et al., 2021, arXiv 2107.00630, of gamma.

    Example:
        >>> noise_features(jnp.float32(0.0)).tolist()
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    angles = 2 * jnp.pi * gamma / jnp.asarray(PERIODS, jnp.result_type(gamma, jnp.float32))
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)])


def conditioning(gamma: Array, context: Array | None, width: int) -> Array:
    """What every layer is told, [width]; call it inside a compact module."""
    told = Dense(width, name="noise")(noise_features(gamma))
    if context is not None:
        told = told + Dense(width, use_bias=False, name="context")(context.reshape(-1))
    return nn.silu(Dense(width, name="told")(nn.silu(told)))
