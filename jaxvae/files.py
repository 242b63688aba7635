"""Files that are there whole or not at all, and operating-system errors that say what to do; no JAX is imported."""

import errno
import json
import math
import os
import shutil
import stat
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

_NO_FILE = "Not a regular file"
# Windows reads text unless it is told otherwise; elsewhere opening a pipe would wait for its other end.
_PATIENCE = getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
FULL = (errno.ENOSPC, errno.EDQUOT)
_FIXES = {
    errno.EACCES: "You have no permission: choose another folder, or change its owner or mode.",
    errno.EPERM: "You have no permission: choose another folder, or change its owner or mode.",
    errno.EROFS: "The file system is read-only: choose another folder.",
    errno.ENOSPC: "The disk is full: free some space and run the same command again; a training resumes.",
    errno.EDQUOT: "Your disk quota is used up: free some space and run the same command again; a training resumes.",
    errno.EFBIG: "The file would exceed the allowed size: raise the limit (ulimit -f).",
    errno.ENOTDIR: "A part of the path is a file: choose another folder.",
    errno.EEXIST: "It is a file, not a folder: choose another folder.",
    errno.ENOENT: "Check the path.",
    errno.EISDIR: "It is a folder, a pipe or a device, not a file: move it away, or choose another name.",
    errno.ENAMETOOLONG: "The name is too long: choose a shorter one.",
    errno.ELOOP: "It is a symbolic link, which is not followed here: remove it, or choose another folder.",
}


def cache_folder() -> Path:
    """$JAXVAE_CACHE, else jaxvae in $XDG_CACHE_HOME, else ~/.cache/jaxvae."""
    chosen = os.environ.get("JAXVAE_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser().absolute() / "jaxvae"


def explain(error: OSError, action: str, path: Path, needed: int | None = None) -> OSError:
    """The same kind of error with the action, the path and a remedy in its message.

    Args:
        error: as the system raised it.
        action: what could not be done, such as "write".
        path: to what.
        needed: about how many bytes it takes, said beside the bytes that are free where the disk is full.

    Example:
        >>> explain(OSError(errno.EROFS, "Read-only"), "write", Path("runs/a")).strerror
        'cannot write runs/a: Read-only. The file system is read-only: choose another folder.'
    """
    fix = _FIXES.get(error.errno or 0, "Look at the path, or choose another folder.")
    sizes = ""
    if error.errno in FULL and needed is not None:
        sizes = f" It needs about {needed} bytes, and {free_bytes(path)} are free."
    return OSError(error.errno or errno.EIO, f"cannot {action} {path}: {error.strerror or error}.{sizes} {fix}")


def free_bytes(path: Path) -> int:
    """The bytes free where `path` lies, or would lie: in the nearest folder above it that exists."""
    return shutil.disk_usage(next(folder for folder in path.absolute().parents if folder.is_dir())).free


def make_folder(path: Path) -> Path:
    """Makes a folder with its parents, unless it is there; raises `OSError` naming the path and a remedy."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain(error, "make the folder", path) from error
    return path


def folder_name(path: str | os.PathLike[str]) -> str:
    """The name of a folder: what a file that may be sent tells of it, since where it lay is nobody's business.

    Example:
        >>> folder_name("runs/digits/")
        'digits'
    """
    return Path(path).resolve().name


@contextmanager
def whole_file(path: str | os.PathLike[str], *, needed: int | None = None) -> Iterator[BinaryIO]:
    """A binary file to write into, which takes the place of `path` in one step once it is whole on the disk.

    A reader, a crash or a full disk sees the old file or the new one. It is written beside `path` under a random name
    that did not exist, so that a link laid there leads nowhere. The mode follows the umask.

    Args:
        path: in a folder that exists.
        needed: about how many bytes, for the message of a full disk.

    Raises:
        OSError: naming the path and a remedy; the old file is then unharmed and nothing lies beside it.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with whole_file(Path(folder) / "a") as file:
        ...         _ = file.write(b"abc")
        ...     (Path(folder) / "a").read_bytes()
        b'abc'
    """
    path = Path(path)
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        if path.exists() and not path.is_file():
            raise OSError(errno.EISDIR, _NO_FILE)
        try:
            with open(temporary, "xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise explain(error, "write", path, needed) from error


def read_bytes(path: str | os.PathLike[str], limit: int | None = None) -> bytes:
    """The content of a regular file; no pipe, device or folder is waited for.

    Args:
        path: of the file.
        limit: the most bytes that are accepted.

    Raises:
        FileNotFoundError, OSError: naming the path and a remedy. ValueError: it is larger than the limit.
    """
    path = Path(path)
    try:
        with open(os.open(path, os.O_RDONLY | _PATIENCE), "rb") as file:
            _regular(file.fileno())
            data = file.read() if limit is None else file.read(limit + 1)
    except OSError as error:
        raise explain(error, "read", path) from error
    if limit is not None and len(data) > limit:
        raise ValueError(f"{path} has over {limit} bytes, expected at most so many.")
    return data


@contextmanager
def log_file(path: Path) -> Iterator[int]:
    """A descriptor to read a regular file and to append to it, made if need be; a link, pipe or device is refused."""
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | _PATIENCE, 0o666)
    try:
        _regular(descriptor)
        yield descriptor
    finally:
        os.close(descriptor)


def _regular(descriptor: int) -> None:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise OSError(errno.EISDIR, _NO_FILE)


def write_text(path: Path, text: str) -> None:
    """Replaces a file by a text in UTF-8, as `whole_file`."""
    data = text.encode()
    with whole_file(path, needed=len(data)) as file:
        file.write(data)


def write_json(path: Path, content: Mapping[str, Any] | Sequence[Any]) -> None:
    """Writes strict, indented JSON, as `plain` makes it and `whole_file` writes."""
    write_text(path, json.dumps(plain(content), indent=2, allow_nan=False) + "\n")


def sync_folder(folder: Path) -> None:
    """Makes a rename in a folder survive a power cut, where the system can."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def plain(value: Any) -> Any:
    """What JSON can hold: arrays become lists, and numbers that are not finite null, for want of a word.

    Example:
        >>> import numpy as np
        >>> plain({"loss": np.float32(1.5), "kl": np.array([0.5, np.nan])})
        {'loss': 1.5, 'kl': [0.5, None]}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
