"""Reading arrays out of an `.npz` that nobody vouches for: no pickle, nothing unpacked to disk, sizes checked first."""

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

Array = np.ndarray
Members = dict[str, zipfile.ZipInfo]


@contextmanager
def open_npz(path: Path) -> Iterator[tuple[zipfile.ZipFile, Members]]:
    """Opens an archive and lists its arrays by name.

    Raises:
        ValueError: naming the file, here or while it is read: no zip archive, damaged, encrypted, a name used twice.
    """
    fix = "Write it again by numpy.savez."
    try:
        with zipfile.ZipFile(path) as archive:
            members: Members = {}
            for info in archive.infolist():
                name = info.filename.removesuffix(".npy")
                if name in members:
                    raise ValueError(f"{path} holds two arrays named {name!r}, expected one of each name. {fix}")
                if name != info.filename:
                    members[name] = info
            if not members:
                raise ValueError(f"{path} holds no arrays. {fix}")
            yield archive, members
    except MemoryError:
        raise
    except Exception as error:  # a forged archive makes of zipfile, zlib and NumPy what it likes
        if isinstance(error, ValueError) and str(path) in str(error):
            raise
        raise ValueError(f"{path} is not a whole .npz file ({_why(error)}). {fix}") from error


def header(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and dtype that a member declares; its data is not read."""
    with archive.open(info) as file:
        return _header(path, info.filename, file)


def read_member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo, max_bytes: int) -> Array:
    """Reads one array, once its declared size is known to be true and small enough."""
    shape, dtype = header(path, archive, info)
    size = math.prod(shape) * dtype.itemsize
    if dtype.hasobject:
        raise ValueError(f"{info.filename} in {path} holds Python objects, which are never loaded; expected numbers.")
    if max(size, info.file_size) > max_bytes:
        raise ValueError(
            f"{info.filename} in {path} is {max(size, info.file_size):,} bytes decompressed, expected at most "
            f"{max_bytes:,}. If you trust it, pass a larger max_bytes."
        )
    if size > info.file_size:
        raise ValueError(f"{info.filename} in {path} declares {size:,} bytes and holds {info.file_size:,}: damaged.")
    with archive.open(info) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _header(path: Path, name: str, file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
        if any(length < 0 for length in shape):
            raise ValueError(f"shape {shape}")
    except Exception as error:  # the header is parsed as Python, which raises much besides ValueError
        raise ValueError(f"{name} in {path} is no array ({_why(error)}), expected the .npy format.") from error
    return shape, dtype


def _why(error: Exception) -> str:
    """What went wrong in a few words; some errors have none."""
    return f"{str(error) or type(error).__name__:.200}"
