"""What an experiment leaves behind: its numbers as JSON and its pictures as PNGs, in one folder."""

from collections.abc import Mapping
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
