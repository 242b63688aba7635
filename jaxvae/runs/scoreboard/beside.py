"""What other people published or drew, as rows beside the board's own: a CSV file of numbers, an .npy file of draws."""

import csv
import io
import math
from pathlib import Path

import numpy as np

from jaxvae.data.own.files import load_npy
from jaxvae.evaluation.scoreboard.draws import score_draws, strip_of
from jaxvae.evaluation.scoreboard.judged import Judged
from jaxvae.evaluation.scoreboard.records import COLUMNS, Cell, Standing
from jaxvae.evaluation.scoreboard.scoring import findings
from jaxvae.files import read_bytes
from jaxvae.runs.configs.names import nearest, show

LIMIT = 1_000_000  # bytes
WORDS = ("name", "about", "evidence")
PUBLISHED = "published"
EVIDENCE = ("", "exact", "importance bound", "bound", "none")


def published(path: str | Path) -> list[Standing]:
    """Rows of a CSV file with a header: a name, then any of `COLUMNS`, each with its error as in `nats_error`.

    A column `about` says whose they are, and `evidence` what the nats are: exact, importance bound or bound. Empty
    cells are no numbers. They are drawn beside the others and take no part in what is best.

    Args:
        path: of the file, in UTF-8.

    Raises:
        ValueError, FileNotFoundError, OSError: for a file that is none, without names, with a column that no board has,
            or with a cell that is no number.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "table.csv"
        >>> _ = file.write_text("name,nats,nats_error,evidence\\nDRAW,80.97,,bound\\n")
        >>> row = published(file)[0]
        >>> row.name, row.family, row.columns["nats"].text
        ('DRAW', 'published', '≤ 81')
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {path}, expected a .csv with a column of names.")
    try:
        lines = list(csv.DictReader(io.StringIO(read_bytes(path, LIMIT).decode("utf-8-sig"))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is no CSV file in UTF-8 ({error}).") from None
    if not lines or "name" not in lines[0]:
        raise ValueError(f"{path} has no rows under a header with the column name, as in name,nats,nats_error.")
    for header in lines[0]:
        bare = (header or "").removesuffix("_error")
        if header not in WORDS and bare not in COLUMNS:
            guess = nearest(bare, COLUMNS)
            hint = f", did you mean {guess}?" if guess else "."
            raise ValueError(f"{path} has the column {show(header)}{hint} Valid: {', '.join((*WORDS, *COLUMNS))}.")
    return [_standing(path, line) for line in lines]


def scored_draws(path: str, judged: Judged) -> Standing:
    """The row of another program's draws: they are rounded to the board's levels, and judged as all draws are.

    Args:
        path: an .npy file of images [N, H, W] or [N, H, W, C], uint8 or floats on [0, 1], of the size of the data.
        judged: the data and the settings of the board; the first `judged.draws` of the images are taken.

    Returns:
        A row, or one that says why it has no numbers: another size, too few.
    """
    found = Standing(Path(path).stem, "drawn", f"the draws in {Path(path).name}")
    try:
        images = load_npy(Path(path)).images
        if images.shape[1:] != judged.test.shape[1:]:
            raise ValueError(f"{path} has images of {images.shape[1:]}, expected {judged.test.shape[1:]} as the data.")
        if len(images) < judged.draws:
            raise ValueError(f"{path} has {len(images)} images, expected {judged.draws} or more, as of the others.")
        x = np.rint(images[: judged.draws].astype(np.float32) * ((judged.levels - 1) / 255))
        cells = score_draws(x, judged)
    except (ValueError, TypeError, OSError) as error:
        return found._replace(failed=str(error))
    return found._replace(columns=cells, notes=findings(cells), draws=strip_of(x, judged.levels))


def _standing(path: str | Path, line: dict[str, str]) -> Standing:
    name, cells = (line["name"] or "").strip(), {}
    evidence = (line.get("evidence") or "").strip()
    if evidence not in EVIDENCE:
        raise ValueError(
            f"{path}: evidence of {name} is {show(evidence)}, expected {', '.join(EVIDENCE[1:])} or nothing."
        )
    for column in COLUMNS:
        value = _number(path, name, column, line.get(column))
        error = _number(path, name, f"{column}_error", line.get(f"{column}_error"))
        if value is not None:
            said = evidence if column in ("nats", "bits") else ""
            cells[column] = Cell(value, error, said, f"as {Path(path).name} says; not measured here")
    return Standing(name, PUBLISHED, (line.get("about") or "").strip() or f"of {Path(path).name}", cells)


def _number(path: str | Path, name: str, column: str, text: str | None) -> float | None:
    if text is None or not text.strip():
        return None
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise ValueError(f"{path}: {column} of {name} is {show(text)}, expected a number, or nothing.")
    return found
