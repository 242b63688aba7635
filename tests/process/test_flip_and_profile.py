"""Mirrored training images, and a trace of some steps: neither loses a bit of a run that is cut, or looked at."""

import gzip
import json
from dataclasses import replace

import jax
import numpy as np
import pytest
from test_rarity_run import Died, cut_at
from test_run import SMALL, fingerprint, silent

from jaxvae.data.augmentation import flipped, jittered, shifted
from jaxvae.data.protocols import grey
from jaxvae.runs import train as runs_train
from jaxvae.runs.builders.from_config import build_model, build_training
from jaxvae.runs.train import train_run
from jaxvae.training.engine.streams import PREPROCESS, example_keys

pytestmark = pytest.mark.quick_compile

FLIP = replace(SMALL, epochs=2, data=replace(SMALL.data, flip=True))


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
    monkeypatch.setattr(runs_train, "draw_pictures", lambda *args, **options: None)


def test_an_image_is_mirrored_left_for_right_half_of_the_time_and_by_its_key_alone():
    image = np.arange(24, dtype=np.uint8).reshape(4, 3, 2)
    keys = example_keys(jax.random.key(0), PREPROCESS, 5, 400)
    once, again = (np.asarray(jax.vmap(lambda key: flipped(grey)(key, image))(keys)) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    mirrored = np.array([np.allclose(x, image[:, ::-1] / 255) for x in once])
    kept = np.array([np.allclose(x, image / 255) for x in once])
    assert (mirrored ^ kept).all()
    assert 160 < mirrored.sum() < 240  # four standard deviations


def test_a_shifted_image_is_one_of_nine_windows_of_its_continued_border():
    image = np.arange(24, dtype=np.uint8).reshape(4, 3, 2)
    wide = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode="edge")
    windows = {wide[i : i + 4, j : j + 3].tobytes() for i in range(3) for j in range(3)}
    keys = example_keys(jax.random.key(0), PREPROCESS, 5, 200)
    seen = np.asarray(jax.vmap(lambda key: shifted(lambda _, x: x, 1)(key, image))(keys))
    assert {x.tobytes() for x in seen} == windows


def test_jitter_is_an_affine_map_of_each_image_that_keeps_greys_grey():
    colours = np.array([[[100, 120, 140], [90, 90, 90]], [[110, 130, 100], [128, 128, 128]]], np.uint8)
    keys = example_keys(jax.random.key(0), PREPROCESS, 5, 300)
    seen = np.asarray(jax.vmap(lambda key: jittered(lambda _, x: x, 0.2)(key, colours))(keys)).astype(float)
    assert seen.shape == (300, 2, 2, 3)
    assert (np.ptp(seen[:, :, 1], axis=-1) == 0).all()  # the grey pixels
    greys = seen[:, :, 1, 0]
    contrast = (greys[:, 1] - greys[:, 0]) / (128 - 90)
    assert 0.8 - 0.03 <= contrast.min() < 0.85
    assert 1.15 < contrast.max() <= 1.2 + 0.03
    mean = seen.mean((1, 2, 3)) - colours.mean()
    assert -51.5 <= mean.min() < -45
    assert 45 < mean.max() <= 51.5
    inner = (seen[:, 0, 0, 2] - seen[:, 0, 0, 0]) / (140 - 100) / contrast
    assert 0.75 < inner.min() < 0.85
    assert 1.15 < inner.max() < 1.25
    with pytest.raises(ValueError, match="strength is 0"):
        jittered(grey, 0)


def test_only_a_run_that_asks_for_it_mirrors_its_training_images():
    model = build_model(SMALL.model, (8, 8, 1))
    plain, mirroring = (build_training(config, model, 6).preprocess for config in (SMALL, FLIP))
    image, keys = np.tile(np.uint8([[0], [255]] * 4), (8, 1, 1)), jax.random.split(jax.random.key(0), 8)
    seen = [{np.asarray(make(key, image)).tobytes() for key in keys} for make in (plain, mirroring)]
    assert [len(kinds) for kinds in seen] == [1, 2]


@pytest.mark.full
def test_a_run_with_mirrored_images_goes_on_to_the_bit(tmp_path, monkeypatch):
    outcome = train_run(FLIP, tmp_path / "a", say=silent)
    go_on = cut_at(monkeypatch, outcome.step // 2 + 2)
    with pytest.raises(Died):
        train_run(FLIP, tmp_path / "b", say=silent)
    go_on()
    train_run(FLIP, tmp_path / "b", say=silent)
    assert fingerprint(tmp_path / "a") == fingerprint(tmp_path / "b")
    train_run(replace(FLIP, data=SMALL.data), tmp_path / "c", say=silent)
    assert fingerprint(tmp_path / "a") != fingerprint(tmp_path / "c")


@pytest.mark.slow
def test_a_trace_is_written_and_changes_no_bit(tmp_path):
    lines = []
    config = replace(SMALL, epochs=2)
    train_run(config, tmp_path / "a", profile=True, say=lines.append)
    train_run(config, tmp_path / "b", say=silent)
    assert fingerprint(tmp_path / "a") == fingerprint(tmp_path / "b")
    (trace,) = (tmp_path / "a" / "profile").rglob("perfetto_trace.json.gz")
    assert any(str(trace) in line and "https://ui.perfetto.dev" in line for line in lines)
    events = json.loads(gzip.decompress(trace.read_bytes()))
    assert len(events["traceEvents"] if isinstance(events, dict) else events) > 10
    train_run(config, tmp_path / "a", overwrite=True, say=silent)
    assert not (tmp_path / "a" / "profile").exists()
