"""A sweep in one compiled program: all values of some numbers, and all seeds, trained at once."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.data.protocols import PROTOCOLS
from jaxvae.training.engine.hyper import Hyper, check_function, optimizer_at
from jaxvae.training.engine.loop import check_data
from jaxvae.training.engine.state import TrainState, init_state
from jaxvae.training.engine.step import make_step, repeated

Array = jax.Array


def train_sweep(
    model: Any,
    make_loss: Callable[[Hyper], Any],
    optimizer: Any,
    images: np.ndarray,
    *,
    hyper: Mapping[str, Sequence[float]],
    seeds: int,
    epochs: int,
    batch_size: int,
    protocol: str,
    tick: Callable[[], None] = lambda: None,
) -> Any:
    """Parameters [points, seeds, ...] of every member of a sweep; each is the run it would be alone.

    Args:
        model: what to train.
        make_loss: a dict of numbers -> loss; they are traced, so that one program serves all.
        optimizer: an Optax transformation, or a dict of numbers -> one.
        images: uint8 [N, H, W, C].
        hyper: the numbers, such as {"beta": (1.0, 4.0)}; point i of the sweep has the i-th of each.
        seeds: how many, 0, 1, ...; each gives weights, order and noise.
        epochs, batch_size, protocol: as in `jaxvae.fit`.
        tick: called after each epoch of all members.

    Raises:
        ValueError, TypeError: for no numbers, or sequences of different lengths.
        FloatingPointError: if a member had steps that were not finite.
    """
    per_epoch, points = check_data(images, batch_size) // batch_size, _points(hyper)
    check_function("make_loss", make_loss)

    def one(numbers: Hyper, state: TrainState, data: Array) -> tuple[TrainState, Array]:
        step = make_step(make_loss(numbers), optimizer_at(optimizer, numbers), PROTOCOLS[protocol])
        state, metrics = repeated(step, batch_size, per_epoch)(state, data, jnp.int32(per_epoch))
        return state, metrics["skipped"].sum()

    grid = [(point, seed) for point in points for seed in range(seeds)]
    values = {name: jnp.array([point[name] for point, _ in grid], jnp.float32) for name in hyper}
    example = jnp.zeros(model.event_shape)

    def start(numbers: Hyper, seed: Array) -> TrainState:
        return init_state(model, optimizer_at(optimizer, numbers), jax.random.key(seed), example)

    states = jax.jit(jax.vmap(start))(values, jnp.array([seed for _, seed in grid]))
    epoch = jax.jit(jax.vmap(one, (0, 0, None)), donate_argnums=1)
    data = jnp.asarray(images)
    for _ in range(epochs):
        states, skipped = epoch(values, states, data)
        if (bad := np.asarray(skipped)).any():
            point, seed = grid[int(bad.argmax())]
            named = ", ".join(f"{name} {value:g}" for name, value in point.items())
            raise FloatingPointError(f"{named}, seed {seed} had {bad.max():g} steps that were not finite.")
        tick()
    shape = (len(points), seeds)
    return jax.tree.map(lambda leaf: np.asarray(leaf).reshape(*shape, *leaf.shape[1:]), jax.device_get(states.params))


def _points(hyper: Mapping[str, Sequence[float]]) -> list[dict[str, float]]:
    """The numbers of each point."""
    if not isinstance(hyper, Mapping) or not hyper:
        raise TypeError(f"hyper is {hyper!r}, expected a dict such as {{'beta': (1.0, 4.0)}}.")
    lengths = {name: len(values) for name, values in hyper.items()}
    if len(set(lengths.values())) != 1 or 0 in lengths.values():
        raise ValueError(f"hyper has {lengths} values, expected as many of each, at least one.")
    return [dict(zip(hyper, point, strict=True)) for point in zip(*hyper.values(), strict=True)]


def member(params: Any, *index: int) -> Any:
    """The parameters of one member of a sweep."""
    return jax.tree.map(lambda leaf: leaf[index], params)
