"""The VAE of Flax's examples: two dense layers of 500 units each way, Adam at 1e-3, one jitted step a batch.

Source: https://github.com/google/flax/tree/main/examples/vae (the model and the step, of pictures of any size).
"""

import functools
import math
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn


class Encoder(nn.Module):
    """x [B, D] -> mean and log-variance."""

    latents: int

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        x = nn.relu(nn.Dense(500, name="fc1")(x))
        return nn.Dense(self.latents, name="fc2_mean")(x), nn.Dense(self.latents, name="fc2_logvar")(x)


class Decoder(nn.Module):
    """z [B, Z] -> logits."""

    outputs: int

    @nn.compact
    def __call__(self, z: jax.Array) -> jax.Array:
        return nn.Dense(self.outputs, name="fc2")(nn.relu(nn.Dense(500, name="fc1")(z)))


class FlaxVAE:
    """As worker.py wants a peer."""

    def __init__(self, shape: tuple[int, ...], latent_dim: int, seed: int):
        self.shape, size = shape, math.prod(shape)
        encoder: Any = Encoder(latent_dim)
        decoder: Any = Decoder(size)
        keys = jax.random.split(jax.random.key(seed), 3)
        params: Any = {
            "encoder": encoder.init(keys[0], jnp.zeros((1, size))),
            "decoder": decoder.init(keys[1], jnp.zeros((1, latent_dim))),
        }
        self.optimizer = optax.adam(1e-3)
        self.state: Any = params, self.optimizer.init(params), keys[2]
        self.numbers = sum(leaf.size for leaf in jax.tree.leaves(params))
        self.about = f"the VAE of Flax's examples (flax {flax.__version__}, jax {jax.__version__})"

        def loss(params: Any, x: jax.Array, key: jax.Array) -> jax.Array:
            mean, log_var = encoder.apply(params["encoder"], x)
            z = mean + jax.random.normal(key, log_var.shape) * jnp.exp(0.5 * log_var)
            logits = decoder.apply(params["decoder"], z)
            cross_entropy = -jnp.sum(x * nn.log_sigmoid(logits) + (1 - x) * nn.log_sigmoid(-logits), -1).mean()
            return cross_entropy - 0.5 * jnp.sum(1 + log_var - mean**2 - jnp.exp(log_var), -1).mean()

        @functools.partial(jax.jit, donate_argnums=0)
        def step(state: Any, x: jax.Array) -> Any:
            params, memory, key = state
            key, noise = jax.random.split(key)
            updates, memory = self.optimizer.update(jax.grad(loss)(params, x, noise), memory, params)
            return optax.apply_updates(params, updates), memory, key

        self._step = step
        self._encode = jax.jit(lambda params, x: encoder.apply(params["encoder"], x))
        self._decode = jax.jit(lambda params, z: jax.nn.sigmoid(decoder.apply(params["decoder"], z)))

    def step(self, x: np.ndarray) -> None:
        """Trains on a batch."""
        self.state = jax.block_until_ready(self._step(self.state, x.reshape(len(x), -1)))

    def encode(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of q(z | x)."""
        mean, log_var = self._encode(self.state[0], x.reshape(len(x), -1))
        return np.asarray(mean), np.exp(0.5 * np.asarray(log_var))

    def decode(self, z: np.ndarray) -> np.ndarray:
        """E[x | z]."""
        return np.asarray(self._decode(self.state[0], z)).reshape(len(z), *self.shape)


make = FlaxVAE
