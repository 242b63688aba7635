"""Every observation model: a density that normalises, samples that follow it, gradients that stay finite.

The judges are SciPy's distributions and sums in float64, which share no line with the library.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from oracles import user_jit
from scipy import special, stats

from jaxvae.models.observations.continuous import Observation, bernoulli, continuous_bernoulli, laplace, normal
from jaxvae.models.observations.discrete import categorical, discretized_logistic, logistic_mixture
from jaxvae.models.observations.levels import bounded_log_scale

FLOOR = 1 / 256
LOGITS, LOCATIONS, RAW = (-6.0, 6.0), (-1.2, 1.2), (-9.0, 2.0)


class Case(NamedTuple):
    """An observation model, the ranges of the numbers a decoder emits for one pixel, and what SciPy says of them.

    `truth(outputs [channels])` is a frozen SciPy distribution, or the probabilities [levels] of a discrete model.
    """

    observation: Observation
    ranges: list[tuple[float, float]]
    truth: Callable
    levels: int | None = None


def continuous_bernoulli_truth(outputs):
    """A truncated exponential, mirrored for logits above 0."""
    (logit,) = outputs
    if logit == 0:
        return stats.uniform()
    if logit < 0:
        return stats.truncexpon(b=-logit, scale=-1 / logit)
    return stats.truncexpon(b=logit, loc=-1, scale=1 / logit)  # of -x


def logistic_masses(mean, raw, levels):
    log_scale = np.log(np.exp(raw) + 2 / (levels - 1) / 9)
    scale = np.exp(log_scale if log_scale <= 0 else np.log(2) * log_scale / (log_scale + np.log(2)))
    inner = (2 * np.arange(levels - 1) + 1) / (levels - 1) - 1
    return np.diff(special.expit((np.concatenate([[-np.inf], inner, [np.inf]]) - mean) / scale))


def mixture_masses(levels):
    def truth(outputs):
        logits, means, raws = np.reshape(outputs, (3, -1))
        masses = [logistic_masses(mean, raw, levels) for mean, raw in zip(means, raws, strict=True)]
        return special.softmax(logits) @ np.stack(masses)

    return truth


def scaled(family, distribution, width):
    """The three scales of a location-scale family; the learned number is the initial one."""

    def emitted(outputs):
        return distribution(outputs[0], FLOOR + (width - FLOOR) * np.exp(outputs[1]))

    unit = (0.0, 1.0)
    return {
        f"{family.__name__}-fixed": Case(family("fixed", width), [unit], lambda o: distribution(o[0], width)),
        f"{family.__name__}-learned": Case(family("learned", width), [unit], lambda o: distribution(o[0], width)),
        f"{family.__name__}-per_pixel": Case(family("per_pixel", width), [unit, (-9.0, 2.0)], emitted),
    }


CASES = {
    "bernoulli": Case(bernoulli(), [LOGITS], lambda o: np.array([special.expit(-o[0]), special.expit(o[0])]), 2),
    "continuous_bernoulli": Case(continuous_bernoulli(), [(-30.0, 30.0)], continuous_bernoulli_truth),
    **scaled(normal, stats.norm, 0.1),
    **scaled(laplace, stats.laplace, 0.2),
    "discretized_logistic": Case(discretized_logistic(), [LOCATIONS, RAW], lambda o: logistic_masses(*o, 256), 256),
    "discretized_logistic-2": Case(discretized_logistic(2), [LOCATIONS, RAW], lambda o: logistic_masses(*o, 2), 2),
    "logistic_mixture": Case(logistic_mixture(3), [LOGITS] * 3 + [LOCATIONS] * 3 + [RAW] * 3, mixture_masses(256), 256),
    "categorical": Case(categorical(), [LOGITS] * 256, lambda o: special.softmax(np.float64(o)), 256),
    "categorical-3": Case(categorical(3), [LOGITS] * 3, lambda o: special.softmax(np.float64(o)), 3),
}
DISCRETE = [name for name, case in CASES.items() if case.levels]
ONE_EACH = [name for name in CASES if name[-1] not in "23"]
CONTINUOUS = [name for name, case in CASES.items() if not case.levels]


def draw_outputs(case: Case, count: int, seed: int = 0) -> np.ndarray:
    """Random outputs of a decoder, float32 [count, channels]."""
    low, high = np.transpose(case.ranges)
    return np.random.default_rng(seed).uniform(low, high, (count, len(low))).astype(np.float32)


def log_probs(case: Case, x, outputs) -> np.ndarray:
    """log p of pixels x [R, X] under outputs [R, channels], float64 [R, X]."""
    params = case.observation.init()

    def one(x, outputs):
        return case.observation.log_prob(params, x.reshape(1, 1, 1), outputs.reshape(1, 1, -1))

    grid = user_jit(jax.vmap(jax.vmap(one, (0, None))))
    return np.float64(grid(np.asarray(x, np.float32), np.asarray(outputs, np.float32)))


def test_the_table_has_every_observation_model():
    names = {case.observation.name for case in CASES.values()}
    assert names == {
        *("bernoulli", "continuous_bernoulli", "normal", "laplace"),
        *("discretized_logistic", "logistic_mixture", "categorical"),
    }
    for case in CASES.values():
        assert case.observation.channels == len(case.ranges)
        assert case.observation.discrete == bool(case.levels)


@pytest.mark.rows(every=2)
@pytest.mark.parametrize("name", DISCRETE)
def test_probabilities_of_all_levels_sum_to_one_and_are_those_of_scipy(name):
    case = CASES[name]
    outputs = draw_outputs(case, 500)
    probability = np.exp(log_probs(case, np.broadcast_to(np.arange(case.levels), (500, case.levels)), outputs))
    np.testing.assert_allclose(probability.sum(1), 1, atol=1e-5)
    expected = np.stack([case.truth(np.float64(row)) for row in outputs])
    np.testing.assert_allclose(probability, expected, rtol=1e-3, atol=1e-7)


@pytest.mark.rows(every=2)
@pytest.mark.parametrize("name", CONTINUOUS)
def test_densities_integrate_to_one_and_are_those_of_scipy(name):
    case = CASES[name]
    outputs = draw_outputs(case, 50)
    mirror = np.where((outputs[:, :1] > 0) & (name == "continuous_bernoulli"), -1, 1)  # the truth is that of -x
    truths = [case.truth(np.float64(row)) for row in outputs]
    nodes, weights = np.polynomial.legendre.leggauss(100)
    total, x = np.zeros(len(outputs)), []
    for tails in ((0.0, 0.5), (0.5, 1.0)):  # two halves: the Laplace density has a corner at its median
        ends = np.array([truth.ppf(np.clip(tails, 1e-9, 1 - 1e-9)) for truth in truths])
        middle, half = ends.mean(1, keepdims=True), np.diff(ends) / 2
        x.append(middle + half * nodes)
        total += (np.exp(log_probs(case, mirror * x[-1], outputs)) * half * weights).sum(1)
    np.testing.assert_allclose(total, 1, atol=1e-4)
    x = np.concatenate(x, axis=1)
    expected = np.stack([truth.logpdf(row) for truth, row in zip(truths, x, strict=True)])
    np.testing.assert_allclose(log_probs(case, mirror * x, outputs), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.rows(every_slow=3)
@pytest.mark.slow
@pytest.mark.rows(full=["logistic_mixture"])
@pytest.mark.parametrize("name", ONE_EACH)
def test_samples_follow_the_density_and_its_mean(name):
    case, draws = CASES[name], 20_000
    outputs, params = draw_outputs(case, 4, seed=1), case.observation.init()

    @user_jit
    def experiment(key):
        def one(key, row):
            x = case.observation.sample(params, key, row.reshape(1, 1, -1))
            return x[0, 0, 0], case.observation.log_prob(params, x, row.reshape(1, 1, -1))

        keys = jax.random.split(key, (len(outputs), draws))
        mean = jax.vmap(lambda row: case.observation.mean(params, row.reshape(1, 1, -1))[0, 0, 0])(outputs)
        return jax.vmap(jax.vmap(one, (0, None)))(keys, jnp.asarray(outputs)), mean

    (x, log_prob), mean = jax.tree.map(np.float64, experiment(jax.random.key(0)))
    assert np.isfinite(log_prob).all()
    for row, drawn, claimed in zip(np.float64(outputs), x, mean, strict=True):
        truth = case.truth(row)
        if case.levels:
            values = np.arange(case.levels)
            exact, variance = truth @ values, truth @ values**2 - (truth @ values) ** 2
            np.testing.assert_allclose(claimed, exact, rtol=1e-4, atol=1e-5)
            assert_frequencies(drawn, truth)
        else:
            sign = -1 if name == "continuous_bernoulli" and row[0] > 0 else 1
            variance = truth.var()
            np.testing.assert_allclose(claimed, sign * truth.mean(), rtol=1e-5, atol=1e-6)
            assert stats.kstest(sign * drawn, truth.cdf).pvalue > 1e-5
        assert abs(drawn.mean() - claimed) <= 5 * np.sqrt(max(variance, 0) / draws) + 1e-5 * abs(claimed)


def assert_frequencies(drawn: np.ndarray, probability: np.ndarray) -> None:
    """Chi-square over neighbouring levels joined until each group expects at least ten draws."""
    counts, expected = np.bincount(drawn.astype(int), minlength=len(probability)), probability * len(drawn)
    groups = np.floor(np.cumsum(expected) / 10).astype(int)
    groups[groups == groups[-1]] = groups[groups < groups[-1]].max(initial=0)
    found, wanted = np.bincount(groups, counts), np.bincount(groups, expected)
    kept = wanted > 0
    assert found[~kept].sum() == 0
    if kept.sum() > 1:
        assert stats.chisquare(found[kept], wanted[kept] * found.sum() / wanted.sum()).pvalue > 1e-5


@pytest.mark.slow
def test_the_mean_of_a_continuous_bernoulli_is_right_from_tiny_to_huge_logits():
    logits = np.concatenate([-np.logspace(4, -6, 41), [0], np.logspace(-6, 4, 41)]).astype(np.float32)
    mean, slope = user_jit(jax.vmap(jax.value_and_grad(lambda l: continuous_bernoulli().mean({}, l))))(logits)
    l = np.float64(np.where(logits == 0, 1, logits))
    with np.errstate(over="ignore"):
        exact = np.where(np.abs(logits) < 1e-3, 0.5 + logits / 12, -1 / np.expm1(-l) - 1 / l)
    np.testing.assert_allclose(mean, exact, rtol=2e-6)
    assert (np.diff(np.float64(mean)) >= -1e-7).all()
    assert ((slope >= 0) & (slope <= 1 / 12 + 1e-6)).all()


@pytest.mark.rows(every=3)
@pytest.mark.rows(slow=["discretized_logistic", "logistic_mixture", "categorical"])
@pytest.mark.parametrize("name", ONE_EACH)
def test_value_and_gradients_stay_finite_at_extreme_outputs(name):
    case = CASES[name]
    extremes = np.float32([-1e4, -100, -15, -1, -1e-6, 0, 1e-6, 1, 15, 100, 1e4])
    channels = case.observation.channels
    rows = np.random.default_rng(0).choice(extremes, (300, channels))
    if channels <= 2:
        rows = np.stack(np.meshgrid(*[extremes] * channels, indexing="ij"), -1).reshape(-1, channels)
    x = np.float32([0, case.levels // 2, case.levels - 1] if case.levels else [0, 0.3, 1])

    def value(outputs, params, x):
        return case.observation.log_prob(params, x.reshape(1, 1, 1), outputs.reshape(1, 1, -1))

    def one(outputs, x):
        return jax.value_and_grad(value, (0, 1))(outputs, case.observation.init(), x)

    result = user_jit(jax.vmap(jax.vmap(one, (None, 0)), (0, None)))(rows, x)
    for leaf in jax.tree.leaves(result):
        assert np.isfinite(leaf).all()


@pytest.mark.rows(every=2)
@pytest.mark.rows(quick=["normal-per_pixel", "normal-learned", "laplace-fixed", "laplace-learned"])
@pytest.mark.parametrize("name", ONE_EACH)
def test_pixels_and_channels_add_up_and_keep_their_places(name):
    case = CASES[name]
    observation, params = case.observation, case.observation.init()
    shape = (2, 3, 2)  # two channels a pixel
    rng = np.random.default_rng(2)
    pixels = [draw_outputs(case, shape[-1], seed) for seed in range(6)]  # [C, channels] each
    one_channel = user_jit(lambda x, o: observation.log_prob(params, x, o))
    x = rng.integers(0, case.levels, shape).astype(np.float32) if case.levels else np.float32(rng.uniform(size=shape))
    if observation.name in ("normal", "laplace", "discretized_logistic"):  # all locations, then all scales
        packed = np.stack([rows.T.reshape(-1) for rows in pixels])
    else:  # channel by channel
        packed = np.stack([rows.reshape(-1) for rows in pixels])
    outputs = packed.reshape(2, 3, -1)
    whole, sample, mean = user_jit(
        lambda key: (
            observation.log_prob(params, x, outputs),
            observation.sample(params, key, outputs),
            observation.mean(params, outputs),
        )
    )(jax.random.key(0))
    assert sample.shape == mean.shape == shape
    flat = x.reshape(6, 2)
    parts = [
        one_channel(flat[p, c].reshape(1, 1, 1), rows[c].reshape(1, 1, -1))
        for p, rows in enumerate(pixels)
        for c in range(2)
    ]
    np.testing.assert_allclose(whole, np.sum(np.float64(parts)), rtol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_to_unit_maps_the_support_onto_zero_to_one(name):
    case = CASES[name]
    ends = np.float32([0, case.levels - 1 if case.levels else 1])
    np.testing.assert_array_equal(case.observation.to_unit(jnp.asarray(ends)), [0, 1])
    drawn = np.linspace(*ends, case.levels or 7, dtype=np.float32)
    unit = np.asarray(case.observation.to_unit(jnp.asarray(drawn)))
    np.testing.assert_allclose(unit, drawn / ends[1], rtol=1e-6)
    assert unit.dtype == np.float32


UNIT = {
    "raw pixels": (np.float32([0, 255]), ["255", "index (1,)", "[0, 1]", "255"]),
    "minus one to one": (np.float32([0, -1, 1]), ["-1.0", "index (1,)", "-1.0 to 1.0", "[0, 1]"]),
    "slightly negative": (np.float32([-1e-3]), ["-0.001", "[0, 1]"]),
    "NaN": (np.float32([[0, 0.5], [np.nan, 1]]), ["nan", "index (1, 0)", "0.0 to 1.0"]),
    "infinity": (np.float32([0.5, np.inf]), ["inf", "index (1,)"]),
}
INTEGERS = {
    "uint8": (np.uint8([0, 255]), ["uint8", "float", "pixels / 255"]),
    "int32": (np.int32([0, 1]), ["int32", "float"]),
}
REAL = {
    "NaN": (np.float32([0, np.nan]), ["nan", "index (1,)", "not finite"]),
    "infinity": (np.float32([-np.inf]), ["-inf", "index (0,)"]),
}
GRID = {
    "off the grid": (np.float32([3, 0.1234]), ["0.1234", "index (1,)", "whole numbers", "round"]),
    "above": (np.float32([0, 256]), ["256", "index (1,)", "[0, 255]", "0.0 to 256.0"]),
    "below": (np.int32([-1]), ["-1", "[0, 255]"]),
    "NaN": (np.float32([np.nan]), ["nan", "index (0,)"]),
}
BAD = {
    "bernoulli": UNIT | INTEGERS,
    "continuous_bernoulli": UNIT | INTEGERS,
    "normal-fixed": REAL | INTEGERS,
    "laplace-per_pixel": REAL | INTEGERS,
    "discretized_logistic": GRID,
    "logistic_mixture": GRID,
    "categorical": GRID,
}


@pytest.mark.parametrize(("name", "what"), [(name, what) for name, table in BAD.items() for what in table])
def test_what_is_outside_the_support_is_refused_by_name_value_and_place(name, what):
    x, words = BAD[name][what]
    with pytest.raises(TypeError if what in INTEGERS else ValueError, match="pixels has") as error:
        CASES[name].observation.check(x, "pixels")
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize("name", CASES)
def test_what_is_inside_the_support_is_accepted(name):
    case = CASES[name]
    if case.levels and case.levels > 2:
        for dtype in (np.uint8, np.int32, np.float32):
            case.observation.check(np.arange(case.levels).astype(dtype), "x")
    for x in (np.float32([0, 1]), jnp.array([0.0, 1.0]), np.float64([0, 1])):
        case.observation.check(x, "x")
    if case.levels is None:
        case.observation.check(np.float32([1e-9, 0.5]), "x")


@pytest.mark.slow
def test_a_pixel_that_is_no_number_is_no_level_inside_a_compiled_program():
    for name in ("categorical", "discretized_logistic", "logistic_mixture"):
        case = CASES[name]
        outputs = draw_outputs(case, 2)
        x = np.float32([[np.nan], [3]])
        found = log_probs(case, x, outputs)
        assert np.isnan(found[0, 0])
        assert np.isfinite(found[1, 0])


@pytest.mark.slow
@pytest.mark.parametrize("family", [normal, laplace])
def test_the_width_starts_where_it_was_asked_for(family):
    """At outputs of 0 and fresh parameters the three scales are one density, and `std` moves each of them."""
    x, one = jnp.full((1, 1, 1), 0.2), jnp.zeros((1, 1, 1))
    for width in (0.05, 0.1, 2.0):
        values = []
        for scale in ("fixed", "learned", "per_pixel"):
            observation = family(scale, width)
            outputs = jnp.concatenate([one] * observation.channels, axis=-1)
            values.append(float(user_jit(observation.log_prob)(observation.init(), x, outputs)))
        expected = (stats.norm if family is normal else stats.laplace)(0, width).logpdf(0.2)
        np.testing.assert_allclose(values, expected, rtol=1e-5)


@pytest.mark.parametrize("family", [normal, laplace])
def test_the_learned_width_is_a_parameter_that_moves_the_loss(family):
    observation = family("learned", 0.1)
    params = observation.init()
    assert jax.tree.map(jnp.shape, params) == {"observation": {"log_scale": ()}}
    assert family("fixed").init() == family("per_pixel").init() == {}
    x, outputs = jnp.full((4, 4, 1), 0.5), jnp.zeros((4, 4, 1))
    slope = user_jit(jax.grad(observation.log_prob))(params, x, outputs)["observation"]["log_scale"]
    # d/draw of 16 log p(0.5) with width = floor + exp(raw): (r^2 - 1) exp(raw) / width, or (|r| - 1) of it.
    residual = 0.5 / 0.1
    by_hand = 16 * ((residual**2 if family is normal else residual) - 1) * (0.1 - FLOOR) / 0.1
    np.testing.assert_allclose(slope, by_hand, rtol=1e-4)


@pytest.mark.parametrize("scale", ["learned", "per_pixel"])
@pytest.mark.parametrize("family", [normal, laplace])
def test_constant_pixels_never_drive_the_width_below_its_floor(family, scale):
    """60,000 steps of Adam at 1e-2 on pixels that are all 0.5; without a floor the width would go to 0."""
    observation = family(scale, 0.1)
    optimizer = optax.adam(1e-2)
    x = jnp.full((1, 1, 1), 0.5)
    start = (observation.init(), jnp.zeros((1, 1, observation.channels)))

    def loss(free):
        return -observation.log_prob(free[0], x, free[1])

    @user_jit
    def train(free):
        def step(carry, _):
            free, opt_state = carry
            value, slope = jax.value_and_grad(loss)(free)
            updates, opt_state = optimizer.update(slope, opt_state)
            return (optax.apply_updates(free, updates), opt_state), value

        return jax.lax.scan(step, (free, optimizer.init(free)), length=60_000)[1]

    values = train(start)
    assert np.isfinite(values).all()
    best = (stats.norm if family is normal else stats.laplace)(0, FLOOR).logpdf(0)
    assert best - 0.5 < -float(values[-1000:].min()) <= best + 1e-3  # at the floor, and never beyond it
    assert float(-values.min()) <= best + 1e-3


@pytest.mark.rows(slow=["family1"])
@pytest.mark.parametrize("family", [discretized_logistic, functools.partial(logistic_mixture, 2)])
def test_a_scale_that_ran_away_leaves_no_grey_patch_and_finds_its_way_back(family):
    """Log-scales of 7 to 28 once made every mean 127.5; the ceiling has a slope, and moves nothing below 0."""
    observation = family(levels=256)
    of_mixture = observation.name == "logistic_mixture"
    parts = observation.channels // (3 if of_mixture else 2)

    def mean(place, log_scale):
        rows = [jnp.zeros(parts)] * of_mixture + [jnp.full(parts, place), jnp.full(parts, log_scale)]
        return observation.mean({}, jnp.concatenate(rows)[None, None])[0, 0, 0]

    for log_scale in (7.0, 28.0):
        assert mean(-1.0, log_scale) < 127.5 - 25
        assert mean(1.0, log_scale) > 127.5 + 25
        assert float(jax.grad(mean, 1)(1.0, log_scale)) < -1e-3  # a smaller scale makes it lighter
    raw = jnp.array([-2.0, 0.0, 1e-3, 1.0, 28.0, 1e4])
    bounded, slopes = jax.vmap(jax.value_and_grad(lambda v: bounded_log_scale(v, 256)))(raw)
    np.testing.assert_allclose(bounded[:2], np.logaddexp(raw[:2], np.log(2 / 255 / 9)), atol=1e-5)
    assert (np.diff(bounded) > 0).all()
    assert bounded[-1] < np.log(2)
    assert (slopes > 0).all()


@pytest.mark.parametrize("levels", [3, 256, 65536])
def test_the_floor_of_a_logistic_leaves_nearly_all_mass_on_one_level(levels):
    level = levels // 2
    row = np.float32([[2 * level / (levels - 1) - 1, -1e4]])
    (sure,) = log_probs(Case(discretized_logistic(levels), [], None), [[level]], row)[0]
    assert -0.05 < sure <= 0.0


@pytest.mark.slow
def test_a_uniform_model_takes_eight_bits_per_dimension():
    x = np.random.default_rng(0).integers(0, 256, (28, 28, 1)).astype(np.float32)
    nats = -user_jit(categorical().log_prob)({}, x, jnp.zeros((28, 28, 256)))
    assert float(nats) / x.size / np.log(2) == pytest.approx(8, abs=1e-4)
    # A uniform density over dequantised pixels says the same: log p(x) - log 256 for each dimension.
    density = -user_jit(continuous_bernoulli().log_prob)({}, (x + 0.5) / 256, jnp.zeros(x.shape))
    assert float(density) / x.size / np.log(2) + np.log2(256) == pytest.approx(8, abs=1e-4)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: normal("unknown"), ["variance_type is 'unknown'", "'fixed', 'learned', 'per_channel' or 'per_pixel'"]),
        (lambda: normal(std=0.0), ["std is 0.0", "above 0"]),
        (lambda: normal(std=-1.0), ["std is -1.0"]),
        (lambda: normal(std=np.nan), ["std is nan", "finite"]),
        (lambda: normal("learned", 0.1, floor=0.0), ["floor is 0.0", "above 0"]),
        (lambda: normal("learned", 0.001), ["std is 0.001", "more than the floor", "Lower the floor"]),
        (lambda: laplace(width=np.inf), ["width is inf", "finite"]),
        (lambda: laplace("per_pixel", 1e-3), ["width is 0.001", "floor"]),
        (lambda: discretized_logistic(1), ["levels is 1", "at least 2"]),
        (lambda: categorical(0), ["levels is 0", "at least 2"]),
        (lambda: logistic_mixture(0), ["components is 0", "at least 1"]),
        (lambda: normal("fixed", std=0.001).log_prob, None),  # a fixed width needs no floor
    ],
)
def test_impossible_options_are_named(call, words):
    if words is None:
        assert call()
        return
    with pytest.raises(ValueError, match="expected") as error:
        call()
    for word in words:
        assert word in str(error.value)


@pytest.mark.full
@pytest.mark.parametrize("name", ONE_EACH)
def test_a_million_draws_agree_with_the_mean(name):
    case = CASES[name]
    outputs, params = draw_outputs(case, 5, seed=3), case.observation.init()

    @user_jit
    def totals(key):
        def chunk(key):
            def row(key, outputs):
                keys = jax.random.split(key, 20_000)
                x = jax.vmap(lambda k: case.observation.sample(params, k, outputs.reshape(1, 1, -1)))(keys)
                return x.mean()

            return jax.vmap(row)(jax.random.split(key, len(outputs)), jnp.asarray(outputs))

        return jax.lax.map(chunk, jax.random.split(key, 50))

    means = np.float64(totals(jax.random.key(7)))  # [50, R], each over 20,000 draws
    claimed = np.float64([case.observation.mean(params, o.reshape(1, 1, -1))[0, 0, 0] for o in jnp.asarray(outputs)])
    error = means.std(0, ddof=1) / np.sqrt(50)
    assert (np.abs(means.mean(0) - claimed) <= 6 * error + 2e-6 * np.abs(claimed)).all()


@pytest.mark.slow
@pytest.mark.rows(slow=["outputs0-2", "outputs0-256", "outputs1-2", "outputs1-256", "outputs2-256"])
@pytest.mark.parametrize("levels", [2, 256])
@pytest.mark.parametrize("outputs", [(0.3, -2.0), (-1.1, 0.5), (0.01, -5.0)])
def test_the_slopes_of_the_expected_level_are_those_of_the_sum_over_levels(levels, outputs):
    observation = discretized_logistic(levels)

    def expected(outputs):
        return (logistic_masses(*outputs, levels) * np.arange(levels)).sum()

    def mean(outputs):
        return observation.mean({}, outputs).sum()

    steps = 1e-5 * np.eye(2)
    slopes = [(expected(outputs + step) - expected(outputs - step)) / 2e-5 for step in steps]
    at = jnp.array(outputs)
    for derivative in (jax.grad, jax.jacfwd):
        np.testing.assert_allclose(derivative(mean)(at), slopes, rtol=2e-4, atol=1e-5)
    with jax.enable_x64(True):  # the slopes of the slopes have no rule of their own
        gradient = jax.grad(mean)
        columns = [(gradient(jnp.array(outputs + s)) - gradient(jnp.array(outputs - s))) / 2e-5 for s in steps]
        np.testing.assert_allclose(jax.hessian(mean)(jnp.array(outputs)), np.stack(columns, 1), rtol=1e-4, atol=1e-6)
