"""Many pictures to one array: decoded by several threads, into memory or, where they are many, into the cache.

A conversion goes on where it was cut: it notes after every few hundred pictures how far it has come. What is kept in
the cache belongs to the names, sizes and times of the files and to the options; files that change are converted again.
"""

import hashlib
import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from jaxvae.data.own.pictures import Unreadable, quiet
from jaxvae.data.prepared import cache
from jaxvae.data.progress import progress
from jaxvae.files import cache_folder, write_json

Array = np.ndarray
Decode = Callable[[Any], Array]
PART = 256  # pictures decoded between two notes
LARGE = 2**28  # bytes that are decoded into memory every time; more are kept in the cache
HEADER = 128  # bytes of the header of an .npy file of four axes


def in_memory(
    label: str, files: Sequence[Any], shape: tuple[int, ...], decode: Decode, skip: bool
) -> tuple[Array, Array]:
    """(uint8 [n, H, W, C], the indices [n] of the files that could be read)."""
    images, kept = np.empty((len(files), *shape), np.uint8), list[int]()
    with progress(f"reading {label}", len(files)) as advance:
        for index, picture in _decoded(files, 0, decode, skip):
            if picture is not None:
                images[len(kept)] = picture
                kept.append(index)
            advance(1)
    return images[: len(kept)], np.array(kept, np.int64)


def in_cache(
    label: str, files: Sequence[Any], shape: tuple[int, ...], decode: Decode, skip: bool, options: dict[str, Any]
) -> tuple[Array, Array]:
    """The same, memory-mapped; converted at the first call, which says where.

    What is kept belongs to the options, which hold a digest of what the pictures are made of.

    Raises:
        ValueError: for no room, before anything is decoded; and as `decode` does.
    """
    text = json.dumps({"skip": skip, **options}, sort_keys=True)
    name, mark = re.sub(r"[^\w.-]", "_", label)[:60], hashlib.sha256(text.encode()).hexdigest()[:12]
    entry, about = cache_folder() / "folders" / f"{name}-{mark}", json.loads(text)
    arrays = cache.read_if(entry, about)
    if arrays is None:
        width = int(np.prod(shape))

        def write(folder: Path) -> dict[str, str]:
            print(f"jaxvae: converting {len(files):,} pictures of {label} once into {entry}", file=sys.stderr)
            return _convert(label, folder, files, shape, decode, skip)

        arrays = cache.make(entry, about, len(files) * (width + 8) + 4096, write, restartable=True)
    return arrays["images"], arrays["kept"]


def listed(files: Sequence[Path]) -> str:
    """A digest of the names, sizes and times of files."""
    facts = [[str(file), file.stat().st_size, file.stat().st_mtime_ns] for file in files]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _decoded(files: Sequence[Any], start: int, decode: Decode, skip: bool) -> Iterator[tuple[int, Array | None]]:
    """(index, picture) in the order of the files, from one on; None for one that cannot be read and may be skipped."""

    def one(file: Any) -> Array | None:
        try:
            return decode(file)
        except Unreadable:
            if not skip:
                raise
            return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow decodes and resamples outside Python's lock
        for first in range(start, len(files), PART):
            with quiet():  # Python's filters are not the threads' own: they set the same once more
                pictures = list(pool.map(one, files[first : first + PART]))
            yield from enumerate(pictures, first)


def _convert(
    label: str, folder: Path, files: Sequence[Any], shape: tuple[int, ...], decode: Decode, skip: bool
) -> dict[str, str]:
    """Writes images.npy and kept.npy into a folder, going on with what an earlier call left there."""
    path, note, width = folder / "images.npy", folder / "progress.json", int(np.prod(shape))
    done, kept = 0, list[int]()
    if note.is_file() and path.is_file():
        noted = json.loads(note.read_text(encoding="utf-8"))
        done, kept = noted["done"], noted["kept"]
        print(f"jaxvae: {done:,} of them were converted before.", file=sys.stderr)
    with path.open("r+b" if done else "wb") as file, progress(f"converting {label}", len(files)) as advance:
        advance(done)
        file.truncate(HEADER + len(kept) * width)
        file.seek(HEADER + len(kept) * width)
        for index, picture in _decoded(files, done, decode, skip):
            if picture is not None:
                file.write(picture.tobytes())
                kept.append(index)
            advance(1)
            if (index + 1) % PART == 0:
                file.flush()
                os.fsync(file.fileno())
                write_json(note, {"done": index + 1, "kept": kept})
        file.seek(0)
        file.write(_header((len(kept), *shape)))
        file.flush()
        os.fsync(file.fileno())
    note.unlink(missing_ok=True)
    (folder / "kept.npy").unlink(missing_ok=True)
    rows = np.array(kept, np.int64)
    return {"images": cache.digest(path), "kept": cache.write_array(folder / "kept.npy", rows.shape, np.int64, [rows])}


def _header(shape: tuple[int, ...]) -> bytes:
    """Of an .npy file of bytes of that shape, always as long."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    text = header.getvalue()
    if len(text) > HEADER:
        raise ValueError(f"the shape {shape} makes a header of {len(text)} bytes, expected at most {HEADER}.")
    return text[:8] + (HEADER - 10).to_bytes(2, "little") + text[10:-1].ljust(HEADER - 11) + b"\n"
