"""The table in words: for a terminal, and as Markdown; and what no table can say."""

from collections.abc import Sequence
from typing import Any

from jaxvae.evaluation.scoreboard.records import COLUMNS, Standing
from jaxvae.evaluation.written import written

ARROWS = {"lower": "\N{DOWNWARDS ARROW}", "higher": "\N{UPWARDS ARROW}", "near 1": "\N{RIGHTWARDS ARROW}1",
          "near 0": "\N{RIGHTWARDS ARROW}0"}  # fmt: skip
# Tables that fit a terminal.
PARTS = {
    "what they say of test images": ("nats", "bits", "bytes", "probe", "path", "jump"),
    "what they draw": ("recall", "coverage", "precision", "density", "frechet", "kernel"),
    "their draws, and what they cost": ("inception", "copied", "one", "many", "parameters", "minutes", "memory"),
}
LIMITS = (
    "Numbers of one column are of one kind: the nats of all contenders are of the same whole numbers, and "
    "\N{LESS-THAN OR EQUAL TO} marks an upper limit, which may be far above what it limits.",
    "Columns cannot be added up: a contender that compresses best may draw worst, and nothing here says which matters. "
    "Recall and coverage stand before precision and density, which praise a model that draws one good picture.",
    "A contender stands for its family at one size, one budget and one seed, with options that somebody chose: another "
    "budget may turn the order around. Standard errors are of test images or of draws, not of trainings.",
    "Scores of draws are those of one classifier and of so many draws: they compare rows of this table alone.",
)


def heading(name: str) -> str:
    """The title of a column, with the direction that is better.

    Example:
        >>> heading("coverage"), heading("minutes")
        ('coverage ↑', 'minutes')
    """
    column = COLUMNS[name]
    return f"{column.title} {ARROWS[column.better]}" if column.better else column.title


def used(rows: Sequence[Standing]) -> list[str]:
    """The columns in which any row has a number, in their order."""
    return [
        name
        for name in COLUMNS
        if any(name in row.columns and row.columns[name].value is not None for row in rows)
    ]  # fmt: skip


def printed(row: Standing, name: str) -> Any:
    """A cell for `print_table`: its number goes with it, with setting and evidence."""
    cell = row.columns.get(name)
    if cell is None or cell.value is None:
        return ""
    return written(cell.text, cell.value, cell.standard_error, evidence=cell.evidence, setting=cell.setting)


def remarks(rows: Sequence[Standing]) -> list[str]:
    """What is to be said of contenders in words: collapses, copies and failures.

    Example:
        >>> remarks([Standing("gan", "GAN", "", notes=("collapsed.",)), Standing("x", "", "", failed="no data.")])
        ['gan: collapsed.', 'x has no numbers: no data.']
    """
    found = [f"{row.name}: {note}" for row in rows for note in row.notes]
    return found + [f"{row.name} has no numbers: {row.failed}" for row in rows if row.failed]


def markdown(title: str, rows: Sequence[Standing]) -> str:
    """The whole table as Markdown, with what the columns mean and the settings of their numbers.

    Example:
        >>> from jaxvae.evaluation.scoreboard.records import Cell
        >>> print(markdown("two", [Standing("a", "VAE", "", {"nats": Cell(90.0, 1.0, "bound")})]).splitlines()[4])
        | a | VAE | ≤ 90.0 ± 1.0 |
    """
    names = used(rows)
    head = ["contender", "family", *map(heading, names)]
    lines = [f"# {title}", "", _line(head), _line(["---", "---", *["---:"] * len(names)])]
    for row in rows:
        lines.append(_line([row.name, row.family, *(row.columns[n].text if n in row.columns else "" for n in names)]))
    lines += ["", *(f"- **{one}**" for one in remarks(rows))]
    lines += ["", "## Contenders", "", *(f"- **{row.name}**: {row.about}" for row in rows)]
    lines += ["", "## Columns", ""]
    lines += [f"- **{COLUMNS[name].title}**: {COLUMNS[name].about}. {_setting(rows, name)}" for name in names]
    lines += ["", "## What the table cannot say", "", *(f"- {one}" for one in LIMITS)]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _setting(rows: Sequence[Standing], name: str) -> str:
    """The setting of the first row that has a number."""
    return next(
        f"Of {row.name}: {row.columns[name].setting}."
        for row in rows
        if name in row.columns and row.columns[name].value is not None
    )
