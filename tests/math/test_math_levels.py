"""Likelihoods of whole pixel levels, and the Laplace density, against 100-digit arithmetic and by summing to 1."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from oracles import user_jit

from jaxvae.math.categorical import categorical_log_prob
from jaxvae.math.laplace import laplace_log_prob
from jaxvae.math.logistic import discretized_logistic_log_prob, logistic_mixture_log_prob


def categorical_of_scalars(x, *logits):
    return categorical_log_prob(x, jnp.stack(logits))


def mixture_of_scalars(x, *rest):
    m = len(rest) // 3
    return logistic_mixture_log_prob(x, *(jnp.stack(rest[i : i + m]) for i in (0, m, 2 * m)))


def test_laplace_over_the_whole_range():
    points = oracles.grid([0.0, 0.5, -3.0, 1e3], [0.1, 0.2], np.linspace(-80, 80, 9))
    oracles.assert_agrees(laplace_log_prob, oracles.laplace_log_prob, points, [0, 1, 2], absolute=1e-6)


def test_laplace_integrates_to_one_and_is_flat_at_its_peak():
    x = jnp.linspace(-20.0, 24.0, 44_001)
    density = np.exp(np.float64(jax.vmap(laplace_log_prob, in_axes=(0, None, None))(x, 2.0, 0.1)))
    assert np.trapezoid(density, np.float64(x)) == pytest.approx(1.0, abs=1e-4)
    assert float(jax.grad(laplace_log_prob, argnums=1)(jnp.float32(2.0), jnp.float32(2.0), jnp.float32(0.1))) == 0.0


@pytest.mark.parametrize(
    ("pixels", "means"),
    [
        pytest.param([0, 1, 77, 255], [-1.2, -0.993, 0.0, 0.00392156, 1.2], id="quick"),
        pytest.param(range(256), np.linspace(-1.2, 1.2, 7), id="every-pixel", marks=pytest.mark.full),
    ],
)
def test_discretised_logistic_over_the_whole_range(pixels, means):
    points = oracles.grid(pixels, means, np.linspace(-15, 15, 13))
    function, oracle = discretized_logistic_log_prob, oracles.discretized_logistic_log_prob
    oracles.assert_agrees(function, oracle, points, [1, 2], absolute=1e-6)


@pytest.mark.parametrize("levels", [2, 16, 65536])
def test_discretised_logistic_with_other_numbers_of_levels(levels):
    points = oracles.grid([0, 1, levels // 3, levels - 1], [-1.2, -0.3, 0.9], [-15, -8, -1, 0, 6, 15])
    function = partial(discretized_logistic_log_prob, levels=levels)
    oracle = partial(oracles.discretized_logistic_log_prob, levels=levels)
    oracles.assert_agrees(function, oracle, points, [1, 2], absolute=1e-6)


def test_absurd_scales_stay_finite():
    log_scale = jnp.array([-1e3, -200.0, -80.0, 80.0, 200.0, 1e3])
    for x in (0, 3, 255):
        slopes = jax.vmap(jax.value_and_grad(discretized_logistic_log_prob, argnums=(1, 2)), in_axes=(None, None, 0))
        for array in jax.tree.leaves(user_jit(slopes)(x, jnp.float32(0.1), log_scale)):
            assert np.isfinite(array).all()


def test_a_tail_that_holds_everything_is_certain_at_any_scale():
    both = user_jit(jax.value_and_grad(discretized_logistic_log_prob, argnums=(1, 2)))
    for x, mean in ((0, -5e3), (255, 5e3)):
        value, slopes = both(x, jnp.float32(mean), jnp.float32(-1e3))
        assert (float(value), *map(float, slopes)) == (0.0, 0.0, 0.0)


@pytest.mark.slow
def test_mixture_with_a_dead_and_a_sharp_component():
    draw = np.random.default_rng(0)
    count = 24
    normal, uniform = (lambda *a: draw.normal(*a, (count, 3))), (lambda *a: draw.uniform(*a, (count, 3)))
    pixels = draw.integers(0, 256, (count, 1))
    points = np.hstack([pixels, normal(0, 3), uniform(-1.2, 1.2), uniform(-12, 3)]).astype(np.float32)
    points[::2, 1] = -1e4
    points[::3, 8] = -12.0
    oracle = oracles.logistic_mixture_log_prob
    oracles.assert_agrees(mixture_of_scalars, oracle, points, range(1, 10), absolute=1e-6)


@pytest.mark.slow
def test_mixture_of_one_is_the_discretised_logistic():
    x, mean, log_scale = jnp.arange(0, 256, 17), jnp.linspace(-1, 1, 16), jnp.linspace(-6, 1, 16)
    one = user_jit(logistic_mixture_log_prob)(x, jnp.full((16, 1), 7.0), mean[:, None], log_scale[:, None])
    assert float(one) == pytest.approx(float(discretized_logistic_log_prob(x, mean, log_scale)), rel=1e-6)


@pytest.mark.slow
def test_categorical_over_a_wide_range():
    draw = np.random.default_rng(0)
    points = np.hstack([draw.integers(0, 4, (60, 1)), draw.normal(0, 30, (60, 4))]).astype(np.float32)
    oracles.assert_agrees(categorical_of_scalars, oracles.categorical_log_prob, points, [1, 2, 3, 4])


@pytest.mark.slow
def test_categorical_is_exact_where_one_class_is_nearly_certain():
    points = oracles.grid([0, 1], [40.0, 20.0], [0.0], [-3.0])
    oracles.assert_agrees(categorical_of_scalars, oracles.categorical_log_prob, points, [1, 2, 3])


def test_tied_logits_share_the_gradient():
    slope = user_jit(jax.grad(categorical_log_prob, argnums=1))(jnp.int32(1), jnp.zeros(4))
    np.testing.assert_allclose(slope, [-0.25, 0.75, -0.25, -0.25], rtol=1e-6)


def test_impossible_classes():
    logits = jnp.array([0.0, -jnp.inf, 0.0])
    value, slope = jax.value_and_grad(categorical_log_prob, argnums=1)(jnp.int32(0), logits)
    assert float(value) == pytest.approx(-np.log(2))
    np.testing.assert_allclose(slope, [0.5, 0.0, -0.5], rtol=1e-6)
    assert float(categorical_log_prob(jnp.int32(1), logits)) == -np.inf


@pytest.mark.slow
def test_probabilities_of_all_levels_sum_to_one():
    draw, count = np.random.default_rng(1), 500
    x = jnp.arange(256)
    mean, log_scale = jnp.float32(draw.uniform(-1.5, 1.5, count)), jnp.float32(draw.uniform(-12, 6, count))
    logits = jnp.float32(draw.normal(0, 10, (count, 256)))
    weights, means = (jnp.float32(draw.normal(0, 2, (count, 5))) for _ in range(2))
    log_scales = jnp.float32(draw.uniform(-12, 6, (count, 5)))
    for function, arguments in [
        (discretized_logistic_log_prob, (mean, log_scale)),
        (categorical_log_prob, (logits,)),
        (logistic_mixture_log_prob, (weights, means, log_scales)),
    ]:
        each = jax.vmap(
            jax.vmap(function, in_axes=(0, *(None,) * len(arguments))), in_axes=(None, *(0,) * len(arguments))
        )
        total = np.exp(np.float64(user_jit(each)(x, *arguments))).sum(axis=1)
        np.testing.assert_allclose(total, 1.0, atol=1e-5)


LEVEL_FUNCTIONS = {
    "discretised logistic": lambda x: discretized_logistic_log_prob(x, 0.0, 0.0),
    "mixture": lambda x: logistic_mixture_log_prob(x, *[jnp.zeros((*jnp.shape(x), 2))] * 3),
    "categorical": lambda x: categorical_log_prob(x, jnp.zeros((*jnp.shape(x), 256))),
}


@pytest.mark.slow
@pytest.mark.rows(full=["mixture"])
@pytest.mark.parametrize("function", LEVEL_FUNCTIONS.values(), ids=LEVEL_FUNCTIONS)
def test_levels_come_as_any_whole_numbers_and_nothing_else(function):
    expected = float(function(jnp.array([0, 7, 255])))
    for dtype in (jnp.uint8, jnp.int16, jnp.float32, jnp.bfloat16):
        assert float(user_jit(function)(jnp.array([0, 7, 255], dtype))) == pytest.approx(expected, rel=1e-6)
    with pytest.raises(
        ValueError, match=r"x has the value 0\.1234\d* at index \(1,\), expected whole numbers 0\.\.255"
    ):
        function(jnp.array([0.0, 0.1234, 1.0]))
    with pytest.raises(ValueError, match=r"x has the value 256 at index \(1,\).*\[0, 255\]"):
        function(jnp.array([0, 256, 1]))
    with pytest.raises(ValueError, match=r"x has the value -1.*range seen -1 to 3"):
        function(jnp.array([3, 0, -1]))
    with pytest.raises(ValueError, match="x has the value nan"):
        function(jnp.array([3, 0, jnp.nan]))
    with pytest.raises(ValueError, match=r"x has the value 300.* at index \(0,\).*the number of levels"):
        function(jnp.array([300.0], jnp.bfloat16))
    with pytest.raises(TypeError, match="x has dtype complex64"):
        function(jnp.array([1j]))


def test_a_traced_category_out_of_range_is_nan():
    function = user_jit(categorical_log_prob)
    for x in (-1, 3):
        assert np.isnan(function(jnp.int32(x), jnp.zeros(3)))
    assert np.isnan(function(jnp.float32(0.5), jnp.zeros(3)))
    assert np.isnan(function(jnp.float32(jnp.nan), jnp.zeros(3)))


def test_shapes_and_counts_that_cannot_be():
    with pytest.raises(ValueError, match=r"logits has shape \(4, 3\), expected \(3,\)"):
        categorical_log_prob(jnp.zeros(3, int), jnp.zeros((4, 3)))
    with pytest.raises(ValueError, match=r"logits has shape \(3, 0\)"):
        categorical_log_prob(jnp.zeros(3, int), jnp.zeros((3, 0)))
    with pytest.raises(ValueError, match=r"logits has shape \(3,\), expected \(3,\).*one more axis \[M\]"):
        logistic_mixture_log_prob(jnp.zeros(3), *[jnp.zeros(3)] * 3)
    with pytest.raises(ValueError, match=r"means has shape \(3, 4\), expected \(3, 2\)"):
        logistic_mixture_log_prob(jnp.zeros(3), jnp.zeros((3, 2)), jnp.zeros((3, 4)), jnp.zeros((3, 2)))
    for levels in (1, 0, -3):
        with pytest.raises(ValueError, match=f"levels is {levels}, expected an integer of at least 2"):
            discretized_logistic_log_prob(jnp.zeros(3), jnp.zeros(3), jnp.zeros(3), levels=levels)
    with pytest.raises(TypeError, match=r"levels is 2\.5"):
        discretized_logistic_log_prob(jnp.zeros(3), jnp.zeros(3), jnp.zeros(3), levels=2.5)
