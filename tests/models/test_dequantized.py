"""Noise between levels as a latent: bounds against the integral over the bin, for uniform and for learned noise."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

import jaxvae
from jaxvae.evaluation.latents import generation
from jaxvae.models.densities import dequantized
from jaxvae.models.priors.standard import standard_normal

pytestmark = pytest.mark.quick_compile

KEY, LEVELS = jax.random.key(0), 3
EVERY = np.stack(np.meshgrid(*[np.arange(3.0)] * 2, indexing="ij"), -1).reshape(9, 2, 1).astype(np.float32)
MEAN, STD = np.array([0.3, 0.7]), np.array([0.15, 0.5])
encoder = functools.partial(jaxvae.MLPEncoder, hidden=(8,))


def density():
    """Two independent Gaussians, of which some mass lies outside [0, 1]."""
    flow = jaxvae.flows.chain(jaxvae.flows.affine(2), jaxvae.flows.unflatten((2, 1)))
    return jaxvae.priors.transformed(standard_normal(2), flow, 2)


PARAMS = {"flow": {"layer_0": {"log_scale": jnp.float32(np.log(STD)), "shift": jnp.float32(MEAN)}}}


def truth():
    """log P(x) of every x, exactly."""
    ends = norm(MEAN, STD).cdf(np.arange(4)[:, None] / 3)
    probability = np.diff(ends, axis=0)  # [levels, 2]
    return np.log([probability[int(a), 0] * probability[int(b), 1] for a, b in EVERY[..., 0]])


def learned():
    return jaxvae.posteriors.gaussian_posterior(encoder(2), 2)


def wide():
    """Noise with the tails of a logistic one, nearly, so that no weight is large."""
    return jaxvae.priors.transformed(standard_normal(2), jaxvae.flows.affine(2, scale=2.5), 2, name="noise")


@pytest.mark.parametrize("noise", [None, wide], ids=["uniform", "of its own"])
def test_many_draws_of_the_noise_give_the_probability_of_the_levels(noise):
    model = dequantized(density(), LEVELS, event_shape=(2, 1), noise=noise and noise())
    params = jax.jit(model.init)(KEY, EVERY[0]) | PARAMS
    assert (model.evidence, model.prior.support) == ("weights", "bins")
    values = jaxvae.per_example(model, params, KEY, np.tile(EVERY, (10, 1, 1)), samples=(1, 2000))
    bounds = {name: values[name].reshape(10, 9).mean(0) for name in ("elbo", "iwae_2000")}
    np.testing.assert_allclose(bounds["iwae_2000"], truth(), atol=0.05)
    assert (bounds["elbo"] < truth()).all()
    assert np.exp(truth()).sum() < 0.8  # the rest of the density lies outside


def test_the_parts_of_the_posterior_agree_and_its_draws_stay_in_their_bin():
    for noise in (None, learned()):
        model = dequantized(density(), LEVELS, event_shape=(2, 1), noise=noise)
        params = jax.jit(model.init)(KEY, EVERY[0]) | PARAMS
        keys = jax.random.split(KEY, 50)
        v, log_q = jax.vmap(model.posterior.sample, (None, 0, None))(params, keys, EVERY[5])
        np.testing.assert_array_equal(np.floor(3 * v), np.broadcast_to(EVERY[5], v.shape))
        again = jax.vmap(model.posterior.log_prob, (None, 0, None))(params, v, EVERY[5])
        np.testing.assert_allclose(again, log_q, atol=1e-3)
        other = jax.vmap(model.posterior.log_prob, (None, 0, None))(params, v, EVERY[4])
        assert (other == -np.inf).all()
        assert (jax.vmap(lambda v, m=model: m.likelihood.log_prob({}, EVERY[4], v))(v) == -np.inf).all()
        assert model.likelihood.mean({}, model.posterior.mean(params, EVERY[5])).tolist() == EVERY[5].tolist()


@pytest.mark.slow
def test_noise_that_is_learned_closes_the_gap_that_uniform_noise_leaves():
    p = density()
    gap = {}
    for name, noise in (("uniform", None), ("learned", learned())):
        model = dequantized(p, LEVELS, event_shape=(2, 1), noise=noise)
        loss = jaxvae.bound_loss(model, jaxvae.elbo)

        def only_noise(params, keys, batch, step, loss=loss):
            return loss(params | PARAMS, keys, batch, step)

        params = jax.jit(model.init)(KEY, EVERY[0]) | PARAMS
        if noise is not None:
            fitted = jaxvae.fit(
                model, np.tile(EVERY, (100, 1, 1)), loss=only_noise, epochs=60, batch_size=90, progress=False
            )
            params = fitted.params | PARAMS
        elbo = jaxvae.per_example(model, params, KEY, EVERY, samples=4000)["elbo"]
        gap[name] = (truth() - elbo).mean()
    assert -0.02 < gap["learned"] < 0.5 * gap["uniform"]


@pytest.mark.slow
def test_learned_noise_of_one_pixel_is_the_integral_in_float64_and_below_the_probability():
    flow = jaxvae.flows.chain(jaxvae.flows.affine(1), jaxvae.flows.unflatten((1, 1, 1)))
    p, encoder = jaxvae.priors.transformed(standard_normal(1), flow, 1), jaxvae.networks.NoiseEncoder(4)
    noise = jaxvae.posteriors.gaussian_posterior(encoder, 1, name="noise")
    model, exact = dequantized(p, LEVELS, event_shape=(1, 1, 1), noise=noise), norm(MEAN[0], STD[0])
    layer = {"log_scale": jnp.float32(np.log(STD[:1])), "shift": jnp.float32(MEAN[:1])}
    start = jax.jit(model.init)(KEY, jnp.zeros((1, 1, 1))) | {"flow": {"layer_0": layer}}
    moved = start | {"noise": jax.tree.map(lambda leaf: leaf + 0.3, start["noise"])}
    draws = jax.jit(jax.vmap(lambda params, key, x: model.terms(params, key, x).log_weight, (None, 0, None)))
    r = np.linspace(-40.0, 40.0, 40_001)
    u, log_slope = 1 / (1 + np.exp(-r)), -np.logaddexp(0, r) - np.logaddexp(0, -r)
    for params, level in itertools.product((start, moved), range(LEVELS)):
        x = jnp.full((1, 1, 1), float(level))
        mean, log_var = encoder.apply(params["noise"], x / (LEVELS - 1))
        q = norm(float(mean[0]), float(np.exp(0.5 * log_var[0])))
        inside = exact.logpdf((level + u) / LEVELS) - np.log(LEVELS) - q.logpdf(r) + log_slope
        bound = (q.pdf(r) * inside).sum() * (r[1] - r[0])
        drawn = np.asarray(draws(params, jax.random.split(KEY, 4000), x), np.float64)
        assert bound == pytest.approx(drawn.mean(), abs=float(4 * drawn.std() / 63))
        assert bound < np.log(exact.cdf((level + 1) / LEVELS) - exact.cdf(level / LEVELS))
        if params is start:  # nearly the bound of uniform noise
            middles = (level + (np.arange(4000) + 0.5) / 4000) / LEVELS
            assert abs(bound - exact.logpdf(middles).mean() + np.log(LEVELS)) < 0.1


def test_draws_are_levels_and_as_frequent_as_their_probability():
    model = dequantized(density(), LEVELS, event_shape=(2, 1))
    drawn = generation.draw(model, PARAMS, KEY, 4000)
    middle = EVERY[4]
    assert set(np.unique(drawn)) == {0.0, 1.0, 2.0}
    assert (drawn == middle).all((1, 2)).mean() == pytest.approx(np.exp(truth()[4]), abs=0.03)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: dequantized(density, 3, event_shape=(2, 1)), TypeError, "p is"),
        (lambda: dequantized(density(), 1, event_shape=(2, 1)), ValueError, "levels is 1"),
        (lambda: dequantized(density(), 3, event_shape=(2, 1), noise=learned), TypeError, "noise is"),
        (
            lambda: dequantized(jaxvae.models.uniform_categories(2, 3), 3, event_shape=(2, 3)),
            ValueError,
            "density_model(p, ...)",
        ),
        (
            lambda: jaxvae.per_example(
                dequantized(density(), 3, event_shape=(2, 1)), PARAMS, KEY, np.full((1, 2, 1), 3.0, np.float32)
            ),
            ValueError,
            "3.0",
        ),
    ],
)
def test_what_has_no_levels_is_named(call, error, words):
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)
