"""Where batches come from: data whole on the device, or on the host, where a thread gathers them one block ahead."""

import functools
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.data.rows import read_rows
from jaxvae.training.engine.hyper import Hyper
from jaxvae.training.engine.parallel import CompiledSteps
from jaxvae.training.engine.sampler import Reweighted, Weighted, epoch_order, examples_of, weighted_draws
from jaxvae.training.engine.state import TrainState

BLOCK_BYTES = 2**26  # of the batches gathered at a time; two such blocks are on the host at once
PATIENCE = 5.0  # seconds that the end of a training waits for a read that is under way


class Resident:
    """The examples on the device, and the calls that train on them; `Stream` has the same face.

    Attributes:
        steps: the most steps one call can take.
        begun: the number of steps whose batches are being gathered already: none, they are all there.
    """

    begun: int | None = None

    def __init__(self, compiled: CompiledSteps, key: Any, data: Any, size: int):
        self.compiled, self.steps = compiled, compiled.steps_per_call
        held = data.examples if isinstance(data, Reweighted) else data
        self.placed = self.data = compiled.place_images(jax.tree.map(_whole, held))

    def draw_by(self, edges: np.ndarray) -> None:
        """Draws an epoch by these weights, see `Weighted`."""
        self.data = Weighted(self.placed, self.compiled.place_images(edges))

    def run(self, state: TrainState, step: int, count: int, numbers: Hyper | None) -> tuple[TrainState, Any]:
        """`count` steps from `step` on, as `CompiledSteps.run`."""
        return self.compiled.run(state, self.data, jnp.int32(count), numbers)

    def ahead(self, step: int, count: int) -> None:
        """Nothing has to be gathered."""

    def diagnose(self, state: TrainState, step: int, numbers: Hyper | None) -> str:
        """What was not finite in the step before."""
        return self.compiled.diagnose(state, self.data, numbers)

    def close(self) -> None:
        """Nothing is under way."""


class Ahead:
    """One call in a thread, whose result, or error, is asked for later.

    The thread is a daemon: a read that never ends, as of a lost network drive, keeps no process alive.

    Example:
        >>> Ahead(lambda: 2 + 2).result()
        4
    """

    def __init__(self, call: Callable[[], Any]):
        self.call, self.found = call, None
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, name="jaxvae-read", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.found = self.call()
        except BaseException as error:  # it belongs to whoever asks for the result
            self.error = error

    def result(self) -> Any:
        self.thread.join()
        if self.error is not None:
            raise self.error
        return self.found


class Wanted(NamedTuple):
    """Which batches: of so many steps from `step` on, all of one epoch."""

    step: int
    steps: int


class Stream:
    """Blocks of batches out of data on the host, in the order that `repeated` takes them; `Resident` has the same face.

    Attributes:
        steps: the most steps one call can take.
        begun: the number of steps whose batches are being gathered already, or None.

    Args:
        compiled: the steps.
        key: of the run.
        data: a tree of [N, ...], `Weighted` or not: arrays, mapped files, `Rows`, or what takes an array of indices.
        size: N.
    """

    def __init__(self, compiled: CompiledSteps, key: Any, data: Any, size: int):
        self.compiled, self.key, self.size = compiled, key, size
        self.examples, self.edges = examples_of(data), data.edges if isinstance(data, Weighted) else None
        self.per_epoch = size // compiled.batch_size
        example = sum(leaf.nbytes for leaf in jax.tree.leaves(self._rows(np.arange(1))))
        self.steps = max(1, min(compiled.steps_per_call, BLOCK_BYTES // max(1, compiled.batch_size * example)))
        self.order: tuple[int, Any] = (-1, None)
        self.next: tuple[Wanted, Ahead] | None = None

    @property
    def begun(self) -> int | None:
        return None if self.next is None else self.next[0].steps

    def draw_by(self, edges: np.ndarray) -> None:
        """Draws an epoch by these weights, see `Weighted`."""
        self.edges, self.order = edges, (-1, None)

    def run(self, state: TrainState, step: int, count: int, numbers: Hyper | None) -> tuple[TrainState, Any]:
        """`count` steps from `step` on, as `CompiledSteps.run_block`."""
        wanted = Wanted(step, count)
        if self.next is None:
            self.ahead(*wanted)
        assert self.next is not None
        assert self.next[0] == wanted, "what was gathered is not what is trained on"
        (_, ahead), self.next = self.next, None
        return self.compiled.run_block(state, ahead.result(), jnp.int32(count), numbers)

    def ahead(self, step: int, count: int) -> None:
        """Begins to gather the batches of so many steps."""
        wanted = Wanted(step, count)
        self.next = wanted, Ahead(functools.partial(self._block, wanted))

    def diagnose(self, state: TrainState, step: int, numbers: Hyper | None) -> str:
        """What was not finite in the step before."""
        batch = self._rows(self._indices(Wanted(step - 1, 1)))
        return self.compiled.diagnose(state, batch, numbers, gathered=True)

    def close(self) -> None:
        """Waits for what is being read, but not for ever."""
        if self.next is not None:
            self.next[1].thread.join(PATIENCE)

    def _block(self, wanted: Wanted) -> Any:
        """The batches [steps, batch_size, ...] on the devices; those beyond the wanted ones say nothing.

        Of several processes each reads the examples of its own devices, and no others.
        """
        index, own = self._indices(wanted).reshape(wanted.steps, -1), self.compiled.own
        index = index if own is None else index[:, own]

        def shaped(rows: np.ndarray) -> np.ndarray:
            block = np.empty((self.steps * index.shape[1], *rows.shape[1:]), rows.dtype)
            block[: len(rows)] = rows
            return block.reshape(self.steps, index.shape[1], *rows.shape[1:])

        return self.compiled.place_block(jax.tree.map(shaped, self._rows(index.ravel())))

    def _indices(self, wanted: Wanted) -> np.ndarray:
        """Which examples, int64; the order of an epoch takes a dozen bytes an example while it is made, then four."""
        epoch, batch = wanted.step // self.per_epoch, self.compiled.batch_size
        if self.order[0] != epoch:
            at = jnp.int32(epoch)
            drawn = _order(self.key, at, self.size) if self.edges is None else _draws(self.key, at, self.edges)
            self.order = epoch, np.asarray(drawn)
        start = wanted.step % self.per_epoch * batch
        found: np.ndarray = self.order[1][start : start + wanted.steps * batch].astype(np.int64)
        return found

    def _rows(self, index: np.ndarray) -> Any:
        return jax.tree.map(lambda leaf: gathered(leaf, index), self.examples)


def gathered(source: Any, index: np.ndarray) -> np.ndarray:
    """The rows of these indices; raises `ValueError` naming the first that cannot be read, and `read_rows`' own."""
    try:
        found = read_rows(source, index)
    except Exception as error:
        raise ValueError(f"{_first_bad(source, index)}: {type(error).__name__}: {error}") from error
    if found.shape[:1] != index.shape:
        raise ValueError(
            f"{type(source).__name__}[array of {len(index)} indices] gave an array of shape {found.shape}, expected "
            f"({len(index)}, ...): one row for each index."
        )
    return found


def _first_bad(source: Any, index: np.ndarray) -> str:
    """Which of the rows cannot be read, in words."""
    for one in index:
        try:
            read_rows(source, np.array([one]))
        except Exception:
            return f"the example at index {one} cannot be read"
    return f"{len(index)} examples cannot be read together"


_order = jax.jit(epoch_order, static_argnums=2)
_draws = jax.jit(weighted_draws)


def _whole(leaf: Any) -> Any:
    """An array, of what is one already or is read by its rows."""
    return leaf if isinstance(leaf, np.ndarray | jax.Array) else np.asarray(leaf)
