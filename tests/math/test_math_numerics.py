"""The primitives under the densities, and the checks at their door."""

from functools import partial

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import oracles
import pytest
from mpmath import mpf
from oracles import user_jit

from jaxvae import checks
from jaxvae.math import numerics


@pytest.mark.rows(every=3)
@pytest.mark.rows(slow=["0.0--100000.0"])
@pytest.mark.parametrize("location", [-1e5, -1500.0, -90.0, 0.0, 1500.0])
@pytest.mark.parametrize("spread", [0.0, 1.0, 30.0])
def test_log_mean_exp_of_many_weights(location, spread):
    weights = np.float32(location + spread * np.random.default_rng(0).normal(size=5000))
    value, slope = user_jit(jax.value_and_grad(numerics.log_mean_exp))(weights)
    with mpmath.workdps(50):
        exact = float(oracles.log_mean_exp(*(mpf(float(w)) for w in weights)))
    assert abs(float(value) - exact) <= 2 * np.spacing(np.float32(abs(exact))) + 1e-6
    assert np.float64(slope).sum() == pytest.approx(1.0, abs=1e-5)
    assert (slope >= 0).all()


def test_log_mean_exp_of_one_weight_is_that_weight():
    for weight in (-1e5, -3.7, 0.0, 88.0, 1e30):
        assert float(numerics.log_mean_exp(jnp.array([weight]))) == np.float32(weight)


@pytest.mark.slow
def test_log_mean_exp_over_axes():
    x = jnp.float32(np.random.default_rng(0).normal(size=(3, 4, 5)))
    full = np.exp(np.float64(x))
    for axis in (None, 0, 1, -1, (0, 2), (0, 1, 2)):
        found = user_jit(partial(numerics.log_mean_exp, axis=axis))(x)
        np.testing.assert_allclose(found, np.log(full.mean(axis=axis)), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_log_mean_exp_of_impossible_and_broken_weights():
    some = jnp.array([0.0, -jnp.inf, jnp.log(3.0)])
    value, slope = jax.value_and_grad(numerics.log_mean_exp)(some)
    assert float(value) == pytest.approx(np.log(4 / 3))
    np.testing.assert_allclose(slope, [0.25, 0.0, 0.75], rtol=1e-6)
    value, slope = jax.value_and_grad(numerics.log_mean_exp)(jnp.full(3, -jnp.inf))
    assert float(value) == -np.inf
    np.testing.assert_array_equal(slope, 0.0)
    for weights in ([0.0, np.nan, 1.0], [-np.inf, np.nan, -np.inf], [np.nan, np.inf, 0.0]):
        assert np.isnan(numerics.log_mean_exp(jnp.array(weights)))
    assert float(numerics.log_mean_exp(jnp.array([0.0, np.inf]))) == np.inf


def test_log_mean_exp_of_nothing():
    for shape, axis in [((0,), None), ((3, 0), 1), ((3, 0), None)]:
        with pytest.raises(ValueError, match=r"nothing to average.*at least one"):
            numerics.log_mean_exp(jnp.zeros(shape), axis=axis)
    with pytest.raises(TypeError, match="x has dtype int32"):
        numerics.log_mean_exp(jnp.arange(3))


PRIMITIVES = {
    "expm1_minus": (lambda x: mpmath.exp(x) - 1 - x, [0.0, 1e-30, *np.geomspace(1e-8, 80, 40), 0.4999, 0.5001]),
    "log_x_over_tanh": (lambda x: mpmath.log(x / mpmath.tanh(x / 2)), [*np.geomspace(1e-7, 1e6, 40), 0.9999, 1.0001]),
    "log1mexp_of_exp": (lambda u: mpmath.log(1 - mpmath.exp(-mpmath.exp(u))), np.linspace(0.01, 4.2, 40)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PRIMITIVES)
def test_primitives_in_both_precisions(name):
    oracle, size = PRIMITIVES[name]
    points = np.float32(np.concatenate([size, -np.asarray(size)]))[:, None]
    oracles.assert_agrees(getattr(numerics, name), oracle, points, [0])
    exact = oracles.truth(oracle, points, [0])
    with jax.enable_x64(True):
        both = user_jit(jax.vmap(jax.value_and_grad(getattr(numerics, name))))
        value, slope = both(jnp.asarray(np.float64(points[:, 0])))
    assert value.dtype == np.float64
    np.testing.assert_allclose(value, exact.value, rtol=1e-13)
    np.testing.assert_allclose(slope, exact.gradient[:, 0], rtol=1e-13, atol=1e-45)


@pytest.mark.slow
def test_log1mexp_never_runs_out_of_range():
    u = jnp.array([-1e4, -500.0, -90.0, 0.0, 5.0, 90.0, 500.0])
    value, slope = jax.vmap(jax.value_and_grad(numerics.log1mexp_of_exp))(u)
    np.testing.assert_allclose(value[:3], u[:3])
    np.testing.assert_allclose(slope[:3], 1.0)
    assert np.isfinite(value).all()
    np.testing.assert_array_equal(slope[4:], [slope[4], 0.0, 0.0])


@pytest.mark.slow
def test_log_softmax_sums_to_one_and_keeps_small_gradients():
    logits = jnp.array([60.0, 0.0, -1.0])
    slope = jax.grad(lambda l: numerics.log_softmax(l)[0])(logits)
    small = np.exp(-60.0) + np.exp(-61.0)
    np.testing.assert_allclose(slope, [small, -np.exp(-60.0), -np.exp(-61.0)], rtol=1e-5)
    assert float(numerics.log_softmax(logits)[0]) == pytest.approx(-small, rel=1e-5)
    np.testing.assert_allclose(np.exp(numerics.log_softmax(jnp.zeros((2, 4)))), 0.25, rtol=1e-6)


def test_whole_numbers_and_flags_are_taken_as_floats_one_by_one():
    assert checks.as_float("x", 3).dtype == jnp.float32
    assert checks.as_float("x", True).dtype == jnp.float32
    assert checks.as_float("x", np.array([True])).dtype == jnp.float32
    assert checks.as_float("x", [0.5, 1]).dtype == jnp.float32
    assert checks.as_float("x", jnp.zeros(2, jnp.float8_e4m3fn)).dtype == jnp.float32


@pytest.mark.parametrize(
    ("value", "shown"), [("abc", "'abc' (str)"), (None, "None (NoneType)"), ([[1.0], [1.0, 2.0]], "(list)")]
)
def test_what_is_no_array_is_named(value, shown):
    with pytest.raises(TypeError, match=r"x is .*expected an array of numbers") as raised:
        checks.as_float("x", value)
    assert shown in str(raised.value)


@pytest.mark.parametrize(
    ("value", "error", "shown"),
    [
        (0, ValueError, "samples is 0, expected an integer of at least 1"),
        (-1, ValueError, "samples is -1"),
        (2.5, TypeError, "samples is 2.5 (float)"),
        ("4", TypeError, "samples is '4' (str)"),
        (True, TypeError, "samples is True (bool)"),
        (None, TypeError, "samples is None"),
    ],
)
def test_counts(value, error, shown):
    with pytest.raises(error) as raised:
        checks.positive_integer("samples", value)
    assert shown in str(raised.value)
    assert checks.positive_integer("samples", np.int64(3)) == 3


@pytest.mark.rows(slow=["value7-TypeError-rate is [1.0] (list)"])
@pytest.mark.parametrize(
    ("value", "error", "shown"),
    [
        (-1.0, ValueError, "rate is -1.0, expected a finite number above 0 and at most 2"),
        (0.0, ValueError, "rate is 0.0"),
        (3, ValueError, "rate is 3"),
        (np.nan, ValueError, "rate is nan"),
        (np.inf, ValueError, "rate is inf"),
        ("1", TypeError, "rate is '1' (str)"),
        (True, TypeError, "rate is True (bool)"),
        ([1.0], TypeError, "rate is [1.0] (list)"),
    ],
)
def test_numbers(value, error, shown):
    with pytest.raises(error) as raised:
        checks.finite_number("rate", value, 0.0, 2.0, above=True)
    assert shown in str(raised.value)
    checks.finite_number("rate", 2.0, 0.0, 2.0, above=True)
    user_jit(lambda v: checks.finite_number("rate", v))(-1.0)
