"""Everything that changes while training: a tuple of arrays without a device axis."""

import contextlib
import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxvae.checks import as_key
from jaxvae.models.records import Key, Model, Params, as_model
from jaxvae.training.engine.hyper import Hyper, optimizer_at
from jaxvae.training.engine.optimizers import as_optimizer

Array = jax.Array


class TrainState(NamedTuple):
    """The whole state of a run; a step's randomness is a function of (key, step, example), so nothing else is kept.

    Attributes:
        step: int32 [], how many steps have been taken, skipped ones included.
        params: the model's parameters.
        opt_state: the optimizer's state.
        key: the run's typed PRNG key, which never changes.
        ema: exponential moving average of params, or None; `averages.decay_at` says how it starts.
    """

    step: Array
    params: Params
    opt_state: Any
    key: Key
    ema: Params | None


def averaged_params(state: TrainState) -> Params:
    """The parameters to measure, draw and keep: the moving average where there is one, else the last ones.

    Example:
        >>> averaged_params(TrainState(None, "last", None, None, None))
        'last'
        >>> averaged_params(TrainState(None, "last", None, None, "average"))
        'average'
    """
    return state.params if state.ema is None else state.ema


def init_state(
    model: Model, optimizer: optax.GradientTransformation, key: Key, example: Array, *, ema: bool = False
) -> TrainState:
    """A fresh state, in one compiled call; the key is consumed and kept as the run's key.

    Args:
        model: what to train.
        optimizer: any Optax transformation.
        key: a typed key, `jax.random.key(seed)`.
        example: one example, as the model sees it (after preprocessing).
        ema: whether to keep a moving average of the parameters, which starts at the parameters.

    Raises:
        TypeError: for a legacy uint32 key, which the checkpoint and the key checker could not tell from numbers.

    Example:
        >>> from jaxvae import MLPDecoder, MLPEncoder, vae
        >>> model = vae(MLPEncoder(2, hidden=(8,)), MLPDecoder((4,), hidden=(8,)), event_shape=(4,), latent_dim=2)
        >>> state = init_state(model, optax.adam(1e-3), jax.random.key(0), jnp.zeros(4))
        >>> int(state.step), sorted(state.params), state.ema
        (0, ['decoder', 'encoder'], None)
    """
    as_model("model", model)
    as_optimizer(optimizer)
    if not jnp.issubdtype(as_key("key", key).dtype, jax.dtypes.prng_key):
        raise TypeError(f"key has dtype {key.dtype}, expected a typed key: use jax.random.key(seed), not PRNGKey.")

    return jax.jit(functools.partial(_fresh, model, optimizer, ema))(key, example)


def compiled_init(
    model: Model, optimizer: optax.GradientTransformation | Callable[[Hyper], Any], *, ema: bool = False
) -> Callable[..., TrainState]:
    """(key, example, hyper=None) -> the state of `init_state`, sooner: for a call of its own, not inside `jit`.

    On a CPU it is compiled with fewer passes, in two thirds of the time: it runs once, for milliseconds. The last bit
    of a weight may be another one than `init_state` gives. A state larger than the memory is refused before any of it
    is computed.

    Example:
        >>> from jaxvae import MLPDecoder, MLPEncoder, vae
        >>> model = vae(MLPEncoder(2, hidden=(8,)), MLPDecoder((4,), hidden=(8,)), event_shape=(4,), latent_dim=2)
        >>> init = compiled_init(model, optax.adam(1e-3))
        >>> sorted(init(jax.random.key(0), jnp.zeros(4)).params)
        ['decoder', 'encoder']
    """
    options: Any = {"xla_backend_optimization_level": 1} if jax.default_backend() == "cpu" else None

    def at(key: Key, example: Any, numbers: Hyper) -> TrainState:
        return _fresh(model, optimizer_at(optimizer, numbers), ema, key, example)

    fresh = jax.jit(at, compiler_options=options)

    def init(key: Key, example: Any, hyper: Hyper | None = None) -> TrainState:
        numbers = {} if hyper is None else hyper
        _check_fits(fresh.eval_shape(key, example, numbers))  # traced once: the call below takes the same trace
        return fresh(key, example, numbers)

    return init


def _check_fits(state: TrainState) -> None:
    """Raises `ValueError` naming the largest array of a state that no memory here could hold."""
    memory = memory_bytes()
    leaves = jax.tree_util.tree_leaves_with_path(state)
    arrays = {path: leaf for path, leaf in leaves if hasattr(leaf.dtype, "itemsize")}  # all but the key
    sizes = {path: leaf.size * leaf.dtype.itemsize for path, leaf in arrays.items()}
    needed = sum(sizes.values())
    if memory is not None and needed > memory:
        path = max(sizes, key=lambda path: sizes[path])
        raise ValueError(
            f"the parameters and what the optimizer keeps of them take {needed / 1e9:,.0f} GB, expected at most the "
            f"{memory / 1e9:,.0f} GB of memory here. The largest is {jax.tree_util.keystr(path)} of shape "
            f"{arrays[path].shape}: make that layer smaller."
        )


def memory_bytes() -> int | None:
    """The memory of the first device, or of the machine where that is a CPU; None where nobody tells.

    A container or a job with less than the machine has is told by its control group.
    """
    device = jax.local_devices()[0]
    if device.platform != "cpu":
        limit: int | None = (device.memory_stats() or {}).get("bytes_limit")
        return limit
    names = getattr(os, "sysconf_names", {})
    if "SC_PHYS_PAGES" not in names or "SC_PAGE_SIZE" not in names:
        return group_memory_bytes()
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(machine, group_memory_bytes() or machine)


def group_memory_bytes(mounted: str = "/sys/fs/cgroup", own: str = "/proc/self/cgroup") -> int | None:
    """The least memory that the control groups of this process leave it; None without groups, or without a limit.

    Args:
        mounted: where the groups are. own: the file that names those of this process, "number:controllers:/path" each.

    Source: Linux, Documentation/admin-guide/cgroup-v2.rst (memory.max); cgroup-v1 (memory.limit_in_bytes).
    """
    try:
        names = [line.split(":", 2) for line in Path(own).read_text().splitlines()]
    except OSError:  # no Linux
        return None
    limits = []
    for _, controllers, name in (found for found in names if len(found) == 3):
        if controllers and "memory" not in controllers.split(","):
            continue
        top = Path(mounted, "memory") if controllers else Path(mounted)
        file = "memory.limit_in_bytes" if controllers else "memory.max"
        group = top / name.strip("/")
        for folder in (group, *group.parents[: len(group.parts) - len(top.parts)]):
            with contextlib.suppress(OSError, ValueError):  # "max", or a group that is not seen from within a container
                limits.append(int((folder / file).read_text()))
    return min(limits, default=None)


def _fresh(model: Model, optimizer: optax.GradientTransformation, ema: bool, key: Key, example: Any) -> TrainState:
    key_init, key_run = jax.random.split(key)
    params = model.init(key_init, example)
    average = jax.tree.map(jnp.copy, params) if ema else None
    return TrainState(jnp.zeros((), jnp.int32), params, optimizer.init(params), key_run, average)
