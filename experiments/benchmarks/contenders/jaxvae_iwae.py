"""This library's IWAE, 784 - 200 - 200 - 50 with tanh: `bound_loss(vae, iwae_bound, samples=K)` in `compile_steps`."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

import jaxvae
from jaxvae.data.protocols import PROTOCOLS

LATENT, HIDDEN = 50, (200, 200)
ROWS = 1000  # examples times samples in flight, so that their pixels stay in the cache, whatever K is


def iwae(shape: tuple[int, ...], samples: int, batch: int, rows: int = ROWS) -> tuple[jaxvae.Model, jaxvae.losses.Loss]:
    """The model and its loss: the more samples an example has, the fewer examples go through at once."""
    encoder = jaxvae.MLPEncoder(LATENT, hidden=HIDDEN, activation="tanh")
    decoder = jaxvae.MLPDecoder(shape, hidden=HIDDEN, activation="tanh")
    model = jaxvae.vae(encoder, decoder, event_shape=shape, latent_dim=LATENT)
    loss = jaxvae.bound_loss(model, jaxvae.iwae_bound, samples=samples, chunk=rows)
    pieces = [size for size in range(1, batch + 1) if batch % size == 0 and size * samples <= max(rows, samples)]
    return model, jaxvae.losses.micro_batches(loss, max(pieces))


def make(images: np.ndarray, model: str, batch: int, rows: int = ROWS) -> Callable[[], float]:
    """Returns epoch() -> mean loss in nats per example; images are uint8 [N, 28, 28, 1], model is the K of "iwae-K"."""
    shape = images.shape[1:]
    vae, loss = iwae(shape, int(model.removeprefix("iwae-")), batch, rows)
    optimizer, steps = jaxvae.make_optimizer("adam", 1e-3), len(images) // batch
    compiled = jaxvae.compile_steps(loss, optimizer, PROTOCOLS["grey"], batch_size=batch, steps_per_call=steps)
    state = jaxvae.init_state(vae, optimizer, jax.random.key(0), jnp.zeros(shape))
    reports = jaxvae.train(compiled, state, images, steps=10**9)

    def epoch() -> float:
        losses: list[float] = []
        while len(losses) < steps:
            losses.extend(next(reports).metrics["loss"])
        return float(np.mean(losses))

    return epoch
