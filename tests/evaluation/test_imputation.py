"""Imputation against the linear-Gaussian model, whose conditional mean is exact, and against enumeration."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal
from small import SHAPE, images, small_vae

from jaxvae.evaluation.bounds.gaussian import impute_gaussian
from jaxvae.evaluation.bounds.imputation import impute
from jaxvae.models.autoencoders.deterministic import autoencoder
from jaxvae.models.exact.linear import linear_gaussian
from jaxvae.models.exact.linear_encoder import linear_gaussian_encoder
from jaxvae.models.incomplete import Incomplete, observed_log_weight
from jaxvae.models.likelihoods import decoder_likelihood
from jaxvae.models.observations.continuous import bernoulli, normal
from jaxvae.models.observations.marginal import marginal_normal

pytestmark = pytest.mark.quick_compile

NOISE = 0.5


@pytest.fixture(scope="module")
def linear():
    """(model, params with the best encoder of complete data, x [3, 6], mask [6])."""
    rng = np.random.default_rng(0)
    weights, bias = rng.normal(size=(6, 2)).astype(np.float32), rng.normal(size=6).astype(np.float32)
    model = linear_gaussian(jnp.asarray(weights), bias=jnp.asarray(bias), noise=NOISE)
    params = jax.jit(model.init)(jax.random.key(0), jnp.zeros(6))
    params["encoder"] = linear_gaussian_encoder(params["decoder"], noise=NOISE)
    z = rng.normal(size=(3, 2))
    x = z @ weights.T + bias + NOISE * rng.normal(size=(3, 6))
    return model, params, x.astype(np.float32), np.array([True, True, False, True, False, False])


def exact(params, x, mask):
    """(E[x_missing | x_observed], its covariance, log p(x_observed)) from the joint Gaussian, in float64."""
    w, b = (np.asarray(params["decoder"][name], np.float64) for name in ("weights", "bias"))
    cov = w @ w.T + NOISE**2 * np.eye(len(b))
    oo, mo, mm = cov[np.ix_(mask, mask)], cov[np.ix_(~mask, mask)], cov[np.ix_(~mask, ~mask)]
    gain = mo @ np.linalg.inv(oo)
    return b[~mask] + gain @ (x[mask] - b[mask]), mm - gain @ mo.T, multivariate_normal(b[mask], oo).logpdf(x[mask])


OPTIONS = {"samples": 20_000, "draws": 500, "chunk": 5000, "prior_share": 0.5}


@pytest.fixture(scope="module", params=[pytest.param(1, marks=pytest.mark.full), 3])
def found(request, linear):
    """What is imputed in one round and in three, missing pixels given as NaN."""
    model, params, x, mask = linear
    return impute(model, params, jax.random.key(1), np.where(mask, x, np.nan), mask, rounds=request.param, **OPTIONS)


def agrees(found, i, params, x, mask):
    mean, cov, log_evidence = exact(params, np.float64(x), mask)
    assert np.array_equal(found.mean[i][mask], x[mask])
    share = 1 / np.sqrt(float(found.effective_samples[i]))
    assert share < 0.1
    assert np.all(np.abs(found.mean[i][~mask] - mean) < 4.5 * share * np.sqrt(np.diag(cov)))
    assert found.log_evidence[i] == pytest.approx(log_evidence, abs=4.5 * share)


@pytest.mark.rows(full=["3"])
def test_the_mean_and_the_evidence_are_exact_in_the_limit_whatever_the_encoder_saw(found, linear):
    _, params, x, mask = linear
    for i in range(3):
        agrees(found, i, params, x[i], mask)


@pytest.mark.rows(full=["3"])
def test_draws_have_the_exact_conditional_mean_and_covariance(found, linear):
    _, params, x, mask = linear
    mean, cov, _ = exact(params, np.float64(x[0]), mask)
    drawn = found.draws[0][:, ~mask]
    assert np.all(np.abs(drawn.mean(0) - mean) < 5 * np.sqrt(np.diag(cov) / 400))
    scale = np.sqrt(np.outer(np.diag(cov), np.diag(cov)))
    assert np.all(np.abs(np.cov(drawn.T) - cov) < 5 * scale * np.sqrt(2 / 400))
    assert np.array_equal(found.draws[0][:, mask], np.repeat(x[:1, mask], 500, 0))


@pytest.mark.slow
def test_each_example_may_have_a_mask_of_its_own(linear):
    model, params, x, mask = linear
    masks = np.stack([mask, ~mask, np.ones(6, bool)])
    thrice = impute(model, params, jax.random.key(2), x, masks, rounds=3, **OPTIONS)
    agrees(thrice, 0, params, x[0], masks[0])
    agrees(thrice, 1, params, x[1], masks[1])
    assert np.array_equal(thrice.mean[2], x[2])


@pytest.mark.slow
def test_an_encoder_that_is_too_sure_is_saved_by_a_share_of_the_prior(linear):
    model, params, x, mask = linear
    sure = {**params, "encoder": {**params["encoder"], "log_var": params["encoder"]["log_var"] - 3}}
    found = impute(model, sure, jax.random.key(3), x, mask, rounds=3, **OPTIONS)
    for i in range(3):
        agrees(found, i, params, x[i], mask)


@pytest.mark.slow
def test_no_number_depends_on_batches_chunks_or_what_missing_pixels_hold(linear):
    model, params, x, mask = linear
    one, two = (
        impute(model, params, jax.random.key(4), values, mask, batch_size=batch, chunk=chunk, samples=70, draws=2)
        for values, batch, chunk in ((np.where(mask, x, np.nan), 3, 70), (np.where(mask, x, 1e9), 2, 16))
    )
    for a, b in zip(one, two, strict=True):
        assert b == pytest.approx(a, rel=1e-4, abs=1e-4)


def test_the_observed_part_of_binary_pixels_is_a_sum_over_the_missing_ones():
    """log p(x_o | z) by enumerating the missing pixels, two of them."""
    likelihood = decoder_likelihood(small_decoder(), bernoulli(), SHAPE)
    params, z = jax.jit(likelihood.init)(jax.random.key(0), jnp.zeros(3)), jnp.array([1.0, -0.5, 2.0])
    x = np.float32(images(1)[0] > 100)
    mask = np.ones(SHAPE, bool)
    mask[1, 2, 0] = mask[3, 0, 0] = False
    total = 0.0
    for a in (0, 1):
        for b in (0, 1):
            full = x.copy()
            full[1, 2, 0], full[3, 0, 0] = a, b
            total += float(jnp.exp(likelihood.log_prob(params, full, z)))
    assert float(likelihood.log_prob_observed(params, x, z, mask)) == pytest.approx(np.log(total), rel=1e-4)


def small_decoder(channels=1, shape=SHAPE):
    from small import Linear

    size = (*shape[:-1], shape[-1] * channels)
    return Linear(int(np.prod(size)), size)


def test_channels_that_share_outputs_count_when_all_are_observed():
    shape = (2, 2, 3)
    likelihood = decoder_likelihood(small_decoder(2, shape), normal("per_pixel"), shape)
    params, z = jax.jit(likelihood.init)(jax.random.key(0), jnp.zeros(3)), jnp.ones(3)
    x = np.random.default_rng(0).uniform(size=shape).astype(np.float32)
    whole = likelihood.log_prob_observed(params, x, z, np.ones(shape, bool))
    assert float(whole) == pytest.approx(float(likelihood.log_prob(params, x, z)), rel=1e-4)
    mask = np.ones(shape, bool)
    mask[0, 0, 1] = False
    one_pixel = np.zeros(shape, bool)
    one_pixel[0, 0] = True
    part = likelihood.log_prob_observed(params, x, z, one_pixel)
    left = likelihood.log_prob_observed(params, x, z, mask)
    assert float(left + part) == pytest.approx(float(whole), rel=1e-4)


def test_the_gradient_is_finite_where_missing_pixels_are_nan():
    model = small_vae()
    x = np.float32(images(1)[0] > 100)
    mask = np.arange(16).reshape(SHAPE) % 3 > 0
    params = jax.jit(model.init)(jax.random.key(0), x)
    hidden = Incomplete(jnp.where(mask, x, jnp.nan), jnp.asarray(mask))
    gradient = jax.grad(lambda p: observed_log_weight(model, p, jax.random.key(1), hidden)[1])(params)
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    assert any((leaf != 0).any() for leaf in jax.tree.leaves(gradient))


MODEL = small_vae()
PARAMS = jax.jit(MODEL.init)(jax.random.key(0), jnp.zeros(SHAPE))
X, MASK = np.zeros((2, *SHAPE), np.float32), np.ones(SHAPE, bool)


def shared_noise():
    model = small_vae(observation=marginal_normal())
    return model, jax.jit(model.init)(jax.random.key(0), jnp.zeros(SHAPE))


def deterministic():
    from small import Linear

    model = autoencoder(Linear(3, (3,)), small_decoder(), event_shape=SHAPE, latent_dim=3)
    return model, jax.jit(model.init)(jax.random.key(0), jnp.zeros(SHAPE))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: impute(MODEL, PARAMS, jax.random.key(0), X, MASK[..., 0]), ["(4, 4)", "(4, 4, 1)"]),
        (lambda: impute(MODEL, PARAMS, jax.random.key(0), X, np.float32(MASK)), ["float32", "booleans"]),
        (lambda: impute(MODEL, PARAMS, jax.random.key(0), X + 2, MASK), ["[0, 1]"]),
        (lambda: impute(MODEL, PARAMS, jax.random.key(0), X, MASK, samples=0), ["samples is 0"]),
        (lambda: impute(MODEL, PARAMS, jax.random.key(0), X, MASK, rounds=0), ["rounds is 0"]),
        (lambda: impute(MODEL, PARAMS, jax.random.key(0), X, MASK, prior_share=1.0), ["prior_share is 1.0"]),
        (lambda: impute(*shared_noise(), jax.random.key(0), X + 0.5, MASK), ["not independent"]),
        (lambda: impute(*deterministic(), jax.random.key(0), X, MASK), ["deterministic autoencoder"]),
        (
            lambda: observed_log_weight(MODEL, PARAMS, jax.random.key(0), Incomplete(X[0], MASK[..., 0])),
            ["(4, 4)", "(4, 4, 1)"],
        ),
        (
            lambda: observed_log_weight(
                MODEL._replace(likelihood=MODEL.likelihood._replace(log_prob_observed=None)),
                PARAMS,
                jax.random.key(0),
                Incomplete(X[0], MASK),
            ),
            ["log_prob_observed", "independent"],
        ),
    ],
)
def test_what_cannot_be_imputed_is_named(call, words):
    with pytest.raises(ValueError, match="expected") as error:
        call()
    for word in words:
        assert word in str(error.value)


def test_one_gaussian_fills_in_what_its_precision_matrix_says():
    """E[x_m | x_o] = mean_m - P_mm^-1 P_mo (x_o - mean_o), P the inverse of the covariance, which is never made."""
    draw = np.random.default_rng(0)
    train, x = (draw.normal(size=(count, 2, 3)) @ draw.normal(size=(3, 3)) for count in (50, 4))
    observed = draw.uniform(size=x.shape) < 0.5
    flat = train.reshape(50, -1)
    precision, mean = np.linalg.inv(np.cov(flat.T) + 0.1 * np.eye(6)), flat.mean(0)
    found = impute_gaussian(train, np.where(observed, x, np.nan), observed, ridge=0.1)
    for row, known, seen in zip(found.reshape(4, -1), x.reshape(4, -1), observed.reshape(4, -1), strict=True):
        pull = precision[np.ix_(~seen, seen)] @ (known[seen] - mean[seen])
        np.testing.assert_allclose(row[~seen], mean[~seen] - np.linalg.solve(precision[np.ix_(~seen, ~seen)], pull))
        np.testing.assert_array_equal(row[seen], known[seen])
    with pytest.raises(ValueError, match=r"x \(4, 2, 3\) and observed \(4, 6\), expected"):
        impute_gaussian(train, x, observed.reshape(4, 6))
