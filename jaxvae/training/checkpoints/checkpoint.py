"""Checkpoints that lose nothing: whole or absent, compared to the bit with what was saved, newest good one first.

A folder of checkpoints holds one folder a step. Each is written under another name, read back, and renamed last, so a
folder that has its final name is whole, whatever moment the power failed at. The arrays are written by orbax, flat and
in order; their names, shapes and digests are in a manifest (`manifest.py`).

One process writes into a folder at a time: hold `lock_folder` for as long as the run takes.
"""

import contextlib
import errno
import os
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxvae.checks import positive_integer
from jaxvae.training.checkpoints import files, folders, leaves, manifest, snapshot
from jaxvae.training.checkpoints.files import Damaged

LOOKS = 200  # at the list of checkpoints, while it changes under the reader
SPARE = 1 << 20  # bytes beside the arrays, for the manifest and the folders themselves


def save(
    folder: str | Path,
    state: Any,
    *,
    step: int | None = None,
    keep: int = 3,
    metadata: Mapping[str, Any] | None = None,
) -> Path:
    """Writes `state`, any pytree of arrays, and returns its folder `<folder>/<step>` once it is whole on disk.

    Saving a step again replaces it: the new one is in place before the old one goes. A step older than a good
    checkpoint in the folder is refused, since `restore` would prefer that one. Afterwards the newest `keep` remain.

    Args:
        folder: the folder of checkpoints, made if missing.
        state: arrays, of any number of devices. Typed keys, half precision, empty arrays and None come back exact.
        step: the name of the checkpoint, `state.step` if not given.
        keep: how many checkpoints to keep, at least 1.
        metadata: a dict of JSON values, returned by `restore`.

    Raises:
        ValueError: a NaN or an infinity in the state (scalars of the optimiser may be infinite), a dict key that is
            neither text nor an integer, an older step, metadata that is no JSON, a backslash in the path.
        TypeError: a leaf that is no array.
        OSError: the folder cannot be written; names the path, the cause and, on a full disk, the bytes needed and free.
            Older checkpoints are untouched and the unfinished one is removed.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = save(folder, {"w": np.ones(3, np.float32)}, step=7, metadata={"seed": 0})
        ...     state, metadata = restore(folder, {"w": np.zeros(3, np.float32)})
        >>> path.name, state, metadata
        ('000000000007', {'w': array([1., 1., 1.], dtype=float32)}, {'seed': 0})
    """
    folder = folders.absolute(folder)
    keep = positive_integer("keep", keep)
    step = positive_integer("step", _step_of(state) if step is None else step, at_least=0)
    extra = manifest.check_metadata(metadata or {})
    data = leaves.host_arrays(state)
    leaves.check_finite(data)
    _refuse_older(folder, step)

    same = [item.revision for item in folders.candidates(folder) if item.step == step]
    final = folder / (f"{step:012d}" + (f".{max(same) + 1}" if same else ""))
    unfinished = folder / folders.working_name("unfinished", final.name)
    needed = sum(array.nbytes for array in data.values()) + SPARE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folders.remove_dead(folder)
        if shutil.disk_usage(folder).free < needed:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        snapshot.write(unfinished, state, data, step, extra)
        snapshot.read(unfinished, state, step, own=True)
        unfinished.rename(final)
        files.fsync(folder)
    except (OSError, Damaged) as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise files.not_saved(final, needed, error) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    folders.remove_old(folder, final, keep)
    return final


def steps(folder: str | Path) -> list[int]:
    """The steps that have a checkpoint in `folder`, sorted; empty where the folder does not exist.

    Only `restore` reads them: a damaged one is listed too, so that nobody takes the folder for empty and starts again.

    Example:
        >>> steps("no/such/folder")
        []
    """
    return sorted({item.step for item in folders.candidates(folders.absolute(folder))})


def restore(folder: str | Path, like: Any, *, step: int | None = None) -> tuple[Any, dict[str, Any]]:
    """Returns (state, metadata) of the newest good checkpoint, or of the one of `step`.

    Files are compared with the manifest before anything is parsed, and every array once more after that. A damaged
    checkpoint is skipped with a `UserWarning` naming step and file, and the one before it is used. Nothing is deleted.
    One that is deleted while it is read, by a run that trains there, is no damage: the list is looked at again.

    Args:
        folder: the folder given to `save`.
        like: arrays or `jax.ShapeDtypeStruct`s: the structure, shapes and dtypes that are expected.
        step: this step and no other.

    Returns:
        The state with the structure of `like`: NumPy arrays, which any number of devices takes, and typed keys.

    Raises:
        FileNotFoundError: no checkpoint, or none of `step`.
        ValueError: every checkpoint (or the one of `step`) is damaged, each listed with its fault; or the newest good
            one is of another model: at most 10 differing paths, with both shapes.
    """
    folder = folders.absolute(folder)
    if step is not None:
        positive_integer("step", step, at_least=0)
    wanted = "checkpoint" if step is None else f"checkpoint of step {step}"
    for _ in range(LOOKS):
        found = [item for item in folders.candidates(folder) if step is None or item.step == step]
        if not found:
            raise FileNotFoundError(f"{folder} holds no {wanted}; steps found: {steps(folder)}. Train and save first.")
        with contextlib.suppress(_Gone):
            return _newest_good(folder, found, like)
    raise ValueError(
        f"{folder} holds no {wanted} for long enough to read it: the run that trains there replaces them faster. "
        f"Wait for it to end, or let it keep more: --keep 5."
    )


class _Gone(Exception):
    """A checkpoint was deleted while it was read, by a run that trains there and has saved a newer one."""


def _newest_good(folder: Path, found: list[folders.Candidate], like: Any) -> tuple[Any, dict[str, Any]]:
    faults: list[str] = []
    for item in reversed(found):
        try:
            state, metadata = snapshot.read(item.path, like, item.step)
        except Damaged as error:
            if not item.path.exists():
                raise _Gone from error
            faults.append(f"step {item.step} ({item.path.name}): {error}")
            continue
        for fault in faults:
            warnings.warn(f"skipped a damaged checkpoint in {folder}, {fault}", stacklevel=3)
        return state, metadata
    listed = "\n  ".join(faults)
    raise ValueError(
        f"{folder} holds no checkpoint that can be trusted:\n  {listed}\n"
        f"Nothing was deleted. Put a backup in its place, or start again in another folder."
    )


def _refuse_older(folder: Path, step: int) -> None:
    newer = [item for item in folders.candidates(folder) if item.step > step]
    for item in newer:
        try:
            manifest.verify(item.path, item.step)
        except Damaged:
            continue  # restore skips it too
        raise ValueError(
            f"step is {step}, but {folder} holds a good checkpoint of step {item.step}, which restore would prefer. "
            f"To go back, move the checkpoints after step {step} away; or save into another folder."
        )


def _step_of(state: Any) -> int:
    step = getattr(state, "step", None)
    if step is None or np.ndim(step) != 0:
        raise ValueError(f"the state ({type(state).__name__}) has no scalar field `step`. Pass save(..., step=...).")
    return int(step)
