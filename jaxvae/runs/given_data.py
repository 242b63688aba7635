"""Which data a run was given: their path, their digests and the protocol that fits them, kept in its config.json."""

import functools
import hashlib
import os
import re
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from jaxvae import data
from jaxvae.data.kinds import count_rows
from jaxvae.data.progress import progress
from jaxvae.data.protocols import as_it_is
from jaxvae.data.rows import chunks, stays
from jaxvae.runs.builders.brought import brought
from jaxvae.runs.choices.data import EXAMPLES, PROTOCOLS, fitting, noun
from jaxvae.runs.choices.kinds import KINDS, protocols_of
from jaxvae.runs.choices.records import Told
from jaxvae.runs.configs.config import Config, DataConfig, Protocol
from jaxvae.runs.tables.columns import noted

ROWS = 4096  # examples hashed at a time
SHOWN = 16  # digits of a digest in a message
# Grey pictures that the literature binarises; others are binarised when that is asked.
BINARISED = ("mnist", "fashion_mnist", "omniglot")


def load_split(config: DataConfig, split: str) -> data.Dataset:
    """Loads a split; of a file or folder of your own, `test_fraction` is held out where no split has a name.

    Options that the data set does not have are refused by its loader, by name.

    Raises:
        ValueError, FileNotFoundError: as `jaxvae.data.load`; for examples of another kind than the config says.
    """
    options: dict[str, Any] = {"test_fraction": config.test_fraction} if _is_own(config.name) else {}
    if config.kind != "images" and _is_own(config.name):
        if Path(config.name).expanduser().is_dir():
            raise ValueError(
                f"data.name is {config.name!r}, a folder, and data.kind {config.kind!r}: expected "
                f"{EXAMPLES[config.kind].own} For a folder of pictures: jaxvae train images --data.name {config.name}"
            )
        options["kind"] = config.kind
    if config.label_column is not None:
        options["labels"] = config.label_column
    if config.group_column is not None:
        options["groups"] = config.group_column
    if config.drop:
        options["drop"] = config.drop
    if config.size is not None:
        options["size"] = config.size if len(config.size) > 1 else config.size[0]
    if config.crop is not None:
        options["crop"] = config.crop if len(config.crop) > 1 else config.crop[0]
    if config.channels is not None:
        options["channels"] = config.channels
    if config.background is not None:
        options["background"] = config.background if len(config.background) > 1 else config.background[0]
    if config.skip_unreadable:
        options["skip_unreadable"] = True
    try:
        found = brought(config.name, split) or data.load(config.name, split, **options)
    except FileNotFoundError as error:
        moved = "If a run's data lie elsewhere now: jaxvae train RUN --data.name PATH."
        raise FileNotFoundError(f"{error} {moved}" if os.path.isabs(config.name) else str(error)) from error
    if found.kind == config.kind:
        return found
    what = f"data.name is {config.name!r}, which holds {'a table' if found.kind == 'table' else found.kind}"
    if found.kind in EXAMPLES:
        raise ValueError(
            f"{what}, but data.kind is {config.kind!r}. Try jaxvae train {EXAMPLES[found.kind].preset} --data.name "
            f"{config.name}"
        )
    raise ValueError(
        f"{what}, but the protocols of a run make x of {', '.join(EXAMPLES)}. Train on other examples in Python: "
        f"jaxvae.fit(model, jaxvae.data.load(...).examples)."
    )


def with_data(config: Config, train: data.Dataset, test: data.Dataset, told: Told | None = None) -> Config:
    """The config of a run that was given these data: their shape and digests, an absolute path, a protocol by name.

    A table's run notes its columns, with the mean and standard deviation of the training rows, those set apart for
    validation among them; a config that has them keeps them. `told` is which labels its model is told, by default what
    its kind says.
    """
    columns = {} if train.kind == "images" else noted(train, config.data)
    given = replace(
        config.data,
        name=os.path.abspath(os.path.expanduser(config.data.name)) if _is_own(config.data.name) else config.data.name,
        protocol=_protocol(config, train, test),
        classes=_classes(config, train, test, told or KINDS[config.model.kind].labels),
        image_shape=tuple(int(size) for size in train.examples.shape[1:]),
        train_sha256=digest(train),
        test_sha256=digest(test),
        **columns,
    )
    return replace(config, data=given)


def preprocess_of(protocol: str, levels: int = 256) -> Callable[[Any, Any], Any]:
    """(key, image) -> x of a protocol by its name; raises `ValueError` for one that a run has not settled yet.

    Of `levels` grey levels, where it tells them apart.
    Rows of a table or of counts are x already, see `Columns.to_x`: float32 on the device is made of float64 before.

    Example:
        >>> preprocess_of("levels").__name__
        'levels'
    """
    made = PROTOCOLS.get(protocol)
    if made is None:
        raise ValueError(
            f"data.protocol is {protocol!r}, which a run settles when it has its data, expected one of: "
            f"{', '.join(PROTOCOLS)}. Name one, or take the config of the run's folder."
        )
    if made.kind != "images":
        return as_it_is
    found: Callable[..., Any] = data.PROTOCOLS[protocol]
    return found if levels == 256 or not made.levels else functools.partial(found, count=levels)


def digest(dataset: data.Dataset) -> str:
    """The SHA-256 of images, or rows, and labels, a second or two for a gigabyte; of a large file with a bar.

    Example:
        >>> digest(data.load("digits", "test"))[:8]
        '3ac80f22'
    """
    found = hashlib.sha256()
    for name, array in ((dataset.kind, dataset.examples), ("labels", dataset.labels)):
        if array is not None:
            found.update(f"{name} {array.dtype} {array.shape}".encode())
            bar = progress(f"reading {dataset.split} of {dataset.name} for its digest", len(array))
            with bar if stays(array) else nullcontext(lambda done: None) as advance:
                for part in chunks(array, ROWS):
                    found.update(np.ascontiguousarray(part).data)
                    advance(len(part))
    return found.hexdigest()


def check_given(config: DataConfig, dataset: data.Dataset, split: str, *, allow_changes: bool = False) -> None:
    """Compares what was loaded with what the run was given.

    Args:
        config: of a run, as `with_data` filled it; any other says nothing of digests and is not compared.
        dataset: the split that was loaded.
        split: its name.
        allow_changes: say on stderr that the data are others, and go on.

    Raises:
        ValueError: naming both digests.
    """
    of = {config.train_split: config.train_sha256, config.test_split: config.test_sha256}
    expected = of.get(split)
    if expected is None:
        if config.image_shape is not None and split in of:
            _say_unknown()
        return
    found = digest(dataset)
    if found == expected:
        return
    count = count_rows(dataset.examples)
    words = (
        f"the split {split!r} of {config.name} is not the one that the run was given: sha256 {expected[:SHOWN]}... in "
        f"its config.json, {found[:SHOWN]}... now ({count} {noun(config.kind, count)})"
    )
    if not allow_changes:
        raise ValueError(f"{words}. Put the old data back, or go on with these: --allow-changes (allow_changes=True).")
    print(f"jaxvae: {words}. Going on with these.", file=sys.stderr)


def _classes(config: Config, train: data.Dataset, test: data.Dataset, told: Told) -> int | None:
    """The number of classes where the model is told them; the labels must be integers from 0, -1 unknown."""
    if told == "none":
        return None
    for split, dataset in ((config.data.train_split, train), (config.data.test_split, test)):
        if dataset.labels is None or dataset.labels.ndim != 1 or dataset.labels.max() < 0:
            own = config.recipe.name
            model = f"model.kind is {config.model.kind!r}, which" if own is None else f"the model of {own}"
            other = "set --model.kind vae" if own is None else "build a model without a context"
            raise ValueError(
                f"{model} is told the class of each {noun(config.data.kind)}, but the split {split!r} of "
                f"{config.data.name!r} has no labels. Give it some (of a .csv or .npz: --data.label-column NAME), or "
                f"{other}."
            )
    assert train.labels is not None
    assert test.labels is not None
    return max(int(train.labels.max()) + 1, int(test.labels.max()) + 1, len(train.class_names))


def _protocol(config: Config, *splits: data.Dataset) -> Protocol:
    """The protocol asked for, else the one that fits the likelihood and the data."""
    if config.data.protocol != "auto":
        return config.data.protocol
    usual = fitting(protocols_of(config.model), config.data.kind)[0]
    if usual != "dynamic":
        return usual
    if all(_is_binary(split.images) for split in splits):
        return "threshold"
    of_old = re.split("[/:]", config.data.name)[0] in BINARISED and not _is_own(config.data.name)
    if of_old and splits[0].images.shape[-1] == 1:
        return "dynamic"
    return "grey" if "grey" in protocols_of(config.model) else "levels"


def _is_binary(images: np.ndarray) -> bool:
    return all(bool(((part == 0) | (part == 255)).all()) for part in chunks(images, ROWS))


def _is_own(name: str) -> bool:
    """Whether a name is that of a file or folder, as `jaxvae.data.load` decides."""
    return name not in data.built_in() and Path(name).expanduser().exists()


@functools.cache
def _say_unknown() -> None:
    print(
        "jaxvae: the run keeps no digest of its data, as an earlier version wrote it: nobody can tell whether these "
        "are the images it was given.",
        file=sys.stderr,
    )
