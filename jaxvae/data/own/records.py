"""A file of records (array_record), or a folder of its shards, as a data set of pictures.

A record is a picture file as it is (PNG, JPEG, WebP, ...), or a `tf.train.Example` that holds one, as TensorFlow
Datasets writes them; neither TensorFlow nor a `dataset_info.json` is needed. Pictures are decoded once: few into memory
every time, many into the data cache, mapped from there, so that the order of training stays what seed and epoch say.
"""

import bisect
import io
import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, overload

import numpy as np

from jaxvae.data.dataset import Dataset, from_array
from jaxvae.data.own.decoding import listed
from jaxvae.data.own.pictures import SKIP, Background, Colour, Unreadable, decoded
from jaxvae.data.own.reading import checked_options, read_pictures
from jaxvae.data.prepared import cache
from jaxvae.data.progress import progress
from jaxvae.data.rows import mapped_file
from jaxvae.data.splits import SPLITS, forms_of, hold_out
from jaxvae.files import cache_folder

Array = np.ndarray
EXAMPLE = b"\x0a"  # the first byte of a tf.train.Example, of no kind of picture that is read
IMAGE, LABEL = ("image", "image/encoded"), ("label", "image/class/label")


class Record(NamedTuple):
    """One record: its file, its number in the file, and what reads it."""

    path: Path
    number: int
    reader: Any

    @property
    def name(self) -> str:
        return f"{self.path.name}, record {self.number}"

    def __str__(self) -> str:
        return f"{self.path}, record {self.number},"


class Records(Sequence[Record]):
    """The records of some files, in their order, none of which is read yet."""

    def __init__(self, paths: Sequence[Path]):
        self.paths, self.readers = list(paths), [_opened(path) for path in paths]
        self.ends = list(itertools.accumulate(len(reader) for reader in self.readers))

    def __len__(self) -> int:
        return self.ends[-1]

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | list[Record]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        at = bisect.bisect_right(self.ends, index)
        return Record(self.paths[at], index - (self.ends[at - 1] if at else 0), self.readers[at])


def is_records(path: Path) -> bool:
    """Whether a path is a file of records, or a folder that holds some."""
    return any(".array_record" in file.name for file in ([path] if path.is_file() else _files(path)))


def load_records(
    path: Path,
    split: str = "train",
    *,
    labels: str | None = None,
    size: tuple[int, int] | int | None = None,
    crop: tuple[int, int] | int | None = None,
    channels: int | None = None,
    background: Background | None = None,
    skip_unreadable: bool = False,
    test_fraction: float = 0.0,
) -> Dataset:
    """Reads every picture of files of records, in the order of files and records: uint8 [N, H, W, 1 or 3].

    Shards named by a split (`x-train.array_record-00000-of-00002`, `test.array_record`) are that split; else a part is
    held out, the same every time.

    Args:
        path: a file of records, or a folder of them.
        split: "train", "test" or "val", as the files are named; else "train", "test" or "all".
        labels: of a `tf.train.Example` the integer that is the class; None takes "label" where it is there.
        size, crop, channels, background, skip_unreadable: as of a folder of pictures, see `folders.load_folder`.
        test_fraction: in [0, 1), the part held out as "test" where no file is named by a split.

    Raises:
        ValueError: naming file and record: damaged, no picture, of another size, without that class; a split that is
            not there; a file that is cut short.
    """
    options = checked_options(size, crop, channels, background)
    files, named = _of_split(path, split)
    records = Records(files)
    if not len(records):
        raise ValueError(f"{path} holds no records for the split {split!r}, expected some. Write it again.")
    images, kept = read_pictures(path, records, _picture, options, skip_unreadable, None, lambda: listed(files))
    numbers = _labels(path, records, labels, in_cache=mapped_file(images) is not None)
    classes = None if numbers is None else numbers[kept]
    try:
        data = from_array(images, labels=classes, name=path.name.split(".")[0], split=split, source=str(path))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return data if named else hold_out(data, split, test_fraction)


def _files(path: Path) -> list[Path]:
    found = path.iterdir() if path.is_dir() else [path]
    return sorted(file for file in found if ".array_record" in file.name and file.is_file())


def _of_split(path: Path, split: str) -> tuple[list[Path], bool]:
    """The files of a split, and whether it is their names that say so."""
    files = _files(path)
    words = {file: set(re.split(r"[^a-z]+", file.name.split(".array_record")[0].lower())) for file in files}
    by_split = {each: [file for file in files if words[file] & set(forms)] for each, forms in SPLITS.items()}
    found = {each: those for each, those in by_split.items() if those}
    if not found or path.is_file():
        return files, False
    unnamed = [file.name for file in files if not any(file in those for those in found.values())]
    if unnamed:
        raise ValueError(
            f"{path} holds {unnamed[0]}, which names no split, beside files that do. Name all of them by their split "
            f"({', '.join(SPLITS)}), or none."
        )
    for each, those in found.items():
        if each in forms_of(split):
            return those, True
    raise ValueError(f"{path} has no split {split!r}, expected one of: {', '.join(found)}.")


def _opened(path: Path) -> Any:
    from array_record.python.array_record_data_source import ArrayRecordDataSource

    if path.stat().st_size == 0:
        raise ValueError(f"{path} is empty (0 bytes), expected records. Write it again.")
    try:
        return ArrayRecordDataSource([str(path)])
    except Exception as error:  # whatever the reader finds wrong with the file
        raise ValueError(f"{path} is no whole file of records ({error!s:.200}). Write it again.") from error


def _content(record: Record) -> bytes:
    try:
        return bytes(record.reader[record.number])
    except Exception as error:  # a checksum, a chunk that is cut short
        raise Unreadable(f"{record} is damaged ({error!s:.200}). Write the file again. {SKIP}") from error


def _features(record: Record, content: bytes) -> Any:
    """The features of a `tf.train.Example` by name."""
    from tensorflow_datasets.proto import tf_example_pb2

    try:
        return tf_example_pb2.Example.FromString(content).features.feature
    except Exception as error:  # what is no message raises an error of the parser's own
        raise Unreadable(f"{record} holds neither a picture nor a tf.train.Example ({error!s:.100}). {SKIP}") from error


def _picture(record: Record, channels: int | None, background: Colour | None) -> Array:
    content = _content(record)
    if content[:1] == EXAMPLE:
        features = _features(record, content)
        held = [name for name, feature in features.items() if feature.bytes_list.value]
        name = next((name for name in IMAGE if name in held), held[0] if len(held) == 1 else None)
        if name is None:
            raise ValueError(
                f"{record} has the features {', '.join(sorted(features)) or 'none'}, expected a picture as 'image', or "
                f"as the only one of bytes."
            )
        content = features[name].bytes_list.value[0]
    if not content:
        raise Unreadable(f"{record} is empty (0 bytes), expected a picture. {SKIP}")
    return decoded(record, io.BytesIO(content), channels, background)


def _labels(path: Path, records: Records, name: str | None, in_cache: bool) -> Array | None:
    """The class of each record, -1 of one that cannot be read; None where the first that can be read has none."""
    first = next(value for record in records if (value := _class_of(record, name)) != -1)
    if first is None:
        if name is None:
            return None
        raise ValueError(f"{path} has records without an integer {name!r}, expected the class of each picture there.")

    def read() -> Array:
        found = np.empty(len(records), np.int64)
        with progress(f"labels of {path.name}", len(records)) as advance:
            for index, record in enumerate(records):
                value = _class_of(record, name)
                if value is None:
                    raise ValueError(f"{record} has no integer {name or LABEL[0]!r}, which the first record has.")
                found[index] = value
                advance(1)
        return found

    if not in_cache:
        return read()
    content = listed(records.paths)
    entry, about = cache_folder() / "folders" / f"labels-{content[:12]}-{name or LABEL[0]}", {"files": content}

    def write(folder: Path) -> dict[str, str]:
        return {"labels": cache.write_array(folder / "labels.npy", (len(records),), np.int64, [read()])}

    kept = cache.read_if(entry, about) or cache.make(entry, about, 8 * len(records) + 4096, write)
    return np.array(kept["labels"])


def _class_of(record: Record, name: str | None) -> int | None:
    """The class that a record says, None where it says none, -1 where it cannot be read."""
    try:
        content = _content(record)
        features = _features(record, content) if content[:1] == EXAMPLE else {}
    except Unreadable:
        return -1
    for key in (name,) if name else LABEL:
        if key in features and features[key].int64_list.value:
            return int(features[key].int64_list.value[0])
    return None
