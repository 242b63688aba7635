"""This library's step under `jax.jit`, called from a Python loop: what a scan over the epoch saves.

The same resident images, order and metrics as a chunk; the loop waits for the device once, at the end of the epoch.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

import jaxvae
from experiments.benchmarks.contenders.jaxvae_train import networks
from jaxvae.data.protocols import PROTOCOLS
from jaxvae.training.engine.state import TrainState
from jaxvae.training.engine.step import make_step, take

Array = jax.Array


def make(images: np.ndarray, model: str, batch: int) -> Callable[[], float]:
    """Returns epoch() -> mean loss in nats per example; images are uint8 [N, 28, 28, 1]."""
    vae, steps, resident = networks(model, images.shape[1:]), len(images) // batch, jnp.asarray(images)
    optimizer = jaxvae.make_optimizer("adam", 1e-3)
    state = jaxvae.init_state(vae, optimizer, jax.random.key(0), jnp.zeros(vae.event_shape))
    one = make_step(jaxvae.bound_loss(vae), optimizer, PROTOCOLS["grey"])

    def step(state: TrainState, resident: Array, order: Array, number: int):
        indices = jax.lax.dynamic_slice_in_dim(order, number * batch, batch)
        return one(state, take(resident, indices))

    compiled = jax.jit(step, donate_argnums=0)
    shuffle = np.random.default_rng(0)

    def epoch() -> float:
        nonlocal state
        order, losses = jnp.asarray(shuffle.permutation(len(images))), []
        for number in range(steps):
            state, metrics = compiled(state, resident, order, number)
            losses.append(metrics["loss"])
        return float(np.mean(jax.device_get(losses)))

    return epoch
