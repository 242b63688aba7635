"""Any image data set of TensorFlow Datasets, decoded once into the cache and memory-mapped afterwards."""

import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxvae.data.dataset import Dataset, check_split, from_array
from jaxvae.data.own.pictures import check_size, fit
from jaxvae.data.prepared import cache
from jaxvae.data.prepared.versions import Prepared, find
from jaxvae.data.progress import progress
from jaxvae.files import cache_folder

Array = np.ndarray
Size = tuple[int, int]


def load_prepared(
    name: str,
    split: str = "train",
    *,
    data_dir: str | os.PathLike[str] | None = None,
    size: Size | int | None = None,
) -> Dataset:
    """Returns one whole split of a prepared TFDS data set.

    The first call decodes every image (60,000 take some ten seconds) and says where it keeps them: below
    $JAXVAE_CACHE, else the user's cache folder. Later calls do not even import TensorFlow Datasets.

    The image is the feature "image", or the only image feature there is; `labels` the class label "label";
    `factors` all the class labels "label_..." (dsprites, shapes3d). Images of 0 and 1 become 0 and 255. The order
    is that of TFDS, which shuffles by a hash when it prepares, so that any part is a fair sample.

    Args:
        name: name[/config][:version]; the newest prepared version by default.
        split: as dataset_info.json names it.
        data_dir: default $TFDS_DATA_DIR, else ~/tensorflow_datasets; may be read-only.
        size: (height, width) to crop at the centre and resample to; needed where the images differ in size.

    Raises:
        FileNotFoundError: neither prepared nor cached; says how to prepare it, at once and without a network.
        ValueError: a damaged or missing file, by name; a split that is not there; no room for the cache.
    """
    wanted = check_size(size)
    folder = cache_folder() / "tfds"
    try:
        prepared = find(name, data_dir)
    except FileNotFoundError:
        entry = _newest(folder, name, split, wanted)
        if entry is None:
            raise
        arrays, about = cache.read(entry)
        return _dataset(about["name"], split, arrays)
    check_split(prepared.name, split, prepared.splits)
    entry = folder / _entry_name(prepared.name, split, wanted)
    about = {"name": prepared.name, "split": split, "files": prepared.digests(split)}
    kept = cache.read_if(entry, about)
    if kept is None:
        kept = _convert(prepared, split, wanted, entry, about)
    return _dataset(prepared.name, split, kept, prepared.class_names)


def _dataset(name: str, split: str, arrays: cache.Arrays, class_names: Sequence[str] = ()) -> Dataset:
    factors = sorted(set(arrays) - {"images", "label"})
    return from_array(
        arrays["images"],
        labels=arrays.get("label"),
        factors=np.stack([arrays[key] for key in factors], axis=-1) if factors else None,
        class_names=class_names if "label" in arrays else (),
        factor_names=[key.removeprefix("label_") for key in factors],
        name=re.split("[/:]", name)[0],
        split=split,
        source=f"TensorFlow Datasets {name}",
    )


def _convert(prepared: Prepared, split: str, size: Size | None, entry: Path, about: dict[str, Any]) -> cache.Arrays:
    from jaxvae.data.prepared import tfds

    source = tfds.open_source(prepared, split)
    first = tfds.read(source, source.shards[0][0], range(1))[0][source.image]
    count = source.shards[-1][1].stop
    shape = (count, *(size or first.shape[:2]), first.shape[-1])
    classes: dict[str, list[int]] = {key: [] for key in source.classes}

    def images() -> Iterator[Array]:
        factor = 1
        with progress(f"converting {source.label}", count) as advance:
            for number, batch in enumerate(tfds.examples(source)):
                for key, column in classes.items():
                    column.extend(int(example[key]) for example in batch)
                part = _stack(source.label, [example[source.image] for example in batch], shape[1:], size)
                if number == 0 and part.max() == 1:
                    factor = 255
                if factor == 255 and part.max() > 1:
                    raise ValueError(f"{source.label} holds 0 and 1 at first and larger pixels later.")
                yield part * np.uint8(factor)
                advance(len(batch))

    def write(folder: Path) -> dict[str, str]:
        print(f"jaxvae: converting {source.label} once into {entry}", file=sys.stderr)
        digests = {"images": cache.write_array(folder / "images.npy", shape, np.uint8, images())}
        for key, column in classes.items():
            digests[key] = cache.write_array(folder / f"{key}.npy", (count,), np.int64, [np.array(column)])
        return digests

    return cache.make(entry, about, int(np.prod(shape)) + 8 * count * len(classes) + 4096, write)


def _stack(label: str, images: list[Array], shape: tuple[int, ...], size: Size | None) -> Array:
    if size:
        images = [fit(image, size) for image in images]
    for image in images:
        if image.shape != shape:
            raise ValueError(
                f"{label} has images of shapes {shape} and {image.shape}, expected one shape. "
                f"Pass size=(height, width) to crop and resample them."
            )
        if image.dtype != np.uint8:
            raise ValueError(f"{label} has images of dtype {image.dtype}, expected uint8.")
    return np.stack(images)


def _entry_name(name: str, split: str, size: Size | None) -> str:
    return "-".join([*re.split("[/:]", name), split, *([f"{size[0]}x{size[1]}"] if size else [])])


def _newest(folder: Path, name: str, split: str, size: Size | None) -> Path | None:
    """The newest cached version of data that is prepared no longer."""
    base, _, version = name.partition(":")
    known = re.escape(version) if version else r"\d+\.\d+\.\d+"
    pattern = re.compile(_entry_name(re.escape(base), f"({known})", None) + _entry_name("", re.escape(split), size))
    found = {}
    for child in folder.iterdir() if folder.is_dir() else ():
        match = pattern.fullmatch(child.name)
        if match:
            found[tuple(map(int, match[1].split(".")))] = child
    return found[max(found)] if found else None
