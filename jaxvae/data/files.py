"""A user's own `.npy`, `.npz` or folder of pictures as a data set."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from jaxvae.data.archives import Members, header, open_npz, read_member
from jaxvae.data.dataset import Dataset, from_array
from jaxvae.data.folders import load_folder
from jaxvae.data.splits import hold_out

MAX_BYTES = 2**32  # of one array, decompressed
SPLIT_IMAGES = ("x_{}", "{}_x", "{}_images", "images_{}", "{}")
SPLIT_LABELS = ("y_{}", "{}_y", "{}_labels", "labels_{}")
IMAGES = ("images", "x", "data")
LABELS = ("labels", "label", "y", "targets")


def reader_of(path: Path) -> Callable[..., Dataset]:
    """The function (path, split, **options) that reads this kind of file or folder.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: no kind of file that can be read.
    """
    if path.is_dir():
        return load_folder
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {path}, expected data to load. Check the path.")
    readers = {".npy": load_npy, ".npz": load_npz}
    if path.suffix.lower() not in readers:
        raise ValueError(f"{path} cannot be loaded, expected an .npy, an .npz or a folder of pictures.")
    if path.stat().st_size == 0:
        raise ValueError(f"{path} is empty (0 bytes), expected {path.suffix} data. Write it again.")
    return readers[path.suffix.lower()]


def load_npy(path: Path, split: str = "train", *, test_fraction: float = 0.0) -> Dataset:
    """Memory-maps an array of images; see `from_array` for what it may hold.

    Args:
        path: the `.npy` file.
        split: "train", "test" or "all".
        test_fraction: in [0, 1), the part held out as "test", the same images every time; with 0 all are "train".

    Raises:
        ValueError: naming the file: not `.npy`, cut short, Python objects, no images.
    """
    try:
        images = np.lib.format.open_memmap(path, mode="r")  # never unpickles, and takes no other format
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"{path} is not a whole .npy file of numbers ({error}). Write it by numpy.save.") from error
    return hold_out(_named(path, split, images), split, test_fraction)


def load_npz(
    path: Path,
    split: str = "train",
    *,
    images: str | None = None,
    labels: str | None = None,
    test_fraction: float = 0.0,
    max_bytes: int = MAX_BYTES,
) -> Dataset:
    """Reads images and labels from an `.npz`.

    They are found by name: x_train and y_train (as Keras has it) or train_images and train_labels (as MedMNIST), for
    any split; else "images", "x", "data" or the only array of three or four axes, and "labels", "label", "y" or
    "targets".

    Args:
        path: the `.npz` file.
        split: "train", "test" or "all", or what the names of the arrays hold.
        images, labels: the names of the arrays, where they are others.
        test_fraction: as in `load_npy`, for arrays that are not named by split.
        max_bytes: of one array, decompressed; more is refused before it is read.

    Raises:
        ValueError: naming the file: not `.npz`, damaged, ambiguous, too large, Python objects, no images.
    """
    with open_npz(path) as (archive, members):
        own = None if images else _find(SPLIT_IMAGES, members, split)
        image_name = images or own or _find(IMAGES, members) or _only_images(path, split, archive, members)
        label_name = labels or _find(SPLIT_LABELS if own else LABELS, members, split)
        for name in (image_name, label_name):
            if name and name not in members:
                raise ValueError(f"{path} has no array {name!r}, expected one of: {', '.join(members)}.")
        pixels = read_member(path, archive, members[image_name], max_bytes)
        classes = read_member(path, archive, members[label_name], max_bytes) if label_name else None
    if classes is not None and classes.ndim == 2 and classes.shape[1] == 1:
        classes = classes[:, 0]
    data = _named(path, split, pixels, classes)
    return data if own else hold_out(data, split, test_fraction)


def _find(names: Iterable[str], members: Members, split: str = "") -> str | None:
    return next((name.format(split) for name in names if name.format(split) in members), None)


def _only_images(path: Path, split: str, archive: Any, members: Members) -> str:
    found = [name for name, info in members.items() if len(header(path, archive, info)[0]) in (3, 4)]
    if len(found) != 1:
        raise ValueError(
            f"{path} holds {', '.join(members)}: it is not clear which are the images of the split {split!r}. "
            f"Pass images='...', and labels='...' where there are some."
        )
    return found[0]


def _named(path: Path, split: str, images: Any, labels: Any = None) -> Dataset:
    """`from_array`, with the path in its errors."""
    try:
        return from_array(images, labels=labels, name=path.stem, split=split, source=str(path))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
