"""The two gaps of inference where both have closed forms: a Gaussian posterior with correlations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from exact import dense_log_normal, linear_truth
from small import images, small_vae

from jaxvae.evaluation.annealing.annealed import ancestral_sample
from jaxvae.evaluation.local.gaps import inference_gaps
from jaxvae.models.exact.linear import linear_gaussian
from jaxvae.models.records import DiagNormal
from jaxvae.training.search.local import fit_posterior

pytestmark = pytest.mark.quick_compile

LATENTS = 3


def kl(mean, variance, target_mean, covariance):
    """KL(N(mean, diag(variance)) || N(target_mean, covariance)) in float64, from its definition."""
    precision, off = np.linalg.inv(covariance), target_mean - mean
    log_dets = np.linalg.slogdet(covariance)[1] - np.log(variance).sum()
    return 0.5 * (np.trace(precision @ np.diag(variance)) + off @ precision @ off - len(mean) + log_dets)


@pytest.fixture(scope="module")
def problem():
    """(model, params, x, truth): 40 examples, an encoder that always says N(0.3, exp(-1))."""
    truth = linear_truth(size=6, latents=LATENTS, noise=1.0, seed=4)
    model = linear_gaussian(jnp.float32(truth.weights), noise=truth.noise)
    params = jax.jit(model.init)(jax.random.key(0), jnp.zeros(6))
    encoder = {**params["encoder"], "bias": jnp.full(LATENTS, 0.3), "log_var": jnp.full(LATENTS, -1.0)}
    x, _ = ancestral_sample(model, params, jax.random.key(1), 40)
    return model, {**params, "encoder": encoder}, x, truth


@pytest.fixture(scope="module")
def exact(problem):
    """log p, ELBO, and the two gaps [40] by dense linear algebra."""
    *_, x, truth = problem
    precision = np.eye(LATENTS) + truth.weights.T @ truth.weights / truth.noise**2
    covariance = np.linalg.inv(precision)
    best = 1 / np.diag(precision)
    rows = []
    for one in np.float64(x):
        mean = covariance @ truth.weights.T @ one / truth.noise**2
        log_p = dense_log_normal(one, truth.weights @ truth.weights.T, truth.noise)
        whole = kl(np.full(LATENTS, 0.3), np.full(LATENTS, np.exp(-1.0)), mean, covariance)
        approximation = kl(mean, best, mean, covariance)
        nearby = [kl(mean, best * np.exp(step), mean, covariance) for step in 0.1 * np.eye(LATENTS)]
        assert min(nearby) > approximation  # the best variances are the inverse diagonal of the precision
        rows.append([log_p, log_p - whole, approximation, whole - approximation])
    return np.array(rows).T


@pytest.fixture(scope="module")
def found(problem):
    model, params, x, _ = problem
    return inference_gaps(model, params, jax.random.key(2), x, samples=2000)


@pytest.mark.rows(slow=["0-log_p"])
@pytest.mark.parametrize(("row", "name"), list(enumerate(["log_p", "elbo", "approximation_gap", "amortisation_gap"])))
def test_each_part_is_what_algebra_says(found, exact, row, name):
    gap = np.float64(found[name]) - exact[row]
    assert abs(gap.mean()) < 4.5 * gap.std() / np.sqrt(len(gap)) + 0.01
    assert abs(gap.mean()) < 0.05
    assert exact[2].mean() > 0.2  # both gaps are there to be found
    assert exact[3].mean() > 0.5


def test_the_parts_add_up(found):
    whole = found["log_p"] - found["elbo"]
    np.testing.assert_allclose(found["approximation_gap"] + found["amortisation_gap"], whole, atol=1e-4)


def test_the_local_posterior_is_the_best_of_its_family(problem):
    _, _, x, truth = problem
    precision = np.eye(LATENTS) + truth.weights.T @ truth.weights / truth.noise**2
    mean = np.linalg.solve(precision, truth.weights.T @ np.float64(x[0]) / truth.noise**2)
    weights = jnp.float32(truth.weights)

    def log_joint(z):
        return -0.5 * jnp.sum((x[0] - weights @ z) ** 2) / truth.noise**2 - 0.5 * z @ z

    start = DiagNormal(jnp.zeros(LATENTS), jnp.zeros(LATENTS))
    q = jax.jit(lambda key: fit_posterior(log_joint, start, key))(jax.random.key(0))
    np.testing.assert_allclose(q.mean, mean, atol=0.05)
    np.testing.assert_allclose(np.exp(q.log_var), 1 / np.diag(precision), rtol=0.1)


@pytest.mark.slow
def test_an_estimate_that_is_higher_is_taken(problem, found, exact):
    model, params, x, _ = problem
    options = {"samples": 8, "steps": 3}
    loose = inference_gaps(model, params, jax.random.key(2), x, **options)
    better = inference_gaps(model, params, jax.random.key(2), x, log_p=exact[0], **options)
    np.testing.assert_array_equal(better["log_p"], np.float32(exact[0]))
    assert loose["log_p"].mean() < exact[0].mean()
    np.testing.assert_array_equal(loose["elbo"], better["elbo"])
    worse = inference_gaps(model, params, jax.random.key(2), x, log_p=exact[0] - 100, **options)
    np.testing.assert_array_equal(worse["log_p"], loose["log_p"])
    other = inference_gaps(model, params, jax.random.key(3), x, **options)
    assert (other["elbo"] != loose["elbo"]).all()


@pytest.mark.slow
def test_no_number_depends_on_the_batch_and_pixels_work_too():
    model = small_vae()
    x = np.float32(images(4) > 100)
    params = jax.jit(model.init)(jax.random.key(0), x[0])
    told = []
    options = {"samples": 40, "steps": 40, "batch_size": 2}
    a = inference_gaps(model, params, jax.random.key(0), x, **options, progress=told.append)
    b = inference_gaps(model, params, jax.random.key(0), x[:3], **options)
    assert told == [0, 2, 4]
    for name, value in b.items():
        np.testing.assert_array_equal(a[name][:3], value)
        assert np.isfinite(value).all()
    assert a["amortisation_gap"].mean() > 0  # nobody trained the encoder


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"samples": 0}, ["samples is 0", "at least 1"]),
        ({"steps": 2.5}, ["steps is 2.5", "integer"]),
        ({"learning_rate": 0.0}, ["learning_rate is 0.0", "above 0"]),
        ({"x": np.zeros((2, 5), np.float32)}, ["x has shape (2, 5)", "(B, 6)"]),
        ({"log_p": np.zeros(3), "samples": 8, "steps": 3}, ["log_p has shape (3,)", "(40,)"]),
    ],
)
def test_impossible_requests_are_named(problem, options, words):
    model, params, x, _ = problem
    with pytest.raises((ValueError, TypeError), match="expected") as error:
        inference_gaps(model, params, jax.random.key(2), **{"x": x, **options})
    for word in words:
        assert word in str(error.value)


def test_a_posterior_that_is_no_gaussian_is_refused(problem):
    model, params, x, _ = problem
    other = model._replace(posterior=model.posterior._replace(distribution=None))
    with pytest.raises(ValueError, match=r"no diagonal Gaussian.*expected one"):
        inference_gaps(other, params, jax.random.key(0), x)
