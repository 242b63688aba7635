"""A folder of converted data: uint8 `.npy` files beside one small json, written whole or not at all.

    <cache folder>/<entry>/images.npy  labels.npy  about.json

An entry is made in a hidden folder next to it and renamed when it is complete, so that a kill or a full disk
leaves no entry at all. `about.json` keeps the SHA-256 of each file, checked at every opening (0.03 s for MNIST);
afterwards the arrays are memory-mapped.
"""

import hashlib
import io
import itertools
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray
Arrays = dict[str, Array]
FORMAT = 1


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read(entry: Path) -> tuple[Arrays, dict[str, Any]]:
    """Opens an entry: read-only memory-mapped arrays by name, and what it was made of.

    Raises:
        FileNotFoundError: no such entry.
        ValueError: a file that is missing, cut short or changed, by name.
    """
    record = entry / "about.json"
    fix = f"Delete the folder {entry}, and it is converted again."
    try:
        about = json.loads(record.read_text(encoding="utf-8"))
        digests = dict(about["sha256"].items()) if about["format"] == FORMAT else {}
        described = dict(about["about"])
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"there is no {record}, expected an entry of the data cache.") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{record} is damaged ({error}). {fix}") from error
    arrays = {}
    for name, expected in digests.items():
        path = entry / f"{name}.npy"
        try:
            found = digest(path)
        except OSError as error:
            raise ValueError(f"{path} cannot be read ({error.strerror}). {fix}") from error
        if found != expected:
            raise ValueError(f"{path} is damaged: SHA-256 {found[:12]}..., expected {expected[:12]}.... {fix}")
        arrays[name] = np.load(path, mmap_mode="r", allow_pickle=False)
    return arrays, described


def read_if(entry: Path, about: dict[str, Any]) -> Arrays | None:
    """The arrays of an entry made of the same thing; None where it is absent, stale or (said on stderr) damaged."""
    try:
        arrays, described = read(entry)
    except FileNotFoundError:
        return None
    except ValueError as error:
        print(f"jaxvae: {error}", file=sys.stderr)
        return None
    return arrays if described == about else None


def make(
    entry: Path,
    about: dict[str, Any],
    size: int,
    write: Callable[[Path], dict[str, str]],
    *,
    restartable: bool = False,
) -> Arrays:
    """Makes an entry, or waits while another process makes the same one; returns its arrays.

    Args:
        entry: its folder; what it held before is replaced.
        about: JSON values that say what it is made of.
        size: bytes that it will need, about.
        write: puts arrays into the folder it is given by `write_array`; returns their SHA-256 by name.
        restartable: whether `write` goes on with what it left in that folder when it was cut; the name of the entry
            must then be that of what it is made of alone.

    Raises:
        ValueError: the cache cannot be written or has too little room; nothing is left behind.
    """
    from filelock import FileLock

    with _writable(entry.parent, size):
        entry.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(entry.parent / f".{entry.name}.lock"):  # a dead process holds no lock
            arrays = read_if(entry, about)
            if arrays is not None:
                return arrays
            partial = entry.parent / f".{entry.name}.partial"
            if not restartable:
                shutil.rmtree(partial, ignore_errors=True)
            there = sum(path.stat().st_size for path in partial.glob("*"))
            free = shutil.disk_usage(entry.parent).free
            if free + there < size:
                raise OSError(f"only {free / 1e6:.0f} MB are free")
            try:
                partial.mkdir(exist_ok=restartable)
                text = json.dumps({"format": FORMAT, "about": about, "sha256": write(partial)}, indent=1)
                (partial / "about.json").write_text(text, encoding="utf-8")
                shutil.rmtree(entry, ignore_errors=True)
                partial.rename(entry)
            except BaseException:
                if not restartable:
                    shutil.rmtree(partial, ignore_errors=True)
                raise
    return read(entry)[0]


def write_array(path: Path, shape: tuple[int, ...], dtype: Any, parts: Iterable[Array]) -> str:
    """Writes the concatenation of `parts` as `.npy`, one part in memory at a time; returns the file's SHA-256.

    Plain writes, because a full disk is an error there and kills the process under a memory map.
    """
    header = io.BytesIO()
    descr = np.lib.format.dtype_to_descr(np.dtype(dtype))
    np.lib.format.write_array_header_1_0(header, {"descr": descr, "fortran_order": False, "shape": shape})
    sha256 = hashlib.sha256()
    with path.open("xb") as file:
        for data in itertools.chain([header.getvalue()], (part.astype(dtype).tobytes() for part in parts)):
            file.write(data)
            sha256.update(data)
        file.flush()
        os.fsync(file.fileno())
    return sha256.hexdigest()


@contextmanager
def _writable(path: Path, size: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ValueError(
            f"the data cache {path} cannot be written ({error.strerror or error}), expected a folder with "
            f"{size / 1e6:.0f} MB free. Set the environment variable JAXVAE_CACHE to one."
        ) from error
