"""Sounds as levels and their simplest models: masses that sum to one, a process of known entropy, a whole table."""

import json
import wave

import jax
import numpy as np
import pytest

from experiments.lectures import sounds, wavenet
from jaxvae.models.contexts import Labelled


def process(rows, count, seed=0):
    """s_i = 0.9 s_{i-1} + logistic noise of width 0.02, as levels."""
    rng = np.random.default_rng(seed)
    s = np.zeros((rows, count))
    for i in range(1, count):
        s[:, i] = 0.9 * s[:, i - 1] + rng.logistic(0.0, 0.02, rows)
    return sounds.Sounds(sounds.level_of(s), np.full(rows, count), np.zeros(rows, int))


def test_every_level_has_its_middle_and_louder_sounds_are_cut():
    levels = np.arange(256)
    np.testing.assert_array_equal(sounds.level_of(sounds.sample_of(levels)), levels)
    ends = sounds.edges()[1:-1]
    np.testing.assert_array_equal(sounds.level_of(np.nextafter(ends, 1) + 1e-9), levels[1:])
    assert sounds.level_of(np.array([-3.0, 3.0])).tolist() == [0, 255]


def test_the_mass_of_all_levels_is_one_after_any_past():
    past = process(1, 40).levels[0]
    every = np.tile(past, (256, 1))
    every[:, -1] = np.arange(256)
    rows = sounds.Sounds(every, np.full(256, 40), np.zeros(256, int))
    # The width lets silence and the loudest level matter.
    mass = np.exp(-sounds._scored(rows, np.array([0.9, -0.1]), (0.4, 0.5)))[:, -1]
    assert mass.sum() == pytest.approx(1.0, abs=1e-12)
    assert np.exp(-sounds.histogram(rows, rows))[:, -1].sum() == pytest.approx(1.0)


def test_a_predictor_finds_the_weights_of_a_process_and_costs_its_entropy():
    """The mass of a bin is about its width times the density: entropy of the noise minus the mean log width."""
    train, test = process(60, 600), process(30, 600, seed=1)
    found = sounds.linear_predictor(train, test, order=4)[:, 100:]
    s, ends = sounds.sample_of(test.levels)[:, 100:], sounds.edges()
    widths = np.log(np.diff(np.clip(ends, -1, 1))[test.levels[:, 100:]])
    expected = 2.0 + np.log(0.02) - widths.mean()  # the entropy of a logistic is 2 + log of its width
    assert found.mean() == pytest.approx(expected, abs=0.05)
    assert found.mean() < sounds.histogram(train, test)[:, 100:].mean() - 0.5
    assert s.std() > 0.05


def sounds_file(path, rows=24):
    rng = np.random.default_rng(0)
    parts = [np.round(8000 * np.sin(np.arange(200 + 10 * k) * (0.2 + 0.05 * (k % 2)))) for k in range(rows)]
    samples = np.concatenate(parts).astype("<i2") + rng.integers(-40, 40, sum(map(len, parts))).astype("<i2")
    lengths = np.array([len(part) for part in parts], np.int32)
    test = np.arange(rows) < 6
    np.savez(path, samples=samples, lengths=lengths, digits=(np.arange(rows) % 2).astype(np.uint8), test=test)


@pytest.mark.full
def test_a_file_of_sounds_gives_the_table_sounds_and_their_picture(tmp_path):
    sounds_file(tmp_path / "sounds.npz")
    sizes = {"longest": 256, "window": 64, "features": 4, "layers": 3, "hidden": 8, "components": 2, "batch_size": 8}
    options = wavenet.WavenetOptions(str(tmp_path / "sounds.npz"), **sizes, seconds=0.01, output=str(tmp_path / "out"))
    wavenet.main(options)
    with wave.open(str(tmp_path / "out" / "drawn_1.wav")) as file:
        assert (file.getframerate(), file.getnframes(), file.getsampwidth()) == (8000, 80, 2)
    assert not (tmp_path / "out" / "drawn_2.wav").exists()
    assert (tmp_path / "out" / "sounds.png").stat().st_size > 10_000


@pytest.mark.slow
def test_the_samples_of_a_sound_cost_its_density(tmp_path):
    """What the table scores one sample at a time, told before by the model of another length."""
    options = wavenet.WavenetOptions(longest=24, features=3, layers=2, hidden=4, components=2)
    model = wavenet.density(24, 2, options)
    levels = process(1, 24).levels
    x = Labelled(np.float32(levels[0]), np.int32(1))
    params = jax.jit(model.init)(jax.random.key(0), x)
    found = wavenet.scored(params, sounds.Sounds(levels, np.array([24]), np.array([1])), 2, options)
    assert found.sum() == pytest.approx(-float(model.terms(params, jax.random.key(1), x).log_weight), rel=1e-5)


def test_other_files_are_refused_by_what_they_lack(tmp_path):
    np.savez(tmp_path / "a.npz", samples=np.zeros(4, np.int16))
    with pytest.raises(ValueError, match=r"has no lengths, digits, test, expected an \.npz with int16 samples"):
        sounds.load(str(tmp_path / "a.npz"), 10)
    whole = {"samples": np.zeros(4, np.int16), "digits": np.zeros(1, int), "test": np.ones(1, bool)}
    np.savez(tmp_path / "b.npz", **whole, lengths=np.array([5]))
    with pytest.raises(ValueError, match="lengths that do not sum to its samples"):
        sounds.load(str(tmp_path / "b.npz"), 10)
    (tmp_path / "c.npz").write_text(json.dumps({}))
    with pytest.raises(ValueError, match=r"is no \.npz file"):
        sounds.load(str(tmp_path / "c.npz"), 10)
