"""The commands on runs of tables and counts: rows in the table's own units, both units of nats, and who refuses."""

import importlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import jaxvae
from jaxvae.commands.cli import parse_options
from jaxvae.commands.parts.launch import launch
from jaxvae.commands.parts.train_line import parse_train, starting_point
from jaxvae.runs.configs.presets import PRESETS
from jaxvae.runs.held_out import load_held_out
from jaxvae.runs.page import report_page
from jaxvae.runs.tables.columns import columns_of
from jaxvae.runs.train import train_run

pytestmark = pytest.mark.quick_compile

WORDS = (
    "--epochs 2 --batch-size 16 --parallel jit --no-progress --model.hidden 4 --model.latent-dim 2 --evaluate-every 2"
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """{kind: run folder} of a table with classes and of counts; their pictures are drawn."""
    folder, rng = tmp_path_factory.mktemp("tables"), np.random.default_rng(0)
    rows = rng.normal(size=(60, 3)) * [1e-3, 1.0, 50.0] + [0.0, 5.0, 1000.0]
    lines = [",".join([*map(repr, row), "mf"[i % 2]]) for i, row in enumerate(rows.tolist())]
    (folder / "my.csv").write_text("\n".join(["size,age,income,sex", *lines]))
    np.save(folder / "my.npy", rng.poisson(3.0, size=(60, 8)))
    files = {"table": ["my.csv", "--data.label-column", "sex"], "counts": ["my.npy"]}
    for kind, words in files.items():
        name, *more = words
        options = parse_train([kind, "--data.name", str(folder / name), *more, *WORDS.split()])
        train_run(options.config, folder / kind, say=lambda line: None)
    return {kind: str(folder / kind) for kind in files}


def call(command: str, *args: str) -> None:
    """Runs a command with the words of a command line."""
    module = importlib.import_module(f"jaxvae.commands.{command}")
    options = getattr(module, "".join(word.capitalize() for word in command.split("_")) + "Options")
    module.main(parse_options(options, args))


@pytest.mark.full
def test_evaluate_gives_a_table_in_both_units_and_counts_in_one(runs, capsys):
    call("evaluate", runs["table"], "--samples", "2", "--json")
    found = json.loads(capsys.readouterr().out)
    scale = np.log(jaxvae.load(runs["table"]).config.data.std).sum()
    for name in ("-ELBO", "-IW-2"):
        own, of_x = found["estimates"][f"{name}, own units"], found["estimates"][name]
        assert own["mean"] - of_x["mean"] == pytest.approx(scale)
        assert own["standard_error"] == of_x["standard_error"]
        assert (own["protocol"], found["protocol"]) == ("values in the table's own units", "standardize")
    call("evaluate", runs["counts"], "--samples", "2", "--json")
    counts = json.loads(capsys.readouterr().out)["estimates"]
    assert "bits per dimension" in counts
    assert not [name for name in counts if "own units" in name]


@pytest.mark.slow
def test_sample_writes_rows_with_their_names_in_the_units_of_the_table(runs, tmp_path, capsys):
    for kind, names in (("table", "size,age,income"), ("counts", ",".join(f"column_{i}" for i in range(1, 9)))):
        call("sample", runs[kind], "--count", "5", "--output", str(tmp_path / f"{kind}.csv"))
        call("sample", runs[kind], "--count", "5", "--output", str(tmp_path / f"{kind}.npy"))
        header, *lines = (tmp_path / f"{kind}.csv").read_text().splitlines()
        array = np.load(tmp_path / f"{kind}.npy")
        assert header == names
        assert [[float(cell) for cell in line.split(",")] for line in lines] == array.tolist()
        assert (array.dtype == np.int64) == (kind == "counts")
    low, high = load_held_out(jaxvae.load(runs["table"]).config.data).raw[:, 2].mean() + np.array([-500, 500])
    income = np.load(tmp_path / "table.npy")[:, 2]
    assert (low < income).all()
    assert (income < high).all()
    assert not list(Path(runs["table"]).glob("pictures/sample*"))


@pytest.mark.full
def test_reconstruct_and_sample_write_all_three_files_of_rows(runs, capsys):
    for kind in runs:
        call("reconstruct", runs[kind], "--count", "3", "--samples", "2")
        call("sample", runs[kind], "--count", "20")
        folder = Path(runs[kind]) / "pictures"
        for name in ("reconstruct", "sample"):
            assert {path.suffix for path in folder.glob(f"{name}.*")} == {".png", ".npy", ".csv"}
        lines = (folder / "reconstruct.csv").read_text().splitlines()
        test = load_held_out(jaxvae.load(runs[kind]).config.data).some(3)
        array = np.load(folder / "reconstruct.npy")
        assert (array.shape, len(lines)) == ((3, 4, test.x.shape[1]), 13)
        assert lines[0].startswith("row,what,")
        assert [line.split(",")[1] for line in lines[1:5]] == ["original", "mean", "draw 1", "draw 2"]
        np.testing.assert_allclose(array[:, 0], test.raw)


@pytest.mark.slow
def test_a_run_of_rows_draws_what_rows_have(runs):
    for kind in runs:
        drawn = {path.stem for path in (Path(runs[kind]) / "pictures").glob("*.png")}
        assert {"curves", "reconstructions", "prior_samples", "codes", "kl_per_latent"} <= drawn
        assert not {"manifold", "interpolations"} & drawn


@pytest.mark.slow
def test_the_page_of_a_table_has_both_units_and_its_strangest_rows(runs):
    page = report_page(runs["table"], samples=2)
    for words in ("ELBO in own units", "test rows", "income", "In own units: of the values"):
        assert words in page
    assert "test images" not in page


@pytest.mark.full
def test_compare_codes_and_export_take_runs_of_rows(runs, tmp_path, capsys):
    config = replace(jaxvae.load(runs["table"]).config, seed=1)
    train_run(config, tmp_path / "other", say=lambda line: None)
    call("compare", runs["table"], str(tmp_path / "other"), "--samples", "2")
    printed = capsys.readouterr().out
    assert "row by row" in printed
    assert "own units" in printed
    call("codes", runs["table"], "--method", "pca", "--output", str(tmp_path))
    assert "6 test rows" in capsys.readouterr().out
    call("export", runs["table"], "--output", str(tmp_path / "export"))
    told = json.loads((tmp_path / "export" / "export.json").read_text())
    assert told["columns"]["mean"] == list(columns_of(config.data).mean)
    assert "(value - mean) / std" in told["meaning"]["x"]


@pytest.mark.full
def test_annealed_takes_runs_of_rows(runs, capsys):
    for kind in runs:
        call("annealed", runs[kind], "--images", "2", "--temperatures", "3", "--chains", "2", "--steps", "0")
        printed = capsys.readouterr().out
        assert "nats per row" in printed
        assert ("In the table's own units log p is" in printed) == (kind == "table")


@pytest.mark.slow
@pytest.mark.parametrize("command", ["manifold", "traverse", "interpolate", "animate_traversal", "animate_training"])
def test_what_draws_images_names_a_command_that_does_not(runs, command):
    with pytest.raises(
        ValueError, match=r"is of a table, whose rows are no pictures.*Try jaxvae (codes|re\w+|sample) "
    ):
        call(command, runs["table"])


@pytest.mark.parametrize(
    ("array", "preset"),
    [(np.zeros((3, 2)), "table"), (np.zeros((3, 2), int), "counts"), (np.zeros((3, 2, 2)), "images")],
)
def test_a_file_in_the_place_of_a_preset_is_told_the_preset(tmp_path, monkeypatch, array, preset):
    monkeypatch.chdir(tmp_path)
    np.save("my.npy", array)
    Path("my.csv").write_text("a\n1\n")
    with pytest.raises(FileNotFoundError, match=rf"train {preset} --data\.name my\.npy"):
        starting_point("my.npy")
    with pytest.raises(FileNotFoundError, match=r"train table --data\.name my\.csv"):
        starting_point("my.csv")


@pytest.mark.parametrize("kind", ["table", "counts"])
def test_a_preset_without_its_file_says_which_files_it_takes(kind, capsys):
    with pytest.raises(ValueError, match=rf"data\.name is '', expected your own {kind}: .*Set --data\.name FILE"):
        parse_train([kind])
    assert PRESETS[kind].data.kind == kind


@pytest.mark.slow
def test_training_a_table_prints_the_bound_in_both_units(runs, tmp_path, capsys):
    module = importlib.import_module("jaxvae.commands.train")
    name = jaxvae.load(runs["table"]).config.data.name
    words = ["table", "--data.name", name, "--data.drop", "sex", *WORDS.split(), "--workdir", str(tmp_path / "a")]
    with pytest.raises(SystemExit) as ended:
        launch(module.main, parse_train, words)
    printed = capsys.readouterr().out
    assert not ended.value.code
    assert "nats per row\n" in printed
    assert "nats per row, in the table's own units" in printed
    assert "6 test rows (standardize, seed 0)" in printed
    rows = json.loads((tmp_path / "a" / "results.json").read_text())
    assert [row["name"] for row in rows] == ["-ELBO", "reconstruction", "KL", "-ELBO, own units"]
