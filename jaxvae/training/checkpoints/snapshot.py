"""One checkpoint in one folder: written and synced, or read and compared. What to keep is decided elsewhere."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from jaxvae.training.checkpoints import arrays, files, leaves, manifest
from jaxvae.training.checkpoints.files import Damaged
from jaxvae.training.checkpoints.leaves import Leaf

SHOWN = 10  # differing leaves in one message


def write(folder: Path, state: Any, data: dict[str, np.ndarray], step: int, metadata: dict[str, Any]) -> None:
    """Writes `state`, whose host arrays are `data` by path, into a new folder, synced to disk; raises `OSError`."""
    folder.mkdir()
    arrays.write(folder / manifest.ARRAYS, list(data.values()))
    described = [leaves.describe(path, leaf) for path, leaf in leaves.flatten(state)]
    digests = [(leaf, leaves.sha256(data[leaf.path]) if leaf.path in data else "") for leaf in described]
    text = manifest.compose(folder / manifest.ARRAYS, step, metadata, digests)
    (folder / manifest.NAME).write_text(text, encoding="ascii")
    for parent, _, names in os.walk(folder, topdown=False):
        for name in (*names, "."):
            files.fsync(Path(parent, name))


def read(folder: Path, like: Any, step: int, *, own: bool = False) -> tuple[Any, dict[str, Any]]:
    """(state, metadata) of a folder, with the structure of `like`.

    Sizes are taken from `like`; the folder is compared with them and never believed, unless it is this process's `own`.

    Raises:
        Damaged: a file or an array is not what was saved. ValueError: the folder is whole, and of another model.
    """
    body = manifest.verify(folder, step)
    expected = leaves.flatten(like)
    found = [Leaf(record["path"], tuple(record["shape"]), record["dtype"]) for record in body["leaves"]]
    _same(folder, found, [leaves.describe(path, leaf) for path, leaf in expected])
    by_path = {path: leaf for path, leaf in expected if leaf is not None}
    specs = {leaf.path: leaves.host_spec(by_path[leaf.path]) for leaf in found if leaf.path in by_path}
    data = dict(zip(specs, arrays.read(folder / manifest.ARRAYS, list(specs.values()), own=own), strict=True))
    for record in body["leaves"]:
        if record["path"] in data and leaves.sha256(data[record["path"]]) != record["sha256"]:
            raise Damaged(f"{manifest.ARRAYS}: the array {record['path']} is not the one that was saved")
    values = [None if leaf is None else leaves.from_host(leaf, data[path]) for path, leaf in expected]
    return leaves.unflatten(like, values), body["metadata"]


def _same(folder: Path, found: list[Leaf], expected: list[Leaf]) -> None:
    saved, wanted = {leaf.path: leaf for leaf in found}, {leaf.path: leaf for leaf in expected}
    lines = [
        f"{path or '(the whole state)'}: {saved.get(path, 'missing')} in the checkpoint, "
        f"{wanted.get(path, 'no such leaf')} expected"
        for path in dict.fromkeys([*wanted, *saved])
        if saved.get(path) != wanted.get(path)
    ]
    if lines:
        more = [f"... and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
        listed = "\n  ".join([*lines[:SHOWN], *more])
        raise ValueError(
            f"{folder} is of another model, {len(lines)} leaves differ:\n  {listed}\n"
            f"Build the model, the optimizer and the moving average with the options of the run that wrote it."
        )
