"""Numbers need not be read off a terminal: what a command prints is in results.json, .csv and .tex too."""

import csv
import importlib
import json
import math
import sys
import warnings

import numpy as np
import pytest

from jaxvae.commands import door
from jaxvae.commands.cli import parser
from jaxvae.commands.parts.launch import launch
from jaxvae.evaluation.measured import Measured, Setting, print_table
from jaxvae.evaluation.results import Row, Table, collected, write_results
from jaxvae.evaluation.statistics import Estimate
from jaxvae.runs import train

pytestmark = pytest.mark.quick_compile

TINY = "train digits --epochs 1 --batch-size 500 --model.hidden 8 --model.latent-dim 2 --no-progress"


def ended(*words):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(warnings, "showwarning", warnings.showwarning)  # which a launch replaces
        patch.setattr(train, "draw_pictures", lambda *args, **options: None)  # others try them
        with pytest.raises(SystemExit) as stop:
            door.main(words)
    return stop.value.code or 0


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that the command line has trained."""
    folder = tmp_path_factory.mktemp("results") / "a"
    assert ended(*TINY.split(), "--output", str(folder)) == 0
    return folder


def read(folder, start="results"):
    """The rows of a results.json, which its CSV and its LaTeX must agree with."""
    rows = [Row(**row) for row in json.loads((folder / f"{start}.json").read_text())]
    assert rows
    with open(folder / f"{start}.csv", newline="") as file:
        names, *lines = csv.reader(file)
    assert names == list(Row._fields)
    for row, line in zip(rows, lines, strict=True):
        assert line[:2] == [row.name, str(row.value)]
        assert json.loads(line[-1]) == row.setting
    for row in rows:
        assert row.name
        assert math.isfinite(row.value)
        assert row.standard_error is None or row.standard_error >= 0
        assert row.setting["table"]
    assert (folder / f"{start}.tex").read_text().count("tabular") >= 2
    return {row.name: row for row in rows}


@pytest.mark.slow
def test_a_training_leaves_the_numbers_that_it_prints_and_its_summary_holds(run):
    rows, summary = read(run), json.loads((run / "summary.json").read_text())["test"]
    assert set(rows) == {"-ELBO", "reconstruction", "KL"}
    assert rows["-ELBO"].value == summary["negative_elbo"]["nats"]
    assert rows["KL"].standard_error == summary["kl"]["standard_error"]
    assert {row.unit for row in rows.values()} == {"nats"}
    assert rows["-ELBO"].evidence == "bound"


@pytest.mark.full
def test_the_epoch_that_was_chosen_and_the_last_weights_are_numbers_too(tmp_path):
    for words, label in (("--validation-fraction 0.2", "-ELBO of 300 validation images, epoch 1"),
                         ("--optim.ema 0.9", "-ELBO of the last weights")):  # fmt: skip
        assert ended(*TINY.split(), *words.split(), "--output", str(tmp_path / label[-7:])) == 0
        row = read(tmp_path / label[-7:])[label]
        summary = json.loads((tmp_path / label[-7:] / "summary.json").read_text())
        expected = summary.get("validation") or summary["last_weights"]["negative_elbo"]
        assert (row.value, row.standard_error) == (expected["nats"], expected["standard_error"])
        assert (row.unit, row.evidence) == ("nats", "bound")


COMMANDS = {
    "evaluate": (["--samples", "2", "--limit", "20"], {"-ELBO", "-IW-2", "rate", "bits per dimension"}),
    "report": (["--samples", "2", "--limit", "40"], {"-ELBO", "upside down: \N{MINUS SIGN}log p(x), bound"}),
    "manifold": (["--count", "2"], {"between neighbours: mean", "across the grid: mean"}),
    "interpolate": (["--pairs", "2", "--steps", "2"], {"the ends: mean norm", "the middles, linear: mean norm"}),
    "codes": (["--method", "pca", "--limit", "30"], {"codes: share", "pca: share"}),
    "annealed": (
        ["--images", "2", "--temperatures", "4", "--chains", "2", "--samples", "3", "--steps", "0"],
        {"ELBO", "IW-3", "annealed, lower bound", "upper - lower"},
    ),
}


@pytest.mark.slow
@pytest.mark.rows(quick=["evaluate", "manifold"], full=["annealed"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_on_a_run_writes_what_it_prints_beside_the_run_or_where_it_is_told(command, run, tmp_path, capsys):
    words, expected = COMMANDS[command]
    assert ended(command, str(run), *words) == 0
    usual = run / "measured" / command
    assert str(usual / "results.json") in capsys.readouterr().out
    assert expected <= set(read(usual))
    assert ended(command, str(run), *words, "--output", str(tmp_path / "there")) == 0
    assert read(tmp_path / "there") == read(usual)
    if command == "evaluate":
        capsys.readouterr()
        assert ended(command, str(run), *words, "--json", "--output", str(tmp_path / "json")) == 0
        assert json.loads(capsys.readouterr().out)["estimates"]["-ELBO"]["mean"] == read(usual)["-ELBO"].value
        assert read(tmp_path / "json") == read(usual)


@pytest.mark.slow
def test_numbers_beside_an_output_that_is_a_file_take_its_name(run, tmp_path):
    assert ended("manifold", str(run), "--count", "2", "--output", str(tmp_path / "m.npy")) == 0
    assert len(read(tmp_path, "m.results")) == 2
    assert np.load(tmp_path / "m.npy", allow_pickle=False).shape == (2, 2, 8, 8, 1)


@pytest.mark.slow
def test_a_run_that_may_only_be_read_is_measured_all_the_same(run, monkeypatch, capsys):
    def refused(path):
        raise PermissionError(13, f"cannot make the folder {path}: Permission denied.")

    monkeypatch.setattr("jaxvae.commands.parts.results.make_folder", refused)
    assert ended("evaluate", str(run), "--samples", "2", "--limit", "20") == 0
    printed = capsys.readouterr()
    assert "-IW-2" in printed.out
    assert "Pass --output FOLDER" in printed.err
    assert ended("evaluate", str(run), "--samples", "2", "--limit", "20", "--output", "there") == 2


@pytest.mark.slow
def test_starting_a_run_afresh_takes_the_numbers_of_the_old_one_away(run, tmp_path):
    folder = tmp_path / "a"
    assert ended(*TINY.split(), "--output", str(folder)) == 0
    (folder / "measured" / "evaluate").mkdir(parents=True)
    (folder / "mine.txt").write_text("mine")
    assert ended(*TINY.split(), "--output", str(folder), "--seed", "5", "--overwrite") == 0
    assert not (folder / "measured").exists()
    assert (folder / "mine.txt").exists()
    assert read(folder)["-ELBO"].value != read(run)["-ELBO"].value


EXPERIMENTS = {
    "linear_autoencoder": ("LinearOptions", ["--steps", "3"], "linear autoencoder: squared error an image"),
    "memorization": ("MemorizationOptions", ["--steps", "2", "--hidden", "8"], "VAE of 1500 digits: seen images"),
    "four_by_four": ("FourByFourOptions", ["--pictures", "12", "--rounds", "1"], "truth: log p(x)"),
    "family": ("FamilyOptions", ["--members", "vae", "--epochs", "1", "--samples", "2"], "vae: -IWAE bound"),
}


@pytest.mark.slow
@pytest.mark.rows(full=["memorization", "four_by_four", "family"])
@pytest.mark.parametrize("script", EXPERIMENTS)
def test_an_experiment_writes_what_it_prints(script, tmp_path, monkeypatch):
    name, words, expected = EXPERIMENTS[script]
    module = importlib.import_module(f"experiments.{script}")
    monkeypatch.setattr(sys, "argv", [script, *words, "--output", str(tmp_path / "there")])
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    with pytest.raises(SystemExit) as stop:
        launch(module.main, parser(getattr(module, name)))
    assert not stop.value.code
    rows = read(tmp_path / "there")
    assert any(name.startswith(expected) for name in rows)
    assert any(row.value != float(f"{row.value:.5g}") for row in rows.values()), "only the digits that were printed"
    if script == "family":
        assert {name: row.unit for name, row in rows.items() if row.unit != "nats"} == {"vae": "s"}
        assert rows["vae: -ELBO"].evidence == "bound"


def test_a_score_made_of_a_bound_is_no_bound():
    table = Table(
        "which score tells", ("score", "AUROC", "nats"), [("\N{MINUS SIGN}ELBO", "0.913 (0.90 to 0.92)", 97.0)]
    )
    assert [(row.value, row.evidence) for row in table.numbers()] == [(0.913, ""), (97.0, "bound")]


def test_cells_keep_all_their_digits_units_errors_and_words(capsys):
    setting = Setting("mnist/test", 9, 10, "threshold", 3, "c0ffee", "K = 5", evidence="bound")
    exact = Estimate(97.31456789, 0.23456789, 9)
    rows = [
        (
            "a",
            exact.text(1),
            "1,234.5 ± 6.0",
            "0.75 (0.70 to 0.80)",
            "the best",
            Measured("-ELBO", exact, "nats", setting),
        ),
        ("b", 3, "\N{MINUS SIGN}1e-05", "12 %", "", "-"),
    ]
    names = ("model", "-IWAE bound, nats", "seconds", "share", "words", "measured")
    with collected() as found:
        print_table("some models", names, rows, "and a caption")
    printed = capsys.readouterr().out
    assert "97.3 ± 0.2" in printed
    (table,) = found.values()
    numbers = list(table.numbers())
    assert [(row.name, row.value, row.standard_error, row.unit, row.evidence) for row in numbers] == [
        ("a: -IWAE bound", 97.31456789, 0.23456789, "nats", "importance bound"),
        ("a", 1234.5, 6.0, "seconds", ""),
        ("a: share", 0.75, None, "", ""),
        ("-ELBO", 97.31456789, 0.23456789, "nats", "bound"),
        ("b: -IWAE bound", 3.0, None, "nats", "importance bound"),
        ("b", -1e-05, None, "seconds", ""),
        ("b: share", 12.0, None, "%", ""),
    ]
    assert numbers[0].setting == {"table": "some models", "caption": "and a caption", "model": "a", "words": "the best"}
    assert numbers[3].setting["sha256"] == "c0ffee"


def test_a_table_without_a_number_writes_nothing_and_one_printed_again_is_written_once(tmp_path, capsys):
    assert write_results(tmp_path / "results", [Table("t", ("a", "b"), [("x", "784-400-20"), ("y", "3:8")])]) == []
    assert not list(tmp_path.iterdir())
    with collected() as found:
        for value in (1.0, 2.0):
            print_table("t", ("a", "b"), [("x", value)])
    assert [row.value for table in found.values() for row in table.numbers()] == [2.0]
    print_table("t", ("a", "b"), [("x", 3.0)])
    assert len(found) == 1, "what is printed outside is not collected"
    capsys.readouterr()


def test_latex_prints_special_marks_as_they_are():
    table = Table("50 % of $\nmore", ("a_b & c", "x^2"), [("-ELBO", "1 ± 2"), ("{#}", "~\\")])
    text = table.latex()
    assert text.startswith("% 50 % of $\n% more\n\\begin{tabular}{lr}")
    assert r"a\_b \& c & x\textasciicircum{}2 \\" in text
    assert r"$-$ELBO & 1 $\pm$ 2 \\" in text
    assert r"\{\#\} & \textasciitilde{}\textbackslash{} \\" in text
