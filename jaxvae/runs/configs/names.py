"""Names that people type: the nearest valid one, and paths that a run folder may have."""

import difflib
import os
import re
import reprlib
from collections.abc import Iterable
from pathlib import Path

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 80
# Names that Windows gives to devices, with any ending; a run folder should survive being copied there.
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
_SYSTEM = ("bin", "boot", "dev", "etc", "proc", "sbin", "sys")
_FIX = "Pass a folder such as runs/a."


def show(value: object) -> str:
    """The repr of a value, cut where it is long.

    Example:
        >>> show("digits"), len(show("x" * 5000)) < 100
        ("'digits'", True)
    """
    return _short.repr(value)


def nearest(name: str, options: Iterable[str]) -> str | None:
    """The option that looks most like `name`, or None; case, '-' and '_' do not matter.

    Example:
        >>> nearest("Fashion_MNST", ["mnist", "fashion-mnist"])
        'fashion-mnist'
    """
    plain = {option.lower().replace("-", "_"): option for option in options}
    close = difflib.get_close_matches(name.lower().replace("-", "_"), plain, n=1, cutoff=0.55)
    return plain[close[0]] if close else None


def unknown(kind: str, name: str, options: Iterable[str]) -> str:
    """The message for a name that does not exist: the nearest one, then all of them.

    Example:
        >>> unknown("preset", "mnits", ["digits", "mnist"])
        "unknown preset 'mnits', did you mean 'mnist'? Valid: digits, mnist."
    """
    options = list(options)
    guess = nearest(name[:200], options) if isinstance(name, str) else None
    hint = f", did you mean {guess!r}? " if guess else ". "
    return f"unknown {kind} {show(name)}{hint}Valid: {', '.join(options)}."


def folder_path(workdir: str | os.PathLike[str]) -> Path:
    """The path of a run folder, with a leading ~/ expanded; nothing is created.

    Args:
        workdir: a relative or absolute path. Each of its parts must be a name that any file system can hold.

    Raises:
        TypeError: if it is no path.
        ValueError: naming the path, for NUL and control characters, '..', '~user', device names, parts over
            255 bytes, paths over 4,096 bytes, and folders of the operating system.

    Example:
        >>> folder_path("runs/a").as_posix()
        'runs/a'
    """
    text = path_text("workdir", workdir)

    def refuse(why: str, fix: str = _FIX) -> ValueError:
        return ValueError(f"workdir is {show(text)}: {why}. {fix}")

    path = Path(text)
    for part in path.parts:
        if part == "..":
            raise refuse("'..' leads out of the folder", f"Pass the absolute path {os.path.abspath(text)}.")
        if part.startswith("~"):
            raise refuse("'~' alone or before a name is no run folder", "Pass ~/runs/a or an absolute path.")
        if _DEVICES.fullmatch(part):
            raise refuse(f"{part!r} is the name of a device on some systems")
    if path.is_absolute() and len(path.parts) == 1:
        raise refuse("it is the root of the file system")
    if path.is_absolute() and path.parts[1] in _SYSTEM and path.parts[1:3] != ("dev", "shm"):
        raise refuse(f"/{path.parts[1]} belongs to the operating system")
    return path


def path_text(name: str, path: str | os.PathLike[str]) -> str:
    """A path as text, with a leading ~/ expanded; raises an error that names the option for what can be no path."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"{name} is {show(path)} ({type(path).__name__}), expected a path. {_FIX}")
    text = os.fspath(path)
    why = ""
    if not text.strip():
        why = "it is empty"
    elif any(ord(character) < 32 or ord(character) == 127 for character in text):
        why = "it holds a NUL or another control character"
    elif len(os.fsencode(text)) > 4096:
        why = f"it has {len(text)} characters, a path holds at most 4096 bytes"
    elif (longest := max(len(os.fsencode(part)) for part in Path(text).parts or ("",))) > 255:
        why = f"one part has {longest} bytes, a name holds at most 255"
    if why:
        raise ValueError(f"{name} is {show(text)}: {why}. {_FIX}")
    return os.path.expanduser(text) if text.startswith("~/") else text


def nearest_folder(path: Path) -> Path:
    """What lies nearest above a path and exists: a folder, unless the path leads through a file."""
    return next(above for above in path.absolute().parents if above.exists())
