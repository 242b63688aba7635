"""Tables and counts as runs: what is noted of their columns, what x is, and log p(x) in the table's own units."""

from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from scipy.stats import norm

import jaxvae
from jaxvae.data import from_array
from jaxvae.evaluation.measured import Measured, Setting
from jaxvae.evaluation.statistics import Estimate
from jaxvae.runs import train
from jaxvae.runs.configs.config import Config, DataConfig, ModelConfig
from jaxvae.runs.configs.presets import PRESETS
from jaxvae.runs.configs.serialize import read_config
from jaxvae.runs.configs.validate import validate
from jaxvae.runs.held_out import bin_width, load_held_out, load_run_data
from jaxvae.runs.tables.columns import Columns, columns_of, in_own_units, noted
from jaxvae.runs.train import train_run

pytestmark = pytest.mark.quick_compile

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(60, 3)) * [1e-4, 2.0, 30.0] + [5e-3, 0.0, 1.6e9]
SMALL = ModelConfig(hidden=(4,), latent_dim=2, likelihood="normal", scale="learned", std=1.0)
TABLE = Config(
    epochs=4, batch_size=16, progress=False, parallel="jit", data=DataConfig("my.csv", kind="table"), model=SMALL
)


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train, "draw_pictures", lambda *args, **options: None)
    lines = ["size,weight,time,sex", *(",".join([*map(repr, row), "mf"[i % 2]]) for i, row in enumerate(ROWS.tolist()))]
    (tmp_path / "my.csv").write_text("\n".join(lines) + "\n")


def labelled(config: Config = TABLE) -> Config:
    return replace(config, data=replace(config.data, label_column="sex"))


def test_a_run_notes_mean_and_std_of_its_training_rows_and_x_is_exact_with_those():
    data = load_run_data(labelled())
    config, columns = data.config.data, columns_of(data.config.data)
    train_rows = jaxvae.data.load("my.csv", labels="sex", test_fraction=0.1).examples
    assert (config.columns, config.protocol, config.image_shape) == (("size", "weight", "time"), "standardize", (3,))
    np.testing.assert_allclose(config.std, train_rows.std(0), rtol=1e-5)
    np.testing.assert_allclose((config.mean - train_rows.mean(0)) / train_rows.std(0), 0, atol=1e-5)
    assert data.raw.dtype == data.test.x.dtype == np.float32
    np.testing.assert_allclose(data.raw, (train_rows - config.mean) / config.std, atol=1e-6)  # 1.6e9 keeps its digits
    off = (columns.to_values(data.test.x) - data.test.raw) / config.std
    np.testing.assert_allclose(off, 0, atol=1e-6)
    assert (len(data.raw), len(data.test.x), data.test.noun) == (54, 6, "row")
    assert set(data.test.classes) == {"m", "f"}
    assert validate(data.config) == data.config


def test_rows_that_choose_the_epoch_change_nothing_of_what_x_is():
    plain, split = (load_run_data(labelled(replace(TABLE, validation_fraction=share))) for share in (0.0, 0.2))
    assert plain.config.data == split.config.data
    assert (len(split.raw), len(split.validation.x)) == (43, 11)
    assert plain.test.sha256 == split.test.sha256


def test_log_p_in_own_units_is_the_density_of_the_values():
    mean, std = np.array([3.0, -2e3]), np.array([1e-3, 40.0])
    columns = Columns(("a", "b"), mean, std)
    values = RNG.normal(mean, std, size=(5, 2))
    of_x = norm.logpdf(columns.to_x(values)).sum(1).mean()  # the density of the model on x
    of_values = norm.logpdf(values, mean, std).sum(1).mean()  # the same model, on the values themselves
    setting = Setting("my.csv/test", 5, 5, "standardize", 0, "c0ffee", evidence="bound")
    rows = [
        Measured("-ELBO", Estimate(-of_x, 0.5, 5), "nats", setting),
        Measured("rate", Estimate(1, 0, 5), "nats", setting._replace(evidence="")),
    ]
    found = in_own_units(rows, columns)
    assert [row.name for row in found] == ["-ELBO", "-ELBO, own units", "rate"]
    assert found[1].estimate == (pytest.approx(-of_values, rel=1e-6), 0.5, 5)
    assert "values in the table's own units" in str(found[1])
    assert in_own_units(rows, None) == in_own_units(rows, Columns(("a",), None, None)) == rows


CONSTANT = np.concatenate([ROWS, np.full((60, 1), 0.1)], axis=1)
REFUSED = {  # rows, words
    "a constant": (
        CONSTANT,
        r"same number in every training row of 'column_4'.*--data\.drop column_4.*delete\(array, 3",
    ),
    "too many columns": (np.zeros((2, 20_000)), r"20,000 columns, which take 1,200,000 bytes.*Take fewer columns"),
    "three axes": (np.zeros((4, 2, 2)) + RNG.normal(size=(4, 2, 2)), r"shape \(4, 2, 2\), expected \[N, D\]"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_column_that_no_density_has_is_named(case):
    rows, words = REFUSED[case]
    data = from_array(rows, kind="table", source="my.npy")
    with pytest.raises(ValueError, match=words):
        noted(data, DataConfig())


def test_counts_are_x_as_they_are_and_those_that_float32_does_not_hold_are_named():
    counts = RNG.poisson(3.0, size=(40, 4))
    np.save("counts.npy", counts)
    preset = PRESETS["counts"]
    data = load_run_data(replace(preset, batch_size=8, data=replace(preset.data, name="counts.npy")))
    assert (data.config.data.mean, data.config.data.protocol, bin_width(data.config)) == (None, "counts", 1.0)
    assert sorted([*data.raw.sum(1), *data.test.x.sum(1)]) == sorted(counts.sum(1))
    assert data.test.columns.to_values(data.test.x).dtype == np.int64
    counts[3, 1] = 2**24 + 1
    np.save("counts.npy", counts)
    with pytest.raises(
        ValueError, match=r"the count 16777217 in row \d+, column 'column_2', expected at most 16777216"
    ):
        load_run_data(replace(preset, batch_size=8, data=replace(preset.data, name="counts.npy")))


WRONG = {  # fields of the data, words
    "a table for images": ({"kind": "images", "name": "my.csv", "label_column": "sex"}, "holds a table.*train table"),
    "rows for images": ({"kind": "images", "name": "my.npy"}, "kind='tokens', 'counts' or 'table'"),
    "a folder for a table": ({"name": "."}, "a folder, and data.kind 'table'.*train images"),
    "words that nobody dropped": ({}, "line 2, column 'sex': 'm' is no number"),
    "digits for a table": ({"name": "digits"}, "holds images, but data.kind is 'table'.*train images"),
}


@pytest.mark.parametrize("case", WRONG)
def test_data_of_another_kind_are_refused_with_the_command_that_takes_them(case):
    fields, words = WRONG[case]
    np.save("my.npy", ROWS)
    with pytest.raises(ValueError, match=words):
        load_run_data(replace(TABLE, data=replace(TABLE.data, **fields)))


def run(config: Config, folder: str, **options):
    lines: list[str] = []
    outcome = train_run(config, folder, say=lines.append, **options)
    return outcome, "\n".join(lines)


@pytest.mark.slow
def test_a_run_says_both_units_opens_with_its_columns_and_goes_on_to_the_bit():
    whole, said = run(labelled(), "whole")
    assert "Protocol standardize: x = (value - mean) / std" in said
    test, (model, params, config) = whole.summary["test"], jaxvae.load("whole")
    shift = test["own_units"]["negative_elbo"]["nats"] - test["negative_elbo"]["nats"]
    assert shift == pytest.approx(np.log(config.data.std).sum())
    columns, again = columns_of(config.data), load_held_out(config.data)
    x = columns.to_x(ROWS[:2])
    assert jaxvae.per_example(model, params, jax.random.key(0), x)["elbo"].shape == (2,)
    assert again.sha256 == test["sha256"]
    run(labelled(replace(TABLE, epochs=2)), "parts")
    run(labelled(), "parts")
    files = [f"{folder}/weights.safetensors" for folder in ("whole", "parts")]
    one, two = (Path(file).read_bytes() for file in files)
    assert one == two


@pytest.mark.slow
def test_other_rows_that_are_allowed_keep_the_units_of_the_run():
    run(labelled(replace(TABLE, epochs=1)), "a")
    before = read_config("a/config.json").data
    text = Path("my.csv").read_text()
    Path("my.csv").write_text(text + "\n".join(text.splitlines()[1:]).replace("m", "f") + "\n7.0,1.0,2.0,m\n")
    with pytest.raises(ValueError, match="holds another run"):
        run(labelled(), "a")
    _, said = run(labelled(), "a", allow_changes=True)
    after = read_config("a/config.json").data
    assert "data.train_sha256 from" in said
    assert (after.mean, after.std) == (before.mean, before.std)
    assert after.train_sha256 != before.train_sha256


@pytest.mark.slow
def test_a_conditional_table_is_told_the_classes_of_its_column():
    config = labelled(replace(TABLE, epochs=1, model=replace(SMALL, kind="conditional")))
    outcome, _ = run(config, "a")
    assert (outcome.model.context.classes, jaxvae.load("a").config.data.classes) == (2, 2)
    unlabelled = replace(config, data=replace(config.data, label_column=None, drop=("sex",)))
    with pytest.raises(ValueError, match=r"told the class of each row.*--data\.label-column NAME"):
        load_run_data(unlabelled)


@pytest.mark.slow
def test_an_exact_density_of_a_table_is_said_in_both_units():
    outcome, _ = run(labelled(replace(TABLE, epochs=1, model=replace(SMALL, kind="made", latent_dim=20))), "a")
    test, std = outcome.summary["test"], jaxvae.load("a").config.data.std
    shift = test["own_units"]["negative_log_p"]["nats"] - test["negative_log_p"]["nats"]
    assert shift == pytest.approx(np.log(std).sum())


@pytest.mark.full
def test_the_bound_of_a_gaussian_table_is_just_below_its_log_density_in_own_units():
    rng = np.random.default_rng(1)
    mixing, mean = rng.normal(size=(4, 2)), np.array([1.0, -50.0, 300.0, 0.0])
    scale = np.array([0.1, 5.0, 100.0, 1.0])
    covariance = (mixing @ mixing.T + 0.25 * np.eye(4)) * np.outer(scale, scale)
    rows = rng.multivariate_normal(mean, covariance, size=6000)
    np.save("my.npy", rows)
    preset = PRESETS["table"]
    config = replace(preset, epochs=60, progress=False, data=replace(preset.data, name="my.npy"))
    run(config, "gaussian")
    model, params, config = jaxvae.load("gaussian")
    test = load_held_out(config.data)
    values = jaxvae.per_example(model, params, jax.random.key(0), test.x, samples=100)
    bound = values["iwae"] - columns_of(config.data).log_scale
    off = test.raw - mean
    exact = -0.5 * (
        np.einsum("nd,nd->n", off @ np.linalg.inv(covariance), off) + np.linalg.slogdet(2 * np.pi * covariance)[1]
    )
    difference = exact - bound
    error = difference.std() / np.sqrt(len(difference))
    assert -2 * error < difference.mean() < 0.05
