"""Densities fitted to codes after training: against scikit-learn and SciPy, on codes of a known shape, in a model."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity
from small import SHAPE, Linear, small_vae

from jaxvae.evaluation.bounds.likelihood import per_example
from jaxvae.evaluation.fitted_priors.closed_form import draw_codes, fit_gaussian_mixture, fit_normal
from jaxvae.evaluation.fitted_priors.kernel_density import fit_kde
from jaxvae.evaluation.fitted_priors.trained import fit_density, fit_flow, fit_two_stage
from jaxvae.evaluation.latents.generation import prior_samples
from jaxvae.flows import autoregressive_flow, masked_autoregressive
from jaxvae.models.autoencoders.deterministic import autoencoder
from jaxvae.models.posteriors.low_rank import low_rank_posterior
from jaxvae.models.priors.exchange import with_prior
from jaxvae.models.priors.mixture import gaussian_mixture_prior
from jaxvae.models.priors.standard import standard_normal
from jaxvae.models.variational import vae
from jaxvae.networks import MLPDecoder, MLPEncoder
from jaxvae.networks.made import MADE

pytestmark = pytest.mark.quick_compile

KEY = jax.random.key(0)
quick_jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


def crescents(count, seed=0):
    """Codes [count, 2] on two arcs, far from Gaussian."""
    draw = np.random.default_rng(seed)
    angle, side = draw.uniform(0, np.pi, count), draw.integers(0, 2, count)
    arcs = np.stack([np.cos(angle) + 1.0 * side, np.sin(angle) * (1 - 2 * side) + 0.5 * side], 1)
    return 1.5 * arcs + 0.15 * draw.normal(size=(count, 2)) + np.array([2.0, -1.0])


def maf():
    return autoregressive_flow(masked_autoregressive, 2, lambda size: MADE(2, size, (32,)), layers=3)


# name: codes -> prior. A new sampler needs one row, and it is held to everything below.
SAMPLERS = {
    "normal": fit_normal,
    "mixture": lambda codes: fit_gaussian_mixture(codes, 8),
    "diagonal mixture": lambda codes: fit_gaussian_mixture(codes, 8, covariance="diag"),
    "kernel density": lambda codes: fit_kde(codes, "cross_validation"),
    "trained mixture": lambda codes: fit_density(codes, gaussian_mixture_prior(8, 2), steps=200, learning_rate=0.05),
    "flow": lambda codes: fit_flow(codes, maf(), steps=400, learning_rate=5e-3),
    "two stages": lambda codes: fit_two_stage(codes, hidden=(32,), samples=32, steps=600, learning_rate=1e-2),
}
every = pytest.mark.parametrize("name", SAMPLERS)


@functools.cache
def fitted(name):
    return SAMPLERS[name](crescents(2000))


def scores(prior, z):
    return np.float64(jax.jit(jax.vmap(prior.log_prob, (None, 0, None)))({}, jnp.asarray(z, jnp.float32), None))


@pytest.mark.rows(every=2)
@pytest.mark.rows(full=["flow", "trained mixture", "two stages"])
@every
def test_codes_never_seen_are_likelier_than_under_the_prior_of_the_model(name):
    held_out = crescents(1000, seed=1)
    gain = scores(fitted(name), held_out) - scores(standard_normal(2), held_out)
    assert gain.mean() > 0.5 + 4 * gain.std() / math.sqrt(len(gain))
    if name not in ("normal", "two stages"):  # whose density is but bounded from below
        gain = scores(fitted(name), held_out) - scores(fitted("normal"), held_out)
        assert gain.mean() > 4 * gain.std() / math.sqrt(len(gain))


@pytest.mark.rows(every=2)
@pytest.mark.rows(full=["flow", "trained mixture", "two stages"])
@every
def test_draws_are_where_the_codes_are_and_know_their_density(name):
    prior = fitted(name)
    assert prior.init(KEY, None) == {}
    draw = quick_jit(jax.vmap(prior.sample, (None, 0, None)))
    keys = jax.random.split(KEY, 2000)
    z, log_density = draw({}, keys, None)
    assert (z.shape, log_density.shape) == ((2000, 2), (2000,))
    np.testing.assert_allclose(log_density, scores(prior, z), rtol=1e-3, atol=2e-3)
    codes = crescents(20_000, seed=2)
    error = codes.std(0) / math.sqrt(1000)  # of the 1000 codes fitted to; of the draws less
    assert (np.abs(np.float64(z).mean(0) - codes.mean(0)) < 5 * error).all()
    np.testing.assert_allclose(np.cov(np.float64(z).T), np.cov(codes.T), atol=0.35)
    assert np.array_equal(z, draw({}, keys, None)[0])
    assert not np.array_equal(z, draw({}, jax.random.split(jax.random.key(1), 2000), None)[0])
    slope = quick_jit(jax.grad(prior.log_prob, 1))({}, jnp.array([30.0, -30.0]), None)
    assert np.isfinite(slope).all()
    assert prior.mean({}, None).shape == (2,)


@pytest.mark.rows(slow=["flow"], full=["kernel density"])
@pytest.mark.parametrize("name", ["normal", "mixture", "diagonal mixture", "kernel density", "flow"])
def test_a_density_integrates_to_one(name):
    axis = np.linspace(-6, 10, 401)
    points = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    total = np.exp(scores(fitted(name), points)).sum() * (axis[1] - axis[0]) ** 2
    assert total == pytest.approx(1.0, abs=1e-3 if name != "flow" else 5e-3)


@pytest.mark.full
def test_the_second_stage_is_bounded_by_a_density():
    axis = np.linspace(-6, 10, 161)
    points = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    total = np.exp(scores(fitted("two stages"), points)).sum() * (axis[1] - axis[0]) ** 2
    assert 0.7 < total < 1.03


@pytest.mark.parametrize("covariance", ["full", "diag"])
def test_the_mixture_is_scikit_learns(covariance):
    codes, points = crescents(500), np.concatenate([crescents(200, seed=1), np.full((1, 2), 40.0)])
    judge = GaussianMixture(5, covariance_type=covariance, random_state=3, max_iter=200).fit(codes)
    prior = fit_gaussian_mixture(codes, 5, covariance=covariance, seed=3)
    np.testing.assert_allclose(scores(prior, points), judge.score_samples(points), rtol=2e-4, atol=2e-4)
    np.testing.assert_allclose(prior.mean({}, None), judge.weights_ @ judge.means_, rtol=1e-5)


def test_the_normal_is_scipys_and_a_still_latent_is_no_accident():
    codes, points = crescents(300), crescents(50, seed=1)
    judge = stats.multivariate_normal(codes.mean(0), np.cov(codes.T, bias=True) + 1e-6 * np.eye(2))
    np.testing.assert_allclose(scores(fit_normal(codes), points), judge.logpdf(points), rtol=1e-5, atol=1e-5)
    still = np.column_stack([codes, np.full(300, 7.0)])
    found = scores(fit_normal(still), np.column_stack([points, np.full(50, 7.0)]))
    exact = judge.logpdf(points) + stats.norm(0, 1e-3).logpdf(0)  # its variance is the regularization alone
    np.testing.assert_allclose(found, exact, rtol=1e-4)


@pytest.mark.parametrize("bandwidth", ["scott", "silverman", 0.2])
def test_the_kernel_density_is_scikit_learns_and_scipys_rules(bandwidth):
    codes, points = crescents(300), crescents(50, seed=1)
    center, scale = codes.mean(0), codes.std(0)
    rules = stats.gaussian_kde(codes.T)
    h = {"scott": rules.scotts_factor(), "silverman": rules.silverman_factor()}.get(bandwidth, bandwidth)
    judge = KernelDensity(bandwidth=h).fit((codes - center) / scale)
    exact = judge.score_samples((points - center) / scale) - np.log(scale).sum()
    np.testing.assert_allclose(scores(fit_kde(codes, bandwidth), points), exact, rtol=1e-4, atol=1e-4)


def test_cross_validation_beats_a_rule_meant_for_gaussians():
    held_out = crescents(1000, seed=1)
    assert scores(fitted("kernel density"), held_out).mean() > scores(fit_kde(crescents(2000)), held_out).mean() + 0.1


def model_and_params():
    model = small_vae()
    return model, quick_jit(model.init)(KEY, jnp.zeros(SHAPE))


X = np.random.default_rng(0).integers(0, 2, (40, *SHAPE)).astype(np.float32)


@pytest.mark.full
def test_codes_of_examples_are_draws_of_their_posteriors():
    model, params = model_and_params()
    codes = draw_codes(model, params, KEY, np.repeat(X[:1], 4000, axis=0), batch_size=1000)
    q = model.posterior.distribution(params, X[0])
    error = np.exp(q.log_var / 2) / math.sqrt(4000)
    assert codes.shape == (4000, 3)
    assert (np.abs(codes.mean(0) - q.mean) < 5 * error).all()
    np.testing.assert_allclose(codes.std(0), np.exp(q.log_var / 2), rtol=0.08)
    same = draw_codes(model, params, KEY, np.repeat(X[:1], 4000, axis=0), batch_size=700)
    np.testing.assert_allclose(codes, same, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("prior", ["standard", "mixture"])
@pytest.mark.parametrize("posterior", ["gaussian", "low rank"])
def test_with_another_prior_a_model_is_the_one_built_with_it(prior, posterior):
    options = {} if posterior == "gaussian" else {"posterior": low_rank_posterior(1)}
    encoder = MLPEncoder(3, (6,))

    def built(prior):
        decoder = MLPDecoder(SHAPE, hidden=(6,))
        return vae(encoder, decoder, event_shape=SHAPE, latent_dim=3, prior=prior, **options)

    old = gaussian_mixture_prior(2, 3, name="old")
    new = standard_normal(3) if prior == "standard" else gaussian_mixture_prior(4, 3)
    changed, direct = with_prior(built(old), new), built(new)
    params = quick_jit(changed.init)(KEY, X[0])
    assert set(params) == {"encoder", "decoder", "old"} | set(new.init(KEY, None))
    found, expected = (quick_jit(model.terms)(params, jax.random.key(1), X[0]) for model in (changed, direct))
    np.testing.assert_allclose(found.log_weight, expected.log_weight, rtol=1e-5)
    np.testing.assert_array_equal(found.log_likelihood, expected.log_likelihood)
    if (prior, posterior) != ("standard", "low rank"):  # there one is in closed form and one is sampled
        np.testing.assert_allclose(found.kl, expected.kl, rtol=1e-4, atol=1e-5)
    assert found.kl.shape == ((3,) if (prior, posterior) == ("standard", "gaussian") else (1,))


@pytest.mark.full
def test_a_fitted_prior_draws_images_and_counts_in_the_bound():
    model, params = model_and_params()
    prior = fit_normal(draw_codes(model, params, KEY, X))
    better = with_prior(model, prior)
    assert prior_samples(better, params, KEY, 7).shape == (7, *SHAPE)
    assert not np.array_equal(prior_samples(better, params, KEY, 7), prior_samples(model, params, KEY, 7))
    old, new = (per_example(m, params, KEY, X, samples=200) for m in (model, better))
    assert new["elbo"].mean() > old["elbo"].mean()  # the best Gaussian for these codes, against N(0, I)
    # One more look at the bound, from the three conditionals.

    @quick_jit
    def ratio(key):
        z, log_q = model.posterior.sample(params, key, X[0])
        return model.likelihood.log_prob(params, X[0], z) + prior.log_prob({}, z, None) - log_q

    each = np.float64(jax.vmap(ratio)(jax.random.split(KEY, 4000)))
    assert abs(each.mean() - new["elbo"][0]) < 5 * each.std() / math.sqrt(200)


@pytest.mark.slow
def test_an_autoencoder_gets_something_to_draw_codes_from():
    model = autoencoder(Linear(3, (3,)), Linear(16, SHAPE), event_shape=SHAPE, latent_dim=3)
    params = quick_jit(model.init)(KEY, X[0])
    with pytest.raises(ValueError, match="no prior"):
        prior_samples(model, params, KEY, 2)
    able = with_prior(model, fit_gaussian_mixture(draw_codes(model, params, KEY, X), 2))
    assert prior_samples(able, params, KEY, 2).shape == (2, *SHAPE)
    assert float(able.terms(params, KEY, X[0]).log_weight) == -math.inf


CODES = crescents(30)
HOLE = np.where(np.arange(60).reshape(30, 2) == 7, np.nan, CODES)
BAD = [
    (lambda: fit_normal(CODES[0]), ValueError, ["codes have shape (2,)", "(N, Z)", "draw_codes"]),
    (lambda: fit_normal(CODES[:1]), ValueError, ["there is 1 code", "at least 2"]),
    (lambda: fit_normal(CODES[:0]), ValueError, ["codes have shape (0, 2)"]),
    (lambda: fit_normal(HOLE), ValueError, ["codes has the value nan", "index (3, 1)"]),
    (lambda: fit_normal(np.arange(10).reshape(5, 2)), TypeError, ["codes has dtype int", "float"]),
    (lambda: fit_normal(CODES, regularization=0.0), ValueError, ["regularization is 0.0", "above 0"]),
    (lambda: fit_gaussian_mixture(CODES, 0), ValueError, ["components is 0"]),
    (lambda: fit_gaussian_mixture(CODES, 31), ValueError, ["30 different codes for 31 components"]),
    (lambda: fit_gaussian_mixture(CODES, covariance="tied"), ValueError, ["covariance is 'tied'", "'full' or 'diag'"]),
    (lambda: fit_gaussian_mixture(CODES, seed=-1), ValueError, ["seed is -1"]),
    (lambda: fit_kde(CODES, "scot"), ValueError, ["bandwidth is 'scot'", "'silverman'", "'cross_validation'"]),
    (lambda: fit_kde(CODES, 0.0), ValueError, ["bandwidth is 0.0", "above 0"]),
    (lambda: fit_kde(CODES, float("inf")), ValueError, ["bandwidth is inf"]),
    (lambda: fit_kde(CODES[:5], "cross_validation"), ValueError, ["there are 5 codes", "at least 10"]),
    (lambda: fit_kde(CODES * np.array([1.0, 0.0])), ValueError, ["latents 1 of the codes never vary", "fit_normal"]),
    (lambda: fit_kde(CODES).log_prob({}, jnp.zeros(3), None), ValueError, ["z has shape (3,)", "(2,)"]),
    (lambda: fit_normal(CODES).log_prob({}, jnp.zeros(1), None), ValueError, ["z has shape (1,)", "(2,)"]),
    (lambda: fit_density(CODES, gaussian_mixture_prior), TypeError, ["density is", "expected a Conditional"]),
    (lambda: fit_density(CODES, gaussian_mixture_prior(2, 2), steps=0), ValueError, ["steps is 0"]),
    (lambda: fit_density(CODES, gaussian_mixture_prior(2, 2)), ValueError, ["batch_size is 100", "27 examples"]),
    (
        lambda: fit_density(CODES, gaussian_mixture_prior(2, 2), learning_rate=-1.0),
        ValueError,
        ["learning_rate is -1.0"],
    ),
    (lambda: fit_density(CODES, standard_normal(2), batch_size=10), ValueError, ["no parameters"]),
    (lambda: fit_flow(CODES, maf), TypeError, ["Bijection"]),
    (lambda: fit_two_stage(CODES, samples=0), ValueError, ["samples is 0"]),
    (lambda: fit_two_stage(CODES, hidden=32), TypeError, ["hidden is 32"]),
    (lambda: fit_two_stage(CODES, seed="0"), TypeError, ["seed is '0'"]),
    (lambda: with_prior(small_vae(), standard_normal), TypeError, ["expected a Conditional"]),
    (
        lambda: with_prior(small_vae(prior=gaussian_mixture_prior(2, 3)), gaussian_mixture_prior(2, 3)).init(KEY, X[0]),
        ValueError,
        ["both name their parameters 'prior'"],
    ),
]


@pytest.mark.parametrize(("call", "error", "words"), BAD)
def test_bad_inputs_are_named(call, error, words):
    with pytest.raises(error) as raised:
        call()
    for word in words:
        assert word in str(raised.value)


@pytest.mark.slow
def test_parameters_of_the_new_prior_can_be_trained_with_the_rest():
    changed = with_prior(small_vae(), gaussian_mixture_prior(2, 3))
    params = quick_jit(changed.init)(KEY, X[0])
    slopes = quick_jit(jax.grad(lambda params: changed.terms(params, KEY, X[0]).log_weight))(params)
    assert all((leaf != 0).any() for leaf in jax.tree.leaves(slopes["prior"]))
