"""Many runs as one program: the numbers in which they differ are arrays, and all the rest is compiled once."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.runs.builders.assembled import Assembled
from jaxvae.runs.builders.from_config import abstract_state, build_model, build_training
from jaxvae.runs.configs.config import Config
from jaxvae.runs.sweeps.grid import MOST, Member, with_values
from jaxvae.training.engine.state import TrainState, memory_bytes
from jaxvae.training.engine.step import make_step, repeated

Array = jax.Array
# Numbers of a model that may be an axis. Of the others `dropout` and `block_dropout` build another network at 0,
# `labelled` chooses data, and the ends of a diffusion's noise are compared, and drawn with, before there is a program.
MODEL = tuple(f"model.{name}" for name in ("std", "temperature", "noise", "weight", "decoder_weight", "critic_rate"))
WARMUP = "objective.warmup_epochs"
# What building a loss or an optimizer raises where a number has to be known before it is compiled.
NEEDED = (TypeError, ValueError, jax.errors.JAXTypeError, jax.errors.JAXIndexError)


def program_of(work: Assembled) -> Callable[..., Any]:
    """(numbers, state, images, count) -> (state, metrics [steps_per_call, ...]) of one member; numbers {field: []}."""
    config, data = work.data.config, work.data.config.data
    shown: Any = {"classes": data.classes, "levels": data.levels, "protocol": data.protocol}

    def run(numbers: dict[str, Array], state: TrainState, images: Any, count: Array) -> Any:
        own, model = with_values(config, numbers), work.recipe.model
        if any(path in MODEL for path in numbers):  # the same parameters, of a model of other numbers
            model = build_model(own.model, model.event_shape, **shown)
        step = make_step(
            *build_training(own, model, work.per_epoch), ema=own.optim.ema, skip_above=own.optim.skip_above
        )
        return repeated(step, config.batch_size, work.compiled.steps_per_call)(state, images, count)

    return run


def compiled_together(work: Assembled) -> Callable[..., Any]:
    """The same of all members at once, every number, state and metric with a leading axis; the states are donated."""
    return jax.jit(jax.vmap(program_of(work), (0, 0, None, None)), donate_argnums=1)


def candidates(members: Sequence[Member]) -> tuple[str, ...]:
    """The fields whose values may be numbers of one program: floats of objective, optimizer, and some of the model."""

    def is_number(path: str) -> bool:
        return all(isinstance(member.values[path], float) for member in members)  # and never None, which is no number

    def may_be(path: str) -> bool:
        return path.startswith(("objective.", "optim.")) or path in MODEL

    return tuple(path for path in members[0].values if may_be(path) and is_number(path))


def numbers_of(work: Assembled, members: Sequence[Member], paths: Sequence[str]) -> dict[str, np.ndarray]:
    """{field: float32 [members]}; a warm-up has whole steps, rounded here as in a run alone, where the digits are."""
    found = {path: np.array([member.values[path] for member in members]) for path in paths}
    if WARMUP in found:
        found[WARMUP] = np.round(found[WARMUP] * work.per_epoch) / work.per_epoch
    return {path: values.astype(np.float32) for path, values in found.items()}


def is_traceable(work: Assembled, path: str) -> bool:
    """Whether model, loss and optimizer can be built from a number that is not known yet; nothing is compiled."""
    images = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), work.data.examples)
    state = abstract_state(work.data.config, work.recipe.model, work.parts.optimizer)
    number, count = jax.ShapeDtypeStruct((), jnp.float32), jnp.int32(1)
    try:
        jax.eval_shape(program_of(work), {path: number}, state, images, count)
    except NEEDED:
        return False
    return True


def members_that_fit(work: Assembled) -> int:
    """How many members' states fit into the memory, at least 1: parameters, optimizer and averages, three times.

    A state is on the host, in the device's arrays, and once more while it is updated. What the layers compute of a
    batch is not counted; where it is more than the parameters, `at_once` is for the user to choose.
    """
    memory, devices = memory_bytes(), len(jax.local_devices())
    leaves = jax.tree.leaves(abstract_state(work.data.config, work.recipe.model, work.parts.optimizer))
    size = 3 * sum(leaf.size * leaf.dtype.itemsize for leaf in leaves if hasattr(leaf.dtype, "itemsize"))
    shared = 1 if jax.default_backend() == "cpu" else devices  # CPU devices have one memory between them
    return MOST if memory is None else max(1, int(shared * memory // size))


def alike(members: Sequence[Member], numbers: Sequence[str]) -> list[list[Member]]:
    """Members in groups that differ in these numbers and in the seed alone, so that one program serves each group."""
    found: dict[Config, list[Member]] = {}
    for member in members:
        rest = with_values(member.config, {**dict.fromkeys(numbers), "seed": 0})
        found.setdefault(rest, []).append(member)
    return list(found.values())


def of_one_split(members: Sequence[Member]) -> list[list[Member]]:
    """The same in groups that train on the same images: the seed chooses the validation images, where there are any."""
    found: dict[int, list[Member]] = {}
    for member in members:
        found.setdefault(member.config.seed if member.config.validation_fraction else 0, []).append(member)
    return list(found.values())
