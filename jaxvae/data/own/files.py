"""A user's own `.npy`, `.npz`, table, records or folder of pictures as a data set."""

from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from jaxvae.data.dataset import Dataset, from_array
from jaxvae.data.kinds import Kind
from jaxvae.data.own.archives import Members, header, open_npz, read_member
from jaxvae.data.own.folders import load_folder
from jaxvae.data.own.records import is_records, load_records
from jaxvae.data.own.tables import load_csv
from jaxvae.data.splits import SPLITS, forms_of, hold_out

MAX_BYTES = 2**32  # of one array, decompressed
SPLIT_EXAMPLES = ("x_{}", "{}_x", "{}_images", "images_{}", "{}")
SPLIT_LABELS = ("y_{}", "{}_y", "{}_labels", "labels_{}")
EXAMPLES = ("images", "x", "data", "examples")
LABELS = ("labels", "label", "y", "targets")
FACTORS = ("factors", "factor_names")


def reader_of(path: Path) -> Callable[..., Dataset]:
    """The function (path, split, **options) that reads this kind of file or folder.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: no kind of file that can be read.
    """
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {path}, expected data to load. Check the path.")
    if is_records(path):
        return load_records
    if path.is_dir():
        return load_folder
    readers = {".npy": load_npy, ".npz": load_npz, ".csv": load_csv, ".tsv": load_csv}
    if path.suffix.lower() not in readers:
        raise ValueError(
            f"{path} cannot be loaded, expected an .npy, an .npz, a table (.csv, .tsv), an .array_record or a folder "
            f"of pictures or records."
        )
    if path.stat().st_size == 0:
        raise ValueError(f"{path} is empty (0 bytes), expected {path.suffix} data. Write it again.")
    return readers[path.suffix.lower()]


def load_npy(path: Path, split: str = "train", *, kind: Kind = "images", test_fraction: float = 0.0) -> Dataset:
    """Memory-maps an array; see `from_array` for what it may hold.

    Args:
        path: the `.npy` file.
        split: "train", "test" or "all".
        kind: what the array holds: "images", "tokens", "counts" or "table".
        test_fraction: in [0, 1), the part held out as "test", the same images every time; with 0 all are "train".

    Raises:
        ValueError: naming the file: not `.npy`, cut short, Python objects, nothing of that kind.
    """
    try:
        array = np.lib.format.open_memmap(path, mode="r")  # never unpickles, and takes no other format
    except Exception as error:  # the header is parsed as Python, which raises much besides ValueError
        why = f"{str(error) or type(error).__name__:.200}"
        raise ValueError(f"{path} is not a whole .npy file of numbers ({why}). Write it by numpy.save.") from error
    return hold_out(_named(path, split, kind, array), split, test_fraction)


def load_npz(
    path: Path,
    split: str = "train",
    *,
    images: str | None = None,
    labels: str | None = None,
    class_names: str | None = None,
    groups: str | None = None,
    kind: Kind = "images",
    test_fraction: float = 0.0,
    max_bytes: int = MAX_BYTES,
) -> Dataset:
    """Reads examples and labels from an `.npz`.

    They are found by name, in any case: x_train and y_train (as Keras has it) or train_images and train_labels (as
    MedMNIST), for any split; else "images", "x", "data" or the only array of three or four axes (of two or more for
    another kind), and "labels", "label", "y" or "targets". Names of the columns of a table are found as "columns";
    "factors" [N, F] with "factor_names" [F] are the known factors of images that no name gives to a split.

    Args:
        path: the `.npz` file.
        split: "train", "test" or "all", or what the names of the arrays hold.
        images, labels: the names of the arrays, where they are others.
        class_names: the name of an array of words, one for each class, in the order of their numbers; by default
            that of the labels with "_names" at its end, where it is there.
        groups: the name of an array [N] of what must stay on one side of the split, such as the person that a picture
            shows, where no name gives the arrays to a split.
        kind: what the examples are: "images", "tokens", "counts" or "table".
        test_fraction: as in `load_npy`, for arrays that are not named by split.
        max_bytes: of one array, decompressed; more is refused before it is read.

    Raises:
        ValueError: naming the file: not `.npz`, damaged, ambiguous, too large, Python objects, nothing of that kind; a
            split that is not there where another one is.
    """
    with open_npz(path) as (archive, members):
        fitting = _with_axes(path, archive, members, (3, 4) if kind == "images" else range(2, 10))
        own = None if images else _of_split(path, split, fitting)
        chosen = images or own or _find(EXAMPLES, members) or _only(path, split, kind, members, fitting)
        label_name = labels or _find(_names(SPLIT_LABELS, split) if own else LABELS, members)
        if class_names is None and f"{label_name}_names" in members:
            class_names = f"{label_name}_names"
        if own and groups:
            raise ValueError(f"{path} names its splits ({chosen}), so that groups={groups!r} hold nothing together.")
        for name in (chosen, label_name, class_names, groups):
            if name and name not in members:
                raise ValueError(f"{path} has no array {name!r}, expected one of: {', '.join(members)}.")
        array = read_member(path, archive, members[chosen], max_bytes)
        classes = read_member(path, archive, members[label_name], max_bytes) if label_name else None
        names = read_member(path, archive, members[class_names], max_bytes) if class_names else ()
        columns = read_member(path, archive, members["columns"], max_bytes) if _has_columns(kind, members) else ()
        together = read_member(path, archive, members[groups], max_bytes) if groups else None
        factors, factor_names = (
            (read_member(path, archive, members[name], max_bytes) for name in FACTORS)
            if not own and all(name in members for name in FACTORS)
            else (None, ())
        )
    if classes is not None and classes.ndim == 2 and classes.shape[1] == 1:
        classes = classes[:, 0]
    called: dict[str, Any] = {"class_names": list(map(str, names)), "columns": list(map(str, columns))}
    called |= {"factors": factors, "factor_names": list(map(str, factor_names))}
    data = _named(path, split, kind, array, classes, **called)
    return data if own else hold_out(data, split, test_fraction, together)


def _has_columns(kind: Kind, members: Members) -> bool:
    return kind in ("table", "counts") and "columns" in members


def _with_axes(path: Path, archive: Any, members: Members, axes: Collection[int]) -> list[str]:
    """The arrays that may be the examples, by their number of axes."""
    return [name for name, info in members.items() if len(header(path, archive, info)[0]) in axes]


def _of_split(path: Path, split: str, fitting: Collection[str]) -> str | None:
    """The array of that split; None where no array is named by a split.

    A file that holds another split alone has no part to hold out: those rows would be trained on and measured on.
    """
    found = _find(_names(SPLIT_EXAMPLES, split), fitting)
    others = {other: _find(_names(SPLIT_EXAMPLES, other), fitting) for other in SPLITS}
    there = {other: name for other, name in others.items() if name}
    if found or not there:
        return found
    listed = ", ".join(f"{other} ({name})" for other, name in there.items())
    raise ValueError(
        f"{path} has no split {split!r}, expected one of: {listed}. To hold a part of one out, name it: "
        f"images={next(iter(there.values()))!r}, and labels= with it."
    )


def _names(patterns: Iterable[str], split: str) -> list[str]:
    return [pattern.format(form) for pattern in patterns for form in forms_of(split)]


def _find(names: Iterable[str], members: Collection[str]) -> str | None:
    lower = {name.lower(): name for name in members}
    return next((lower[name.lower()] for name in names if name.lower() in lower), None)


def _only(path: Path, split: str, kind: Kind, members: Collection[str], fitting: list[str]) -> str:
    if len(fitting) != 1:
        raise ValueError(
            f"{path} holds {', '.join(members)}: it is not clear which are the {kind} of the split {split!r}. "
            f"Pass images='...', and labels='...' where there are some."
        )
    return fitting[0]


def _named(path: Path, split: str, kind: Kind, array: Any, labels: Any = None, **called: Any) -> Dataset:
    """`from_array`, with the path in its errors."""
    try:
        return from_array(array, kind=kind, labels=labels, split=split, name=path.stem, source=str(path), **called)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
