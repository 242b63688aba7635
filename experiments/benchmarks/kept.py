"""Where a benchmark leaves the numbers that it has printed, and the three numbers of its rounds in one cell."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

USUAL = Path("runs/benchmarks")


@contextmanager
def kept(name: str, output: Path | None) -> Iterator[None]:
    """Writes the tables printed inside as results.json, .csv and .tex: into a folder, or beside a file."""
    from jaxvae.commands.parts.results import leave_results
    from jaxvae.evaluation.results import collected

    with collected() as tables:
        yield
    leave_results(name, SimpleNamespace(output=str(output or USUAL / name)), tables)


def span(ends: Sequence[float], unit: str = "") -> Any:
    """The lowest, the median and the highest of several rounds, printed side by side; the number is the median."""
    from jaxvae.evaluation.written import written

    low, middle, high = ends
    return written(" - ".join(f"{value:.2f}" for value in ends), middle, unit=unit, low=low, high=high)
