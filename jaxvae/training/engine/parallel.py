"""The same pure step on one device, on several by `pmap`, or on a mesh; all compute the same numbers."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import AxisType, NamedSharding, PartitionSpec, Sharding, SingleDeviceSharding

from jaxvae.checks import fits, positive_integer
from jaxvae.training.engine.hyper import Hyper, check_function, is_optimizer, optimizer_at
from jaxvae.training.engine.processes import everywhere as on_all
from jaxvae.training.engine.state import TrainState
from jaxvae.training.engine.step import Preprocess, Step, make_diagnosis, make_step, repeated
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
        diagnose: (state, images, hyper=None) -> what was not finite in the step before.
        hyper: whether `run` and `diagnose` are to be given numbers.
    """

    run: Callable[..., tuple[TrainState, Metrics]]
    place_state: Callable[[TrainState], TrainState]
    place_images: Callable[[Any], Any]
    steps_per_call: int
    batch_size: int
    devices: int
    diagnose: Callable[..., str]
    hyper: bool = False


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
        raise ValueError(
            f"batch_size is {batch_size}, which {count} devices cannot share equally. Use {nearest}, or mode 'jit' "
            f"(--parallel jit)."
        )
    axis_name = AXIS if mode == "pmap" else None
    options: Any = {"ema": ema, "axis_name": axis_name, "skip_above": skip_above}
    step_at = _step_at(loss, optimizer, preprocess, hyper, options)
    make_loss: Any = loss if hyper else lambda numbers: loss
    diagnose = make_diagnosis(make_loss, preprocess, batch_size)

    def program(state: TrainState, images: Any, steps: Array, numbers: Hyper):
        return repeated(step_at(numbers), batch_size, steps_per_call)(state, images, steps)

    if mode == "jit":
        run = _with_numbers(jax.jit(program, donate_argnums=0))
        device = SingleDeviceSharding(devices[0])
        place = functools.partial(jax.device_put, device=device)
        return CompiledSteps(run, _copy_to(device), _place(place), steps_per_call, batch_size, 1, diagnose, hyper)

    mesh = jax.make_mesh((count,), (AXIS,), axis_types=(AxisType.Auto,), devices=devices)
    everywhere, shared = NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec(AXIS))
    if mode == "mesh":

        def on_mesh(state: TrainState, images: Any, steps: Array, numbers: Hyper):
            def shared_step(state: TrainState, raw: Any):
                return step_at(numbers)(state, jax.lax.with_sharding_constraint(raw, shared))

            return repeated(shared_step, batch_size, steps_per_call)(state, images, steps)

        run = _with_numbers(jax.jit(on_mesh, donate_argnums=0, out_shardings=(everywhere, everywhere)))
        # `device_put` does not reach the devices of other processes.
        put = functools.partial(jax.device_put, device=everywhere)
        place = functools.partial(on_all, where=everywhere) if together else put
        copy = place if together else _copy_to(everywhere)
        return CompiledSteps(run, copy, _place(place), steps_per_call, batch_size, count, diagnose, hyper)

    def per_device(state: TrainState, images: Any, steps: Array, numbers: Hyper):
        shared_steps = repeated(step_at(numbers), batch_size, steps_per_call, axis_name=AXIS, devices=count)
        return shared_steps(state, images, steps)

    axes: Any = (None, 0, None, None)
    run = _with_numbers(jax.pmap(per_device, AXIS, in_axes=axes, out_axes=None, devices=devices, donate_argnums=0))

    def copy_to_each(images: np.ndarray) -> Array:
        """[devices, N, ...], one whole copy on each, so that no call moves an image."""
        return jax.make_array_from_callback((count, *images.shape), shared, lambda index: images[None])

    return CompiledSteps(
        run,
        _copy_to(everywhere),
        _place(functools.partial(jax.tree.map, copy_to_each)),
        steps_per_call,
        batch_size,
        count,
        lambda state, images, numbers=None: diagnose(state, jax.tree.map(lambda leaf: leaf[0], images), numbers),
        hyper,
    )


def _step_at(loss: Any, optimizer: Any, preprocess: Preprocess, hyper: bool, options: Any) -> Callable[[Hyper], Step]:
    """numbers -> the step; without numbers it is made, and its parts are checked, at once."""
    if not hyper:
        step = make_step(loss, optimizer, preprocess, **options)
        return lambda numbers: step
    check_function("loss", loss)
    if not is_optimizer(optimizer):
        check_function("optimizer", optimizer)

    return lambda numbers: make_step(loss(numbers), optimizer_at(optimizer, numbers), preprocess, **options)


def _with_numbers(program: Callable[..., Any]) -> Callable[..., Any]:
    """The program, which takes no numbers where none are given."""
    return lambda state, images, steps, hyper=None: program(state, images, steps, {} if hyper is None else hyper)


def _place(put: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Refuses integers of 64 bits that a device would keep as others, of 32, and then puts all there."""

    def place(images: Any) -> Any:
        for path, leaf in jax.tree.leaves_with_path(images):
            fits("images" + jax.tree_util.keystr(path), leaf)
        return put(images)

    return place


def _copy_to(where: Sharding) -> Callable[[TrainState], TrainState]:
    """Copies a state, never an alias: `run` donates what it is given, and the caller's state must survive."""
    copy = jax.jit(lambda state: jax.tree.map(jnp.copy, state), out_shardings=where)
    return lambda state: copy(jax.device_put(state, where))
