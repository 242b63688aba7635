"""Runs side by side: differences are paired, and refused where they would mean nothing."""

import json
import warnings
from dataclasses import replace

import jax
import numpy as np
import pytest
from small import small_vae

import jaxvae
from jaxvae.commands import compare, door
from jaxvae.evaluation.measured import Measured, Setting
from jaxvae.evaluation.statistics import Estimate
from jaxvae.runs import comparison, train
from jaxvae.runs.comparison import Comparison, Opened, compare_runs
from jaxvae.runs.configs.presets import PRESETS
from jaxvae.runs.configs.validate import validate
from jaxvae.runs.held_out import load_held_out

pytestmark = pytest.mark.quick_compile

SETTING = Setting("digits/test", 100, 100, "levels", 0, "c0ffee")


def opened(name, seed, observation=None, **changes):
    """What would be known of a run, without one: values of an image are hard or easy for all runs alike."""
    rng = np.random.default_rng(seed)
    hard = np.random.default_rng(0).normal(0, 30, 100)
    elbo = np.float32(-160 + hard + rng.normal(seed, 1, 100))
    values = {"elbo": elbo, "iwae": elbo + np.float32(3), "kl": np.float32(rng.random(100))}
    model = small_vae(observation=jaxvae.bernoulli() if observation is None else observation)
    return Opened(name, model, PRESETS["digits"], SETTING._replace(**changes), values, [])


def test_a_difference_is_that_of_each_image_and_its_error_far_below_those_of_its_parts():
    a, b = opened("a", 1), opened("b", 2)
    found = {row.name: row.estimate for row in comparison._differences(a, b, 50)}
    assert set(found) == {"-ELBO", "-IW-50", "rate"}
    gaps = [float(x) - float(y) for x, y in zip(a.values["elbo"], b.values["elbo"], strict=True)]
    assert found["-ELBO"].mean == pytest.approx(sum(gaps) / 100, abs=1e-9)
    spread = sum((gap - sum(gaps) / 100) ** 2 for gap in gaps) / 99
    assert found["-ELBO"].standard_error == pytest.approx((spread / 100) ** 0.5, rel=1e-9)
    assert found["-ELBO"].standard_error < a.values["elbo"].std() / 10 / 10
    assert found["-ELBO"].mean == pytest.approx(-1, abs=0.5)  # b has a higher bound, so a lower number
    back = {row.name: row.estimate for row in comparison._differences(b, a, 50)}
    assert back["rate"].mean == -found["rate"].mean


def test_a_run_of_exact_log_p_is_paired_with_the_nearest_bound_of_another():
    a, b = opened("a", 1), opened("b", 2)
    b = b._replace(values={"log_p": b.values["iwae"]})
    (row,) = comparison._differences(a, b, 50)
    assert row.name == "-log p (exact less importance bound)"
    assert row.estimate.mean == pytest.approx(float((a.values["iwae"] - b.values["log_p"]).mean()), abs=1e-4)


@pytest.mark.parametrize(
    ("says", "printed"), [(("bound", "bound"), "bound"), (("importance bound", "exact"), "importance bound / exact")]
)
def test_a_row_says_of_each_run_what_it_knows(says, printed, monkeypatch, capsys):
    bits = [Measured("bits", Estimate(2.0, 0.1, 100), "bits", SETTING._replace(evidence=word)) for word in says]
    found = Comparison({"a": bits[:1], "b": bits[1:]}, {}, {}, {}, "image")
    monkeypatch.setattr(comparison, "compare_runs", lambda *args, **options: found)
    compare.main(compare.CompareOptions(("a", "b")))
    cells = [line.split("\N{BOX DRAWINGS LIGHT VERTICAL}") for line in capsys.readouterr().out.splitlines()]
    (row,) = [line for line in cells if len(line) > 1 and line[1].strip() == "bits"]
    assert row[-2].strip() == printed


def test_other_data_and_other_measures_are_said_apart():
    first = opened("a", 1)
    assert comparison._apart(first, opened("b", 2)) == ""
    assert "b was measured on other test data than a" in comparison._apart(first, opened("b", 2, sha256="beef"))
    assert "other test data" in comparison._apart(first, opened("b", 2, examples=50))
    assert "b is a density, that of a a probability" in comparison._apart(first, opened("b", 2, jaxvae.normal()))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["runs/a"], "two or more run folders"),
        ("runs/a", "two or more"),
        (["runs/a", "runs/../runs/a"], "each run once"),
    ],
    ids=str,
)
def test_fewer_than_two_runs_are_refused(given, words):
    with pytest.raises(ValueError, match=words):
        compare_runs(given)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three runs of the digits: of two and of three latents, and one of black and white pixels."""
    folder = tmp_path_factory.mktemp("compared")
    digits = replace(PRESETS["digits"], epochs=1, batch_size=500, parallel="jit", progress=False)
    model = replace(digits.model, hidden=(8,), latent_dim=2)
    binary = replace(digits.data, protocol="threshold")
    configs = {
        "a": replace(digits, model=model),
        "b": replace(digits, model=replace(model, latent_dim=3), optim=replace(digits.optim, lr=0.01)),
        "c": replace(digits, model=replace(model, likelihood="bernoulli"), data=binary),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "draw_pictures", lambda *args, **options: None)
        for name, config in configs.items():
            train.train_run(validate(config), folder / name, say=lambda line: None)
    return folder


@pytest.mark.slow
def test_runs_are_compared_image_by_image_with_their_numbers_and_fields(runs):
    a, b, c = (str(runs / name) for name in "abc")
    told = []
    found = compare_runs([a, b, c], samples=3, limit=40, progress=told.append)
    assert told[-1] == 120
    assert list(found.rows) == [a, b, c]
    assert {"-ELBO", "-IW-3", "rate", "active units"} <= {row.name for row in found.rows[b]}
    assert set(found.apart) == {c}
    assert set(found.differences) == {b}
    assert found.fields["model.latent_dim"] == (2, 3, 2)
    assert found.fields["optim.lr"] == (0.001, 0.01, 0.001)
    assert set(found.fields) == {"model.latent_dim", "optim.lr", "model.likelihood", "data.protocol"}
    values = []
    for name in (a, b):
        run = jaxvae.load(name)
        test = load_held_out(run.config.data).some(40)
        values.append(jaxvae.per_example(run.model, run.params, jax.random.key(test.seed), test.x, samples=3)["iwae"])
    (row,) = [row for row in found.differences[b] if row.name == "-IW-3"]
    assert row.estimate.mean == pytest.approx(float(np.mean(np.float64(values[0]) - np.float64(values[1]))), abs=1e-4)


@pytest.mark.slow
def test_the_command_prints_three_tables_and_keeps_them_as_numbers(runs, capsys, monkeypatch):
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    a, b, c = (str(runs / name) for name in "abc")
    with pytest.raises(SystemExit) as stop:
        door.main(["compare", a, b, "--samples", "3", "--limit", "40"])
    assert not stop.value.code
    printed = capsys.readouterr().out
    assert "image by image" in printed
    assert "model.latent_dim" in printed
    assert "of 2 / of 3" in printed, "active units, of as many latents as each run has"
    rows = json.loads((runs / "a" / "measured" / "compare" / "results.json").read_text())
    bounds = [row for row in rows if row["name"] == "-IW-3"]
    assert [row["setting"]["column"] for row in bounds] == [a, b, b]
    assert bounds[2]["value"] == pytest.approx(bounds[1]["value"] - bounds[0]["value"], abs=1e-4)
    assert bounds[2]["standard_error"] < bounds[0]["standard_error"]
    with pytest.raises(SystemExit) as stop:
        door.main(["compare", a, c, "--samples", "3", "--limit", "40"])
    assert not stop.value.code
    printed = capsys.readouterr().out
    assert "was measured on other test data" in printed
    assert "image by image" not in printed
    with pytest.raises(SystemExit) as stop:
        door.main(["compare", a])
    assert stop.value.code == 2
    assert "expected two or more" in capsys.readouterr().err
