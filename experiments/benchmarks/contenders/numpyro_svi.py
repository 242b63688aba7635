"""numpyro: `SVI.update` in one jitted `lax.fori_loop` over data in memory, as in its own VAE example.

The faster of its two losses for this model: with the mean-field one the KL divergence is in closed form. The
convolutions are Flax's, which a CPU runs eight times slower inside a loop.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from flax import linen as nn
from numpyro.contrib.module import flax_module
from numpyro.infer import SVI, TraceMeanField_ELBO
from numpyro.optim import Adam

LATENT = 20


class Encoder(nn.Module):
    """x [B, 784] -> mean and log-variance [B, 20]."""

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        h = nn.relu(nn.Dense(400)(x))
        return nn.Dense(LATENT)(h), nn.Dense(LATENT)(h)


class Decoder(nn.Module):
    """z [B, 20] -> logits [B, 784]."""

    @nn.compact
    def __call__(self, z: jax.Array) -> jax.Array:
        return nn.Dense(784)(nn.relu(nn.Dense(400)(z)))


class ConvEncoder(nn.Module):
    """x [B, 784] -> mean and log-variance [B, 20]."""

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        h = x.reshape(-1, 28, 28, 1)
        for features in (32, 64):
            h = nn.relu(nn.Conv(features, (3, 3), strides=2)(h))
        h = nn.relu(nn.Dense(256)(h.reshape(len(h), -1)))
        return nn.Dense(LATENT)(h), nn.Dense(LATENT)(h)


class ConvDecoder(nn.Module):
    """z [B, 20] -> logits [B, 784]."""

    @nn.compact
    def __call__(self, z: jax.Array) -> jax.Array:
        h = nn.relu(nn.Dense(7 * 7 * 64)(nn.relu(nn.Dense(256)(z)))).reshape(-1, 7, 7, 64)
        h = nn.relu(nn.ConvTranspose(32, (3, 3), strides=(2, 2))(h))
        return nn.ConvTranspose(1, (3, 3), strides=(2, 2))(h).reshape(-1, 784)


NETWORKS: dict[str, tuple[type[nn.Module], type[nn.Module]]] = {
    "mlp": (Encoder, Decoder),
    "conv": (ConvEncoder, ConvDecoder),
}


def make(images: np.ndarray, model: str, batch: int) -> Callable[[], float]:
    """Returns epoch() -> mean loss in nats per example; images are uint8 [N, 28, 28, 1]."""
    encoder, decoder = NETWORKS[model]
    steps = len(images) // batch
    grey = functools.partial(dist.Bernoulli, validate_args=False)  # x between 0 and 1: a cross-entropy
    data = jnp.asarray(images.reshape(len(images), -1), jnp.float32) / 255

    def generative(x: jax.Array) -> None:
        decode = flax_module("decoder", decoder(), input_shape=(1, LATENT))
        with numpyro.plate("batch", batch):
            z = numpyro.sample("z", dist.Normal(jnp.zeros(LATENT), 1.0).to_event(1))
            numpyro.sample("x", grey(logits=decode(z)).to_event(1), obs=x)

    def guide(x: jax.Array) -> None:
        encode = flax_module("encoder", encoder(), input_shape=(1, 784))
        with numpyro.plate("batch", batch):
            mean, log_var = encode(x)
            numpyro.sample("z", dist.Normal(mean, jnp.exp(0.5 * log_var)).to_event(1))

    svi = SVI(generative, guide, Adam(1e-3), TraceMeanField_ELBO())
    state = svi.init(jax.random.key(0), data[:batch])

    def train(state: Any, data: jax.Array, order: jax.Array) -> tuple[Any, jax.Array]:
        def body(i: jax.Array, carry: tuple[Any, jax.Array]) -> tuple[Any, jax.Array]:
            indices = jax.lax.dynamic_slice_in_dim(order, i * batch, batch)
            state, loss = svi.update(carry[0], data[indices])
            return state, carry[1] + loss

        return jax.lax.fori_loop(0, steps, body, (state, jnp.zeros(())))

    train = jax.jit(train, donate_argnums=0)
    shuffle = np.random.default_rng(0)

    def epoch() -> float:
        nonlocal state
        state, total = train(state, data, jnp.asarray(shuffle.permutation(len(images))))
        return float(total) / (steps * batch)

    return epoch
