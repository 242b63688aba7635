"""Where commands write rows of a table: numbers in the table's own units, by name, and a picture of them."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxvae.commands.parts.output import write_array
from jaxvae.files import make_folder, write_text
from jaxvae.runs.configs.options import output_path

ENDS = (".npy", ".csv", ".png")


def write_rows(
    run: str,
    name: str,
    output: str | None,
    values: np.ndarray,
    names: Sequence[str],
    draw: Callable[[], tuple[Any, Any]],
    beside: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Writes values [..., D] as .npy and as .csv, and what `draw` draws as .png; prints where.

    Args:
        run: the run folder.
        name: of the files.
        output: the one file that is wanted, by its ending; or a folder for all three, by default RUN/pictures.
        values: of the table's own units.
        names: of the D columns.
        draw: makes the figure.
        beside: {name: a list} of more columns of the .csv, which stand first: one entry for each of its lines.

    Raises:
        ValueError: for an output of another ending. OSError: naming the path and a remedy.
    """
    first = output_path(output, Path(run) / "pictures" / f"{name}.png")
    if first.suffix.lower() not in ENDS:
        raise ValueError(f"output is {str(first)!r}, expected a name that ends in .png, .npy or .csv.")
    one = output is not None and first == Path(output)
    paths = [first] if one else [first.with_suffix(end) for end in ENDS]
    make_folder(first.parent)
    for path in paths:
        _write(path, values, names, draw, beside or {})
        print(path)
    return paths


def _write(path: Path, values: np.ndarray, names: Sequence[str], draw: Callable[[], Any], beside: Any) -> None:
    ending = path.suffix.lower()
    if ending == ".npy":
        write_array(path, values)
    elif ending == ".png":
        from jaxvae.evaluation import plots

        plots.save(draw()[0], path)
    else:
        write_text(path, as_csv(values, names, beside))


def as_csv(values: np.ndarray, names: Sequence[str], beside: Mapping[str, Any] | None = None) -> str:
    """Values [..., D] as lines under the names of the columns, with all their digits.

    Example:
        >>> print(as_csv(np.array([[1.5, 2.0]]), ["a", "b"], {"row": [7]}), end="")
        row,a,b
        7,1.5,2.0
    """
    text, more = io.StringIO(), dict(beside or {})
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow([*more, *names])
    rows = values.reshape(-1, values.shape[-1]).tolist()
    lines.writerows([*head, *row] for *head, row in zip(*more.values(), rows, strict=True))
    return text.getvalue()
