"""Bounds on log p(x), example by example: right where the answer is known, and the same however they are batched."""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from small import LATENTS, SHAPE, Linear, images, same_bits, setup, small_vae

from jaxvae.evaluation.bounds.likelihood import per_example, summarize
from jaxvae.evaluation.statistics import Estimate
from jaxvae.models.observations.continuous import normal
from jaxvae.models.priors.standard import standard_normal
from jaxvae.models.variational import vae
from jaxvae.training.engine.loop import train

pytestmark = pytest.mark.quick_compile

NOISE = 0.3


class LinearGaussian(NamedTuple):
    """z ~ N(0, I), x | z ~ N(W z, NOISE^2 I) with W of orthogonal columns, so that the posterior is diagonal.

    `encoder` holds the exact posterior of z; all in float64.
    """

    weights: np.ndarray  # [D, Z]
    encoder: np.ndarray  # [Z, D]
    log_var: np.ndarray  # [Z]
    x: np.ndarray  # [N, D]
    log_p: np.ndarray  # [N]


def linear_gaussian(pixels, latents, examples=20, largest=4.0):
    rng = np.random.default_rng(0)
    directions, _ = np.linalg.qr(rng.normal(size=(pixels, latents)))
    sizes = np.linspace(0.2, largest, latents)
    weights = directions * sizes
    precision = 1 + sizes**2 / NOISE**2
    x = rng.normal(size=(examples, latents)) @ weights.T + NOISE * rng.normal(size=(examples, pixels))
    log_p = stats.multivariate_normal(np.zeros(pixels), weights @ weights.T + NOISE**2 * np.eye(pixels)).logpdf(x)
    encoder = weights.T / NOISE**2 / precision[:, None]
    return LinearGaussian(weights, encoder, -np.log(precision), x, log_p)


class Affine(NamedTuple):
    """An encoder that is a matrix and a constant log-variance."""

    def init(self, key, x):
        raise AssertionError("its parameters are given")

    def apply(self, variables, x):
        return variables["w"] @ x.reshape(-1) + variables["shift"], variables["log_var"]


def as_model(problem, *, sampled_kl=False, wrong=0.0):
    """(model, params, x): the problem as a VAE, its posterior off by `wrong` in mean and log-variance."""
    pixels, latents = problem.weights.shape
    shape = (pixels, 1, 1)
    base = standard_normal(latents)
    model = vae(
        Affine(),
        Linear(pixels, shape),
        event_shape=shape,
        latent_dim=latents,
        observation=normal(std=NOISE),
        prior=base._replace(distribution=None) if sampled_kl else base,
    )
    encoder = {"w": problem.encoder, "shift": np.full(latents, wrong), "log_var": problem.log_var + wrong}
    decoder = {"w": problem.weights.T, "b": np.zeros(pixels)}
    params = jax.tree.map(jnp.float32, {"encoder": encoder, "decoder": decoder})
    return model, params, np.float32(problem.x.reshape(-1, *shape))


def assert_exact(pixels, latents, samples, examples=20):
    problem = linear_gaussian(pixels, latents, examples)
    model, params, x = as_model(problem, sampled_kl=True)
    found = per_example(model, params, jax.random.key(1), x, samples=samples, batch_size=max(1, 1000 // samples))
    for name in ("elbo", "iwae"):
        np.testing.assert_allclose(found[name], problem.log_p, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("pixels", "latents", "samples"), [(784, 20, 1), (784, 20, 50), (16, 3, 5)])
def test_with_the_exact_posterior_every_bound_is_log_p(pixels, latents, samples):
    assert_exact(pixels, latents, samples)


@pytest.mark.full
@pytest.mark.parametrize("samples", [5, 500, 5000])
def test_with_the_exact_posterior_every_bound_is_log_p_for_many_samples(samples):
    assert_exact(784, 20, samples, examples=100)


@pytest.fixture(scope="module")
def misspecified():
    """(model, params, x, exact log p [N]) with a posterior that is off."""
    problem = linear_gaussian(16, 3, examples=400, largest=1.0)
    return *as_model(problem, wrong=0.5), problem.log_p


@pytest.mark.slow
def test_the_closed_form_elbo_is_what_algebra_says(misspecified):
    """E_q[log p(x | z)] - KL by hand, against the average over samples."""
    model, params, x, _ = misspecified
    found = per_example(model, params, jax.random.key(0), x, samples=50)
    w, encoder = np.float64(params["decoder"]["w"]).T, params["encoder"]
    mean = x.reshape(len(x), -1) @ np.float64(encoder["w"]).T + 0.5
    variance = np.exp(np.float64(encoder["log_var"]))
    residual = ((x.reshape(len(x), -1) - mean @ w.T) ** 2).sum(1) + (w**2 @ variance).sum()
    log_likelihood = -0.5 * (16 * np.log(2 * np.pi * NOISE**2) + residual / NOISE**2)
    kl = 0.5 * (mean**2 + variance - 1 - np.log(variance))
    np.testing.assert_allclose(found["kl_per_latent"], kl, rtol=1e-4)
    np.testing.assert_allclose(found["kl"], kl.sum(1), rtol=1e-5)
    np.testing.assert_allclose(found["elbo"], found["log_likelihood"] - found["kl"], rtol=1e-6)
    gap = np.float64(found["log_likelihood"]) - log_likelihood
    assert abs(gap.mean()) < 5 * gap.std() / np.sqrt(len(gap))
    assert gap.std() < 1


@pytest.mark.full
def test_the_importance_weighted_bound_climbs_to_log_p_with_samples(misspecified):
    model, params, x, log_p = misspecified
    gaps = []
    for samples in (1, 5, 50):
        found = per_example(model, params, jax.random.key(samples), x, samples=samples)
        gaps.append(log_p - np.float64(found["iwae"]))
        elbo = log_p - np.float64(found["elbo"])  # one number whatever K
        assert abs(elbo.mean() - gaps[0].mean()) < 4 * np.hypot(error(elbo), error(gaps[0]))
    for looser, tighter in itertools.pairwise(gaps):
        assert tighter.mean() < looser.mean() + 3 * np.hypot(error(looser), error(tighter))
    assert gaps[2].mean() > -3 * error(gaps[2])
    assert gaps[2].mean() < 0.2 * gaps[0].mean()


def error(values):
    return values.std(ddof=1) / np.sqrt(len(values))


@pytest.fixture(scope="module")
def many():
    """(model, params, x) with 1,003 examples, the last hundred of which are unlike the others."""
    model = small_vae()
    x = np.float32(images(1003) > 100)
    x[-100:] = np.random.default_rng(1).integers(0, 2, (100, *SHAPE))
    return model, jax.jit(model.init)(jax.random.key(0), x[0]), x


@pytest.mark.full
def test_no_number_depends_on_how_the_examples_are_batched(many):
    model, params, x = many
    key = jax.random.key(3)
    found = {size: per_example(model, params, key, x, samples=3, batch_size=size) for size in (128, 1003, 10_000)}
    assert {name: value.shape for name, value in found[128].items()} == {
        **dict.fromkeys(("elbo", "log_likelihood", "kl", "iwae", "effective_samples"), (1003,)),
        "kl_per_latent": (1003, LATENTS),
    }
    for size in (1003, 10_000):
        for name, value in found[size].items():
            tolerance = 1e-5 if name == "effective_samples" else 1e-6
            np.testing.assert_allclose(found[128][name], value, rtol=tolerance, atol=tolerance)

    @jax.jit
    def one(index, x):
        keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.fold_in(key, index), jnp.arange(3))
        terms = jax.vmap(model.terms, (None, 0, None))(params, keys, x)
        return terms.log_likelihood, terms.kl[0].sum(), terms.log_weight

    by_hand = []
    for index in range(0, 1003, 17):  # each alone, in float64
        log_likelihood, kl, log_weight = (np.float64(part) for part in one(index, x[index]))
        by_hand.append([log_likelihood.mean() - kl, np.log(np.exp(log_weight).mean())])
    np.testing.assert_allclose(np.stack([found[128]["elbo"], found[128]["iwae"]], 1)[::17], by_hand, rtol=1e-5)


@pytest.mark.slow
def test_a_last_batch_that_is_smaller_weighs_less(many):
    model, params, x = many
    values = per_example(model, params, jax.random.key(3), x, samples=3, batch_size=128)
    right = np.float64(values["elbo"]).mean()
    assert summarize(values)["elbo"].mean == pytest.approx(right, abs=1e-5)
    careless = np.mean([np.float64(values["elbo"][start : start + 128]).mean() for start in range(0, 1003, 128)])
    assert abs(careless - right) > 1e-2  # a mean of batch means would be noticed


def test_noise_belongs_to_the_key_and_the_place_of_an_example(many):
    model, params, x = many
    same = np.repeat(x[:1], 200, axis=0)
    a, b, c = (per_example(model, params, jax.random.key(key), same, batch_size=50) for key in (0, 0, 1))
    assert same_bits(a, b)
    assert (a["log_likelihood"] != c["log_likelihood"]).all()
    assert len(np.unique(a["log_likelihood"])) > 190
    assert len(np.unique(a["kl"])) == 1


def test_numpy_and_jax_arrays_of_any_float_give_the_same_bits(many):
    model, params, x = many
    x = x[:20]
    found = [per_example(model, params, jax.random.key(0), x) for x in (x, jnp.asarray(x), np.float64(x))]
    for other in found[1:]:
        assert same_bits(other, found[0])
    assert {type(value) for value in found[0].values()} == {np.ndarray}


def test_one_program_serves_every_number_of_examples(many):
    _, params, x = many
    traces = []
    model = small_vae()

    def terms(*arguments):
        traces.append(1)
        return model.terms(*arguments)

    counted = model._replace(terms=terms)
    counts = []
    for size in (1003, 256, 128, 129):
        per_example(counted, params, jax.random.key(0), x[:size], batch_size=128)
        counts.append(len(traces))
    assert (np.diff(counts) <= 1).all()  # only the shapes of the terms may be looked at again


def test_summaries_are_numpys_in_float64():
    values = np.float32(1e4 + np.random.default_rng(0).normal(size=1003))
    found = summarize({"elbo": values, "kl_per_latent": np.ones((1003, 2), np.float32)})
    assert list(found) == ["elbo"]
    expected = np.float64(values)
    assert found["elbo"].mean == pytest.approx(expected.mean(), rel=1e-12)
    assert found["elbo"].standard_error == pytest.approx(stats.sem(expected), rel=1e-9)
    assert found["elbo"].examples == 1003


def test_one_example_has_no_standard_error():
    (found,) = summarize({"elbo": np.float32([-3.0])}).values()
    assert isinstance(found, Estimate)
    assert found.mean == -3
    assert np.isnan(found.standard_error)
    assert found.examples == 1


@pytest.mark.full
def test_evaluation_between_steps_leaves_training_as_it_was():
    model = small_vae()
    x = np.float32(images(20) > 100)
    ends = []
    for evaluate in (False, True):
        state, compiled = setup()
        for report in train(compiled, state, images(), 12, steps_per_call=4):
            if evaluate:
                per_example(model, report.state.params, report.state.key, x, samples=2, batch_size=8)
            last = report
        ends.append((last.state, last.metrics))
    assert same_bits(*ends)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"samples": 0}, ["samples is 0", "at least 1"]),
        ({"samples": -1}, ["samples is -1"]),
        ({"samples": 2.5}, ["samples is 2.5", "integer"]),
        ({"batch_size": 0}, ["batch_size is 0", "at least 1"]),
        ({"batch_size": True}, ["batch_size is True", "integer"]),
        ({"chunk": 0}, ["chunk is 0", "at least 1"]),
        ({"chunk": 2.5}, ["chunk is 2.5", "integer"]),
        ({"samples": ()}, ["samples is empty", "at least one"]),
        ({"samples": (5, 0)}, ["samples is 0", "at least 1"]),
        ({"x": np.zeros((0, *SHAPE), np.float32)}, ["0 examples", "at least one"]),
        ({"x": np.zeros((5, 16), np.float32)}, ["x has shape (5, 16)", "(B, 4, 4, 1)"]),
    ],
)
def test_impossible_requests_are_named(many, options, words):
    model, params, x = many
    with pytest.raises((ValueError, TypeError), match="expected") as error:
        per_example(model, params, jax.random.key(0), **{"x": x, **options})
    for word in words:
        assert word in str(error.value)
