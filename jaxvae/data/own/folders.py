"""A folder of pictures as a data set: class names are sub-folders, splits are folders above them."""

import functools
from pathlib import Path

import numpy as np

from jaxvae.data.dataset import Dataset, from_array
from jaxvae.data.own import decoding
from jaxvae.data.own.layouts import find_pictures
from jaxvae.data.own.pictures import Background, Colour, read_picture
from jaxvae.data.own.reading import checked_options, read_pictures
from jaxvae.data.splits import hold_out


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
    options = checked_options(size, crop, channels, background)
    found = find_pictures(path, split)
    content = functools.partial(decoding.listed, found.files)
    images, kept = read_pictures(path, found.files, _read, options, skip_unreadable, max_bytes, content)
    labels = None if found.labels is None else np.array(found.labels)[kept]
    source = f"{path}, classes: {', '.join(found.classes)}" if found.classes else str(path)
    try:
        data = from_array(images, labels=labels, class_names=found.classes, name=path.name, split=split, source=source)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return data if found.has_splits else hold_out(data, split, test_fraction)


def _read(file: Path, channels: int | None, background: Colour | None) -> np.ndarray:
    return read_picture(file, channels, background)
