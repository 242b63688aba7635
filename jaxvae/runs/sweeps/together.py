"""Training of members that one program serves: all of them a call, each of them logged, measured and saved alone."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec, Sharding

from jaxvae.runs.builders.assembled import Assembled
from jaxvae.runs.progress import progress_bar
from jaxvae.runs.summary import machine_of
from jaxvae.runs.sweeps.program import compiled_together, numbers_of
from jaxvae.runs.sweeps.seats import Seat
from jaxvae.training.engine.loop import SECONDS_PER_CALL, Report
from jaxvae.training.engine.signals import Stop
from jaxvae.training.engine.state import TrainState
from jaxvae.training.engine.step import steps_left

Array = jax.Array


def train_together(
    work: Assembled,
    seats: Sequence[Seat],
    numbers: Sequence[str],
    stop: Stop,
    say: Callable[[str], None],
    *,
    epochs: int | None = None,
) -> None:
    """Trains all seats to their end, or to a signal; those that lag behind, after a kill, catch up first.

    Args:
        work: data, model and sizes of them all.
        seats: of members that differ in `numbers` and seeds alone.
        numbers: the fields that are arrays of the program.
        stop: set by a signal; all states are then on disk.
        say: is given a line for a member that stops early.
        epochs: where they wait, all on disk; by default at their end.
    """
    config, machine = work.data.config, machine_of(1, work.data.config.precision)
    run, steps = compiled_together(work), (epochs or config.epochs) * work.per_epoch
    with progress_bar(steps, work.per_epoch, config.batch_size * len(seats), enabled=config.progress) as show:
        while (left := [seat for seat in seats if not seat.over and seat.step < steps]) and not stop.signal:
            low = min(seat.step for seat in left)
            cohort = [seat for seat in left if seat.step == low]
            until = min([seat.step for seat in left if seat.step > low], default=steps)
            _advance(work, cohort, until, steps, numbers, run, stop, show)
    for seat in seats:
        if seat.diverged:
            say(f"{seat.member.name} stopped: {seat.diverged}; the others went on.")
        elif seat.over and not seat.done:
            seat.run.finish(seat.state, machine, seat.say(say))


def _advance(
    work: Assembled,
    cohort: Sequence[Seat],
    until: int,
    end: int,
    numbers: Sequence[str],
    run: Callable[..., Any],
    stop: Stop,
    show: Callable[..., None],
) -> None:
    """Trains seats at one step up to another, or until half of them are over: the rest goes on in a smaller program.

    They are saved at `end`, where they wait for others.
    """
    apart, everywhere = shardings(len(cohort))
    values = numbers_of(work, [seat.member for seat in cohort], numbers)
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *[seat.state for seat in cohort])
    values, states, images = jax.device_put((values, stacked, work.data.examples), (apart, apart, everywhere))
    step, limit, warm, batch = cohort[0].step, 8, False, work.data.config.batch_size
    examples = work.per_epoch * batch
    while step < until and not stop.signal and 2 * sum(seat.over for seat in cohort) <= len(cohort):
        count = min(steps_left(step, examples, batch), until - step, limit, work.compiled.steps_per_call)
        begun = time.perf_counter()
        states, buffers = run(values, states, images, jnp.int32(count))
        metrics = {name: value[:, :count] for name, value in jax.device_get(buffers).items()}
        seconds, step = time.perf_counter() - begun, step + count
        for index, seat in enumerate(cohort):
            if not seat.over:
                _look(seat, step, {name: value[index] for name, value in metrics.items()}, states, index, stop, end)
        show(Report(states, step, {name: value[0] for name, value in metrics.items()}, seconds), None)
        if warm:  # the first call compiles, so its time says nothing
            limit = max(1, min(8 * limit, int(SECONDS_PER_CALL * count / seconds)))
        warm = True
    for index, seat in enumerate(cohort):
        if not seat.over:
            seat.state = state_of(states, index)


def shardings(members: int) -> tuple[Sharding, Sharding]:
    """(members shared among devices, the same on each), on as many devices as can have equally many members.

    Example:
        >>> shardings(1)[0].num_devices
        1
    """
    devices = jax.local_devices()
    count = math.gcd(members, len(devices))
    mesh = jax.make_mesh((count,), ("member",), axis_types=(AxisType.Auto,), devices=devices[:count])
    return NamedSharding(mesh, PartitionSpec("member")), NamedSharding(mesh, PartitionSpec())


def _look(
    seat: Seat, step: int, metrics: dict[str, np.ndarray], states: TrainState, index: int, stop: Stop, end: int
) -> None:
    """What a run alone does after a call of its program."""
    seat.note(step, metrics)
    ends, last = step % seat.run.per_epoch == 0, step == seat.run.steps
    if seat.diverged or not (ends or stop.signal):
        return
    state = state_of(states, index)
    if ends:
        seat.run.after_epoch(step, state)
    seat.over = last or seat.run.over()
    if seat.over or stop.signal or step == end or seat.run.due(step):
        seat.run.save(state)
        seat.state = state


def state_of(states: TrainState, index: int) -> TrainState:
    """The state of one member, on the host.

    Example:
        >>> states = TrainState(jnp.arange(3), {"w": jnp.ones((3, 2))}, (), jnp.zeros(3), None)
        >>> int(state_of(states, 1).step), state_of(states, 1).params["w"].shape
        (1, (2,))
    """
    state: TrainState = jax.device_get(jax.tree.map(lambda leaf: leaf[index], states))
    return state
