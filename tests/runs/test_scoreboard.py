"""A board: what its budget buys, what fails alone, what is read back, and what is written."""

import json
import re
from dataclasses import replace

import jax
import numpy as np
import pytest

from jaxvae.commands.scoreboard import ScoreboardOptions, chosen_of, main
from jaxvae.evaluation.measured import Setting
from jaxvae.evaluation.plots import board_chart
from jaxvae.evaluation.samples import pixel_features
from jaxvae.evaluation.scoreboard import COLUMNS, Cell, Judged, score_draws, scoring
from jaxvae.runs.builders.from_config import build_model
from jaxvae.runs.configs.config import ModelConfig
from jaxvae.runs.configs.serialize import read_config
from jaxvae.runs.configs.validate import validate
from jaxvae.runs.scoreboard import board, ready
from jaxvae.runs.scoreboard.beside import published, scored_draws
from jaxvae.runs.scoreboard.budget import FirstLook
from jaxvae.runs.scoreboard.contenders import BOARDS, contenders_of, data_of
from jaxvae.runs.scoreboard.kept import Interrupted
from jaxvae.runs.scoreboard.page import board_page
from jaxvae.runs.scoreboard.words import PARTS

pytestmark = pytest.mark.quick_compile


@pytest.mark.parametrize("data", BOARDS)
def test_every_contender_is_a_run_of_the_boards_own_numbers(data):
    for one in contenders_of(data).values():
        assert (one.config is None) != (one.fit is None)
        if one.config is not None:
            assert validate(one.config).data == data_of(data)


def test_a_flow_of_black_and_white_pictures_is_that_of_two_levels():
    x, config = np.float32([[[0.0], [1.0]], [[1.0], [1.0]]]), ModelConfig("maf", flows=1, flow_hidden=(4,))
    given = [{"protocol": "levels", "levels": 2}, {"protocol": "dynamic"}, {"protocol": "threshold"}]
    models = [build_model(config, (2, 2, 1), **options) for options in given]
    params = models[0].init(jax.random.key(0), x)
    found = [model.terms(params, jax.random.key(1), x).log_weight for model in models]
    assert models[1].evidence == "weights"
    assert found[1:] == [found[0], found[0]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no rows under a header"),
        ("nats\n1\n", "has no rows under a header"),
        ("name,nast\na,1\n", "has the column 'nast', did you mean nats?"),
        ("name,nats\na,some\n", "nats of a is 'some', expected a number"),
        ("name,nats,evidence\na,1,sure\n", "evidence of a is 'sure', expected exact, importance bound"),
        ("name,nats\na,inf\n", "nats of a is 'inf', expected a number"),
    ],
)
def test_a_table_of_published_numbers_that_cannot_be_read_is_refused(text, words, tmp_path):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(ValueError, match=re.escape(words)):
        published(tmp_path / "a.csv")


def test_published_numbers_stand_beside_the_others_and_are_never_the_best(tmp_path):
    (tmp_path / "a.csv").write_text(
        "name,nats,nats_error,coverage,about,evidence\nours,,,0.5,,\nDRAW,80,1,,a paper,bound\n"
    )
    rows = published(tmp_path / "a.csv")
    assert [(row.name, row.family, row.about) for row in rows] == [
        ("ours", "published", "of a.csv"),
        ("DRAW", "published", "a paper"),
    ]
    assert rows[1].columns == {"nats": Cell(80.0, 1.0, "bound", "as a.csv says; not measured here")}
    _, axes = board_chart(rows, columns=("nats",))
    assert not [line for line in axes[1].lines if line.get_markersize() == 12]
    assert "not measured here" in board_page("t", "l", rows)


def judged_of(x):
    setting = Setting("noise", len(x), len(x), "levels (5)", 0, "c0ffee")
    return Judged(x, x[::-1], None, None, 5, pixel_features(), setting, draws=30)


def test_the_draws_of_another_program_are_rounded_to_the_boards_levels_and_judged_alike(tmp_path):
    x = np.random.default_rng(0).integers(0, 5, size=(40, 3, 3, 1)).astype(np.float32)
    np.save(tmp_path / "theirs.npy", np.round(x[:35] * 255 / 4).astype(np.uint8))
    row = scored_draws(str(tmp_path / "theirs.npy"), judged_of(x))
    assert (row.name, row.family, row.failed) == ("theirs", "drawn", "")
    assert row.columns == score_draws(x[:30], judged_of(x))
    np.save(tmp_path / "few.npy", np.zeros((3, 3, 3), np.uint8))
    np.save(tmp_path / "large.npy", np.zeros((40, 4, 4), np.uint8))
    for name, words in {
        "few": "has 3 images, expected 30",
        "large": "has images of (4, 4, 1)",
        "none": "none.npy",
    }.items():
        row = scored_draws(str(tmp_path / f"{name}.npy"), judged_of(x))
        assert words in row.failed
        assert not row.columns


def test_a_flow_of_many_pixels_is_left_out_of_the_column_of_bytes_in_words():
    model = build_model(ModelConfig("maf", flows=1, flow_hidden=(4,)), (17, 17, 1), protocol="dynamic")
    with pytest.raises(ValueError, match="by the Jacobian of all 289 pixels, minutes for 4 images"):
        scoring._coded(model, {}, judged_of(np.zeros((4, 17, 17, 1), np.float32)))


def test_every_column_is_printed_once():
    assert sorted(name for names in PARTS.values() for name in names) == sorted(COLUMNS)


def test_an_unknown_contender_or_file_is_refused_before_anything_is_trained(tmp_path):
    with pytest.raises(ValueError, match="unknown contender 'vea', did you mean 'vae'"):
        chosen_of(ScoreboardOptions(only=("vea",)))
    with pytest.raises(FileNotFoundError, match="there is no file"):
        chosen_of(ScoreboardOptions(also=(f"{tmp_path}/mine.py:make",)))
    assert [one.name for one in chosen_of(ScoreboardOptions(only=("vae", "kde")))] == ["kde", "vae"]


SMALL = {"limit": 20, "samples": 2, "draws": 40, "progress": False}


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(board, "STEPS", 5)
    monkeypatch.setattr(board, "PASSES", 0)


@pytest.mark.slow
def test_one_that_fails_is_a_row_that_says_why_and_the_rest_is_kept_and_read_back(tmp_path, quick, monkeypatch, capsys):
    monkeypatch.setattr(ready, "first_look", lambda config, own: FirstLook(6.0, 11, 1.0, 1.0))
    options = ScoreboardOptions(budget="5s", only=("ppca", "vae"), workdir=str(tmp_path / "b"), **SMALL)
    assert main(options) == 0
    printed = capsys.readouterr().out
    why = "a step and a look at the validation images take some 7 s of processor time, more than the budget of 5 s"
    assert f"{why}. Set --budget 9s or more" in printed
    rows = {row["name"]: row for row in json.loads((tmp_path / "b" / "scoreboard.json").read_text())}
    assert list(rows) == ["real", "ppca", "vae"]
    assert rows["vae"]["columns"] == {}
    assert rows["vae"]["failed"].startswith(why)
    nats = rows["ppca"]["columns"]["nats"]
    assert (nats["evidence"], nats["value"] > 100) == ("importance bound", True)
    assert rows["real"]["columns"]["copied"]["value"] == 1.0
    page = (tmp_path / "b" / "scoreboard.html").read_text()
    assert page.count("<script>") == 1
    assert "http" not in page.replace("http-equiv", "")
    assert why in (tmp_path / "b" / "scoreboard.md").read_text()

    def not_again(*_):
        raise AssertionError("it was scored before")

    monkeypatch.setattr(ready, "fitted", not_again)
    assert main(options) == 0
    again = {row["name"]: row for row in json.loads((tmp_path / "b" / "scoreboard.json").read_text())}
    assert again == rows
    with pytest.raises(ValueError, match=r"holds another board \(seconds: 5.0 there, 6.0 now\)"):
        main(ScoreboardOptions(budget="6s", only=("ppca",), workdir=str(tmp_path / "b"), **SMALL))


RECIPE = """
import jaxvae
from jaxvae.runs import DataConfig, Recipe

def make(levels: int = {levels}):
    network = jaxvae.networks.causal.masked_network((8, 8, 1), levels, hidden=(8,))
    p = jaxvae.models.densities.autoregressive(network, jaxvae.observations.categorical(levels))
    model = jaxvae.models.densities.density_model(p, jaxvae.observations.categorical(levels), event_shape=(8, 8, 1))
    return Recipe(model, DataConfig("digits", protocol="levels", levels=levels), "levels")
"""


@pytest.mark.slow
def test_a_recipe_of_ones_own_takes_part_and_a_run_that_was_interrupted_goes_on(tmp_path, quick, monkeypatch):
    file = tmp_path / "mine.py"
    file.write_text(RECIPE.format(levels=17))
    monkeypatch.setattr(ready, "first_look", lambda config, own: FirstLook(0.1, 10, 0.0, 3.0))
    options = ScoreboardOptions(budget="2s", also=(f"{file}:make",), workdir=str(tmp_path / "b"), **SMALL)
    mine = chosen_of(options)[-1]
    rules = ready.Rules("digits", 2.0, 0, *(SMALL[name] for name in ("limit", "samples", "draws", "progress")))
    train = ready.train_run

    def interrupted(*args, **more):
        return train(*args, **more)._replace(signal=15)

    monkeypatch.setattr(ready, "train_run", interrupted)
    with pytest.raises(Interrupted):
        board.run_scoreboard(rules, [mine], tmp_path / "b", say=lambda line: None)
    monkeypatch.setattr(ready, "train_run", train)
    kept = tmp_path / "b" / "mine_make" / ready.MEMORY
    assert json.loads(kept.read_text()) == {"megabytes": 3.0}  # as the first look said
    kept.unlink()
    _, row = board.run_scoreboard(rules, [mine], tmp_path / "b", say=lambda line: None)
    assert (row.name, row.failed, row.columns["nats"].evidence) == ("mine_make", "", "exact")
    assert row.draws.shape == (16, 8, 8, 1)
    assert np.isfinite(row.columns["bytes"].value)
    size = row.columns["memory"].value
    assert 0.1 < size < 30  # asked anew where nobody had kept it, and kept
    monkeypatch.setattr(ready, "megabytes_of", None)
    assert ready._kept_memory(kept.parent, mine.config, None, None) == size
    file.write_text(RECIPE.format(levels=16))
    _, row = board.run_scoreboard(rules, [mine], tmp_path / "other", say=lambda line: None)
    assert "scores other numbers than this board" in row.failed


@pytest.mark.slow
def test_a_part_of_an_epoch_is_trained_on_said_in_the_row_and_gone_on_with(tmp_path, quick, monkeypatch):
    """Twice as fast as said the second time: a run that has begun keeps what it was given."""
    one = contenders_of("digits")["ppca"]._replace(
        name="small", fit=None, config=replace(contenders_of("digits")["vae"].config, batch_size=100)
    )
    rules = ready.Rules("digits", 2.0, 0, *(SMALL[name] for name in ("limit", "samples", "draws", "progress")))
    for step in (0.4, 0.2):
        monkeypatch.setattr(ready, "first_look", lambda config, own, step=step: FirstLook(step, 13, 0.4, None))
        _, row = board.run_scoreboard(rules, [one], tmp_path, say=lambda line: None)
        (tmp_path / "small" / "row.json").unlink()
        assert row.columns["minutes"].value == 2 / 60
        assert row.columns["minutes"].setting.startswith("30.8 % of an epoch, 4 steps of 100 images a step")
        assert row.notes[-1].startswith("part: it was trained on 30.8 % of the training images")
    assert read_config(tmp_path / "small" / "config.json").train_fraction == 4 / 13
