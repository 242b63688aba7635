"""The Jensen-Shannon divergence against SciPy's and against quadrature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats
from scipy.spatial.distance import jensenshannon

import jaxvae

pytestmark = pytest.mark.quick_compile

js_divergence, js_divergence_estimate = jax.jit(jaxvae.math.js_divergence), jax.jit(jaxvae.math.js_divergence_estimate)


@pytest.mark.parametrize("scale", [1e-3, 0.1, 1.0, 10.0])
def test_of_categoricals_it_is_the_square_of_scipys_distance(scale):
    rng = np.random.default_rng(0)
    for _ in range(3):
        a, b = scale * rng.normal(size=(2, 7))
        a32, b32 = np.float32(a), np.float32(b)
        p, q = (np.exp(np.float64(logits)) for logits in (a32, b32))
        p, q = p / p.sum(), q / q.sum()
        middle = (p + q) / 2
        # Of nearly equal p and q SciPy's sum cancels; the leading term is (p - q)^2 / (8 m).
        expected = jensenshannon(p, q) ** 2 if scale > 0.01 else ((p - q) ** 2 / (8 * middle)).sum()
        assert float(js_divergence(a32, b32)) == pytest.approx(expected, rel=3e-4 if scale < 0.01 else 1e-5)
        assert float(js_divergence(b32, a32)) == pytest.approx(float(js_divergence(a32, b32)), rel=1e-5)


@pytest.mark.slow
def test_it_lies_between_0_and_log_2():
    inf = jnp.inf
    apart = js_divergence(jnp.array([0.0, 0.0, -inf, -inf]), jnp.array([-inf, -inf, 1.0, 2.0]))
    assert float(apart) == pytest.approx(np.log(2), rel=1e-6)
    same = jnp.array([0.0, 3.0, -inf])
    assert float(js_divergence(same, same)) == 0
    assert float(js_divergence_estimate(jnp.array([inf, -inf, 1e30]))) == pytest.approx(np.log(2), rel=1e-6)
    assert float(js_divergence_estimate(jnp.zeros(3))) == 0


@pytest.mark.slow
def test_variables_add_up_and_the_gradient_is_that_of_differences():
    rng = np.random.default_rng(0)
    a, b = np.float32(rng.normal(size=(2, 3, 4)))
    total = sum(float(js_divergence(x, y)) for x, y in zip(a, b, strict=True))
    assert float(js_divergence(a, b)) == pytest.approx(total, rel=1e-5)
    a[0, 0] = -np.inf
    slope = jax.jit(jax.grad(jaxvae.math.js_divergence))(a, b)
    assert np.isfinite(slope).all()
    step = np.zeros((3, 4), np.float32)
    step[1, 2] = 0.02
    rise = (float(js_divergence(a + step, b)) - float(js_divergence(a - step, b))) / 0.04
    assert float(slope[1, 2]) == pytest.approx(rise, abs=1e-4)


@pytest.mark.rows(slow=["0.01"])
@pytest.mark.parametrize("distance", [0.01, 1.0, 4.0])
def test_the_estimate_from_samples_of_both_is_the_integral(distance):
    p, q = stats.norm(0, 1), stats.norm(distance, 1.5)

    def integrand(x):
        middle = (p.pdf(x) + q.pdf(x)) / 2
        return 0.5 * (p.pdf(x) * np.log(p.pdf(x) / middle) + q.pdf(x) * np.log(q.pdf(x) / middle))

    exact = integrate.quad(integrand, -15, 20, points=[0, distance], limit=200)[0]
    rng = np.random.default_rng(0)
    x = np.concatenate([p.rvs(20_000, random_state=rng), q.rvs(20_000, random_state=rng)])
    log_ratio = jnp.float32(p.logpdf(x) - q.logpdf(x))
    each = jax.vmap(lambda one: js_divergence_estimate(one[None]))(log_ratio)
    error = float(each.std()) / np.sqrt(len(x))
    found = float(js_divergence_estimate(log_ratio))
    assert abs(found - exact) < 4 * error
    assert error < 0.02 * exact
    assert ((each >= 0) & (each <= np.log(2) + 1e-6)).all()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: jaxvae.math.js_divergence(jnp.zeros(3), jnp.zeros(4)), ValueError, "logits_q has shape"),
        (lambda: jaxvae.math.js_divergence(jnp.float32(0), jnp.float32(0)), ValueError, "logits_p has shape"),
        (
            lambda: jaxvae.math.js_divergence(jnp.array([0.0, jnp.nan]), jnp.zeros(2)),
            ValueError,
            "logits_p has the value nan",
        ),
        (lambda: jaxvae.math.js_divergence(jnp.arange(3), jnp.arange(3)), TypeError, "dtype int32"),
        (lambda: jaxvae.math.js_divergence_estimate(jnp.zeros((2, 3))), ValueError, "log_ratio has shape"),
        (lambda: jaxvae.math.js_divergence_estimate(jnp.zeros(0)), ValueError, "log_ratio has shape"),
        (lambda: jaxvae.math.js_divergence_estimate(jnp.array([jnp.nan])), ValueError, "log_ratio"),
    ],
)
def test_wrong_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()
