"""A sweep in one compiled program: every strength of an objective, and every seed, trained at once."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.data.protocols import PROTOCOLS
from jaxvae.training.engine.loop import check_data
from jaxvae.training.engine.state import TrainState, init_state
from jaxvae.training.engine.step import make_step, repeated

Array = jax.Array


def train_sweep(
    model: Any,
    make_loss: Callable[[Array], Any],
    optimizer: Any,
    images: np.ndarray,
    *,
    strengths: tuple[float, ...],
    seeds: int,
    epochs: int,
    batch_size: int,
    protocol: str,
    tick: Callable[[], None] = lambda: None,
) -> Any:
    """Parameters [strengths, seeds, ...] of every member of a sweep; each is the run it would be alone.

    Args:
        model: what to train.
        make_loss: strength [] -> loss; the strength is traced, so that one program serves all.
        optimizer: an Optax transformation.
        images: uint8 [N, H, W, C].
        strengths: the objective's number.
        seeds: how many, 0, 1, ...; each gives weights, order and noise.
        epochs, batch_size, protocol: as in `jaxvae.fit`.
        tick: called after each epoch of all members.

    Raises:
        FloatingPointError: if a member had steps that were not finite.
    """
    per_epoch = check_data(images, batch_size) // batch_size

    def one(strength: Array, state: TrainState, data: Array) -> tuple[TrainState, Array]:
        step = make_step(make_loss(strength), optimizer, PROTOCOLS[protocol])
        state, metrics = repeated(step, batch_size, per_epoch)(state, data, jnp.int32(per_epoch))
        return state, metrics["skipped"].sum()

    grid = [(strength, seed) for strength in strengths for seed in range(seeds)]
    values, numbers = jnp.array([pair[0] for pair in grid], jnp.float32), jnp.array([pair[1] for pair in grid])
    example = jnp.zeros(model.event_shape)
    states = jax.jit(jax.vmap(lambda seed: init_state(model, optimizer, jax.random.key(seed), example)))(numbers)
    epoch = jax.jit(jax.vmap(one, (0, 0, None)), donate_argnums=1)
    data = jnp.asarray(images)
    for _ in range(epochs):
        states, skipped = epoch(values, states, data)
        if (bad := np.asarray(skipped)).any():
            strength, seed = grid[int(bad.argmax())]
            raise FloatingPointError(
                f"strength {strength:g}, seed {seed} had {bad.max():g} steps that were not finite."
            )
        tick()
    shape = (len(strengths), seeds)
    return jax.tree.map(lambda leaf: np.asarray(leaf).reshape(*shape, *leaf.shape[1:]), jax.device_get(states.params))


def member(params: Any, *index: int) -> Any:
    """The parameters of one member of a sweep."""
    return jax.tree.map(lambda leaf: leaf[index], params)
