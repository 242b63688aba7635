"""The experiments that judge a run, its samples above all: numbers with their setting, in table, JSON and picture."""

import importlib
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from jaxvae.commands.cli import parse_options
from jaxvae.runs.configs.presets import PRESETS
from jaxvae.runs.train import train_run

pytestmark = pytest.mark.quick_compile


def run(script, *args):
    module = importlib.import_module(f"experiments.{script}")
    options = next(value for name, value in vars(module).items() if name.endswith("Options"))
    module.main(parse_options(options, args))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "digits"
    config = replace(PRESETS["digits"], epochs=1, batch_size=100, evaluate_every=1, parallel="jit", progress=False)
    train_run(replace(config, model=replace(config.model, hidden=(32,), latent_dim=4)), path, say=lambda line: None)
    return path


@pytest.mark.full
def test_sample_quality_scores_draws_beside_the_floor(folder, capsys):
    run("sample_quality", str(folder), "--samples", "60", "--references", "50", "--features", "pixels", "pca")
    printed = capsys.readouterr().out
    assert "60 samples a column against 50 of digits/test, seed 0" in printed
    assert "features: pixels" in printed
    found = json.loads((folder / "sample_quality.json").read_text())
    rows = found["scores"]["pixels"]
    assert set(rows) == {"training images", "their reconstructions", "prior draws of x", "prior means of x"}
    frechet = {name: scores[4] for name, scores in rows.items()}
    assert frechet["training images"]["name"] == "Frechet distance"
    assert frechet["training images"]["value"] < frechet["prior draws of x"]["value"]
    assert frechet["prior draws of x"]["setting"]["samples"] == 60
    assert frechet["prior draws of x"]["standard_error"] > 0
    assert (folder / "sample_quality.png").stat().st_size > 4000
    assert "Nearer to one of 1500 training images than to any of 297 test images: pixels" in " ".join(printed.split())
    copying = found["copying"]["pixels"]["prior means of x"]
    assert copying["null"][0] == pytest.approx(1500 / 1797)
    assert 0 <= copying["share"][0] <= 1
    assert (folder / "sample_quality_nearest.png").stat().st_size > 4000


@pytest.mark.full
@pytest.mark.parametrize("kind", ["gan", "class_gan"])
def test_sample_quality_says_which_classes_a_generator_draws(kind, tmp_path, capsys):
    config = replace(PRESETS["digits"], epochs=1, batch_size=100, evaluate_every=1, parallel="jit", progress=False)
    model = replace(config.model, kind=kind, hidden=(16,), latent_dim=4)
    train_run(replace(config, model=model), tmp_path, say=lambda line: None)
    run("sample_quality", str(tmp_path), "--samples", "50", "--references", "60")
    found = json.loads((tmp_path / "sample_quality.json").read_text())
    assert set(found["scores"]["classifier"]) == {"training images", "prior means of x"}
    classes = found["classes"]["classifier"]
    for label, row in classes.items():
        assert sum(share for share, _, _ in row["shares"].values()) == pytest.approx(1)
        assert (row["read_as_asked"] is not None) == (kind == "class_gan" and label == "prior means of x")
    assert classes["test images"]["present"] == 10
    assert found["collapse"]["classifier"]["training images"] == ""
    assert "few classes hold nearly all draws" in found["collapse"]["classifier"]["prior means of x"]
    assert "of 10 classes at 4 % or more" in " ".join(capsys.readouterr().out.split())


@pytest.mark.full
def test_annealed_prints_a_table_for_test_images_and_one_for_its_own(folder, capsys):
    small = ["--images", "1", "--temperatures", "2", "--chains", "1", "--leapfrog-steps", "1"]
    run("annealed", str(folder), *small, "--samples", "2", "--steps", "0")
    printed = capsys.readouterr().out
    assert re.findall(r"^.*?: (digits/test|drawn from the model),", printed, re.M) == [
        "digits/test", "drawn from the model",
    ]  # fmt: skip
    tables = [re.findall(r"│ (.+?) +│ +(\S+)", part) for part in printed.split("└")[:2]]
    for table, last in zip(tables, ("annealed, lower bound", "upper - lower"), strict=True):
        rows = {name: float(value) for name, value in table}
        assert list(rows)[:3] == ["ELBO", "IW-2", "annealed, lower bound"]
        assert list(rows)[-1] == last
        assert all(np.isfinite(value) for value in rows.values())


@pytest.mark.full
def test_generation_scores_an_autoencoder_and_a_vae(tmp_path, capsys):
    small = ["--epochs", "1", "--hidden", "16", "--latent-dim", "2", "--components", "2", "--samples", "40"]
    path = tmp_path / "a.png"
    run("generation", *small, "--references", "40", "--features", "pixels", "--no-progress", "--output", str(path))
    assert "VAE, a mixture" in capsys.readouterr().out
    found = json.loads(path.with_suffix(".json").read_text())["scores"]["pixels"]
    assert len(found) == 6
    assert path.stat().st_size > 4000


@pytest.mark.full
def test_downstream_measures_probes_and_a_curve_for_each_way(folder, capsys):
    run("downstream", str(folder), "--counts", "10", "30", "9999", "--seeds", "2", "--steps", "20", "--limit", "60")
    printed = capsys.readouterr().out
    assert "30 labels" in printed
    assert "9999" not in printed
    found = json.loads((folder / "downstream.json").read_text())
    assert len(found["label_curves"]) == 3
    for curve in found["label_curves"].values():
        assert curve["counts"] == [10, 30]
        assert all(0 <= value <= 1 for row in curve["accuracies"] for value in row)
    pixels = found["probes"]["pixels"]
    assert pixels["linear probe"]["mean"] > 0.5
    assert pixels["linear probe"]["standard_error"] > 0
    assert (folder / "downstream.png").stat().st_size > 4000


@pytest.mark.slow
def test_inpaint_writes_an_error_for_every_mask_and_a_picture(folder):
    run("inpaint", str(folder), "--samples", "4", "--images", "2")
    found = json.loads((folder / "inpaint.json").read_text())["errors"]
    assert set(found) == {"lower half", "square", "random"}
    for guesses in found.values():
        assert set(guesses) == {"mean image", "Gaussian of the pixels", "K = 4", "effective samples"}
        assert 1 <= guesses["effective samples"][0] <= 4
        assert 0 < guesses["K = 4"][0] < 0.6
    assert (folder / "inpaint.png").stat().st_size > 4000


@pytest.mark.full
def test_inpaint_measures_every_mask_and_draws_it(folder, capsys):
    run("inpaint", str(folder), "--samples", "1", "40", "--images", "12")
    assert "K = 40" in capsys.readouterr().out
    found = json.loads((folder / "inpaint.json").read_text())["errors"]
    assert set(found) == {"lower half", "square", "random"}
    for guesses in found.values():
        assert guesses["K = 40"][0] < sum(guesses["K = 1"])  # no worse, within the error of twelve images
        assert guesses["Gaussian of the pixels"][0] < guesses["mean image"][0]
        assert all(0 < error < 0.1 for name, (_, error) in guesses.items() if name != "effective samples")
    assert (folder / "inpaint.png").stat().st_size > 4000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "args", "words"),
    [
        ("sample_quality", ["--output", "a.txt"], ["a.txt", ".json"]),
        ("sample_quality", ["--samples", "19"], ["samples is 19"]),
        ("inpaint", ["--output", "a.txt"], ["a.txt", ".json"]),
        ("inpaint", ["--missing", "1.0"], ["missing is 1.0"]),
        ("inpaint", ["--samples", "0"], ["samples is 0"]),
        ("downstream", ["--output", "a.txt"], ["a.txt", ".json"]),
        ("downstream", ["--seeds", "0"], ["seeds is 0"]),
        ("downstream", ["--counts", "9999"], ["counts", "9999", "1500"]),
    ],
)
def test_bad_options_of_a_run_are_named(folder, script, args, words):
    with pytest.raises(ValueError, match="expected") as error:
        run(script, str(folder), *args)
    for word in words:
        assert word in str(error.value)


def test_bad_options_of_generation_are_named():
    with pytest.raises(ValueError, match=r"output is 'a\.jpg', expected"):
        run("generation", "--output", "a.jpg")
    with pytest.raises(ValueError, match=r"samples is 3, expected"):
        run("generation", "--samples", "3")
