"""Counts: densities against 100-digit arithmetic, observation models against SciPy's distributions."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import optax
import oracles
import pytest
from scipy import special, stats
from small import LATENTS, Encoder, Linear

from jaxvae.math.counts import minus_log, stirling_error
from jaxvae.math.negative_binomial import negative_binomial_log_prob, zero_inflated_negative_binomial_log_prob
from jaxvae.math.poisson import poisson_log_prob, poisson_sample
from jaxvae.models.observations.counts import negative_binomial, poisson, zero_inflated_negative_binomial
from jaxvae.models.records import Observation
from jaxvae.models.variational import vae
from jaxvae.training.engine.parallel import compile_steps
from jaxvae.training.engine.state import init_state
from jaxvae.training.losses.bound import bound_loss

pytestmark = pytest.mark.quick_compile

COUNTS = (0, 1, 2, 7, 100, 99_999, 1e6)
OFF = (-np.log(100), -1, -0.3, -1e-3, 0, 1e-3, 0.3, 1, np.log(100))  # of the log-mean from the log of the count
CONCENTRATIONS = np.log([1e-3, 0.05, 1.1, 100, 1e6])


def around(*others):
    """Each count with means equal to it, near it and 100 times off."""
    means = [[count, np.log(max(count, 1)) + off] for count in COUNTS for off in OFF]
    return np.float32([[*row, *rest] for row in means for rest in oracles.grid(*others)])


def assert_precise(function, oracle, points, active):
    """Values to 1e-5 of themselves, gradients to 1e-4, or as the last digit of the inputs allows."""
    exact = oracles.truth(oracle, points, active)
    columns = [jnp.asarray(column) for column in points.T]
    value, slopes = jax.jit(jax.vmap(jax.value_and_grad(function, argnums=active)))(*columns)
    oracles.agree("value", np.float64(value), exact.value, 1e-5 * np.abs(exact.value), points)
    for index, slope, truth, condition in zip(
        active, slopes, exact.gradient.T, exact.gradient_condition.T, strict=True
    ):
        allowed = (1e-4 + 1e-6 * condition) * np.abs(truth) + 1e-30
        oracles.agree(f"gradient in argument {index}", np.float64(slope), truth, allowed, points)


def test_poisson_keeps_five_digits_to_a_million():
    assert_precise(poisson_log_prob, oracles.poisson_log_prob, around(), (1,))


@pytest.mark.full
def test_negative_binomial_keeps_five_digits_from_the_widest_to_the_poisson_limit():
    points = around(CONCENTRATIONS)
    assert_precise(negative_binomial_log_prob, oracles.negative_binomial_log_prob, points, (1, 2))
    limit = points[points[:, 2] > 13][:, :2]
    near = jax.jit(jax.vmap(negative_binomial_log_prob, (0, 0, None)))(*limit.T, jnp.float32(60))
    np.testing.assert_allclose(near, jax.jit(jax.vmap(poisson_log_prob))(*limit.T), rtol=2e-6)


@pytest.mark.slow
def test_zero_inflation_keeps_five_digits_whatever_its_weight():
    points = np.float32(
        [
            [x, a, b, logit]
            for x in (0, 3, 1e4)
            for a in (-8, 0, 3, 9)
            for b in (-6, 0, 9)
            for logit in (-90, -9, 0, 9, 90)
        ]
    )
    function, oracle = zero_inflated_negative_binomial_log_prob, oracles.zero_inflated_negative_binomial_log_prob
    exact = oracles.truth(oracle, points, (1, 2, 3), condition=False)
    value, slopes = jax.jit(jax.vmap(jax.value_and_grad(function, (1, 2, 3))))(*points.T)
    oracles.agree("value", np.float64(value), exact.value, 1e-5 * np.abs(exact.value) + oracles.TINY, points)
    for slope, truth in zip(slopes, exact.gradient.T, strict=True):
        # Scaled by the largest of the three: a far smaller one is the difference of terms of that size.
        allowed = 1e-4 * np.abs(truth) + 1e-6 * np.abs(exact.gradient).max(1) + oracles.TINY
        oracles.agree("gradient", np.float64(slope), truth, allowed, points)


def test_the_textbook_form_would_lose_every_digit():
    """What these forms are for: x log_rate - exp(log_rate) - log x! in float32, off by a tenth."""
    x = jnp.float32(1e6)
    plain = x * jnp.log(x) - jnp.exp(jnp.log(x)) - jax.lax.lgamma(x + 1)
    exact = stats.poisson.logpmf(1e6, 1e6)
    assert abs(float(plain) / exact - 1) > 0.05
    assert float(poisson_log_prob(x, jnp.log(x))) == pytest.approx(exact, rel=1e-6)


def test_the_parts_are_those_of_high_precision():
    x = np.float32([1e-6, 1e-3, 0.3, 0.99, 1, 1.5, 7, 99, 12345, 1e6, 2**24])
    found = jax.jit(lambda x: stirling_error(x, jnp.log(x)))(x)
    with mpmath.workdps(60):
        exact = [
            mpmath.loggamma(v + 1) - (v * mpmath.log(v) - v + mpmath.log(2 * mpmath.pi * v) / 2)
            for v in map(mpmath.mpf, np.float64(x))
        ]
        logs = [mpmath.mpf(float(np.float32(np.log(v)))) - mpmath.log(v) for v in map(float, x[4:])]
    np.testing.assert_allclose(found, np.float64(exact), rtol=3e-6)
    difference = jax.jit(minus_log)(np.float32(np.log(np.float64(x[4:]))), x[4:])
    np.testing.assert_allclose(difference, np.float64(logs), atol=6e-8)


@pytest.mark.rows(every_slow=3)
@pytest.mark.rows(quick=["1000000.0"], full=["0.0001"])
@pytest.mark.parametrize("rate", [1e-4, 0.5, 9.9, 10.0, 300.0, 1e5, 1e6, 1e7])
def test_poisson_samples_follow_their_distribution_at_any_rate(rate):
    """At 1e5 and above `jax.random.poisson` fails this by ten orders of magnitude in float32."""
    draws, log_rate = 200_000, np.float32(np.log(rate))
    x = np.float64(jax.jit(poisson_sample)(jax.random.key(1), jnp.full(draws, log_rate)))
    truth = stats.poisson(np.exp(np.float64(log_rate)))
    uniform = truth.cdf(x) - np.random.default_rng(0).uniform(size=draws) * truth.pmf(x)
    assert stats.kstest(uniform, "uniform").pvalue > 1e-5
    assert abs(x.mean() - truth.mean()) < 4.5 * np.sqrt(truth.var() / draws)
    assert abs(x.var() / truth.var() - 1) < 4.5 * np.sqrt((2 + 1 / truth.var()) / draws)


# The observation models ------------------------------------------------------------------------------------------


class Case(NamedTuple):
    """An observation model, the ranges of the numbers emitted for one pixel, and their probabilities by SciPy."""

    observation: Observation
    ranges: list[tuple[float, float]]
    truth: Callable  # (outputs [channels], x) -> probabilities


def nb(log_mean, r, x):
    return stats.nbinom.pmf(x, r, r / (r + np.exp(log_mean)))


def inflated(log_mean, r, logit, x):
    return special.expit(logit) * (x == 0) + special.expit(-logit) * nb(log_mean, r, x)


MEANS, RAW, LOGITS = (-2.0, 3.0), (-1.0, 3.0), (-3.0, 3.0)
FLOOR = 1e-3
CASES = {
    "poisson": Case(poisson(), [MEANS], lambda o, x: stats.poisson.pmf(x, np.exp(o[0]))),
    "nb-learned": Case(negative_binomial(start=2.0), [MEANS], lambda o, x: nb(o[0], 2.0, x)),
    "nb-per_pixel": Case(
        negative_binomial("per_pixel", start=2.0),
        [MEANS, RAW],
        lambda o, x: nb(o[0], FLOOR + (2.0 - FLOOR) * np.exp(o[1]), x),
    ),
    "zinb-learned": Case(
        zero_inflated_negative_binomial(start=2.0), [MEANS, LOGITS], lambda o, x: inflated(o[0], 2.0, o[1], x)
    ),
    "zinb-per_pixel": Case(
        zero_inflated_negative_binomial("per_pixel", start=2.0),
        [MEANS, RAW, LOGITS],
        lambda o, x: inflated(o[0], FLOOR + (2.0 - FLOOR) * np.exp(o[1]), o[2], x),
    ),
}
every = pytest.mark.parametrize("name", CASES)


def draw_outputs(case, count, seed=0):
    low, high = np.transpose(case.ranges)
    return np.random.default_rng(seed).uniform(low, high, (count, len(low))).astype(np.float32)


@pytest.mark.rows(slow=["nb-per_pixel", "zinb-learned", "zinb-per_pixel"])
@every
def test_probabilities_sum_to_one_and_are_those_of_scipy(name):
    case, x = CASES[name], np.arange(1500)
    observation, params = case.observation, case.observation.init()
    outputs = draw_outputs(case, 30)

    def one(x, o):
        return observation.log_prob(params, x.reshape(1, 1, 1), o.reshape(1, 1, -1))

    log_prob = jax.jit(jax.vmap(jax.vmap(one, (0, None)), (None, 0)))(np.float32(x), outputs)
    probability = np.exp(np.float64(log_prob))
    np.testing.assert_allclose(probability.sum(1), 1, atol=1e-5)
    expected = np.stack([case.truth(np.float64(row), x) for row in outputs])
    np.testing.assert_allclose(probability, expected, rtol=2e-5, atol=1e-9)
    assert observation.discrete
    assert observation.channels == len(case.ranges)


@pytest.mark.rows(full=["nb-learned", "nb-per_pixel", "poisson", "zinb-learned", "zinb-per_pixel"])
@every
def test_samples_follow_the_probabilities_the_mean_and_the_key(name):
    case, draws = CASES[name], 40_000
    observation, params = case.observation, case.observation.init()
    outputs, x = draw_outputs(case, 3, seed=1), np.arange(2000)

    @jax.jit
    def experiment(key):
        tiled = jnp.broadcast_to(outputs[:, None, None, :], (3, draws, 1, observation.channels))
        return observation.sample(params, key, tiled)[..., 0, 0], observation.mean(params, outputs)[:, 0]

    drawn, means = jax.tree.map(np.float64, experiment(jax.random.key(0)))
    np.testing.assert_array_equal(drawn, experiment(jax.random.key(0))[0])
    assert (drawn != experiment(jax.random.key(1))[0]).any()
    for row, sample, mean in zip(np.float64(outputs), drawn, means, strict=True):
        probability = case.truth(row, x)
        exact = probability @ x
        spread = np.sqrt((probability @ (x - exact) ** 2) / draws)
        assert mean == pytest.approx(exact, rel=1e-5)
        assert abs(sample.mean() - exact) < 4.5 * spread
        counts = np.bincount(sample.astype(int), minlength=2000)
        groups = np.minimum(np.floor(np.cumsum(probability * draws) / 50), draws // 50 - 1).astype(int)
        found, wanted = np.bincount(groups, counts), np.bincount(groups, probability * draws)
        found, wanted = found[wanted > 5], wanted[wanted > 5]
        assert stats.chisquare(found, wanted * found.sum() / wanted.sum()).pvalue > 1e-5


@pytest.mark.rows(slow=["nb-per_pixel", "zinb-learned"])
@every
def test_channels_keep_their_places(name):
    case = CASES[name]
    observation, params = case.observation, case.observation.init()
    each = draw_outputs(case, 12).reshape(2, 3, 2, -1)  # pixels of two channels
    packed = jnp.asarray(np.moveaxis(each, -1, -2).reshape(2, 3, -1))  # all of one kind together
    x = jnp.float32(np.random.default_rng(1).poisson(3, (2, 3, 2)))
    parts = sum(
        np.log(case.truth(np.float64(each[i, j, c]), np.asarray(x)[i, j, c]))
        for i in range(2) for j in range(3) for c in range(2)
    )  # fmt: skip

    @jax.jit
    @jax.vmap
    def batch(x, outputs):
        return observation.log_prob(params, x, outputs), observation.mean(params, outputs)

    log_prob, mean = batch(jnp.stack([x, x]), jnp.stack([packed, packed]))
    np.testing.assert_allclose(log_prob, parts, rtol=1e-5)
    assert mean.shape == (2, 2, 3, 2)


@pytest.mark.rows(slow=["nb-learned", "nb-per_pixel", "zinb-learned"], full=["zinb-per_pixel"])
@every
def test_values_and_gradients_stay_finite_where_a_poisson_of_that_mean_fits_a_float(name):
    observation = CASES[name].observation
    steps = np.float32([-1e4, -100, -15, -1, 0, 1, 15, 80, 100, 1e4])
    rows = np.random.default_rng(0).choice(steps, (200, observation.channels))
    rows[:, 0] = np.minimum(rows[:, 0], 80)

    def value(outputs, params, x):
        return observation.log_prob(params, x.reshape(1, 1, 1), outputs.reshape(1, 1, -1))

    result = jax.jit(
        jax.vmap(jax.vmap(jax.value_and_grad(value, (0, 1)), (None, None, 0)), (0, None, None))
    )(rows, observation.init(), np.float32([0, 1, 300, 1e6]))  # fmt: skip
    for leaf in jax.tree.leaves(result):
        assert np.isfinite(leaf).all()


@every
def test_networks_see_logarithms(name):
    to_unit = CASES[name].observation.to_unit
    for dtype in (np.float32, np.int32, np.uint8):
        unit = to_unit(jnp.asarray([0, 15, 255], dtype))
        assert unit.dtype == jnp.float32
        np.testing.assert_allclose(unit, [0, 0.5, 1], rtol=1e-6)
    assert float(poisson(largest=15).to_unit(jnp.float32(255))) == pytest.approx(2)


@pytest.mark.full
def test_training_finds_the_concentration_of_overdispersed_counts():
    """Counts of one mean and concentration 3: the bound is highest where the model says so."""
    draw = np.random.default_rng(0)
    counts = draw.negative_binomial(3, 3 / (3 + 8.0), (2000, 4, 4, 1)).astype(np.int32)
    model = vae(
        Encoder(), Linear(16, (4, 4, 1)), event_shape=(4, 4, 1), latent_dim=LATENTS, observation=negative_binomial()
    )
    optimizer = optax.adam(3e-2)
    state = init_state(model, optimizer, jax.random.key(0), jnp.zeros((4, 4, 1)))
    compiled = compile_steps(
        bound_loss(model), optimizer, lambda key, x: x, batch_size=100, steps_per_call=800, mode="jit"
    )
    state, metrics = compiled.run(compiled.place_state(state), compiled.place_images(counts), 800)
    losses = np.asarray(metrics["loss"])
    assert losses[-50:].mean() < losses[:5].mean() - 10
    learned = FLOOR + np.exp(state.params["observation"]["log_concentration"])
    assert 2.5 < learned < 3.6
    entropy = -16 * (stats.nbinom.pmf(np.arange(400), 3, 3 / 11) * stats.nbinom.logpmf(np.arange(400), 3, 3 / 11)).sum()
    assert losses[-50:].mean() == pytest.approx(entropy, rel=0.03)


ZERO = jnp.zeros(3)
BAD = [
    (lambda: poisson(0), ValueError, ["largest is 0", "at least 1"]),
    (lambda: poisson(2.5), TypeError, ["largest is 2.5", "integer"]),
    (lambda: negative_binomial("unknown"), ValueError, ["concentration is 'unknown'", "'learned' or 'per_pixel'"]),
    (lambda: negative_binomial(start=0.0), ValueError, ["start is 0.0", "above 0"]),
    (lambda: negative_binomial(start=-1.0), ValueError, ["start is -1.0"]),
    (lambda: negative_binomial(start=1e-4), ValueError, ["start is 0.0001", "more than the floor"]),
    (lambda: negative_binomial(floor=0.0), ValueError, ["floor is 0.0", "above 0"]),
    (lambda: zero_inflated_negative_binomial(start=np.nan), ValueError, ["start is nan", "finite"]),
    (lambda: zero_inflated_negative_binomial("fixed"), ValueError, ["concentration is 'fixed'"]),
    (
        lambda: poisson().check(np.float32([0, 0.5]), "x"),
        ValueError,
        ["0.5 at index (1,)", "whole numbers", "raw counts"],
    ),
    (lambda: poisson().check(np.int32([[3, -1]]), "x"), ValueError, ["-1 at index (0, 1)", "raw counts"]),
    (lambda: poisson().check(np.float32([np.nan]), "pixels"), ValueError, ["pixels has the value nan"]),
    (lambda: poisson().check(np.float32([np.inf]), "x"), ValueError, ["inf at index (0,)"]),
    (lambda: poisson().check(np.int32([2**24 + 1]), "x"), ValueError, ["16777217", "1.67772e+07"]),
    (lambda: poisson().check(np.complex64([1]), "x"), TypeError, ["complex64", "whole numbers"]),
    (lambda: poisson_log_prob(ZERO, jnp.zeros((3, 1))), ValueError, ["log_rate has shape (3, 1)", "jax.vmap"]),
    (lambda: poisson_log_prob(ZERO, np.zeros(3, int)), TypeError, ["log_rate has dtype int"]),
    (
        lambda: negative_binomial_log_prob(ZERO, ZERO, jnp.full(3, jnp.nan)),
        ValueError,
        ["log_concentration has", "nan"],
    ),
    (lambda: poisson_sample(jax.random.key(0), np.zeros(3, int)), TypeError, ["log_rate has dtype int"]),
]


@pytest.mark.parametrize(("call", "error", "words"), BAD)
def test_impossible_arguments_are_named(call, error, words):
    with pytest.raises(error) as raised:
        call()
    for word in words:
        assert word in str(raised.value)
