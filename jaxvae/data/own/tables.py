"""A user's own table in a text file: columns by name, numbers row by row, and what to do where a cell is none."""

import csv
import difflib
import math
import re
import shlex
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np

from jaxvae.data.dataset import Dataset, from_array
from jaxvae.data.kinds import Kind
from jaxvae.data.splits import hold_out

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}
MISSING = ("", "na", "nan", "n/a", "null", "none", "?", "-", ".")
LOOKED_AT = 20  # lines that tell the delimiter
Line = tuple[int, list[str]]  # its number in the file, its cells


class Head(NamedTuple):
    """What the first lines of a file say.

    Attributes:
        delimiter: one of `DELIMITERS`.
        names: of all columns; column_1, column_2, ... where the file has none.
        skip: how many lines are names, 0 or 1.
    """

    delimiter: str
    names: tuple[str, ...]
    skip: int


def load_csv(
    path: Path,
    split: str = "train",
    *,
    kind: Kind = "table",
    labels: str | None = None,
    drop: Sequence[str] = (),
    test_fraction: float = 0.0,
) -> Dataset:
    """Reads a table of numbers from text: cells between commas, semicolons or tabs, a decimal point, a line for a row.

    The first line holds the names of the columns where none of its cells is a number. Every cell must be a number:
    nothing is filled in, and no row is left out.

    Args:
        path: a `.csv` or `.tsv` file in UTF-8.
        split: "train", "test" or "all".
        kind: "table", or "counts" for whole numbers.
        labels: the column that holds the class of each row, by any words; they become class names.
        drop: columns to leave out, such as that of an identifier.
        test_fraction: as in `load_npy`.

    Raises:
        ValueError: naming the file, line and column: a cell that is no number, a line of another length, a name that
            is used twice, no such column.
    """
    head = _read_head(path)
    at = {name: i for i, name in enumerate(head.names)}
    for name in (*drop, *(() if labels is None else (labels,))):
        if name not in at:
            close = difflib.get_close_matches(name, at, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise ValueError(f"{path} has no column {name!r}, expected one of: {_listed(head.names)}.{hint}")
    kept = [i for i, name in enumerate(head.names) if name not in drop and name != labels]
    if not kept:
        raise ValueError(f"{path} has the columns {_listed(head.names)}, of which none is left: expected one or more.")
    numbers, words = _read_rows(path, head, kept, None if labels is None else at[labels])
    values = np.frombuffer(numbers, np.float64).reshape(-1, len(kept))
    classes = _class_names(path, labels, words)
    numbered = None if labels is None else [classes.index(word) for word in words]
    names = tuple(head.names[i] for i in kept)
    try:
        data = from_array(
            values,
            kind=kind,
            labels=numbered,
            class_names=classes,
            columns=names,
            name=path.stem,
            split=split,
            source=str(path),
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return hold_out(data, split, test_fraction)


def _lines(path: Path, delimiter: str) -> Iterator[Line]:
    """The lines that hold something, with their numbers."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter)
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    yield reader.line_num, [cell.strip() for cell in cells]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is no table of text in UTF-8 ({error}). Write it again as CSV, UTF-8.") from error


def _read_head(path: Path) -> Head:
    """How the file is written: the delimiter that cuts its first lines alike into the most cells, and the names."""
    widths = {}
    for delimiter in DELIMITERS:
        found = [len(cells) for (_, cells), _ in zip(_lines(path, delimiter), range(LOOKED_AT), strict=False)]
        widths[delimiter] = min(found, default=0) if len(set(found)) == 1 else 1
    delimiter = max(DELIMITERS, key=widths.__getitem__)
    some = [line for line, _ in zip(_lines(path, delimiter), range(2), strict=False)]
    if not some:
        raise ValueError(f"{path} holds no lines, expected a table. Write it again.")
    number, first = some[0]
    if not any(_is_number(cell) or cell.lower() in MISSING[1:] for cell in first):
        return Head(delimiter, _names(path, number, first, delimiter), 1)
    for i, cell in enumerate(first):
        if not _is_number(cell) and len(some) > 1 and i < len(some[1][1]) and _is_number(some[1][1][i]):
            raise ValueError(
                f"{path}, line {number}, cell {i + 1}: {cell!r} is no number, others of that line are, and the next "
                f"line has {some[1][1][i]!r} there: it is not clear whether the line holds names or numbers. Give "
                f"every column a name that is no number, or mend the cell."
            )
    return Head(delimiter, tuple(f"column_{i}" for i in range(1, len(first) + 1)), 0)


def _names(path: Path, number: int, cells: list[str], delimiter: str) -> tuple[str, ...]:
    names = [cells[0].removeprefix("#").strip(), *cells[1:]]  # numpy.savetxt begins a header with "# "
    for i, name in enumerate(names):
        if not name:
            raise ValueError(
                f"{path}, line {number}: column {i + 1} of {len(names)}, cut at {DELIMITERS[delimiter]}, has no name. "
                f"Name it; an index that pandas wrote is left out by to_csv(index=False)."
            )
        if name in names[:i]:
            raise ValueError(f"{path}, line {number}: two columns are named {name!r}. Give each a name of its own.")
    return tuple(names)


def _read_rows(path: Path, head: Head, kept: list[int], label: int | None) -> tuple[array, list[str]]:
    """(the numbers of the kept columns row by row, the class of each row in words)."""
    numbers, words = array("d"), []
    for index, (line, cells) in enumerate(_lines(path, head.delimiter)):
        if index < head.skip:
            continue
        if len(cells) != len(head.names):
            raise ValueError(
                f"{path}, line {line} has {len(cells)} cells, expected {len(head.names)}, one for each column of "
                f"{_listed(head.names)}, cut at {DELIMITERS[head.delimiter]}."
            )
        for i in kept:
            number = float(cells[i]) if _is_number(cells[i]) else math.nan
            if not math.isfinite(number):
                alike = [head.names[j] for j in kept if not _is_number(cells[j])]
                _refuse(path, line, head.names[i], cells[i], alike)
            numbers.append(number)
        if label is not None:
            if not cells[label]:
                raise ValueError(f"{path}, line {line}, column {head.names[label]!r}: the class is missing.")
            words.append(cells[label])
    if not numbers:
        raise ValueError(f"{path} holds names and no rows, expected a table of numbers.")
    return numbers, words


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell  # which Python allows between digits


def _refuse(path: Path, line: int, column: str, cell: str, alike: Sequence[str]) -> NoReturn:
    """Raises `ValueError` for a cell that is no finite number, with what mends it; all columns of words at once."""
    where = f"{path}, line {line}, column {column!r}"
    out = tuple(alike) if len(alike) > 1 else (column,)
    what = "the column" if len(out) == 1 else f"the {len(out)} columns of such cells"
    leave = f"leave {what} out: --data.drop {shlex.join(out)} (drop={out!r})"
    if cell.lower() in MISSING:
        raise ValueError(f"{where}: {cell!r} is a missing value. Fill it in, remove the row, or {leave}.")
    if re.fullmatch(r"[-+]?\d+(\.\d{3})*,\d+", cell):
        raise ValueError(f"{where}: {cell!r} has a decimal comma, expected a point, as in {cell.replace(',', '.')}.")
    if _is_number(cell) and not math.isfinite(float(cell)):
        raise ValueError(f"{where}: {cell!r} is not finite. Remove the row, or {leave}.")
    raise ValueError(
        f"{where}: {cell!r} is no number. Number such words, {leave}, or take it as the class of each row: "
        f"--data.label-column {column} (labels={column!r})."
    )


def _class_names(path: Path, column: str | None, words: list[str]) -> list[str]:
    """The different words in their order, by value where all are numbers."""
    found = set(words)
    if len(found) > 20 and len(found) > len(words) // 2:
        raise ValueError(
            f"{path}: the column {column!r} has {len(found)} different values in {len(words)} rows, expected a few "
            f"classes."
        )
    numbered = all(map(_is_number, found))
    return sorted(found, key=lambda word: (float(word) if numbered else 0.0, word))


def _listed(names: Sequence[str]) -> str:
    some = ", ".join(names[:20])
    return some if len(names) <= 20 else f"{some} and {len(names) - 20} more"
