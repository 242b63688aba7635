"""A cell that a script has put in words keeps its number: all digits, error, unit, evidence, ends of an interval."""

import json
from pathlib import Path

import numpy as np
import pytest

from experiments.benchmarks.kept import kept, span
from jaxvae.evaluation.measured import print_table
from jaxvae.evaluation.results import Table
from jaxvae.evaluation.statistics import Estimate
from jaxvae.evaluation.written import number, written


def rows_of(*cells):
    names = ("model", *(f"column {i}" for i in range(len(cells))))
    return [row[1:5] for row in Table("t", names, [("a", *cells)]).numbers()]


def test_a_number_in_a_form_keeps_its_digits_and_its_unit():
    assert rows_of(number(1234.5678, ",.0f", "nats"), number(np.float32(0.25), "+.1f", "%"), number(3, "g")) == [
        (1234.5678, None, "nats", ""),
        (0.25, None, "%", ""),
        (3.0, None, "", ""),
    ]
    assert rows_of(number(-1.5, ".1f", "nats", evidence="exact"))[0] == (-1.5, None, "nats", "exact")
    assert rows_of(Estimate(1.23456, 0.0123, 9).text(1, "nats"))[0] == (1.23456, 0.0123, "nats", "")
    assert rows_of(Estimate(1.23456, np.nan, 1).text(1))[0] == (1.23456, None, "", "")


def test_an_interval_is_no_standard_error_and_its_ends_are_kept():
    cell = written("0.913 ± 0.010", 0.91275, low=0.9012, high=0.9204)
    (row,) = Table("t", ("score", "AUROC", "words"), [("a", cell, "the best")]).numbers()
    assert (row.value, row.standard_error) == (0.91275, None)
    assert row.setting == {"table": "t", "score": "a", "words": "the best", "low": 0.9012, "high": 0.9204}


@pytest.mark.parametrize("file", [False, True])
def test_a_benchmark_leaves_what_it_prints_in_its_folder_or_beside_its_file(file, tmp_path, capsys):
    with kept("speed", tmp_path / "a.json" if file else tmp_path / "a"):
        print_table(
            "a bench", ("contender", "examples/s", "faster by"), [("own", number(1234.5, ",.0f"), span((1, 2, 4)))]
        )
    path = tmp_path / ("a.results.json" if file else "a/results.json")
    assert str(path) in capsys.readouterr().out
    first, second = json.loads(path.read_text())
    assert (first["value"], second["value"]) == (1234.5, 2.0)
    assert {"low": 1, "high": 4}.items() <= second["setting"].items()
    assert Path(path).with_suffix(".csv").exists()
