"""Compiled programs, kept from one process to the next, so that the second start compiles next to nothing.

JAX keeps them by itself where it is told a folder before it starts; here is what it leaves to others: a folder for each
kind of processor, whose programs another may not be able to run, no entries that a kill or a full disk cut short (JAX
would warn of each whenever it is wanted), and a bound on the size. Nothing here imports JAX.
"""

import hashlib
import importlib
import os
import platform
import shutil
import time
import zlib
from collections.abc import MutableMapping
from contextlib import suppress
from pathlib import Path

from jaxvae.files import cache_folder

FOLDER, SWITCH = "JAX_COMPILATION_CACHE_DIR", "JAX_ENABLE_COMPILATION_CACHE"
SHORTEST = "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"
CHECKED = ".checked"  # its time is that of the last look at the entries
MOST = 1_000_000_000  # bytes of all entries; a run has some hundred thousand
SPARE = 1_000_000_000  # bytes that must be free on the disk
ZSTANDARD = b"\x28\xb5\x2f\xfd"  # how what it compressed begins; all else is zlib's


def keep_programs(environ: MutableMapping[str, str], within: Path | None = None, shortest: float = 0.05) -> None:
    """Has JAX keep its programs in a folder of this kind of processor, unless the environment says otherwise.

    Args:
        environ: of this process, before JAX starts.
        within: where the folder is made, by default the cache folder.
        shortest: programs that were compiled in fewer seconds are not kept.

    A folder that cannot be written to, or a disk that is nearly full, costs the time of compiling and is no error.

    Example:
        >>> environ = {"JAX_ENABLE_COMPILATION_CACHE": "false"}
        >>> keep_programs(environ)
        >>> list(environ)
        ['JAX_ENABLE_COMPILATION_CACHE']
    """
    if FOLDER in environ or environ.get(SWITCH, "1").lower() in ("0", "n", "no", "f", "false", "off"):
        return
    folder = (cache_folder() if within is None else within) / f"compiled-{processor()}"
    try:
        there = next(path for path in (folder, *folder.parents) if path.exists())
        if not there.is_dir() or not os.access(there, os.W_OK) or shutil.disk_usage(there).free < SPARE:
            return
        if there == folder:  # else JAX makes it, with the first program
            tidy(folder)
    except OSError:
        return
    environ[FOLDER] = str(folder)
    environ.setdefault(SHORTEST, str(shortest))


def processor() -> str:
    """Twelve hexadecimal digits of what compiled programs may use: the features of the processor, where it tells."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.exists() else []
    features = next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())
    return hashlib.sha256(f"{platform.machine()} {features}".encode()).hexdigest()[:12]


def tidy(folder: Path, most: int = MOST) -> None:
    """Removes entries cut short since the last look, and of more bytes than `most` those that nobody read for longest.

    An entry that another process is writing at this moment may go as well; it is then compiled once more.
    """
    mark, now = folder / CHECKED, time.time()
    since = mark.stat().st_mtime - 1 if mark.exists() else 0.0  # where a file system keeps whole seconds
    kept = []
    for path in folder.glob("*-cache"):
        with suppress(FileNotFoundError):  # another process tidies as well
            entry = path.stat()
            if entry.st_mtime >= since and not is_whole(path.read_bytes()):
                path.unlink()
            else:
                kept.append((max(entry.st_atime, entry.st_mtime), entry.st_size, path))
    size = sum(entry[1] for entry in kept)
    for _, bytes_of, path in sorted(kept):
        if size <= most:
            break
        path.unlink(missing_ok=True)
        size -= bytes_of
    mark.touch()
    os.utime(mark, (now, now))


def is_whole(entry: bytes) -> bool:
    """Whether what JAX compressed can be read to its end; True where that cannot be told.

    Example:
        >>> whole = zlib.compress(bytes(100))
        >>> is_whole(whole), is_whole(whole[:-1]), is_whole(b"")
        (True, False, False)
    """
    try:
        if entry.startswith(ZSTANDARD):
            return _is_whole_zstandard(entry)
        zlib.decompress(entry)
    except zlib.error:
        return False
    return True


def _is_whole_zstandard(entry: bytes) -> bool:
    try:
        library = importlib.import_module("zstandard")
    except ImportError:  # then JAX does not read it either
        return True
    try:
        library.ZstdDecompressor().decompress(entry)
    except library.ZstdError:
        return False
    return True
