"""Host arrays in and out of a folder, in order: the one file that knows orbax.

Orbax is given a flat dict of numbered arrays, since nested dicts make it confuse `"a.b"` with `{"a": {"b": ...}}`,
and no empty array, which it refuses. Its console output is held back: what goes wrong is raised.
"""

import errno
import logging
import os
import re
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import numpy as np

from jaxvae.training.checkpoints.files import Damaged

ODD = re.compile(r"[][*?\\:]")
_ONE_AT_A_TIME = threading.Lock()


def write(folder: Path, values: Sequence[np.ndarray]) -> None:
    """Writes the arrays into `folder`, which must not exist; raises `OSError`."""
    named = {f"{i:05d}": value for i, value in enumerate(values) if value.size}
    if not named:
        return folder.mkdir()
    try:
        with _orbax() as orbax, _reachable(folder) as path:
            orbax.save(path, named)
        # Orbax notes in it where the folder lay, a path of this machine, and never reads it.
        note = folder / "commit_success.txt"
        if note.exists():
            note.write_text("Checkpoint commit was successful\n", encoding="ascii")
    except Exception as error:
        code = errno.ENOSPC if "No space left" in str(error) else getattr(error, "errno", None) or errno.EIO
        raise OSError(code, f"orbax could not write it: {error!s:.300}") from error


def read(folder: Path, expected: Sequence[tuple[tuple[int, ...], np.dtype]], *, own: bool = False) -> list[np.ndarray]:
    """The arrays of `folder`, which must have these shapes and dtypes; raises `Damaged`.

    What the folder declares is compared before a byte is allocated for it. Not so where this process wrote it a moment
    ago, its `own`: TensorStore 0.1.86 never frees the answer (`Spec.to_json` leaks what it returns), and a long run
    that saves every epoch would grow without end.
    """
    wanted = {f"{i:05d}": spec for i, spec in enumerate(expected) if prod(spec[0])}
    found: dict[str, Any] = {}
    try:
        if wanted:
            with _orbax() as orbax, _reachable(folder) as path:
                if not own:
                    _compare(folder, orbax.metadata(path).metadata, wanted)
                # A stride of zero: orbax looks at shape and dtype alone, so a target need not take memory.
                target = {name: np.broadcast_to(np.zeros((), d), s) for name, (s, d) in wanted.items()}
                found = orbax.load(path, target)
    except Damaged:
        raise
    except Exception as error:
        raise Damaged(f"{folder.name}: orbax cannot read it: {error!s:.300}") from error
    values = [found.get(f"{i:05d}", np.zeros(shape, dtype)) for i, (shape, dtype) in enumerate(expected)]
    for value, (shape, dtype) in zip(values, expected, strict=True):
        if value.shape != shape or value.dtype != dtype:
            got = f"{value.dtype}{list(value.shape)}"
            raise Damaged(f"{folder.name}: orbax returned {got}, expected {dtype}{list(shape)}")
    return values


def _compare(folder: Path, declared: dict[str, Any], wanted: dict[str, tuple[tuple[int, ...], np.dtype]]) -> None:
    if declared.keys() != wanted.keys():
        raise Damaged(f"{folder.name}: orbax declares {len(declared)} arrays, expected {len(wanted)}")
    for name, (shape, dtype) in wanted.items():
        array = declared[name]
        piece = tuple(array.storage_metadata.chunk_shape)
        if tuple(array.shape) != shape or array.dtype != dtype or prod(piece) > prod(shape):
            got = f"{array.dtype}{list(array.shape)} in pieces of {list(piece)}"
            raise Damaged(f"{folder.name}: orbax declares {got}, expected {dtype}{list(shape)}")


@contextmanager
def _reachable(folder: Path) -> Iterator[Path]:
    """`folder` under a name that orbax takes as it stands: it reads brackets as a pattern, "gs:/" as another place."""
    if os.name != "posix" or not ODD.search(str(folder)):
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="jaxvae-") as beside:
        link = Path(beside) / "link"
        link.symlink_to(folder.parent, target_is_directory=True)
        yield link / folder.name


def _one(backend: Any = None) -> int:
    return 1


def _first(backend: Any = None) -> int:
    return 0


@contextmanager
def _orbax() -> Iterator[Any]:
    """Orbax, imported when first needed (a third of a second), quiet, for one thread and one process at a time.

    Two threads that save at once, even in folders of their own, now and then make one of the saves fail. In a job of
    several processes orbax waits until all of them save the same path, and no option tells it otherwise (1.1 asks all
    whether they see the folder); here the arrays are whole in every process, and one of them saves: it is told that it
    is alone.
    """
    from orbax.checkpoint import v1

    logger = logging.getLogger("absl")
    with _ONE_AT_A_TIME:
        level = logger.level
        logger.setLevel(logging.CRITICAL + 1)
        try:
            with mock.patch.multiple(jax, process_count=_one, process_index=_first):
                yield v1
        finally:
            logger.setLevel(level)
