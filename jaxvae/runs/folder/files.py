"""Small files that are there whole or not at all, and operating-system errors that say what to do."""

import errno
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_FIXES = {
    errno.EACCES: "You have no permission: choose another --workdir, or change its owner or mode.",
    errno.EPERM: "You have no permission: choose another --workdir, or change its owner or mode.",
    errno.EROFS: "The file system is read-only: choose another --workdir.",
    errno.ENOSPC: "The disk is full: free some space and run the same command again, it resumes.",
    errno.EDQUOT: "Your disk quota is used up: free some space and run the same command again, it resumes.",
    errno.EFBIG: "The file would exceed the allowed size: raise the limit (ulimit -f).",
    errno.ENOTDIR: "A part of the path is a file: choose another --workdir.",
    errno.EEXIST: "It is a file, not a folder: choose another --workdir.",
    errno.EISDIR: "It is a folder, not a file: move it away.",
    errno.ENAMETOOLONG: "The name is too long: choose a shorter --workdir.",
    errno.ELOOP: "A symbolic link leads back to itself: remove it.",
}


def explain(error: OSError, action: str, path: Path) -> OSError:
    """The same kind of error with the action, the path and a remedy in its message.

    Example:
        >>> explain(OSError(errno.EROFS, "Read-only"), "write", Path("runs/a")).strerror
        'cannot write runs/a: Read-only. The file system is read-only: choose another --workdir.'
    """
    fix = _FIXES.get(error.errno or 0, "Look at the path, or choose another --workdir.")
    return OSError(error.errno or errno.EIO, f"cannot {action} {path}: {error.strerror or error}. {fix}")


def write_text(path: Path, text: str) -> None:
    """Replaces a file in one step: a reader, or a crash, sees the old text or the new one.

    One process at a time may write into a folder. The mode of the file follows the umask.

    Raises:
        OSError: naming the path and a remedy; the old file is then unharmed.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        try:
            with temporary.open("w", encoding="utf-8", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise explain(error, "write", path) from error


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes strict, indented JSON atomically, as `plain` makes it."""
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
