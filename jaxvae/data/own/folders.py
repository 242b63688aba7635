"""A folder of pictures as a data set: class names are sub-folders, splits are folders above them."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from jaxvae.data.dataset import Dataset, from_array
from jaxvae.data.own import decoding
from jaxvae.data.own.layouts import find_pictures
from jaxvae.data.own.pictures import Background, Unreadable, central, check_background, check_size, fit, read_picture
from jaxvae.data.splits import hold_out

Array = np.ndarray


def load_folder(
    path: Path,
    split: str = "train",
    *,
    size: tuple[int, int] | int | None = None,
    crop: tuple[int, int] | int | None = None,
    channels: int | None = None,
    background: Background | None = None,
    skip_unreadable: bool = False,
    test_fraction: float = 0.0,
    max_bytes: int | None = None,
) -> Dataset:
    """Reads every picture of a folder in the order of the names: uint8 [N, H, W, 1 or 3].

        folder/*.png                          no labels
        folder/<class>/**/*.png               labels number the class names in their order
        folder/<split>/[<class>/**/]*.png     train or training, test or testing, val, valid or validation, in any case

    The classes of all splits are numbered together, a folder without a picture too. Hidden files and files that are no
    pictures by their names are left out, which is said. Of a file of several pictures of a camera (MPO) the first is
    taken.

    Args:
        path: the folder.
        split: "train", "test" or "val"; where no folder is a split "train", "test" or "all".
        size: (height, width) to crop at the centre and resample to, where the pictures differ.
        crop: (height, width) of the middle of each picture, cut out before that: of photographs of faces the face.
        channels: 1 or 3, to convert all pictures to grey or colour.
        background: what stands behind transparent pictures, 0 to 255 or (red, green, blue).
        skip_unreadable: leave out files that are empty, cut short or no pictures, and say how many on stderr.
        test_fraction: in [0, 1), the part held out as "test" where no sub-folder says so, the same every time.
        max_bytes: of all pictures together; more is refused before it is read. None: those of over 268 MB are converted
            once into the data cache and mapped from there, where the disk has room for them.

    Raises:
        ValueError: naming the file: empty, damaged, animated, transparent, CMYK, of another size; or the folder: a
            layout of two meanings, no such split, no pictures.
    """
    options = {
        "size": check_size(size),
        "crop": check_size(crop, "crop"),
        "channels": channels,
        "background": check_background(background),
    }
    if channels not in (None, 1, 3):
        raise ValueError(f"channels is {channels!r}, expected 1 (grey) or 3 (colour).")
    found = find_pictures(path, split)
    images, kept = _read(path, found.files, options, skip_unreadable, max_bytes)
    labels = None if found.labels is None else np.array(found.labels)[kept]
    source = f"{path}, classes: {', '.join(found.classes)}" if found.classes else str(path)
    try:
        data = from_array(images, labels=labels, class_names=found.classes, name=path.name, split=split, source=source)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return data if found.has_splits else hold_out(data, split, test_fraction)


def _read(path: Path, files: list[Path], options: dict[str, Any], skip: bool, limit: int | None) -> tuple[Array, Array]:
    """(uint8 [n, H, W, C], the indices of the n files that were read); the first decides what the others must be."""

    def picture_of(file: Path) -> Array:
        picture = read_picture(file, options["channels"], options["background"])
        picture = central(picture, options["crop"], str(file)) if options["crop"] else picture
        return fit(picture, options["size"]) if options["size"] else picture

    first, shape = _first(files, picture_of, skip)
    size = int(np.prod(shape)) * len(files)
    if limit is not None and size > limit:
        raise ValueError(
            f"{path} holds {len(files)} pictures like {first.name}, {size:,} bytes decoded, expected at most "
            f"{limit:,}. Pass a smaller size=, or a larger max_bytes."
        )

    def decode(file: Path) -> Array:
        picture = picture_of(file)
        if picture.shape != shape:
            raise ValueError(
                f"{file} has shape {picture.shape}, and {first.name} has {shape}: expected one shape. Pass "
                f"size=(height, width) to crop and resample, or channels=1 or 3 to convert; on the command line "
                f"--data.size HEIGHT WIDTH, --data.channels 1 or 3."
            )
        return picture

    if size > decoding.LARGE:
        images, kept = decoding.in_cache(path.name, files, shape, decode, skip, options)
    else:
        images, kept = decoding.in_memory(path.name, files, shape, decode, skip)
    if gone := len(files) - len(kept):
        missing = np.setdiff1d(np.arange(len(files)), kept)[:3]
        names = ", ".join([*(files[index].name for index in missing), *(["..."] if gone > 3 else [])])
        print(f"jaxvae: left out of {path}, unreadable: {gone} of {len(files)} pictures ({names}).", file=sys.stderr)
    return images, kept


def _first(files: list[Path], picture_of: Callable[[Path], Array], skip: bool) -> tuple[Path, tuple[int, ...]]:
    """The first file that can be read, and the shape of its picture."""
    for index, file in enumerate(files):
        try:
            return file, picture_of(file).shape
        except Unreadable:
            if not skip or index == len(files) - 1:
                raise
    raise AssertionError("a split holds at least one picture")
