"""Several processes of one job (`jax.distributed`), on one machine or many: they train together or say why not.

Every process runs the same program on the same data; arrays are spread over the devices of all. What a clock, a signal
or a file may tell each of them differently is agreed on here: processes that disagree wait for each other for ever.
"""

import atexit
import json
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding

from jaxvae.training.jobs.meeting import PATIENCE, check_free, saying_who_waits, wait_for_the_first, with_a_last_word

HEARTBEAT = 30  # seconds without a sign of life after which a process counts as gone
GONE = "another process of this job has gone, or cannot be reached"
NAMED = 20  # differences that are told
ENDED = "this process was killed, or JAX ended it because another one of this job has gone"
AGAIN = "Start all processes again: the same command goes on."
# As JAX begins the errors of its runtime, which are ValueErrors where the layer in between has no class for them.
STATUS = re.compile("(UNKNOWN|UNAVAILABLE|INTERNAL|ABORTED|CANCELLED|DEADLINE_EXCEEDED|FAILED_PRECONDITION): ")


def several() -> bool:
    """Whether this job has more than one process."""
    return jax.process_count() > 1


def leads() -> bool:
    """Whether this process writes what the job leaves: files, pictures and lines."""
    return jax.process_index() == 0


@contextmanager
def joined(coordinator: str | None = None, processes: int | None = None, process: int | None = None) -> Iterator[None]:
    """Joins the job for the length of the block; before anything of JAX has run.

    Args:
        coordinator: HOST:PORT where process 0 listens; None where Slurm, Open MPI, a TPU pod or Kubernetes say it all.
        processes: how many there are.
        process: which of them this is, from 0.

    Raises:
        ValueError: for an incomplete or unreadable address, or where nobody says who the others are.
        ConnectionError: where process 0 cannot be reached for five minutes; JAX itself ends process 0, with a line of
            ours, where others do not come.
        OSError: where process 0 cannot listen at its port.
    """
    given = {"--coordinator": coordinator, "--processes": processes, "--process": process}
    missing = [name for name, value in given.items() if value is None]
    if 0 < len(missing) < 3:
        raise ValueError(
            f"{' and '.join(missing)} is not given, expected all of --coordinator HOST:PORT --processes N --process I, "
            f"or none of them where Slurm, Open MPI or a TPU pod say them."
        )
    if processes is not None and process is not None and not 0 <= process < processes:
        raise ValueError(f"--process is {process}, expected 0 to {processes - 1}: there are {processes} processes.")
    if coordinator is not None and process == 0:
        check_free(coordinator)
    elif coordinator is not None:
        wait_for_the_first(coordinator, _aside)
    absent = (
        f"JAX ended this process, because not all {processes} came to {coordinator} within {PATIENCE:.0f} s. {AGAIN}"
    )
    try:
        with saying_who_waits(coordinator, processes, _aside), with_a_last_word(absent):
            jax.distributed.initialize(coordinator, processes, process, heartbeat_timeout_seconds=HEARTBEAT,
                                       initialization_timeout=int(PATIENCE))  # fmt: skip
    except ValueError as error:
        raise ValueError(
            f"nobody says who the other processes are ({error}). Start them by srun, mpirun or on a TPU pod, or give "
            f"--coordinator HOST:PORT --processes N --process I."
        ) from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(
            signal.SIGTERM, signal.SIG_DFL
        )  # JAX waits for it in its own way, in which nothing ends or is saved
    try:
        with with_a_last_word(f"{ENDED}. {AGAIN}"):
            yield
    except BaseException as error:
        # JAX would wait for the others at the end, and they for this one: it leaves at once, when its line is printed.
        atexit.register(_leave, _code(error))
        raise


def _aside(line: str) -> None:
    """Says how the job comes together, beside what the run prints."""
    print(line, file=sys.stderr, flush=True)


def _code(error: BaseException) -> int:
    """The exit code that the error has in one process."""
    if isinstance(error, KeyboardInterrupt):
        return 130
    return 2 if isinstance(error, ValueError | TypeError | OSError | NotImplementedError) else 1


def _leave(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def gathered(value: Any) -> list[Any]:
    """The JSON value of every process, in their order; all must ask.

    Example:
        >>> gathered({"step": 7})
        [{'step': 7}]
    """
    if not several():
        return [value]
    text = np.frombuffer(json.dumps(value).encode(), np.uint8)
    lengths = multihost_utils.process_allgather(np.array([len(text)]))[:, 0]
    padded = np.zeros(lengths.max(), np.uint8)
    padded[: len(text)] = text
    rows = multihost_utils.process_allgather(padded)
    return [json.loads(row[:length].tobytes()) for row, length in zip(rows, lengths, strict=True)]


def agreed(limit: int, number: int = 0, over: bool = False) -> tuple[int, int, bool]:
    """(the smallest limit, the number of any signal, whether process 0 is done): what all processes act on."""
    if not several():
        return limit, number, over
    rows = multihost_utils.process_allgather(np.array([limit, number, over], np.int32))
    return int(rows[:, 0].min()), int(rows[:, 1].max()), bool(rows[0, 2])


def same_everywhere(facts: Mapping[str, Any]) -> None:
    """Raises `ValueError` on every process, naming each fact that some process sees otherwise than process 0.

    Example:
        >>> same_everywhere({"batch_size": 128})
    """
    first, *others = gathered(dict(facts))
    differing = [
        f"{name} is {first.get(name)} in process 0 and {other.get(name)} in process {index}"
        for index, other in enumerate(others, 1)
        for name in dict.fromkeys([*first, *other])
        if first.get(name) != other.get(name)
    ]
    if differing:
        more = f"; and in {len(differing) - NAMED} more" if len(differing) > NAMED else ""
        raise ValueError(
            f"the processes of this job do not agree: {'; '.join(differing[:NAMED])}{more}. Give all of them the same "
            f"command, data and run folder."
        )


@contextmanager
def all_or_none(what: str) -> Iterator[None]:
    """Ends all processes where one of them fails within the block, before they would wait for it."""
    try:
        yield
    except Exception as error:
        gathered(str(error) or type(error).__name__)
        raise
    failed = [(index, text) for index, text in enumerate(gathered("")) if text]
    if failed:
        index, text = failed[0]
        raise ValueError(f"process {index} failed while {what}: {text}")


@contextmanager
def named_losses(where: str) -> Iterator[None]:
    """Says in words that another process has gone, and where what was saved lies."""
    try:
        yield
    except (jax.errors.JaxRuntimeError, ValueError) as error:
        of_jax = isinstance(error, jax.errors.JaxRuntimeError) or STATUS.match(str(error)) is not None
        if not several() or not of_jax or "RESOURCE_EXHAUSTED" in str(error):  # its own memory is full, nobody has gone
            raise
        raise ConnectionError(f"{GONE} ({str(error).splitlines()[0]:.200}). {where} {AGAIN}") from error


def everywhere(tree: Any, where: NamedSharding) -> Any:
    """Brings equal host arrays and typed keys to the devices of all processes, the same on each."""

    def is_key(leaf: Any) -> bool:
        return jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)

    def put(leaf: Any) -> jax.Array:
        array = np.asarray(jax.random.key_data(leaf) if is_key(leaf) else leaf)
        placed = jax.make_array_from_callback(array.shape, where, lambda index: array[index])
        return jax.random.wrap_key_data(placed, impl=jax.random.key_impl(leaf)) if is_key(leaf) else placed

    return jax.tree.map(put, tree)


def here(tree: Any) -> Any:
    """The arrays on this process alone, where they are the same on all: what it measures needs no other process."""
    return jax.device_get(tree) if several() else tree
