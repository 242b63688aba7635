"""The scores of a run's codes against the factors of its images are those of the library, written as numbers too."""

import json
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest

import jaxvae
from jaxvae.commands import disentangle
from jaxvae.commands.cli import parser
from jaxvae.commands.parts.launch import launch
from jaxvae.data import load
from jaxvae.data.splits import some_rows
from jaxvae.evaluation.disentanglement import SCORES, disentanglement_scores
from jaxvae.evaluation.latents import active_latents, posterior_means
from jaxvae.runs import train
from jaxvae.runs.configs.config import Config, DataConfig, ModelConfig

pytestmark = pytest.mark.quick_compile


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """{data: an untrained run}: shapes, of which the factors are known, and digits, of which they are not."""
    folder = tmp_path_factory.mktemp("runs")
    config = Config(
        epochs=1, batch_size=1500, progress=False, parallel="jit", model=ModelConfig(hidden=(8,), latent_dim=3)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "draw_pictures", lambda *args, **options: None)
        for name in ("shapes", "digits"):
            data = replace(config, data=DataConfig(name, protocol="grey"))
            train.train_run(data, folder / name, say=lambda line: None)
    return folder


def ended(monkeypatch, *words):
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # which a launch replaces
    monkeypatch.setattr(sys, "argv", ["disentangle", *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        launch(disentangle.main, parser(disentangle.DisentangleOptions))
    return stop.value.code or 0


@pytest.mark.slow
def test_the_scores_are_those_of_the_codes_of_the_test_images(runs, tmp_path, monkeypatch, capsys):
    assert ended(monkeypatch, runs / "shapes", "--limit", "300", "--output", tmp_path) == 0
    model, params, _ = jaxvae.load(runs / "shapes")
    data = load("shapes", "test")
    data = data.take(some_rows(len(data.images), 300))
    codes = np.asarray(posterior_means(model, params, np.float32(data.images) / np.float32(255)))
    expected = disentanglement_scores(codes, data.factors, categorical=[0], active=active_latents(codes))
    rows = {row["name"]: row["value"] for row in json.loads((tmp_path / "results.json").read_text())}
    assert rows == pytest.approx({f"{SCORES[name]}: value": value for name, value in expected.items()}, abs=1e-6)
    said = capsys.readouterr().out.replace("\n", " ")
    assert "5 factors: shape (classes), scale, orientation, x, y; 300 images of shapes/test" in said


@pytest.mark.slow
def test_factors_of_an_archive_are_read_and_their_classes_named(runs, tmp_path, monkeypatch, capsys):
    test = load("shapes", "test").take(np.arange(0, 1024, 5))
    known = {"factors": test.factors[:, 3:], "factor_names": ["x", "y"]}
    np.savez(tmp_path / "mine.npz", images=test.images, **known)
    words = ("--data", tmp_path / "mine.npz", "--output", tmp_path / "all")
    assert ended(monkeypatch, runs / "shapes", *words, "--split", "all", "--categorical", "all") == 0
    assert (tmp_path / "all" / "factors.png").stat().st_size > 2000
    assert "2 factors: x (classes), y (classes)" in capsys.readouterr().out.replace("\n", " ")
    assert ended(monkeypatch, runs / "shapes", *words, "--split", "all", "--categorical", "colour") == 2
    assert "categorical is colour, expected some of the factors of mine: x, y; or all." in capsys.readouterr().err


@pytest.mark.slow
def test_data_without_factors_or_of_another_shape_are_refused_in_a_line(runs, monkeypatch, capsys):
    assert ended(monkeypatch, runs / "digits") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "digits has no known factors" in error
    assert "--data shapes" in error
    assert ended(monkeypatch, runs / "digits", "--data", "shapes") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "(32, 32, 1)" in error
