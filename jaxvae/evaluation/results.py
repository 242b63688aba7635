"""Tables as they are printed, kept as numbers: rows for programs, CSV for spreadsheets, LaTeX for papers."""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NamedTuple

from jaxvae.evaluation.written import Written
from jaxvae.files import plain, write_json, write_text

_PRINTED = r"[-+\N{MINUS SIGN}]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?"
_CELL = re.compile(rf"({_PRINTED})(?: ?\N{{PLUS-MINUS SIGN}} ?({_PRINTED}))? ?(%)?(?: \(.*\))?")
_UNIT = re.compile(r"(?:.*[ ,(])?(nats|bits|%|s|seconds|degrees|MB)\)?")
_EVIDENCE = {"IW": "importance bound", "ELBO": "bound"}
_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_LATEX |= {mark: f"\\{mark}" for mark in "&%$#_{}"}
_LATEX |= {"\N{PLUS-MINUS SIGN}": r"$\pm$", "\N{MINUS SIGN}": "$-$", "<": "$<$", ">": "$>$", "|": "$|$"}
_LATEX |= {"\N{UPWARDS ARROW}": r"$\uparrow$", "\N{DOWNWARDS ARROW}": r"$\downarrow$"}


class Row(NamedTuple):
    """A number that a command printed.

    Attributes:
        name: what it is; of a table, "row: column".
        value, standard_error: None where there is none.
        unit: "nats", "bits", "%"; "" where there is none.
        evidence: what it says of log p(x), as in `Setting`; "" where it is about something else.
        setting: under which circumstances, by their names; of a table, its title, its caption and the words of the row.
    """

    name: str
    value: float | None
    standard_error: float | None
    unit: str
    evidence: str
    setting: Mapping[str, Any]


class Table(NamedTuple):
    r"""A table before it is printed: a cell is a word, a number, an `Estimate`, a `Measured`, or a `Written` number.

    Example:
        >>> table = Table("two coins, seed 0", ("side", "share, %"), [("heads", "48.0 ± 1.5"), ("tails", 52.0)])
        >>> [(row.name, row.value, row.standard_error, row.unit) for row in table.numbers()]
        [('heads: share', 48.0, 1.5, '%'), ('tails: share', 52.0, None, '%')]
        >>> print(table.latex().splitlines()[5])
        heads & 48.0 $\pm$ 1.5 \\
    """

    title: str
    names: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str | None = None

    def kept(self) -> list[int]:
        """The columns that have an entry."""
        return [column for column in range(len(self.names)) if any(shown(row[column]) for row in self.rows)]

    def numbers(self) -> Iterator[Row]:
        """A row for each number, with all its digits where the cell has them, else as it is printed."""
        for row in self.rows:
            words = {
                name: str(cell)
                for name, cell in zip(self.names, row, strict=True)
                if name and cell != "" and (cell is row[0] or _number(cell) is None)
            }
            setting = {"table": self.title, **({"caption": self.caption} if self.caption else {}), **words}
            for name, cell in zip(self.names[1:], row[1:], strict=True):
                if hasattr(cell, "as_row"):
                    own = cell.as_row()
                    yield own._replace(setting={"table": self.title, "column": name, **own.setting})
                elif (number := _number(cell)) is not None:
                    found, own = _row(shown(row[0]).strip(), name, *number, setting), getattr(cell, "setting", {})
                    evidence = getattr(cell, "evidence", None)
                    found = found if evidence is None else found._replace(evidence=evidence)
                    yield found._replace(setting={**setting, **own}) if own else found

    def latex(self) -> str:
        """A tabular that needs no package, the title above it as a comment."""
        kept = self.kept()
        lines = [[latex(shown(row[column]).strip()) for column in kept] for row in self.rows]
        head = " & ".join(latex(self.names[column]) for column in kept)
        about = [f"% {line}" for text in (self.title, self.caption or "") for line in text.splitlines()]
        start = [f"\\begin{{tabular}}{{l{'r' * (len(kept) - 1)}}}", r"\hline", rf"{head} \\", r"\hline"]
        return "\n".join([*about, *start, *(rf"{' & '.join(line)} \\" for line in lines), r"\hline", r"\end{tabular}"])


def shown(cell: Any) -> str:
    """A cell as it is printed.

    Example:
        >>> shown(0.123456), shown(8)
        ('0.1235', '8')
    """
    if hasattr(cell, "as_row"):
        return str(cell.number)
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)


def latex(text: str) -> str:
    r"""A text whose special characters LaTeX prints as they are; a leading hyphen is a minus.

    Example:
        >>> latex("-ELBO, 50 %")
        '$-$ELBO, 50 \\%'
    """
    text = f"\N{MINUS SIGN}{text[1:]}" if text.startswith("-") else text
    return "".join(_LATEX.get(mark, mark) for mark in text)


_tables: ContextVar[dict[str, Table] | None] = ContextVar("tables", default=None)


@contextmanager
def collected() -> Iterator[dict[str, Table]]:
    """Every table that `print_table` prints inside, by its title; of one that is printed again, the last."""
    found: dict[str, Table] = {}
    token = _tables.set(found)
    try:
        yield found
    finally:
        _tables.reset(token)


def note(table: Table) -> None:
    """Keeps a table for `collected`, where somebody collects."""
    if (tables := _tables.get()) is not None:
        tables[table.title] = table


def write_results(start: Path, tables: Sequence[Table]) -> list[Path]:
    """Writes the numbers of tables as START.json and START.csv, the tables themselves as START.tex; returns the paths.

    The JSON is a list of `Row`s. Nothing is written where no table has a number.
    """
    rows = [row for table in tables for row in table.numbers()]
    if not rows:
        return []
    ends = [start.with_name(f"{start.name}.{end}") for end in ("json", "csv", "tex")]
    write_json(ends[0], [row._asdict() for row in rows])
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(Row._fields)
    lines.writerows((*row[:-1], json.dumps(plain(row.setting), ensure_ascii=False)) for row in map(_strict, rows))
    write_text(ends[1], text.getvalue())
    write_text(ends[2], "\n\n".join(table.latex() for table in tables) + "\n")
    return ends


def _strict(row: Row) -> Row:
    return Row(**plain(row._asdict()))


def _number(cell: Any) -> tuple[float, float | None, str] | None:
    """(value, standard error or None, unit) of a cell, or None where it holds no number."""
    if isinstance(cell, Written):
        return cell.value, cell.standard_error, cell.unit
    estimate = getattr(cell, "estimate", cell)  # of a `Measured`
    if hasattr(estimate, "standard_error"):
        mean, error = float(estimate.mean), float(estimate.standard_error)
        return mean, error if error >= 0 else None, ""
    if isinstance(cell, int | float):
        return float(cell), None, ""
    found = _CELL.fullmatch(str(cell).strip())
    if found is None:
        return None
    middle, spread = ((part or "").replace(",", "").replace("\N{MINUS SIGN}", "-") for part in found.group(1, 2))
    return float(middle), float(spread) if spread else None, found.group(3) or ""


def _row(label: str, column: str, value: float, error: float | None, unit: str, setting: Mapping[str, Any]) -> Row:
    found = _UNIT.fullmatch(column)
    bare = column if found is None else column[: found.start(1)].rstrip(" ,(")
    name, unit = ": ".join(part for part in (label, bare) if part), unit or ("" if found is None else found.group(1))
    # A score that is made of a bound, such as an AUROC, is none itself.
    of = name if unit in ("nats", "bits") else ""
    return Row(name, value, error, unit, next((word for mark, word in _EVIDENCE.items() if mark in of), ""), setting)
