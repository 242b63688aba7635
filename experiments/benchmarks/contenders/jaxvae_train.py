"""This library, as a user of its public functions trains: `compile_steps` and `train`."""

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np

import jaxvae
from jaxvae.data.protocols import PROTOCOLS
from jaxvae.training.engine.loop import Report

LATENT = 20
MICRO_BATCH = 64


def networks(model: str, shape: tuple[int, ...], native: bool | None = None) -> jaxvae.Model:
    """The VAE "mlp" or "conv", whose convolutions are native or not; by default as the library chooses."""
    encoder, decoder = {
        "mlp": lambda: (jaxvae.MLPEncoder(LATENT), jaxvae.MLPDecoder(shape)),
        "conv": lambda: (jaxvae.ConvEncoder(LATENT, native=native), jaxvae.ConvDecoder(shape, native=native)),
    }[model]()
    return jaxvae.vae(encoder, decoder, event_shape=shape, latent_dim=LATENT, observation=jaxvae.bernoulli())


def reports(vae: jaxvae.Model, images: np.ndarray, batch: int, micro_batch: int = 0) -> Iterator[Report]:
    """Trains without end, a report at a time; with a micro-batch in pieces of so many examples."""
    optimizer, steps = jaxvae.make_optimizer("adam", 1e-3), len(images) // batch
    loss = jaxvae.bound_loss(vae)
    if micro_batch:
        loss = jaxvae.losses.micro_batches(loss, micro_batch)
    compiled = jaxvae.compile_steps(loss, optimizer, PROTOCOLS["grey"], batch_size=batch, steps_per_call=steps)
    state = jaxvae.init_state(vae, optimizer, jax.random.key(0), jnp.zeros(vae.event_shape))
    return jaxvae.train(compiled, state, images, steps=10**9)


def make(images: np.ndarray, model: str, batch: int, native: bool | None = None) -> Callable[[], float]:
    """Returns epoch() -> mean loss in nats per example; images are uint8 [N, 28, 28, 1]."""
    steps = len(images) // batch
    # Slices of 1,024 images leave a CPU's cache.
    pieces = model == "conv" and batch > 2 * MICRO_BATCH and jax.default_backend() == "cpu"
    training = reports(networks(model, images.shape[1:], native), images, batch, MICRO_BATCH if pieces else 0)

    def epoch() -> float:
        losses: list[float] = []
        while len(losses) < steps:
            losses.extend(next(training).metrics["loss"])
        return float(np.mean(losses))

    return epoch
