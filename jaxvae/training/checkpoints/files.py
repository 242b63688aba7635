"""Files under a folder: found by walking, read in pieces, kept through a power cut, and what a full disk says."""

import errno
import hashlib
import os
from pathlib import Path

from jaxvae.files import explain


class Damaged(ValueError):
    """A checkpoint that is not what was saved; the message names the file and its fault."""


def walk(folder: Path) -> dict[str, Path]:
    """Every file under `folder` by its relative name, but for names with a leading dot (a file browser leaves some).

    Links and special files raise `Damaged`: a link leads out of the folder, and a pipe would block the reader.
    """
    found: dict[str, Path] = {}
    waiting = [folder]
    while waiting:  # no recursion: a hostile folder can be deeper than Python may call
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                elif not entry.is_file(follow_symlinks=False):
                    raise Damaged(f"{Path(entry.path).relative_to(folder.parent).as_posix()!r}: is a link or no file")
                elif not entry.name.startswith("."):
                    found[Path(entry.path).relative_to(folder).as_posix()] = Path(entry.path)
    return found


def digest(path: Path) -> str:
    """The SHA-256 of a file, read in pieces."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fsync(path: Path) -> None:
    """Asks the disk to keep a file or folder through a power cut."""
    if path.is_dir() and os.name == "nt":
        return  # Windows cannot open a folder
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def not_saved(path: Path, needed: int, error: Exception) -> OSError:
    """The error for a checkpoint that could not be written: its path, the cause, and on a full disk the sizes."""
    cause = error if isinstance(error, OSError) else OSError(errno.EIO, str(error))
    said = explain(cause, "save", path, needed)
    return OSError(said.errno, f"{said.strerror} What was saved before is untouched.")
