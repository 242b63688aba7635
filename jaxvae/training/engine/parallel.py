"""The same pure step on one device, on several by `pmap`, or on a mesh; all compute the same numbers."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import AxisType, NamedSharding, PartitionSpec, SingleDeviceSharding

from jaxvae.checks import positive_integer
from jaxvae.training.engine.diagnosis import make_diagnosis
from jaxvae.training.engine.hyper import Hyper, check_function, is_optimizer, optimizer_at
from jaxvae.training.engine.sampler import examples_of
from jaxvae.training.engine.state import TrainState
from jaxvae.training.engine.step import Preprocess, Step, make_step, order_of, over_rows, take
from jaxvae.training.feeding.placing import block_on, copied_to, copies, placed_on, shares, shares_of_processes
from jaxvae.training.losses.bound import Loss, Metrics

Array = jax.Array
AXIS = "device"
MODES = ("auto", "jit", "pmap", "mesh")


class CompiledSteps(NamedTuple):
    """Training steps, compiled, and how to bring data to them.

    Attributes:
        run: (state, images, count, hyper=None) -> (state, metrics [steps_per_call, ...]); the state is donated.
        place_state: brings a state to the devices, once, before the first call.
        place_images: brings the images [N, ...] (or a tree of arrays) to the devices, once.
        steps_per_call: the most steps one call can take.
        batch_size: the global batch size.
        devices: how many devices share a batch.
        diagnose: (state, images, hyper=None, gathered=False) -> what was not finite in the step before, whose batch the
            images are where they were gathered.
        run_block: (state, block, count, hyper=None) -> as `run`, of batches that the host gathered.
        place_block: brings a block [S, batch_size, ...] (or a tree of such) to the devices, as `over_rows` takes it;
            from any thread.
        memory: (state, images, hyper=None) -> bytes that the program of `run` takes, or None where the compiler does
            not say: what it is given, what it returns and what it needs between, by the compiler's own analysis.
        hyper: whether `run` and `diagnose` are to be given numbers.
        own: the places in a batch of the examples that this process is to gather for a block; None for all of them.
    """

    run: Callable[..., tuple[TrainState, Metrics]]
    place_state: Callable[[TrainState], TrainState]
    place_images: Callable[[Any], Any]
    steps_per_call: int
    batch_size: int
    devices: int
    diagnose: Callable[..., str]
    run_block: Callable[..., tuple[TrainState, Metrics]]
    place_block: Callable[[Any], Any]
    memory: Callable[..., int | None]
    hyper: bool = False
    own: np.ndarray | None = None


def batch_of(at_most: int, examples: int) -> int:
    """The largest batch of at most that many examples that all devices of this process can share equally.

    Raises:
        ValueError: if there are fewer examples than devices.

    Example:
        >>> batch_of(100, 1500) % jax.local_device_count(), batch_of(100, 8)
        (0, 8)
    """
    devices = jax.local_device_count()
    if (batch := min(at_most, examples) // devices * devices) == 0:
        raise ValueError(f"{examples} examples cannot be shared by {devices} devices, expected at least {devices}.")
    return batch


def compile_steps(
    loss: Loss | Callable[[Hyper], Loss],
    optimizer: optax.GradientTransformation | Callable[[Hyper], optax.GradientTransformation],
    preprocess: Preprocess,
    *,
    batch_size: int,
    steps_per_call: int,
    ema: float | None = None,
    mode: str = "auto",
    devices: Sequence[jax.Device] | None = None,
    skip_above: float | None = None,
    hyper: bool = False,
) -> CompiledSteps:
    """Compiles the training step for the devices at hand.

    Args:
        loss, optimizer, preprocess, ema, skip_above: see `make_step`.
        batch_size: the global batch size, shared equally among the devices.
        steps_per_call: the most steps one call can take.
        mode: "jit" (one device), "pmap" or "mesh" (one program, the compiler places the work), or "auto": `jit` on
            one device, `pmap` on several, `mesh` on those of several processes.
        devices: by default all, those of the other processes of a job too, which then must make the same calls.
        hyper: whether loss and optimizer are functions of a dict of numbers, which `run` is then given at each call:
            one program serves all their values. See `training/engine/hyper.py`.

    Raises:
        ValueError: for an unknown mode, one that does not serve several processes, or a batch that the devices cannot
            share equally.

    Example:
        >>> loss = lambda params, keys, batch, step: (((batch - params) ** 2).mean(), {})
        >>> as_it_is = lambda key, raw: raw
        >>> compiled = compile_steps(loss, optax.sgd(0.5), as_it_is, batch_size=2, steps_per_call=5, mode="jit")
        >>> start = TrainState(jnp.int32(0), jnp.zeros(()), optax.sgd(0.5).init(0.0), jax.random.key(0), None)
        >>> state, metrics = compiled.run(start, jnp.full((4,), 3.0), jnp.int32(2))
        >>> int(state.step), float(state.params), metrics["skipped"].shape  # room for 5 steps, of which 2 were taken
        (2, 3.0, (5,))
    """
    devices = list(jax.devices() if devices is None else devices)
    batch_size = positive_integer("batch_size", batch_size)
    steps_per_call = positive_integer("steps_per_call", steps_per_call)
    if mode not in MODES:
        raise ValueError(f"mode is {mode!r}, expected one of {', '.join(MODES)}.")
    together = any(device.process_index != jax.process_index() for device in devices)
    if together and mode in ("jit", "pmap"):
        raise ValueError(f"mode is {mode}, expected mesh or auto (--parallel mesh): this job has several processes.")
    if mode == "auto":
        mode = "mesh" if together else "jit" if len(devices) == 1 else "pmap"
    count = 1 if mode == "jit" else len(devices)
    if batch_size % count:
        below = batch_size // count * count
        nearest = " or ".join(str(size) for size in (below, below + count) if size)
        alone = "" if together else ", or mode 'jit' (--parallel jit)"
        raise ValueError(
            f"batch_size is {batch_size}, which {count} devices cannot share equally. Use {nearest}{alone}."
        )
    axis_name = AXIS if mode == "pmap" else None
    options: Any = {"ema": ema, "axis_name": axis_name, "skip_above": skip_above}
    step_at = _step_at(loss, optimizer, preprocess, hyper, options)
    make_loss: Any = loss if hyper else lambda numbers: loss
    diagnose = make_diagnosis(make_loss, preprocess, batch_size)

    def program(state: TrainState, rows: Any, order: Array, first: Array, steps: Array, numbers: Hyper):
        return over_rows(step_at(numbers), steps_per_call)(state, rows, order, first, steps)

    def order(key: Array, step: Array, images: Any):
        return order_of(key, step, images, batch_size)

    sizes = steps_per_call, batch_size, count
    if mode == "jit":
        run = _runs(jax.jit(program, donate_argnums=0), jax.jit(order))
        device = SingleDeviceSharding(devices[0])
        rest: Any = run.block, block_on(device), run.memory, hyper
        return CompiledSteps(run.whole, copied_to(device), placed_on(device), *sizes, diagnose, *rest)

    mesh = jax.make_mesh((count,), (AXIS,), axis_types=(AxisType.Auto,), devices=devices)
    everywhere, shared = NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec(AXIS))
    if mode == "mesh":

        def on_mesh(spread: PartitionSpec):
            # Each device picks its share of a batch, out of all rows or of its own: alike programs give alike bits.
            specs: Any = {"in_specs": (spread, PartitionSpec(AXIS)), "out_specs": PartitionSpec(AXIS)}
            pick = jax.shard_map(take, mesh=mesh, **specs)

            def program(state: TrainState, rows: Any, order: Array, first: Array, steps: Array, numbers: Hyper):
                return over_rows(step_at(numbers), steps_per_call, pick)(state, rows, order, first, steps)

            return jax.jit(program, donate_argnums=0, out_shardings=both)

        both = (everywhere, everywhere)
        whole, block = on_mesh(PartitionSpec()), on_mesh(PartitionSpec(AXIS))
        run = _runs(whole, jax.jit(order, out_shardings=both), block)
        own, put = shares_of_processes(shared)
        places = np.arange(batch_size).reshape(count, -1)[own].ravel()
        rest = run.block, put, run.memory, hyper, places
        return CompiledSteps(run.whole, copied_to(everywhere), placed_on(everywhere), *sizes, diagnose, *rest)

    def own_order(key: Array, step: Array, images: Any):
        whole, first = order(key, step, images)
        share = batch_size // count
        return jax.lax.dynamic_slice_in_dim(whole, jax.lax.axis_index(AXIS) * share, share, axis=1), first

    axes: Any = {"in_axes": (None, 0, 0, None, None, None), "out_axes": None, "donate_argnums": 0, "devices": devices}
    orders = jax.pmap(own_order, AXIS, in_axes=(None, None, 0), out_axes=(0, None), devices=devices)
    run = _runs(jax.pmap(program, AXIS, **axes), orders)

    def diagnose_first(state: TrainState, images: Any, numbers: Any = None, gathered: bool = False) -> str:
        first = images if gathered else jax.tree.map(lambda leaf: leaf[0], images)
        return diagnose(state, first, numbers, gathered)

    rest = run.block, shares(shared), run.memory, hyper
    return CompiledSteps(run.whole, copied_to(everywhere), copies(shared), *sizes, diagnose_first, *rest)


def _step_at(loss: Any, optimizer: Any, preprocess: Preprocess, hyper: bool, options: Any) -> Callable[[Hyper], Step]:
    """numbers -> the step; without numbers it is made, and its parts are checked, at once."""
    if not hyper:
        step = make_step(loss, optimizer, preprocess, **options)
        return lambda numbers: step
    check_function("loss", loss)
    if not is_optimizer(optimizer):
        check_function("optimizer", optimizer)

    return lambda numbers: make_step(loss(numbers), optimizer_at(optimizer, numbers), preprocess, **options)


class _Runs(NamedTuple):
    """`run`, `run_block` and `memory` of `CompiledSteps`: one program, of all examples or of a block."""

    whole: Callable[..., tuple[TrainState, Metrics]]
    block: Callable[..., tuple[TrainState, Metrics]]
    memory: Callable[..., int | None]


def _runs(program: Any, order: Callable[..., Any], of_block: Any = None) -> _Runs:
    """Both, of the compiled steps and what gives the order of an epoch; they take no numbers where none are given.

    Of a block another program takes the steps where it lies otherwise than all examples.
    """
    of_block = program if of_block is None else of_block

    def whole(state: TrainState, images: Any, steps: Array, hyper: Hyper | None = None) -> Any:
        found, first = order(state.key, state.step, images)
        return program(state, examples_of(images), found, first, steps, {} if hyper is None else hyper)

    def block(state: TrainState, block: tuple[Any, Array], steps: Array, hyper: Hyper | None = None) -> Any:
        return of_block(state, *block, jnp.int32(0), steps, {} if hyper is None else hyper)

    def memory(state: TrainState, images: Any, hyper: Hyper | None = None) -> int | None:
        found, first = order(state.key, state.step, images)
        given = state, examples_of(images), found, first, jnp.int32(1), {} if hyper is None else hyper
        size: Any = program.lower(*given).compile().memory_analysis()
        if size is None:
            return None
        whole = size.argument_size_in_bytes + size.output_size_in_bytes + size.temp_size_in_bytes
        return whole - size.alias_size_in_bytes  # the new state lies where the old one was

    return _Runs(whole, block, memory)
