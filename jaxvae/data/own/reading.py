"""Pictures of many files, or of many records, to one array of one shape; the first decides what the others must be."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from jaxvae.data.own import decoding
from jaxvae.data.own.pictures import Unreadable, central, check_background, check_size, fit

Array = np.ndarray


class Item(Protocol):
    """One picture that is not decoded yet: a file or a record; `str` says where it is."""

    @property
    def name(self) -> str: ...


def checked_options(size: object, crop: object, channels: object, background: object) -> dict[str, Any]:
    """The options of a folder of pictures, as `read_pictures` takes them; raises `ValueError` for what none can be."""
    if channels not in (None, 1, 3):
        raise ValueError(f"channels is {channels!r}, expected 1 (grey) or 3 (colour).")
    return {
        "size": check_size(size),
        "crop": check_size(crop, "crop"),
        "channels": channels,
        "background": check_background(background),
    }


def read_pictures(
    path: Path,
    items: Sequence[Any],
    read: Callable[[Any, Any, Any], Array],
    options: dict[str, Any],
    skip: bool,
    limit: int | None,
    content: Callable[[], str],
) -> tuple[Array, Array]:
    """(uint8 [n, H, W, C], the indices of the n pictures that were read), in memory or, where they are many, mapped.

    Args:
        path: of all of them, for messages and the name in the cache.
        items: each an `Item`.
        read: (item, channels, background) -> uint8 [H, W, C].
        options: see `checked_options`.
        skip: leave out and count what is `Unreadable`.
        limit: bytes decoded, at most; None for no limit.
        content: what the pictures were made of, in a digest; other content is converted again.
    """

    def picture_of(item: Item) -> Array:
        picture = read(item, options["channels"], options["background"])
        picture = central(picture, options["crop"], str(item)) if options["crop"] else picture
        return fit(picture, options["size"]) if options["size"] else picture

    first, shape = _first(items, picture_of, skip)
    size = int(np.prod(shape)) * len(items)
    if limit is not None and size > limit:
        raise ValueError(
            f"{path} holds {len(items)} pictures like {first.name}, {size:,} bytes decoded, expected at most "
            f"{limit:,}. Pass a smaller size=, or a larger max_bytes."
        )

    def decode(item: Item) -> Array:
        picture = picture_of(item)
        if picture.shape != shape:
            raise ValueError(
                f"{item} has shape {picture.shape}, and {first.name} has {shape}: expected one shape. Pass "
                f"size=(height, width) to crop and resample, or channels=1 or 3 to convert; on the command line "
                f"--data.size HEIGHT WIDTH, --data.channels 1 or 3."
            )
        return picture

    if size > decoding.LARGE:
        images, kept = decoding.in_cache(path.name, items, shape, decode, skip, {"files": content(), **options})
    else:
        images, kept = decoding.in_memory(path.name, items, shape, decode, skip)
    if gone := len(items) - len(kept):
        missing = np.setdiff1d(np.arange(len(items)), kept)[:3]
        names = ", ".join([*(items[int(index)].name for index in missing), *(["..."] if gone > 3 else [])])
        print(f"jaxvae: left out of {path}, unreadable: {gone} of {len(items)} pictures ({names}).", file=sys.stderr)
    return images, kept


def _first(items: Sequence[Any], picture_of: Callable[[Any], Array], skip: bool) -> tuple[Any, tuple[int, ...]]:
    """The first that can be read, and the shape of its picture."""
    for index in range(len(items)):
        try:
            return items[index], picture_of(items[index]).shape
        except Unreadable:
            if not skip or index == len(items) - 1:
                raise
    raise AssertionError("a split holds at least one picture")
