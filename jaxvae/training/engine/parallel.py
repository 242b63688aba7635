"""The same pure step on one device, on several by `pmap`, or on a mesh; all compute the same numbers."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import AxisType, NamedSharding, PartitionSpec, Sharding, SingleDeviceSharding

from jaxvae.checks import fits, one_process, positive_integer
from jaxvae.training.engine.state import TrainState
from jaxvae.training.engine.step import Preprocess, Steps, make_diagnosis, make_step, repeated
from jaxvae.training.losses.bound import Loss

Array = jax.Array
AXIS = "device"
MODES = ("auto", "jit", "pmap", "mesh")


class CompiledSteps(NamedTuple):
    """Training steps, compiled, and how to bring data to them.

    Attributes:
        run: (state, images, count) -> (state, metrics [steps_per_call, ...]); the state is donated.
        place_state: brings a state to the devices, once, before the first call.
        place_images: brings the images [N, ...] (or a tree of arrays) to the devices, once.
        steps_per_call: the most steps one call can take.
        batch_size: the global batch size.
        devices: how many devices share a batch.
        diagnose: (state, images) -> what was not finite in the step before.
    """

    run: Steps
    place_state: Callable[[TrainState], TrainState]
    place_images: Callable[[Any], Any]
    steps_per_call: int
    batch_size: int
    devices: int
    diagnose: Callable[[TrainState, Any], str]


def compile_steps(
    loss: Loss,
    optimizer: optax.GradientTransformation,
    preprocess: Preprocess,
    *,
    batch_size: int,
    steps_per_call: int,
    ema: float | None = None,
    mode: str = "auto",
    devices: Sequence[jax.Device] | None = None,
    skip_above: float | None = None,
) -> CompiledSteps:
    """Compiles the training step for the devices at hand.

    Args:
        loss, optimizer, preprocess, ema, skip_above: see `make_step`.
        batch_size: the global batch size, shared equally among the devices.
        steps_per_call: the most steps one call can take.
        mode: "jit" (one device), "pmap" or "mesh" (one program, the compiler places the work), or "auto": `jit` on
            one device, `pmap` on several.
        devices: by default all, in a job of one process.

    Raises:
        ValueError: for an unknown mode, or a batch that the devices cannot share equally.
        NotImplementedError: in a job of several processes.

    Example:
        >>> loss = lambda params, keys, batch, step: (((batch - params) ** 2).mean(), {})
        >>> as_it_is = lambda key, raw: raw
        >>> compiled = compile_steps(loss, optax.sgd(0.5), as_it_is, batch_size=2, steps_per_call=5, mode="jit")
        >>> start = TrainState(jnp.int32(0), jnp.zeros(()), optax.sgd(0.5).init(0.0), jax.random.key(0), None)
        >>> state, metrics = compiled.run(start, jnp.full((4,), 3.0), jnp.int32(2))
        >>> int(state.step), float(state.params), metrics["skipped"].shape  # room for 5 steps, of which 2 were taken
        (2, 3.0, (5,))
    """
    if devices is None:
        one_process("training")
    devices = list(jax.local_devices() if devices is None else devices)
    batch_size = positive_integer("batch_size", batch_size)
    steps_per_call = positive_integer("steps_per_call", steps_per_call)
    if mode not in MODES:
        raise ValueError(f"mode is {mode!r}, expected one of {', '.join(MODES)}.")
    if mode == "auto":
        mode = "jit" if len(devices) == 1 else "pmap"
    count = 1 if mode == "jit" else len(devices)
    if batch_size % count:
        below = batch_size // count * count
        nearest = " or ".join(str(size) for size in (below, below + count) if size)
        raise ValueError(
            f"batch_size is {batch_size}, which {count} devices cannot share equally. Use {nearest}, or mode 'jit'."
        )
    axis_name = AXIS if mode == "pmap" else None
    diagnose = make_diagnosis(loss, preprocess, batch_size)
    step = make_step(loss, optimizer, preprocess, ema=ema, axis_name=axis_name, skip_above=skip_above)

    if mode == "jit":
        run = jax.jit(repeated(step, batch_size, steps_per_call), donate_argnums=0)
        device = SingleDeviceSharding(devices[0])
        place = functools.partial(jax.device_put, device=device)
        return CompiledSteps(run, _copy_to(device), _place(place), steps_per_call, batch_size, 1, diagnose)

    mesh = jax.make_mesh((count,), (AXIS,), axis_types=(AxisType.Auto,), devices=devices)
    everywhere, shared = NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec(AXIS))
    if mode == "mesh":

        def shared_step(state: TrainState, raw: Any):
            return step(state, jax.lax.with_sharding_constraint(raw, shared))

        run = jax.jit(
            repeated(shared_step, batch_size, steps_per_call), donate_argnums=0, out_shardings=(everywhere, everywhere)
        )
        place = functools.partial(jax.device_put, device=everywhere)
        return CompiledSteps(run, _copy_to(everywhere), _place(place), steps_per_call, batch_size, count, diagnose)

    def per_device(state: TrainState, images: Any, steps: Array):
        return repeated(step, batch_size, steps_per_call, axis_name=AXIS, devices=count)(state, images, steps)

    run = jax.pmap(per_device, AXIS, in_axes=(None, 0, None), out_axes=None, devices=devices, donate_argnums=0)

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
        lambda state, images: diagnose(state, jax.tree.map(lambda leaf: leaf[0], images)),
    )


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
