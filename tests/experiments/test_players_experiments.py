"""The experiments of games in their smallest settings: what they count, print, write and refuse."""

import importlib
import json

import numpy as np
import pytest
from scipy import stats

from experiments.lectures import ring
from experiments.studies import cycle
from experiments.studies.cycle import sets
from jaxvae.commands.cli import parse_options

pytestmark = pytest.mark.quick_compile


def test_a_ring_is_judged_as_its_own_law_says():
    """Draws of the Gaussians themselves find all; the share within 3 standard deviations is that of a chi of two."""
    import jax

    x = np.float64(ring.ring(jax.random.key(0), 20_000, 0.05))
    modes, good = ring.judge(x, 0.05)
    share = stats.chi2(2).cdf(ring.FAR**2)
    assert modes == 8
    assert good == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 20_000))
    np.testing.assert_allclose(np.cov(x.T), (0.5 + 0.05**2) * np.eye(2), atol=0.02)
    assert ring.judge(x[x[:, 0] > 0.9], 0.05)[0] == 1  # the Gaussian at (1, 0) alone
    assert ring.judge(1.5 * x, 0.05) == (0, pytest.approx(0, abs=1e-3))


@pytest.mark.slow
def test_ring_plays_all_seeds_and_leaves_a_table_and_a_picture(tmp_path, capsys):
    options = ["--seeds", "2", "--steps", "3", "--hidden", "4", "--batch-size", "8", "--draws", "40"]
    games = ["--games", "wasserstein"]
    ring.main(parse_options(ring.RingOptions, [*options, *games, "--workdir", str(tmp_path)]))
    found = json.loads((tmp_path / "numbers.json").read_text())["games"]
    assert {name: len(row["modes"]) for name, row in found.items()} == {"wasserstein": 2}
    assert "ring of 8 Gaussians, 3 steps, 2 seeds" in capsys.readouterr().out
    assert (tmp_path / "ring.png").stat().st_size > 4000


@pytest.mark.parametrize(
    ("script", "options", "words"),
    [
        ("ring", ["--games", "chess"], "unknown game 'chess'"),
        ("ring", ["--std", "0"], "std is 0.0"),
        ("ring", ["--b1", "1"], "b1 is 1.0"),
        ("ring", ["--seeds", "0"], "seeds is 0"),
        ("cycle", ["--batch-size", "5000"], "batch_size is 5000, expected at most 750"),
    ],
)
def test_bad_options_of_games_are_named(script, options, words):
    module = importlib.import_module(f"experiments.{script}")
    make = next(value for name, value in vars(module).items() if name.endswith("Options"))
    with pytest.raises(ValueError, match=words):
        module.main(parse_options(make, options))


def test_slanted_rows_are_shifted_by_half_a_pixel_each_about_the_middle():
    image = np.zeros((1, 8, 8, 1), np.float32)
    image[:, :, 4] = 1.0
    found = sets.changed(image, "slanted")[0, ..., 0]
    np.testing.assert_allclose(found @ np.arange(8), 4 + 0.5 * (3.5 - np.arange(8)), atol=1e-6)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-6)


@pytest.fixture(scope="module")
def coloured(tmp_path_factory):
    """A grid of 3 x 5 x 4 pictures in colour, of which every pixel says its three factors."""
    factors = np.stack([index.ravel() for index in np.indices((3, 5, 4))], 1)
    images = np.broadcast_to(10 * factors[:, None, None], (60, 8, 8, 3)).astype(np.uint8)
    mixed = np.random.default_rng(1).permutation(60)
    path = tmp_path_factory.mktemp("data") / "grid.npz"
    names = np.array(["hue", "shape", "place"])
    np.savez(path, images=images[mixed], factors=factors[mixed], factor_names=names, factor_sizes=np.array([3, 5, 4]))
    return path


def options_of(path, *more):
    size = ["--size", "4", "--values", "2", "0"]
    return parse_options(cycle.CycleOptions, ["--data", str(path), "--change", "hue", *size, *more])


def test_sets_that_differ_in_a_factor_have_twins_in_the_test_alone(coloured):
    found = sets.load_sets(options_of(coloured))
    read = {name: np.rint(images[:, 0, 0] * 25.5).astype(int) for name, images in found.train.items()}
    assert {name: set(rows[:, 0]) for name, rows in read.items()} == {"a": {2}, "b": {0}}
    others = [{tuple(row[1:]) for row in rows} for rows in read.values()]
    assert [len(other) for other in others] == [8, 8]
    assert not others[0] & others[1]
    shown = np.rint(np.stack([found.test[name][:, 0, 0] for name in "ab"]) * 25.5).astype(int)
    assert (shown[0, :, 1:] == shown[1, :, 1:]).all()
    assert (shown[:, :, 0] == np.array([[2], [0]])).all()
    assert len({tuple(row[1:]) for row in shown[0]} - others[0] - others[1]) == shown.shape[1] == 4
    assert found.judges["b"].expected.tolist() == [1] * 4
    assert (found.judges["b"].labels == np.repeat([0, 1], 8)).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--change", "slanted"], "expected a factor of .*: hue, shape, place"),
        (["--values", "1", "1"], r"expected two of \[0, 1, 2\]"),
        (["--values", "1", "7"], r"expected two of \[0, 1, 2\]"),
        (["--size", "3"], "size is 3, expected a part of the sides"),
        (["--data", "digits", "--change", "hue"], "expected slanted or inverted of digits"),
    ],
)
def test_sets_that_there_are_not_are_refused(coloured, options, words):
    with pytest.raises(ValueError, match=words):
        sets.load_sets(options_of(coloured, *options))


@pytest.mark.full
def test_cycle_paints_pictures_in_colour(coloured, tmp_path):
    small = ["--network", "conv", "--features", "4", "--hidden", "8", "--codes", "2", "--batch-size", "4"]
    cycle.main(options_of(coloured, *small, "--epochs", "2", "--workdir", str(tmp_path)))
    ways = json.loads((tmp_path / "numbers.json").read_text())["ways"]
    assert list(ways) == ["hue 2 to hue 0", "hue 0 to hue 2"]
    for way in ways.values():
        assert way["cycle error"][0] > 0
        assert way["left alone"][0] > 0.1


@pytest.mark.full
def test_cycle_prints_both_ways_and_leaves_a_picture(tmp_path, capsys):
    cycle.main(parse_options(cycle.CycleOptions, ["--epochs", "1", "--hidden", "4", "--workdir", str(tmp_path)]))
    ways = json.loads((tmp_path / "numbers.json").read_text())["ways"]
    assert list(ways) == ["straight to slanted", "slanted to straight"]
    for way in ways.values():
        assert 0 < way["cycle error"][0] < 100
        assert way["real"][0] > 0.9 > way["unmoved"][0]
    assert "750 pictures of each set, no pairs" in capsys.readouterr().out
    assert (tmp_path / "cycle.png").stat().st_size > 4000
