"""Bernoulli and continuous Bernoulli against 100-digit arithmetic, at the edges, and in higher derivatives."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import oracles
import pytest
from oracles import user_jit

from jaxvae.math.bernoulli import bernoulli_log_prob, continuous_bernoulli_log_prob


def logits_of_every_size(count):
    size = [0.999, 1.001, *np.geomspace(1e-8, 1e4, count)]
    return [0.0, *size, *(-s for s in size)]


@pytest.mark.parametrize("count", [40, pytest.param(200, marks=pytest.mark.full)])
@pytest.mark.parametrize("name", ["bernoulli_log_prob", "continuous_bernoulli_log_prob"])
def test_value_and_gradient_over_the_whole_range(name, count):
    function = {f.__name__: f for f in (bernoulli_log_prob, continuous_bernoulli_log_prob)}[name]
    points = oracles.grid([0.0, 0.3, 1.0], logits_of_every_size(count))
    absolute = oracles.TINY if function is bernoulli_log_prob else 1e-6
    oracles.assert_agrees(function, getattr(oracles, name), points, [1], absolute)


@pytest.mark.slow
def test_a_confident_pixel_still_has_a_gradient():
    logits = jnp.linspace(0.0, 69.0, 200)
    right = jax.vmap(jax.grad(bernoulli_log_prob, argnums=1))(jnp.ones(200), logits)
    wrong = jax.vmap(jax.grad(bernoulli_log_prob, argnums=1))(jnp.zeros(200), -logits)
    np.testing.assert_allclose(right, 1.0 / (1.0 + np.exp(np.float64(logits))), rtol=1e-5)
    np.testing.assert_array_equal(wrong, -right)


@pytest.mark.slow
def test_infinite_logits_are_certainty():
    inf = jnp.array([jnp.inf, -jnp.inf])
    value, slope = jax.value_and_grad(bernoulli_log_prob, argnums=1)(jnp.array([1.0, 0.0]), inf)
    assert float(value) == 0.0
    np.testing.assert_array_equal(slope, 0.0)
    value, slope = jax.value_and_grad(bernoulli_log_prob, argnums=1)(jnp.array([0.0, 1.0]), inf)
    assert float(value) == -np.inf
    np.testing.assert_array_equal(slope, [-1.0, 1.0])


def test_gradient_in_the_pixel_is_the_logit():
    x, logits = jnp.array([0.0, 0.2, 1.0]), jnp.array([3.0, -40.0, 0.5])
    np.testing.assert_array_equal(jax.grad(bernoulli_log_prob)(x, logits), logits)


@pytest.mark.slow
def test_forward_mode_agrees_with_reverse_mode():
    x, logits = jnp.array([0.0, 0.2, 1.0, 1.0]), jnp.array([3.0, -40.0, 0.5, 0.0])
    push = (jnp.array([0.3, 0.1, -0.2, 0.4]), jnp.array([1.0, -2.0, 0.5, 3.0]))
    _, forward = jax.jvp(bernoulli_log_prob, (x, logits), push)
    slopes = jax.grad(bernoulli_log_prob, argnums=(0, 1))(x, logits)
    assert float(forward) == pytest.approx(sum(float(jnp.vdot(s, p)) for s, p in zip(slopes, push, strict=True)))


@pytest.mark.rows(slow=["continuous_bernoulli_log_prob"])
@pytest.mark.parametrize("name", ["bernoulli_log_prob", "continuous_bernoulli_log_prob"])
def test_second_and_third_derivatives(name):
    function = {f.__name__: f for f in (bernoulli_log_prob, continuous_bernoulli_log_prob)}[name]
    logits = np.float32([-90.0, -12.0, -1.1, -0.9, -0.1, 0.0, 0.3, 0.99, 1.01, 7.0, 60.0])
    derivative = function
    for order in (2, 3):
        derivative = jax.grad(jax.grad(function, argnums=1) if order == 2 else derivative, argnums=1)
        found = user_jit(jax.vmap(derivative, in_axes=(None, 0)))(jnp.float32(1.0), jnp.asarray(logits))
        with mpmath.workdps(60):
            exact = [
                float(mpmath.diff(lambda l: getattr(oracles, name)(mpmath.mpf(1), l), mpmath.mpf(float(l)), order,
                                  h=mpmath.mpf(10) ** -15))
                for l in logits
            ]  # fmt: skip
        np.testing.assert_allclose(found, exact, rtol=2e-4, atol=2e-6)


def test_continuous_normaliser_at_zero():
    both = user_jit(jax.value_and_grad(continuous_bernoulli_log_prob, argnums=1))
    value, slope = both(jnp.float32(0.5), jnp.float32(0.0))
    assert (float(value), float(slope)) == (0.0, 0.0)
    x = jnp.array([0.0, 0.25, 1.0])
    np.testing.assert_array_equal(user_jit(continuous_bernoulli_log_prob)(x, jnp.zeros(3)), 0.0)


@pytest.mark.rows(slow=["-30.0"])
@pytest.mark.parametrize("logit", [-30.0, -1.0, -1e-3, 0.0, 0.4, 5.0, 100.0])
def test_densities_integrate_or_sum_to_one(logit):
    both = jax.vmap(bernoulli_log_prob, in_axes=(0, None))(jnp.array([0.0, 1.0]), logit)
    assert np.exp(np.float64(both)).sum() == pytest.approx(1.0, abs=1e-6)
    x = jnp.linspace(0.0, 1.0, 20_001)
    density = np.exp(np.float64(jax.vmap(continuous_bernoulli_log_prob, in_axes=(0, None))(x, logit)))
    assert np.trapezoid(density, np.float64(x)) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("function", [bernoulli_log_prob, continuous_bernoulli_log_prob])
@pytest.mark.parametrize(
    ("pixels", "shown"),
    [
        ([0.0, 255.0, 17.0], ["255.0 at index (1,)", "0.0 to 255.0", "x / 255.0"]),
        ([-1.0, 1.0, 0.0], ["-1.0 at index (0,)", "-1.0 to 1.0", "(x + 1.0) / 2.0"]),
        ([0.5, -1e-3, 0.0], ["index (1,)", "[0, 1]"]),
        ([0.0, 1.0, np.nan], ["nan at index (2,)", "0.0 to 1.0"]),
        ([np.inf, 1.0, 0.0], ["inf at index (0,)"]),
        ([np.nan] * 3, ["nan at index (0,)", "NaN only"]),
    ],
)
def test_pixels_out_of_range_are_named_with_the_way_out(function, pixels, shown):
    with pytest.raises(ValueError, match="x has the value") as raised:
        function(jnp.array(pixels), jnp.zeros(3))
    assert all(part in str(raised.value) for part in shown), raised.value


def test_raw_bytes_are_refused():
    with pytest.raises(TypeError, match=r"x has dtype uint8.*x / 255\.0"):
        bernoulli_log_prob(np.zeros(3, np.uint8), jnp.zeros(3))


@pytest.mark.slow
def test_black_and_white_may_be_booleans():
    assert float(bernoulli_log_prob(jnp.array([True, False]), jnp.zeros(2))) == pytest.approx(-2 * np.log(2))
