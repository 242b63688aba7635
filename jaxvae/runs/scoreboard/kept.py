"""A row of a board in its folder: read where it is there, else made and kept; a failure is a row that is not kept."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from jaxvae.evaluation.scoreboard.records import Cell, Standing
from jaxvae.files import make_folder, write_json
from jaxvae.runs.scoreboard.budget import read_object

ROW = "row.json"


class Interrupted(Exception):
    """A training was ended by a signal, whose number this has; what it did is on the disk."""

    def __init__(self, signal: int):
        super().__init__(signal)
        self.signal = signal


def kept_row(
    row: Standing, folder: Path, key: str, make: Callable[[Standing], Standing], say: Callable[[str], None]
) -> Standing:
    """The row with its numbers.

    Args:
        row: of whom; it has no numbers yet.
        folder: of the row.
        key: what decides about its numbers; a row of another key is made anew.
        make: row -> the row with its numbers, or an error that says why it has none.
        say: is told of an error.

    Raises:
        Interrupted: as `make` does; any other error is a row.
    """
    known = read_object(folder / ROW)
    if known.get("key") == key:
        return _read(row, known)
    try:
        found = make(row)
    except Interrupted:
        raise
    except Exception as error:
        why = f"{type(error).__name__}: {error}" if not isinstance(error, ValueError) else str(error)
        say(f"{row.name} has no numbers: {why}")
        return row._replace(failed=why)
    make_folder(folder)
    write_json(folder / ROW, {"key": key, **found.as_json(), "draws": found.draws.tolist()})
    return found


def _read(row: Standing, known: dict[str, Any]) -> Standing:
    cells = {name: Cell(**each) for name, each in known["columns"].items()}
    return row._replace(
        about=known["about"], columns=cells, notes=tuple(known["notes"]), draws=np.array(known["draws"], np.uint8)
    )
