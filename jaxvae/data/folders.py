"""A folder of pictures as a data set: class names are sub-folders, splits are "train" and "test" above them."""

from pathlib import Path

import numpy as np

from jaxvae.data.dataset import Dataset, check_split, from_array
from jaxvae.data.pictures import SUFFIXES, check_size, fit, read_picture
from jaxvae.data.progress import progress
from jaxvae.data.splits import hold_out

Array = np.ndarray
MAX_BYTES = 2**32


def load_folder(
    path: Path,
    split: str = "train",
    *,
    size: tuple[int, int] | int | None = None,
    channels: int | None = None,
    test_fraction: float = 0.0,
    max_bytes: int = MAX_BYTES,
) -> Dataset:
    """Reads every picture of a folder in the order of the names: uint8 [N, H, W, 1 or 3].

        folder/*.png                   no labels
        folder/<class>/*.png           labels number the classes in the order of their names
        folder/<split>/[<class>/]*.png

    Hidden files and files that are no pictures by their names are left out.

    Args:
        path: the folder.
        split: "train", "test" or "all", or the name of a sub-folder where "train" is one.
        size: (height, width) to crop at the centre and resample to, where the pictures differ.
        channels: 1 or 3, to convert all pictures to grey or colour.
        test_fraction: in [0, 1), the part held out as "test" where no sub-folder says so, the same every time.
        max_bytes: of all pictures together; more is refused before it is read.

    Raises:
        ValueError: naming the file: empty, damaged, animated, transparent, CMYK, of another size; or no pictures.
    """
    wanted = check_size(size)
    if channels not in (None, 1, 3):
        raise ValueError(f"channels is {channels!r}, expected 1 (grey) or 3 (colour).")
    splits = [child.name for child in _children(path) if child.is_dir()] if (path / "train").is_dir() else []
    if splits:
        check_split(str(path), split, splits)
    classes, files, labels = _find(path / split if splits else path)
    data = from_array(
        _read(path, files, wanted, channels, max_bytes),
        labels=labels if classes else None,
        name=path.name,
        split=split,
        source=f"{path}, classes: {', '.join(classes)}" if classes else str(path),
    )
    return data if splits else hold_out(data, split, test_fraction)


def _children(path: Path) -> list[Path]:
    return sorted((child for child in path.iterdir() if not child.name.startswith(".")), key=lambda p: p.name)


def _pictures(path: Path) -> list[Path]:
    return [child for child in _children(path) if child.suffix.lower() in SUFFIXES and child.is_file()]


def _find(path: Path) -> tuple[list[str], list[Path], list[int]]:
    """Class names (none without sub-folders), the files, and the class of each."""
    flat = _pictures(path)
    groups = {child.name: _pictures(child) for child in _children(path) if child.is_dir()}
    groups = {name: files for name, files in groups.items() if files}
    if flat and groups:
        raise ValueError(
            f"{path} holds pictures ({flat[0].name}, ...) and folders of pictures ({', '.join(groups)}), expected "
            f"either. Move the pictures into a folder of their class."
        )
    if not flat and not groups:
        raise ValueError(f"{path} holds no pictures, expected {', '.join(SUFFIXES)}, there or one folder below.")
    if flat:
        return [], flat, []
    files = [file for group in groups.values() for file in group]
    return list(groups), files, [label for label, group in enumerate(groups.values()) for _ in group]


def _read(path: Path, files: list[Path], size: tuple[int, int] | None, channels: int | None, limit: int) -> Array:
    """All pictures, uint8 [N, H, W, C]; the first one decides what the others must be."""
    images = np.empty(0)
    with progress(f"reading {path.name}", len(files)) as advance:
        for index, file in enumerate(files):
            picture = read_picture(file, channels)
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
                    f"shape. Pass size=(height, width) to crop and resample, or channels=1 or 3 to convert."
                )
            images[index] = picture
            advance(1)
    return images
