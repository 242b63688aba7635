"""The experiments of the lectures in their smallest settings: what they print, write and refuse."""

import importlib
import json

import numpy as np
import pytest
from PIL import Image
from small import untrained

import jaxvae
from jaxvae.commands.cli import parse_options
from jaxvae.evaluation.exact.grid import GridPosterior
from jaxvae.evaluation.fitted_priors.maximum_likelihood import train_density
from jaxvae.evaluation.plots import figures
from jaxvae.evaluation.plots.evidence_charts import posterior_and_q, two_turns
from jaxvae.models.priors.mixture import gaussian_mixture_prior
from jaxvae.models.priors.standard import standard_normal

pytestmark = pytest.mark.quick_compile


def run(script, folder, *args):
    """Runs an experiment's main and returns what numbers.json holds."""
    module = importlib.import_module(f"experiments.{script}")
    options = getattr(module, "".join(word.capitalize() for word in script.split("_")) + "Options")
    module.main(parse_options(options, [*args, "--workdir", str(folder)]))
    return json.loads((folder / "numbers.json").read_text())


def main(script, **options):
    module = importlib.import_module(f"experiments.{script}")
    module.main(getattr(module, "".join(word.capitalize() for word in script.split("_")) + "Options")(**options))


def pictures(folder):
    """Every picture in a folder opens and is not blank."""
    found = sorted(folder.glob("*.png"))
    for path in found:
        with Image.open(path) as image:
            assert np.ptp(np.asarray(image.convert("L"))) > 100
    return [path.stem for path in found]


@pytest.mark.slow
def test_four_by_four_accounts_for_the_evidence_and_climbs(tmp_path, capsys):
    numbers = run("four_by_four", tmp_path, "--pictures", "12", "--rounds", "1")
    for parts in numbers["pictures"].values():
        found = {name: np.array(value) for name, value in parts.items()}
        np.testing.assert_allclose(found["elbo"] + found["gap"], found["log_evidence"], atol=5e-5)
        np.testing.assert_allclose(found["log_likelihood"] - found["kl"], found["elbo"], atol=5e-5)
    one, skewed, two = numbers["pictures"]["the best Gaussian"]["gap"]
    assert 0 <= one < 0.01 < skewed < two
    elbo, evidence = numbers["em"]["ELBO"], numbers["em"]["log p(x)"]
    assert elbo[0] < elbo[1] < elbo[2]
    assert evidence[0] == evidence[1] < evidence[2]
    assert "the best Gaussian" in capsys.readouterr().out
    assert pictures(tmp_path) == ["four_by_four"]


@pytest.mark.slow
def test_triptych_prints_a_row_for_each_part_of_the_bound(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(jaxvae, "fit", untrained)  # the long tier trains
    numbers = run("triptych", tmp_path, "--hidden", "4", "--limit", "20")
    assert set(numbers) == {"setting", "reconstruction only", "KL only", "both"}
    assert numbers["KL only"] == numbers["both"]
    assert float(numbers["both"]["KL, nats"].split()[0]) > 0
    assert "20 test images" in capsys.readouterr().out
    assert pictures(tmp_path) == ["triptych"]


@pytest.mark.full
def test_triptych_trains_for_one_part_of_the_bound_at_a_time(tmp_path, capsys):
    numbers = run("triptych", tmp_path, "--epochs", "4", "--hidden", "16", "--limit", "40")
    kl = {name: float(part["KL, nats"].split()[0]) for name, part in numbers.items() if name != "setting"}
    assert kl["KL only"] < 0.5 < kl["both"] < kl["reconstruction only"]
    assert "40 test images" in capsys.readouterr().out
    assert pictures(tmp_path) == ["triptych"]


@pytest.mark.slow
def test_a_linear_autoencoder_is_trained_until_it_is_pca_on_any_data_or_says_that_it_is_not(capsys):
    """120 x 9 normals mixed by a random matrix: a fixed number of Adam's steps ended 21 % above."""
    module, rng = importlib.import_module("experiments.linear_autoencoder"), np.random.default_rng(1)
    x = 1e3 + 50 * (rng.normal(size=(120, 9)) @ rng.normal(size=(9, 9)))
    errors = [np.square(x - again).sum(1).mean() for _, again, _ in (module.pca(x, 3), module.trained(x, 3, 3000, 0))]
    assert errors[0] * (1 - 1e-6) < errors[1] < 1.01 * errors[0]
    assert capsys.readouterr().out == ""
    module.trained(x, 3, 5, 0)
    assert "has not converged after 5 steps" in capsys.readouterr().out


@pytest.mark.slow
def test_code_size_writes_a_row_and_two_pictures(tmp_path, monkeypatch):
    monkeypatch.setattr(jaxvae, "fit", untrained)
    numbers = run("code_size", tmp_path, "--hidden", "4", "--limit", "12", "--latents", "2")
    assert set(numbers["squared error"]["2"]) == {"PCA", "autoencoder", "VAE", "-ELBO"}
    assert pictures(tmp_path) == ["reconstructions", "samples"]


@pytest.mark.full
def test_code_size_sets_both_networks_beside_pca(tmp_path):
    numbers = run("code_size", tmp_path, "--epochs", "2", "--hidden", "16", "--limit", "40", "--latents", "2", "5")
    errors = {size: float(part["PCA"].split()[0]) for size, part in numbers["squared error"].items()}
    assert errors["5"] < errors["2"]
    assert set(numbers["squared error"]["2"]) == {"PCA", "autoencoder", "VAE", "-ELBO"}
    assert pictures(tmp_path) == ["reconstructions", "samples"]


def test_what_small_maps_do_to_a_density_is_what_a_hand_finds():
    for name, computed, by_hand in importlib.import_module("experiments.flows").small_maps():
        if "," in by_hand:
            assert computed == by_hand, name
        else:
            assert float(computed) == pytest.approx(float(by_hand), rel=1e-4), name


@pytest.mark.full
def test_flows_sets_three_densities_beside_the_truth(tmp_path):
    few = ("--points", "100", "--held-out", "60", "--steps", "3", "--layers", "1", "--components", "2")
    numbers = run("flows", tmp_path, *few)
    assert list(numbers["log p"]) == ["kernel density", "mixture of 2", "flow", "the true density"]
    assert pictures(tmp_path) == ["flows"]


def test_the_density_of_the_moons_is_that_of_many_of_them():
    """The share of a million points in a small square, against the density at its middle."""
    from sklearn.datasets import make_moons

    flows = importlib.import_module("experiments.flows")
    x = make_moons(1_000_000, noise=0.2, random_state=0)[0]
    for middle in ([0.0, 1.0], [1.0, -0.4], [0.5, 0.25]):
        inside = (np.abs(x - middle) < 0.02).all(1).mean()
        error = np.sqrt(inside / len(x)) / 0.04**2
        found = np.exp(flows.moons_log_density(np.array([middle]), 0.2))[0]
        assert abs(found - inside / 0.04**2) < 5 * error + 0.005


def small_grid():
    z = np.linspace(-5, 5, 101)
    density = np.exp(-0.5 * z**2)[None] / np.sqrt(2 * np.pi)
    log = np.log(density)
    return GridPosterior(np.zeros(1), np.zeros((1, 1)), np.ones((1, 1, 1)), density, log, log, (z,), np.zeros(1))


def test_the_charts_of_exact_things_hold_their_numbers():
    grid = small_grid()
    figure, ax = posterior_and_q(grid, grid.log_prior, title="a")
    assert ax.figure is figure
    for line in ax.lines:
        x, y = line.get_data()
        assert np.abs(x).max() <= 3.5
        np.testing.assert_allclose(y, np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi), atol=1e-12)
    mine, given = figures.new_axes(columns=2)
    figure, ax = two_turns(np.array([-9.0, -5.0, -4.0]), np.array([-4.5, -4.5, -3.5]), ax=given[1])
    assert (figure, ax) == (mine, given[1])
    assert list(ax.lines[0].get_ydata()) == [-4.5, -4.5, -3.5]
    assert list(ax.lines[2].get_xdata()) == [0.5]  # the E step
    elbo = np.array([-90.0, -80.0, -5.8, -5.6, -5.5, -5.5, -5.5])
    _, ax = two_turns(elbo, elbo + 0.05)
    assert ax.get_ylim()[0] > -6  # what follows the first round can be read
    assert "ELBO at the\nstart: \N{MINUS SIGN}90.00" in [text.get_text() for text in ax.texts]


def wrong_calls():
    grid = small_grid()
    plane = grid._replace(axes=grid.axes * 2)
    return {
        "no sizes": ("latents is empty", lambda: main("code_size", latents=())),
        "too many": ("latents holds 65", lambda: main("code_size", latents=(65,))),
        "a size of 0": ("latents is 0", lambda: main("code_size", latents=(0,))),
        "limit": ("limit is 1", lambda: main("triptych", limit=1)),
        "pictures": ("pictures is 1", lambda: main("four_by_four", pictures=1)),
        "noise": ("noise is 0", lambda: main("flows", noise=0.0)),
        "held out": ("held_out is 3", lambda: main("flows", held_out=3)),
        "samples": ("samples have shape", lambda: train_density(np.zeros(3), gaussian_mixture_prior(1, 1))),
        "nothing to train": ("no parameters", lambda: train_density(np.zeros((30, 1)), standard_normal(1))),
        "two latents": ("the grid has 2 latents", lambda: posterior_and_q(plane)),
        "log_q": ("log_q has shape", lambda: posterior_and_q(grid, np.zeros(3))),
        "example": ("example is 1", lambda: posterior_and_q(grid, example=1)),
        "turns": ("elbo has shape", lambda: two_turns(np.zeros(4), np.zeros(4))),
    }


@pytest.mark.parametrize("name", wrong_calls())
def test_wrong_input_is_named(name):
    words, call = wrong_calls()[name]
    with pytest.raises(ValueError, match=words):
        call()
