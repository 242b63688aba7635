"""Rate, distortion and information: Gaussian channels with closed forms, and codes that do not overlap."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import SHAPE, images, small_vae

from jaxvae.evaluation.bounds.likelihood import per_example
from jaxvae.evaluation.bounds.rates import information_bounds, rate_distortion

pytestmark = pytest.mark.quick_compile

KEY = jax.random.key(0)


def mean_and_error(values):
    return values.mean(), values.std(ddof=1) / math.sqrt(len(values))


@pytest.mark.parametrize(("gain", "noise"), [(1.0, 1.0), (2.0, 0.5)])
def test_a_gaussian_channel_has_its_capacity_between_the_bounds(gain, noise):
    """z = gain x + noise e with x standard normal in 2 dimensions: I = log(1 + gain^2 / noise^2)."""
    x = np.random.default_rng(0).normal(size=(3000, 2))
    bounds = information_bounds(KEY, gain * x, np.full(x.shape, 2 * math.log(noise)))
    exact = math.log1p(gain**2 / noise**2)
    (low, error), (high, _) = mean_and_error(bounds.lower), mean_and_error(bounds.upper)
    assert low < high
    assert abs(low - exact) < 5 * error + 0.02  # the bounds are tight: exact is far below log N
    assert abs(high - exact) < 5 * error + 0.02
    # q(z) is then normal with variance gain^2 + noise^2, of known negative entropy.
    negative_entropy = -(1 + math.log(2 * math.pi * (gain**2 + noise**2)))
    aggregate, error = mean_and_error(bounds.log_aggregate)
    assert abs(aggregate - negative_entropy) < 5 * error + 0.02


def test_groups_far_apart_tell_the_logarithm_of_their_number():
    mean = np.repeat(20.0 * np.arange(8)[:, None], 50, axis=0)
    bounds = information_bounds(KEY, mean, np.zeros_like(mean))
    np.testing.assert_allclose(bounds.lower, math.log(8), atol=1e-4)
    np.testing.assert_allclose(bounds.upper, math.log(8 * 399 / 400 * 50 / 49), atol=1e-4)


def test_codes_that_never_overlap_reach_the_cap_below_and_no_limit_above():
    mean = 100.0 * np.arange(64)[:, None]
    bounds = information_bounds(KEY, mean, np.zeros_like(mean))
    assert bounds.cap == pytest.approx(math.log(64))
    np.testing.assert_allclose(bounds.lower, bounds.cap, atol=1e-4)
    assert bounds.upper.min() > 1000


def test_codes_that_tell_nothing_have_no_information():
    bounds = information_bounds(KEY, np.full((100, 3), 0.7), np.full((100, 3), -1.0), draws=10)
    assert bounds.lower.shape == bounds.upper.shape == (10,)
    np.testing.assert_allclose(bounds.lower, 0, atol=1e-5)
    np.testing.assert_allclose(bounds.upper, 0, atol=1e-5)


@pytest.mark.slow
def test_no_number_depends_on_the_batching():
    mean = np.random.default_rng(1).normal(size=(37, 2))
    one, other = (information_bounds(KEY, mean, np.zeros_like(mean), batch_size=size) for size in (5, 37))
    np.testing.assert_allclose(one.lower, other.lower, atol=1e-5)


@pytest.mark.slow
def test_the_rate_is_information_plus_the_marginal_kl_and_the_parts_are_those_of_per_example():
    model = small_vae()
    params = jax.jit(model.init)(KEY, jnp.zeros(SHAPE))
    x = images(400).astype(np.float32) / 255
    point = rate_distortion(model, params, KEY, x, draws=None)
    values = per_example(model, params, jax.random.split(KEY)[0], x)
    assert point.rate.mean == pytest.approx(values["kl"].mean(), rel=1e-5)
    assert point.distortion.mean == pytest.approx(-values["log_likelihood"].mean(), rel=1e-5)
    assert point.negative_elbo.mean == pytest.approx(point.rate.mean + point.distortion.mean, rel=1e-5)
    error = 5 * math.hypot(point.information.standard_error, point.marginal_kl.standard_error)
    assert abs(point.information.mean + point.marginal_kl.mean - point.rate.mean) < error
    assert point.cap == pytest.approx(math.log(400))
    assert point.information.mean < point.information_above.mean
    assert 0 <= point.active_units <= 3


@pytest.mark.parametrize(
    ("mean", "log_var", "options", "words"),
    [
        (np.zeros((1, 2)), np.zeros((1, 2)), {}, ["(1, 2)", "at least 2 examples"]),
        (np.zeros((5, 2)), np.zeros((5, 3)), {}, ["(5, 2)", "(5, 3)"]),
        (np.zeros(5), np.zeros(5), {}, ["(5,)", "[N, Z]"]),
        (np.full((5, 2), np.nan), np.zeros((5, 2)), {}, ["mean", "not finite", "diverged"]),
        (np.zeros((5, 2)), np.zeros((5, 2)), {"draws": 0}, ["draws is 0"]),
    ],
)
def test_impossible_posteriors_are_refused_in_words(mean, log_var, options, words):
    with pytest.raises(ValueError, match=r".") as error:
        information_bounds(KEY, mean, log_var, **options)
    for word in words:
        assert word in str(error.value)
