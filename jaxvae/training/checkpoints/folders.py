"""The names in a folder of checkpoints, what may be deleted, and the lock of a run."""

import os
import re
import shutil
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from jaxvae.files import explain, make_folder
from jaxvae.training.checkpoints import manifest

FINAL = re.compile(r"([0-9]{12,})(?:\.([0-9]{1,6}))?")  # the step, and a revision where one step was saved again
DEAD = re.compile(r"(unfinished|deleted)-[0-9]{12,}(\.[0-9]{1,6})?-[0-9a-f]{32}")


class Candidate(NamedTuple):
    """A folder with the name of a checkpoint; sorted by step, then revision, never by the clock."""

    step: int
    revision: int
    path: Path


def absolute(folder: str | Path) -> Path:
    """The absolute path of a folder that may not exist yet; raises `ValueError` or `NotADirectoryError` naming it."""
    path = Path(os.path.abspath(folder))
    if any("\ud800" <= letter <= "\udfff" for letter in str(path)):
        raise ValueError(f"the path {str(path)!r} is no text in this locale. Set PYTHONUTF8=1, or rename it.")
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(f"{path} is a file, expected a folder of checkpoints. Choose another path.")
    return path


def candidates(folder: Path) -> list[Candidate]:
    """Everything in `folder` that has the name of a checkpoint, oldest step first; empty where there is no folder."""
    names = [FINAL.fullmatch(path.name) for path in folder.iterdir()] if folder.exists() else []
    return sorted(Candidate(int(n[1]), int(n[2] or 0), folder / n[0]) for n in names if n)


def is_whole(item: Candidate) -> bool:
    """True for a real folder with a manifest: it got its name only after all else was in place."""
    return not item.path.is_symlink() and (item.path / manifest.NAME).is_file()


def working_name(prefix: str, name: str) -> str:
    """A name no checkpoint has, for a folder that is not whole yet ("unfinished") or no more ("deleted")."""
    return f"{prefix}-{name}-{uuid.uuid4().hex}"


def remove_dead(folder: Path) -> None:
    """Removes what a killed process left unfinished or half deleted."""
    for path in folder.iterdir():
        if DEAD.fullmatch(path.name):
            shutil.rmtree(path, ignore_errors=True)


def remove_old(folder: Path, newest: Path, keep: int) -> None:
    """Keeps `newest` and the `keep - 1` steps before it; each of the rest loses its name first, then its files.

    Only whole checkpoints count, and only they go: a folder with such a name and no manifest is not ours to delete.
    """
    whole = [item for item in candidates(folder) if is_whole(item)]
    last = next(item for item in whole if item.path == newest)
    before = [item for item in whole if item < last]
    kept = sorted({item.step for item in before} - {last.step})[::-1][: keep - 1]
    for item in before:
        if item.step not in kept:
            try:
                dead = item.path.rename(folder / working_name("deleted", item.path.name))
                shutil.rmtree(dead)
            except OSError as error:
                warnings.warn(f"step {last.step} is saved, but {item.path} was not deleted: {error}", stacklevel=3)


@contextmanager
def lock_folder(folder: str | Path) -> Iterator[Path]:
    """Holds a run folder for this process, so that no second one trains in it; made if missing.

    The operating system gives the lock back when the process ends, however it ends; the file `.lock` stays.

    Raises:
        ValueError: another process holds it. OSError: the folder cannot be written; names the path.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, lock_folder(folder) as path:
        ...     (path / ".lock").exists()
        True
    """
    import filelock

    path = make_folder(absolute(folder))
    lock = filelock.FileLock(path / ".lock", timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise ValueError(
            f"{path} is in use by another process, expected a folder of its own for each run. Wait for that one to "
            f"end, or choose another folder."
        ) from None
    except OSError as error:
        raise explain(error, "lock", path) from error
    try:
        yield path
    finally:
        lock.release()
