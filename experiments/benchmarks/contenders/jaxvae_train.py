"""This library, as a user of its public functions trains: `compile_steps` and `train`."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

import jaxvae
from jaxvae.data.protocols import PROTOCOLS

LATENT = 20
MICRO_BATCH = 64


def make(images: np.ndarray, model: str, batch: int) -> Callable[[], float]:
    """Returns epoch() -> mean loss in nats per example; images are uint8 [N, 28, 28, 1]."""
    shape = images.shape[1:]
    encoder, decoder = {
        "mlp": lambda: (jaxvae.MLPEncoder(LATENT), jaxvae.MLPDecoder(shape)),
        "conv": lambda: (jaxvae.ConvEncoder(LATENT), jaxvae.ConvDecoder(shape)),
    }[model]()
    vae = jaxvae.vae(encoder, decoder, event_shape=shape, latent_dim=LATENT, observation=jaxvae.bernoulli())
    optimizer = jaxvae.make_optimizer("adam", 1e-3)
    steps = len(images) // batch
    loss = jaxvae.bound_loss(vae)
    if model == "conv" and batch > 2 * MICRO_BATCH:  # slices of 1,024 images leave the cache
        loss = jaxvae.losses.micro_batches(loss, MICRO_BATCH)
    compiled = jaxvae.compile_steps(loss, optimizer, PROTOCOLS["grey"], batch_size=batch, steps_per_call=steps)
    state = jaxvae.init_state(vae, optimizer, jax.random.key(0), jnp.zeros(shape))
    reports = jaxvae.train(compiled, state, images, steps=10**9)

    def epoch() -> float:
        losses: list[float] = []
        while len(losses) < steps:
            losses.extend(next(reports).metrics["loss"])
        return float(np.mean(losses))

    return epoch
