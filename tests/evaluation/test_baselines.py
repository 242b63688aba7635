"""Baselines: a histogram by hand and by enumeration, and the table of all of them on the same levels."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.tables import baselines
from jaxvae.evaluation.bounds.likelihood import per_example
from jaxvae.evaluation.fitted_priors import fit_histogram
from jaxvae.models.densities import density_model
from jaxvae.models.observations.discrete import categorical

pytestmark = pytest.mark.quick_compile

X = np.array([[0, 2], [1, 2], [1, 0], [1, 2]], np.float32)


def test_a_histogram_counts_and_smooths_and_sums_to_one():
    p = fit_histogram(X, 3, smoothing=0.5)
    by_hand = np.log([[1.5, 3.5, 0.5], [1.5, 0.5, 3.5]]) - np.log(5.5)
    examples = np.array(list(itertools.product(range(3), repeat=2)), np.float32)
    log_p = np.asarray(jax.vmap(lambda x: p.log_prob({}, x, None))(examples))
    np.testing.assert_allclose(log_p, [by_hand[0, int(a)] + by_hand[1, int(b)] for a, b in examples], rtol=1e-6)
    assert np.exp(log_p).sum() == pytest.approx(1.0, abs=1e-6)
    np.testing.assert_allclose(p.mean({}, None), np.exp(by_hand) @ np.arange(3), rtol=1e-6)
    draws, densities = jax.vmap(lambda key: p.sample({}, key, None))(jax.random.split(jax.random.key(0), 20_000))
    shares = [np.bincount(np.asarray(draws[:, i], int), minlength=3) / 20_000 for i in (0, 1)]
    np.testing.assert_allclose(shares, np.exp(by_hand), atol=0.015)
    np.testing.assert_allclose(densities[:5], jax.vmap(lambda x: p.log_prob({}, x, None))(draws[:5]), rtol=1e-6)
    model = density_model(p, categorical(3), event_shape=(2,))
    np.testing.assert_allclose(per_example(model, {}, jax.random.key(0), examples)["log_p"], log_p, rtol=1e-6)


def test_the_smoothing_is_the_one_under_which_held_out_examples_are_likeliest():
    x = np.random.default_rng(0).integers(0, 5, (40, 30)).astype(np.float32)  # uniform: the smoother the better
    even = np.exp(fit_histogram(x, 5).level_log_probs({}, None))
    assert (
        np.abs(even - 0.2).max()
        < 0.08
        < np.abs(np.exp(fit_histogram(x, 5, smoothing=1.0).level_log_probs({}, None)) - 0.2).max()
    )
    fixed = np.exp(fit_histogram(np.ones((40, 30), np.float32), 5).level_log_probs({}, None))
    assert fixed[:, 1].min() > 0.999


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: fit_histogram(X, 2), "x"),
        (lambda: fit_histogram(X + 0.5, 3), "x"),
        (lambda: fit_histogram(X[:1], 3), r"shape \(1, 2\), expected \(N, ...\), at least 2"),
        (lambda: fit_histogram(X, 3), "4 examples, expected at least 10"),
        (lambda: fit_histogram(X, 3, smoothing=0.0), "smoothing"),
        (lambda: fit_histogram(X, 3, smoothing="scott"), "smoothing is 'scott'"),
        (lambda: fit_histogram(X, 3, smoothing=1.0).log_prob({}, jnp.zeros(3), None), r"shape \(3,\), expected \(2,\)"),
    ],
)
def test_what_has_no_histogram_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.slow
def test_baselines_are_scored_on_the_same_levels_and_say_what_they_are(capsys):
    options = baselines.BaselinesOptions(components=2, fit=200, limit=20, samples=5)
    found = baselines.tabulated(options)
    evidence = {name: row.setting.evidence for name, row in found.items()}
    assert evidence.pop("histogram of each element") == "exact"
    assert set(evidence.values()) == {"importance bound"}
    uniform = 64 * np.log(17)
    assert all(80 < row.estimate.mean < uniform for row in found.values())
    assert "levels (17)" in capsys.readouterr().out


@pytest.mark.slow
def test_baselines_of_a_table_are_exact_in_its_own_units(tmp_path, capsys):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "a.npy", 100 * rng.normal(size=(400, 2)) + 7)
    options = baselines.BaselinesOptions(data=str(tmp_path / "a.npy"), components=2)
    found = baselines.tabulated(options)
    assert {row.setting.evidence for row in found.values()} == {"exact"}
    assert found["Gaussian, full covariance"].estimate.mean == pytest.approx(np.log(2 * np.pi * np.e), abs=0.3)
    assert "own units" in capsys.readouterr().out
