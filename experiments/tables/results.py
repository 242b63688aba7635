"""What an experiment leaves behind: its numbers as JSON and its pictures as PNGs, in one folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def write_results(folder: str, numbers: Mapping[str, Any], figures: Mapping[str, Any]) -> None:
    """Writes numbers.json and NAME.png for each figure, and prints where."""
    from jaxvae.evaluation import plots
    from jaxvae.files import make_folder, write_json

    path = Path(folder)
    make_folder(path)
    for name, figure in figures.items():
        print(plots.save(figure, path / f"{name}.png"))
    write_json(path / "numbers.json", numbers)
    print(path / "numbers.json")


def print_table(title: str, names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table, its first column on the left and the numbers on the right."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for index, name in enumerate(names):
        table.add_column(name, justify="right" if index else "left")
    for row in rows:
        table.add_row(*row)
    Console(width=118).print(table)


def with_error(values: Any, digits: int = 2) -> str:
    """The mean of values [N] and its standard error, as text."""
    import numpy as np

    values = np.asarray(values, np.float64)
    return f"{values.mean():.{digits}f} \N{PLUS-MINUS SIGN} {values.std(ddof=1) / len(values) ** 0.5:.{digits}f}"
