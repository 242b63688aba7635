"""What the options of every script accept, known at once: counts, seeds, finite numbers, paths that can be written.

Without a mark an integer is a count of at least 1, `seed` a seed, and `output` and `workdir` paths.
"""

import math
import os
import types
import typing
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from jaxvae.runs.configs.names import nearest_folder, path_text, show

LAST_SEED = 2**32 - 1


FILES = (".png", ".npy", ".csv", ".gif", ".html", ".json")  # what the scripts write; any other name is a folder's


class Least(NamedTuple):
    """The smallest integer that an option accepts, where that is not 1."""

    low: int


class Ends(NamedTuple):
    """How the name of a file that a script writes may end; it may be given a folder too, which keeps the usual name."""

    suffixes: tuple[str, ...]


Index = Annotated[int, Least(0)]
Images = Annotated[str | None, Ends((".png", ".npy"))]  # a picture, or the array that it shows
Drawn = Annotated[str | None, Ends((".png", ".npy", ".csv"))]  # the same, or the rows of a table by name
Picture = Annotated[str, Ends((".png",))]
Gif = Annotated[str | None, Ends((".gif",))]
Page = Annotated[str | None, Ends((".html",))]
Numbers = Annotated[str | None, Ends((".json",))]


def check_options(options: Any) -> None:
    """Raises `ValueError` naming an option whose value no script could use; nested dataclasses are left alone.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass
        ... class Options:
        ...     count: int = 3
        >>> check_options(Options(count=0))
        Traceback (most recent call last):
        ValueError: count is 0, expected an integer of at least 1.
    """
    hints = typing.get_type_hints(type(options), include_extras=True)
    for field in fields(options):
        value, marks = getattr(options, field.name), list(_marks(hints[field.name]))
        if is_dataclass(value):
            continue
        if field.name in ("output", "workdir"):
            _check_path(field.name, value, marks)
        for number in value if isinstance(value, tuple) else (value,):
            _check_number(field.name, number, marks)


def output_path(output: str | None, usual: Path) -> Path:
    """The file that --output means: the one it names, the usual name in the folder it names, or the usual path.

    Example:
        >>> [output_path(given, Path("runs/a/pictures/sample.png")).as_posix() for given in (None, "b", "b/c.png")]
        ['runs/a/pictures/sample.png', 'b/sample.png', 'b/c.png']
    """
    if output is None:
        return usual
    return Path(output) / usual.name if _is_folder(Path(output)) else Path(output)


def _is_folder(path: Path) -> bool:
    """Whether a name is that of a folder: one that is there, or one without an ending."""
    return path.suffix.lower() not in FILES and (path.is_dir() or not path.suffix)


def _marks(hint: Any) -> Iterator[Any]:
    """The marks of an annotation, also within `X | None` and `tuple[X, ...]`."""
    if typing.get_origin(hint) is Annotated:
        yield from hint.__metadata__
        hint = typing.get_args(hint)[0]
    if typing.get_origin(hint) in (typing.Union, types.UnionType, tuple):
        for inner in typing.get_args(hint):
            yield from _marks(inner)


def _check_number(name: str, number: Any, marks: list[Any]) -> None:
    if isinstance(number, float) and not math.isfinite(number):
        raise ValueError(f"{name} is {number}, expected a finite number.")
    if not isinstance(number, int) or isinstance(number, bool):
        return
    if name == "seed":
        if not 0 <= number <= LAST_SEED:
            raise ValueError(f"seed is {number}, expected an integer from 0 to {LAST_SEED}.")
        return
    low = next((mark.low for mark in marks if isinstance(mark, Least)), 1)
    if number < low:
        raise ValueError(f"{name} is {number}, expected an integer of at least {low}.")


def _check_path(name: str, value: Any, marks: list[Any]) -> None:
    """Raises unless a file, or a folder where the name has no mark, could be made there; makes nothing."""
    if value is None:
        return
    path_text(name, value)
    path = Path(value)
    suffixes = next((mark.suffixes for mark in marks if isinstance(mark, Ends)), ())
    ending = path.suffix.lower()
    if suffixes and ending not in suffixes and (ending in FILES or not _is_folder(path)):
        raise ValueError(
            f"{name} is {show(str(path))}, expected a name that ends in {' or '.join(suffixes)}, or a folder."
        )
    if _is_folder(path):
        suffixes = ()
    if path.is_dir() if suffixes else path.exists() and not path.is_dir():
        kinds = ("a folder", "a file") if suffixes else ("a file", "a folder")
        raise ValueError(f"{name} is {show(str(path))}, which is {kinds[0]}, expected {kinds[1]}.")
    above = nearest_folder(path)
    if not above.is_dir():
        raise ValueError(f"{name} is {show(str(path))}, but {above} is a file, expected a folder.")
    if not os.access(above, os.W_OK | os.X_OK):
        raise ValueError(f"{name} is {show(str(path))}, but you may not write into {above}. Choose another folder.")
