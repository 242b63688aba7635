"""A folder of pictures as a data set: class names are sub-folders, splits are folders above them."""

from pathlib import Path

import numpy as np

from jaxvae.data.dataset import Dataset, from_array
from jaxvae.data.own.layouts import find_pictures
from jaxvae.data.own.pictures import Background, central, check_background, check_size, fit, read_picture
from jaxvae.data.progress import progress
from jaxvae.data.splits import hold_out

Array = np.ndarray
MAX_BYTES = 2**32


def load_folder(
    path: Path,
    split: str = "train",
    *,
    size: tuple[int, int] | int | None = None,
    crop: tuple[int, int] | int | None = None,
    channels: int | None = None,
    background: Background | None = None,
    test_fraction: float = 0.0,
    max_bytes: int = MAX_BYTES,
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
        test_fraction: in [0, 1), the part held out as "test" where no sub-folder says so, the same every time.
        max_bytes: of all pictures together; more is refused before it is read.

    Raises:
        ValueError: naming the file: empty, damaged, animated, transparent, CMYK, of another size; or the folder: a
            layout of two meanings, no such split, no pictures.
    """
    sizes = check_size(crop, "crop"), check_size(size)
    behind = check_background(background)
    if channels not in (None, 1, 3):
        raise ValueError(f"channels is {channels!r}, expected 1 (grey) or 3 (colour).")
    found = find_pictures(path, split)
    images = _read(path, found.files, sizes, channels, behind, max_bytes)
    source = f"{path}, classes: {', '.join(found.classes)}" if found.classes else str(path)
    try:
        data = from_array(
            images, labels=found.labels, class_names=found.classes, name=path.name, split=split, source=source
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return data if found.has_splits else hold_out(data, split, test_fraction)


def _read(
    path: Path,
    files: list[Path],
    sizes: tuple[tuple[int, int] | None, tuple[int, int] | None],
    channels: int | None,
    background: tuple[int, int, int] | None,
    limit: int,
) -> Array:
    """All pictures, uint8 [N, H, W, C]; the first one decides what the others must be."""
    images, (crop, size) = np.empty(0), sizes
    with progress(f"reading {path.name}", len(files)) as advance:
        for index, file in enumerate(files):
            picture = read_picture(file, channels, background)
            picture = central(picture, crop, str(file)) if crop else picture
            picture = fit(picture, size) if size else picture
            if index == 0:
                if picture.size * len(files) > limit:
                    raise ValueError(
                        f"{path} holds {len(files)} pictures like {file.name}, {picture.size * len(files):,} bytes "
                        f"decoded, expected at most {limit:,}. Pass a smaller size=, or a larger max_bytes."
                    )
                images = np.empty((len(files), *picture.shape), np.uint8)
            if picture.shape != images.shape[1:]:
                raise ValueError(
                    f"{file} has shape {picture.shape}, and {files[0].name} has {images.shape[1:]}: expected one "
                    f"shape. Pass size=(height, width) to crop and resample, or channels=1 or 3 to convert; on the "
                    f"command line --data.size HEIGHT WIDTH, --data.channels 1 or 3."
                )
            images[index] = picture
            advance(1)
    return images
