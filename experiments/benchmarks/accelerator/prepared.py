"""The data that travels: MNIST and the digits, each a compressed `.npz` that needs NumPy alone to be read."""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from jaxvae.files import whole_file

NAMES = ("mnist", "digits")


def prepare(folder: Path) -> None:
    """Writes both from the library's own loaders, which want TensorFlow Datasets and scikit-learn.

    Raises:
        FileNotFoundError: MNIST is not prepared; the message holds the command.
        OSError: the folder cannot be written.
    """
    from jaxvae import data

    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        sets = {split: data.load(name, split) for split in ("train", "test")}
        arrays: dict[str, Any] = {f"x_{split}": found.images for split, found in sets.items()}
        arrays |= {f"y_{split}": np.asarray(found.labels, np.uint8) for split, found in sets.items()}
        path = folder / f"{name}.npz"
        with whole_file(path) as file:
            np.savez_compressed(file, **arrays)
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, {', '.join(arrays)}", file=sys.stderr)


def check(folder: Path) -> None:
    """Raises `ValueError` unless both files are there."""
    missing = [name for name in NAMES if not (folder / f"{name}.npz").is_file()]
    if missing:
        raise ValueError(
            f"{folder} has no {' and no '.join(f'{name}.npz' for name in missing)}. Make them where MNIST is prepared, "
            f"python -m experiments.benchmarks.accelerator --prepare, and bring the folder; --tiny needs none."
        )


def unpack(folder: Path, scratch: Path) -> None:
    """Brings both into the scratch folder, MNIST's images also as train.npy and test.npy, which are mapped at once."""
    for name in NAMES:
        with np.load(folder / f"{name}.npz", allow_pickle=False) as archive:
            arrays = dict(archive)
        _lay(scratch, name, arrays)


def generate(scratch: Path) -> None:
    """The same files with a few generated pictures, for a dry run that needs nothing."""
    from jaxvae.data import shapes

    rows = tuple(np.linspace(0, 1, 5).tolist())
    for name, size in (("mnist", 28), ("digits", 8)):
        grid: dict[str, Any] = {"size": size, "orientations": (0.0, 0.4), "columns": rows, "rows": rows}
        _lay(scratch, name, {f"x_{split}": shapes.load(split, **grid).images for split in ("train", "test")})


def _lay(scratch: Path, name: str, arrays: dict[str, Any]) -> None:
    np.savez(scratch / f"{name}.npz", **arrays)
    if name == "mnist":
        for split in ("train", "test"):
            np.save(scratch / f"{split}.npy", arrays[f"x_{split}"], allow_pickle=False)
