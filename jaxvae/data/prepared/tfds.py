"""Reading prepared images through `tfds.data_source`, with a named file in every error; TFDS is imported only here.

Needs neither TensorFlow nor a network. Every record of a shard carries a checksum, so a flipped bit is found where it
is read; the number of records is compared with dataset_info.json, so a short shard cannot pass for a short epoch.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from jaxvae.data.prepared.versions import Prepared

BATCH = 1000  # examples read and decoded together
Example = dict[str, Any]


class Source(NamedTuple):
    """An open split: `data[i]` is an example; `shards` say which of them each file holds."""

    label: str
    data: Any
    image: str
    classes: tuple[str, ...]
    shards: tuple[tuple[Path, range], ...]


def registered() -> list[str]:
    """The names that TFDS knows, prepared or not."""
    import tensorflow_datasets as tfds

    return tfds.list_builders(with_community_datasets=False)


def open_source(prepared: Prepared, split: str) -> Source:
    """Opens a split and checks its files.

    Raises:
        ValueError: a file that is missing, empty or of the wrong length, by name; a data set without images.
    """
    label = f"{prepared.name} {split}"
    if not any(int(n) for s in prepared.info["splits"] if s["name"] == split for n in s.get("shardLengths", ())):
        raise ValueError(f"{label} is empty: {prepared.folder / 'dataset_info.json'} counts no examples.")
    with _quiet_absl():
        import tensorflow_datasets as tfds

        try:
            name, folder = prepared.name, str(prepared.root)
            data = tfds.data_source(name, split=split, data_dir=folder, download=False)
        except Exception as error:  # whatever TFDS finds wrong with its own files
            raise ValueError(
                f"{label} in {prepared.folder} cannot be opened ({type(error).__name__}: {error}). It must be prepared "
                f"with file_format='array_record' by a version of tensorflow-datasets that knows it; delete that "
                f"folder and prepare it again."
            ) from error
        info = data.dataset_info.splits[split]
        lengths = list(info.shard_lengths)
        starts = [sum(lengths[:i]) for i in range(len(lengths))]
        shards = tuple(
            (Path(path), range(start, start + length))
            for path, start, length in zip(info.filepaths, starts, lengths, strict=True)
        )
        features = data.dataset_info.features
        images = [key for key, feature in features.items() if isinstance(feature, tfds.features.Image)]
        classes = [key for key, feature in features.items() if isinstance(feature, tfds.features.ClassLabel)]
    if len(images) != 1 and "image" not in images:
        raise ValueError(f"{label} has the image features {images or 'none'}, expected 'image' or exactly one.")
    for path, span in shards:
        _check_shard(label, path, len(span))
    image = "image" if "image" in images else images[0]
    return Source(label, data, image, tuple(k for k in classes if k == "label" or k.startswith("label_")), shards)


def examples(source: Source) -> Iterator[list[Example]]:
    """All examples in order, decoded, a batch at a time.

    Raises:
        ValueError: naming a file with a damaged record.
    """
    for path, span in source.shards:
        for start in range(span.start, span.stop, BATCH):
            yield read(source, path, range(start, min(start + BATCH, span.stop)))


def read(source: Source, path: Path, span: range) -> list[Example]:
    """The examples `span`, all of them in the file `path`."""
    try:
        with _quiet_absl():
            return source.data.__getitems__(span)
    except Exception as error:  # a checksum, a broken record, a picture that cannot be decoded
        raise damaged(source.label, path, f"{type(error).__name__}: {error}") from error


def damaged(label: str, path: Path, what: str) -> ValueError:
    """The error for a file of a split that does not hold what it should: what is wrong, and how to mend it."""
    return ValueError(
        f"{label}: the file {path} is damaged ({what}). Delete the folder {path.parent} and prepare it again."
    )


def _check_shard(label: str, path: Path, length: int) -> None:
    if not path.is_file():
        raise ValueError(f"{label}: the file {path} is missing. Restore it, or prepare the data set again.")
    if path.stat().st_size == 0:
        raise damaged(label, path, "0 bytes")
    if ".array_record" not in path.name:
        return
    from array_record.python.array_record_data_source import ArrayRecordDataSource

    try:
        found = len(ArrayRecordDataSource([str(path)]))
    except RuntimeError as error:
        raise damaged(label, path, str(error)) from error
    if found != length:
        raise damaged(label, path, f"{found} examples, expected {length} by dataset_info.json")


@contextmanager
def _quiet_absl() -> Iterator[None]:
    """Without the advice to install OpenCV."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
