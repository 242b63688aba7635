"""Gaussian densities, divergences and samples against 100-digit arithmetic, quadrature and their own samples."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from oracles import user_jit

from jaxvae.math.normal import normal_kl, normal_kl_standard, normal_log_prob, reparameterize

MEANS = [0.0, 1e-3, -1e-3, 3.0, -3.0, 1e3, -1e3]


def random_pairs(count):
    """Mean and log-variance of q and p; a third of the pairs nearly equal in variance."""
    draw = np.random.default_rng(0)
    points = np.stack([draw.normal(0, 3, count), draw.uniform(-100, 100, count)] * 2, axis=-1)
    points[:, 2:] = np.stack([draw.normal(0, 3, count), draw.uniform(-100, 100, count)], axis=-1)
    points[::3, 3] = points[::3, 1] + draw.normal(0, 1e-3, len(points[::3]))
    return points.astype(np.float32)


@pytest.mark.parametrize(
    "step", [pytest.param(8.0, id="quick"), pytest.param(0.5, id="every-half", marks=pytest.mark.full)]
)
def test_kl_to_the_prior_over_the_whole_range(step):
    log_vars = np.arange(-100.0, 88.01, step)
    points = oracles.grid(MEANS, [*log_vars, 88.0])
    oracles.assert_agrees(normal_kl_standard, oracles.normal_kl_standard, points, [0, 1])


def test_kl_near_the_prior_keeps_its_digits():
    size = np.geomspace(1e-8, 0.6, 25)
    points = oracles.grid([0.0, 1e-6, 1e-3], [*-size, *size])
    oracles.assert_agrees(normal_kl_standard, oracles.normal_kl_standard, points, [0, 1])


@pytest.mark.parametrize(
    "count", [pytest.param(120, id="quick"), pytest.param(2000, id="many", marks=pytest.mark.full)]
)
def test_kl_between_two_gaussians(count):
    oracles.assert_agrees(normal_kl, oracles.normal_kl, random_pairs(count), [0, 1, 2, 3])


def test_log_density_over_the_whole_range():
    log_vars = [*np.linspace(-80, 80, 9), 0.3]
    points = oracles.grid([0.0, 0.5, -3.0, 1e3], [0.0, 0.1], log_vars)
    oracles.assert_agrees(normal_log_prob, oracles.normal_log_prob, points, [0, 1, 2], absolute=1e-6)


@pytest.mark.rows(slow=["float32"])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_kl_is_never_negative_and_zero_at_the_prior(dtype):
    draw = np.random.default_rng(1)
    width = 10 ** draw.uniform(-4, np.log10(30), 1_000_000)
    mean, log_var = (jnp.asarray(width * draw.normal(size=width.size), dtype) for _ in range(2))
    to_prior = user_jit(jax.vmap(normal_kl_standard))(mean, log_var)
    to_other = user_jit(jax.vmap(normal_kl))(mean, log_var, mean[::-1], log_var * 1.001)
    assert to_prior.min() >= 0
    assert to_other.min() >= 0
    zero = jnp.zeros(5, dtype)
    assert float(normal_kl_standard(zero, zero)) == 0.0
    assert float(normal_kl(mean[:5], log_var[:5], mean[:5], log_var[:5])) == 0.0


@pytest.mark.slow
def test_variance_beyond_the_largest_float_gives_infinity_and_not_nan():
    for log_var in [89.0, 100.0, 1e3, 1e4]:
        wide, zero = jnp.full(3, log_var), jnp.zeros(3)
        assert float(normal_kl_standard(zero, wide)) == np.inf
        assert float(normal_kl(zero, wide, zero, zero)) == np.inf
        assert float(normal_kl(zero, zero, zero, -wide)) == np.inf
        assert float(normal_kl(zero, zero, zero, wide)) == pytest.approx(1.5 * (log_var - 1))
        gradient = jax.grad(normal_kl_standard, argnums=(0, 1))(zero, wide)
        assert not np.isnan(gradient).any()


@pytest.mark.parametrize(("mean", "log_var"), [(0.0, 0.0), (-3.0, 2.5), (2.0, -6.0)])
def test_density_integrates_to_one(mean, log_var):
    x = jnp.linspace(mean - 12 * np.exp(log_var / 2), mean + 12 * np.exp(log_var / 2), 20_001)
    density = np.exp(np.float64(jax.vmap(normal_log_prob, in_axes=(0, None, None))(x, mean, log_var)))
    assert np.trapezoid(density, np.float64(x)) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("sets", [3, pytest.param(20, marks=pytest.mark.full)])
def test_kl_agrees_with_its_own_samples_and_one_percent_does_not(sets):
    """The average of log q - log p over q's samples, a million of them, in units of its standard error."""
    draws, size, chunks = 1_000_000, 8, 20

    @user_jit
    def moments(key, q, p):
        def chunk(key):
            many = (draws // chunks, size)
            z = reparameterize(key, *(jnp.broadcast_to(value, many) for value in q))
            ratio = jax.vmap(lambda z: normal_log_prob(z, *q) - normal_log_prob(z, *p))(z)
            return ratio.mean(), ratio.var()

        means, variances = jax.lax.map(chunk, jax.random.split(key, chunks))
        return means.mean(), jnp.sqrt(variances.mean() / draws)

    right, planted = [], []
    for seed, key in enumerate(jax.random.split(jax.random.key(2), sets)):
        draw = np.random.default_rng(seed)
        q, p = ((jnp.float32(draw.normal(0, 1.5, size)), jnp.float32(draw.normal(0, 0.5, size))) for _ in "qp")
        mean, error = (float(value) for value in moments(key, q, p))
        right.append(abs(float(normal_kl(*q, *p)) - mean) / error)
        planted.append(abs(1.01 * float(normal_kl(*q, *p)) - mean) / error)
    assert max(right) <= 5
    assert np.mean(np.array(planted) > 5) >= 0.95


@pytest.mark.rows(slow=["float32"])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
def test_noise_is_drawn_in_float32_whatever_the_model(dtype):
    zero = jnp.zeros(2_000_000, dtype)
    z = np.asarray(reparameterize(jax.random.key(0), zero, zero))
    assert z.dtype == np.float32
    assert len(np.unique(z)) >= 100_000
    assert np.abs(z).max() > 4.5
    assert abs(z.mean(dtype=np.float64)) < 4e-3
    assert z.var(dtype=np.float64) == pytest.approx(1.0, abs=5e-3)


def test_sample_moves_with_mean_and_scale():
    key, mean, log_var = partial(jax.random.key, 3), jnp.array([1.0, -2.0]), jnp.array([-4.0, 3.0])
    z = reparameterize(key(), mean, log_var)
    noise = (z - mean) / jnp.exp(log_var / 2)
    in_mean, in_log_var = jax.jacobian(reparameterize, argnums=(1, 2))(key(), mean, log_var)
    np.testing.assert_array_equal(in_mean, np.eye(2))
    np.testing.assert_allclose(in_log_var, np.diag(0.5 * noise * np.exp(log_var / 2)), rtol=1e-6)
    assert (reparameterize(jax.random.key(4), mean, log_var) != z).all()
    np.testing.assert_array_equal(reparameterize(key(), mean, log_var), z)


@pytest.mark.slow
def test_legacy_keys_are_taken_too():
    assert reparameterize(jax.random.PRNGKey(0), jnp.zeros(3), jnp.zeros(3)).shape == (3,)
