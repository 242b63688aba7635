"""Many samples in chunks: the same numbers however they are cut, several K at once, and numbers with their units."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp
from small import LATENTS, SHAPE, images, small_vae

from jaxvae.evaluation.bounds.importance import effective_samples, sample_weights
from jaxvae.evaluation.bounds.likelihood import bits_per_dimension, per_example, summarize
from jaxvae.models.observations.discrete import categorical
from jaxvae.models.variational import vae

pytestmark = pytest.mark.quick_compile


@pytest.fixture(scope="module")
def small():
    """(model, params, x) with 9 examples."""
    model = small_vae()
    x = np.float32(images(9) > 100)
    return model, jax.jit(model.init)(jax.random.key(0), x[0]), x


@pytest.fixture(scope="module")
def by_hand(small):
    """log p(x, z) / q(z | x) [9, 103], log p(x | z) [9, 103] and KL [9] of the keys that are promised, in float64."""
    model, params, x = small

    @jax.jit
    def one(index, x):
        own = jax.random.fold_in(jax.random.key(5), index)
        keys = jax.vmap(lambda sample: jax.random.fold_in(own, sample))(jnp.arange(103))
        terms = jax.vmap(lambda key: model.terms(params, key, x))(keys)
        return terms.log_weight, terms.log_likelihood, terms.kl[0].sum()

    return [np.float64(part) for part in jax.vmap(one)(jnp.arange(9), x)]


@pytest.mark.rows(every=2)
@pytest.mark.rows(quick=["4-1000", "None-1000", "None-7", "4-103"])
@pytest.mark.parametrize("chunk", [1, 7, 103, 1000])
@pytest.mark.parametrize("batch_size", [4, None])
def test_no_number_depends_on_the_chunk(small, by_hand, chunk, batch_size):
    log_weights, log_likelihood, kl = by_hand
    samples = (1, 5, 103)
    found = per_example(*small[:2], jax.random.key(5), small[2], samples=samples, batch_size=batch_size, chunk=chunk)
    for count in samples:
        expected = logsumexp(log_weights[:, :count], axis=1) - np.log(count)
        np.testing.assert_allclose(found[f"iwae_{count}"], expected, rtol=2e-6)
    np.testing.assert_array_equal(found["iwae"], found["iwae_103"])
    np.testing.assert_allclose(found["log_likelihood"], log_likelihood.mean(1), rtol=2e-6)
    np.testing.assert_allclose(found["kl"], kl, rtol=2e-6)
    np.testing.assert_allclose(found["elbo"], log_likelihood.mean(1) - kl, rtol=2e-6)
    weights = np.exp(log_weights - log_weights.max(1, keepdims=True))
    np.testing.assert_allclose(found["effective_samples"], weights.sum(1) ** 2 / (weights**2).sum(1), rtol=1e-5)


@pytest.mark.parametrize("level", [-7.0, -200_000.0, -1e7])
def test_effective_samples_do_not_depend_on_the_level_of_the_weights(level):
    log_weights = np.float32(level) + np.float32([0.0, -1.0, -3.0, 0.0, -np.inf])  # all of them are whole
    weights = np.exp(np.float64([0, -1, -3, 0]))
    assert float(effective_samples(log_weights)) == pytest.approx(weights.sum() ** 2 / (weights**2).sum(), rel=1e-6)
    assert np.isnan(effective_samples(jnp.full(3, -jnp.inf)))


@pytest.mark.slow
def test_one_number_of_samples_is_not_named_twice(small):
    found = per_example(*small[:2], jax.random.key(5), small[2], samples=3)
    assert sorted(found) == ["effective_samples", "elbo", "iwae", "kl", "kl_per_latent", "log_likelihood"]
    assert sorted(per_example(*small[:2], jax.random.key(5), small[2])) == sorted(set(found) - {"effective_samples"})


def test_samples_of_one_example_differ(small):
    model, params, x = small
    log_weights, _, kl = sample_weights(model, params, jax.random.key(0), x[0], samples=200, chunk=16)
    assert log_weights.shape == (200,)
    assert kl.shape == (LATENTS,)
    assert len(np.unique(log_weights)) > 190
    first, second = np.float64(log_weights[:-1]), np.float64(log_weights[1:])
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(199)


@pytest.mark.slow
def test_weights_that_are_far_apart_or_lost_stay_finite(small):
    model, params, x = small

    def terms(params, key, x):
        found = model.terms(params, key, x)
        return found._replace(log_weight=found.log_weight * 1e4)

    found = per_example(model._replace(terms=terms), params, jax.random.key(0), x, samples=50, chunk=10)
    assert np.isfinite(found["iwae"]).all()
    lost = model._replace(terms=lambda *a: model.terms(*a)._replace(log_weight=jnp.float32(-jnp.inf)))
    found = per_example(lost, params, jax.random.key(0), x, samples=50, chunk=10)
    assert (found["iwae"] == -np.inf).all()


def test_progress_is_told_how_many_examples_are_done(small):
    told = []
    per_example(*small[:2], jax.random.key(0), small[2], batch_size=4, progress=told.append)
    assert told == [0, 4, 8, 9]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_samples(small):
    model, params, x = small

    def scratch(samples):
        def weights(key):
            return sample_weights(model, params, key, x[0], samples=samples, chunk=10)

        compiled = jax.jit(weights).lower(jax.random.key(0)).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    assert scratch(5000) - scratch(50) <= 16 * 4950  # a few floats for each sample; a decoded image has 16 of them


@pytest.mark.parametrize("weights", [[0.0, 0.0, 0.0], [0.0, -1.0, -3.0, -50.0], [-1e5, -1e5 - 1], [700.0]])
def test_effective_samples_by_hand(weights):
    w = np.exp(np.float64(weights) - np.max(weights))
    found = effective_samples(jnp.float32(weights))
    assert float(found) == pytest.approx(w.sum() ** 2 / (w**2).sum(), rel=0.05 if weights[0] < -1e4 else 1e-4)


@pytest.mark.slow
def test_the_bias_of_the_bound_is_what_the_effective_samples_say():
    """Weights exp(s e - s^2 / 2) have mean 1, so the bound is below 0 by its bias."""
    scale, samples = 0.8, 64
    draws = jax.random.normal(jax.random.key(0), (20_000, samples)) * scale - scale**2 / 2
    bounds = np.float64(jax.nn.logsumexp(draws, axis=1) - jnp.log(samples))
    predicted = -(1 / np.float64(jax.vmap(effective_samples)(draws)) - 1 / samples) / 2
    assert abs(bounds.mean() - predicted.mean()) < 0.1 * abs(bounds.mean()) + 4 * bounds.std() / np.sqrt(20_000)
    assert bounds.mean() < -4 * bounds.std() / np.sqrt(20_000)


def autoencoder():
    model = small_vae()
    return model._replace(terms=lambda *a: model.terms(*a)._replace(kl=jnp.zeros(0)), evidence="none")


def test_a_deterministic_autoencoder_has_a_reconstruction_and_no_bound(small):
    _, params, x = small
    found = per_example(autoencoder(), params, jax.random.key(0), x)
    assert {name: value.shape for name, value in found.items()} == {"log_likelihood": (9,)}
    for samples in (2, (1, 5)):
        with pytest.raises(ValueError, match=r"deterministic autoencoder.*expected samples=1"):
            per_example(autoencoder(), params, jax.random.key(0), x, samples=samples)


class Silent(NamedTuple):
    """A decoder that says the same of every pixel: outputs of 0."""

    shape: tuple

    def init(self, key, z):
        return {}

    def apply(self, variables, z):
        return jnp.zeros(self.shape) + 0 * z.sum()


class Prior(NamedTuple):
    """An encoder that ignores x and emits the prior."""

    def init(self, key, x):
        return {}

    def apply(self, variables, x):
        return jnp.zeros(2), jnp.zeros(2)


@pytest.mark.slow
def test_a_model_that_is_uniform_over_256_levels_needs_8_bits():
    shape = (6, 5, 3)
    model = vae(Prior(), Silent((6, 5, 768)), event_shape=shape, latent_dim=2, observation=categorical())
    x = np.random.default_rng(0).integers(0, 256, (7, *shape)).astype(np.float32)
    params = jax.jit(model.init)(jax.random.key(0), x[0])
    found = summarize(per_example(model, params, jax.random.key(1), x, samples=20))
    for name in ("elbo", "iwae"):
        assert bits_per_dimension(found[name].mean, 90) == pytest.approx(8.0, abs=1e-4)
    assert found["kl"].mean == 0


def test_bits_of_a_density_count_the_width_of_a_level():
    density = 12.0  # nats above the uniform density on [0, 1], for 10 pixels
    assert bits_per_dimension(density, 10, bin_width=1 / 256) == pytest.approx(8 - 1.2 / math.log(2))
    assert bits_per_dimension(density - 10 * math.log(255), 10, bin_width=255 / 256) == pytest.approx(
        bits_per_dimension(density, 10, bin_width=1 / 256)
    )  # the units of x do not matter


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: bits_per_dimension(-1.0, 0), ["dimensions is 0", "at least 1"]),
        (lambda: bits_per_dimension(-1.0, 2.5), ["dimensions is 2.5", "integer"]),
        (lambda: bits_per_dimension(-1.0, 2, bin_width=0.0), ["bin_width is 0.0", "above 0"]),
        (lambda: bits_per_dimension(-1.0, 2, bin_width=np.nan), ["bin_width is nan", "finite"]),
        (lambda: effective_samples(jnp.zeros(0)), ["log_weights has shape (0,)", "K of at least 1"]),
    ],
)
def test_impossible_requests_are_named(call, words):
    with pytest.raises((ValueError, TypeError), match="expected") as error:
        call()
    for word in words:
        assert word in str(error.value)


@pytest.mark.slow
def test_shape_is_still_checked(small):
    with pytest.raises(ValueError, match=r"x has shape \(9, 16\)"):
        per_example(*small[:2], jax.random.key(0), small[2].reshape(9, 16), samples=(1, 2))
    assert small[2].shape[1:] == SHAPE
