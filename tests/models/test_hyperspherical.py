"""Latents on a sphere: Bessel functions against mpmath, samples against their moments, gradients against quantiles."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import optax
import pytest
from mpmath import mpf
from scipy import integrate, stats
from small import LATENTS, SHAPE, Encoder, Linear, images

from jaxvae.math.bessel import mean_defect, mean_length, mean_length_slope
from jaxvae.math.von_mises_fisher import (
    _follow,
    log_sphere_area,
    unit_vector,
    von_mises_fisher_kl_uniform,
    von_mises_fisher_log_density,
    von_mises_fisher_log_normalizer,
    von_mises_fisher_sample,
)
from jaxvae.models.posteriors.hyperspherical import hyperspherical_posterior
from jaxvae.models.priors.sphere import uniform_sphere
from jaxvae.models.variational import vae
from jaxvae.objectives.bounds import elbo, iwae_bound
from jaxvae.training.losses.bound import bound_loss

pytestmark = pytest.mark.quick_compile

DIMS = (2, 3, 8, 20, 128, 784, 2048)
KAPPAS = np.float32(np.logspace(-2, 5, 15))


def bessel(order, kappa):
    return mpmath.besseli(order, kappa, maxterms=10**6)


def log_normalizer(kappa, dim):
    order = mpf(dim) / 2 - 1
    return order * mpmath.log(kappa) - mpf(dim) / 2 * mpmath.log(2 * mpmath.pi) - mpmath.log(bessel(order, kappa))


def ratio(kappa, dim):
    return bessel(mpf(dim) / 2, kappa) / bessel(mpf(dim) / 2 - 1, kappa)


def truth(dim, kappas=KAPPAS):
    """log C, A, 1 - A, A' and the KL to the uniform distribution, by 50-digit arithmetic."""
    rows = []
    with mpmath.workdps(50):
        area = mpmath.log(2) + mpf(dim) / 2 * mpmath.log(mpmath.pi) - mpmath.loggamma(mpf(dim) / 2)
        for kappa in map(mpf, map(float, kappas)):
            log_c, a = log_normalizer(kappa, dim), ratio(kappa, dim)
            rows.append([log_c, a, 1 - a, 1 - a * a - (dim - 1) * a / kappa, kappa * a + log_c + area])
    return np.array(rows, dtype=object).astype(np.float64).T


@pytest.mark.rows(quick=["128", "2048"])
@pytest.mark.parametrize("dim", DIMS)
def test_normaliser_slope_and_kl_keep_five_digits(dim):
    log_c, a, defect, bend, kl = truth(dim)

    @jax.jit
    @jax.vmap
    def ours(kappa):
        found, slope = jax.value_and_grad(von_mises_fisher_log_normalizer)(kappa, dim)
        divergence, climb = jax.value_and_grad(von_mises_fisher_kl_uniform)(kappa, dim)
        parts = mean_length(kappa, dim), mean_defect(kappa, dim), mean_length_slope(kappa, dim)
        return found, slope, divergence, climb, *parts

    found, slope, divergence, climb, *parts = map(np.float64, ours(KAPPAS))
    np.testing.assert_allclose(found, log_c, rtol=1e-5)
    np.testing.assert_allclose(slope, -a, rtol=1e-5)
    for mine, exact in zip(parts, (a, defect, bend), strict=True):
        np.testing.assert_allclose(mine, exact, rtol=1e-5)
    assert (divergence >= 0).all()
    np.testing.assert_allclose(divergence, kl, rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(climb, np.float64(KAPPAS) * bend, rtol=1e-5)


@pytest.mark.slow
def test_absurd_concentrations_stay_finite():
    for dim in (2, 784):
        for function in (von_mises_fisher_log_normalizer, von_mises_fisher_kl_uniform):
            both = jax.vmap(jax.value_and_grad(lambda kappa, f=function, d=dim: f(kappa, d)))
            value, slope = both(jnp.float32([1e-30, 1e10, 1e20, 1e30, 3e38]))
            assert np.isfinite(value).all()
            assert np.isfinite(slope).all()


def test_on_the_circle_and_the_sphere_it_is_the_closed_form():
    from numpyro import distributions as dist

    kappa, angle = jnp.float32(3.0), jnp.float32(0.7)
    found = von_mises_fisher_log_density(jnp.array([jnp.cos(angle), jnp.sin(angle)]), jnp.array([1.0, 0.0]), kappa)
    assert float(found) == pytest.approx(float(dist.VonMises(0.0, kappa).log_prob(angle)), rel=1e-5)
    for kappa in (0.01, 1.0, 30.0):  # three dimensions: kappa / (4 pi sinh kappa), and coth kappa - 1 / kappa
        exact = np.log(kappa / (4 * np.pi * np.sinh(kappa)))
        assert float(von_mises_fisher_log_normalizer(jnp.float32(kappa), 3)) == pytest.approx(exact, rel=1e-5)
        assert float(mean_length(jnp.float32(kappa), 3)) == pytest.approx(1 / np.tanh(kappa) - 1 / kappa, rel=1e-4)


@pytest.mark.full
def test_at_no_concentration_it_is_uniform_and_every_slope_is_finite():
    for dim in (2, 784):
        zero = jnp.float32(0)
        assert float(von_mises_fisher_log_normalizer(zero, dim)) == pytest.approx(-log_sphere_area(dim))
        for function in (von_mises_fisher_log_normalizer, von_mises_fisher_kl_uniform):
            assert float(jax.jit(jax.grad(function), static_argnums=1)(zero, dim)) == 0
        bend = jax.jit(jax.grad(jax.grad(von_mises_fisher_log_normalizer)), static_argnums=1)
        assert float(bend(zero, dim)) == pytest.approx(-1 / dim, rel=1e-5)
    assert log_sphere_area(3) == pytest.approx(np.log(4 * np.pi))


@pytest.mark.slow
def test_double_precision_has_more_digits():
    with jax.enable_x64(True):
        for dim in (2, 20, 784):
            log_c, a, *_ = truth(dim)
            found, slope = jax.vmap(jax.value_and_grad(lambda k, d=dim: von_mises_fisher_log_normalizer(k, d)))(
                jnp.asarray(np.float64(KAPPAS))
            )
            np.testing.assert_allclose(found, log_c, rtol=1e-11)
            np.testing.assert_allclose(slope, -a, rtol=1e-11)


def draws(dim, kappa, count, seed=0):
    """(z [N, d], pathwise derivatives of z in kappa [N, d], the direction)."""
    direction = unit_vector(jnp.float32(np.random.default_rng(seed).normal(size=dim)))

    def one(key):
        return jax.jvp(lambda k: von_mises_fisher_sample(key, direction, k), (jnp.float32(kappa),), (jnp.float32(1),))

    z, slope = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(seed), count))
    return np.float64(z), np.float64(slope), np.float64(direction)


@pytest.mark.rows(slow=["20-100000.0"])
@pytest.mark.parametrize(
    ("dim", "kappa"),
    [
        (2, 0.01),
        (20, 1e5),
        *(pytest.param(*p, marks=pytest.mark.full) for p in [(2, 5.0), (3, 1e4), (8, 3.0), (128, 30.0)]),
    ],
)
def test_samples_and_their_slopes_have_the_exact_moments(dim, kappa):
    """E t = A and E t^2 = 1 - (d - 1) A / kappa along the mean, in the mean and its derivative in kappa."""
    z, slope, direction = draws(dim, kappa, 20_000)
    np.testing.assert_allclose((z**2).sum(1), 1, rtol=1e-5)
    with mpmath.workdps(40):
        kappa = mpf(float(np.float32(kappa)))
        first, second = lambda k: ratio(k, dim), lambda k: 1 - (dim - 1) * ratio(k, dim) / k
        exact = [float(f(kappa)) for f in (first, second)]
        step = kappa * mpf(10) ** -10
        bends = [float((f(kappa + step) - f(kappa - step)) / (2 * step)) for f in (first, second)]
    t, change = z @ direction, slope @ direction
    for found, wanted in ((t, exact[0]), (t**2, exact[1]), (change, bends[0]), (2 * t * change, bends[1])):
        assert abs(found.mean() - wanted) < 4.5 * found.std() / np.sqrt(len(found)) + 2e-7 * abs(wanted)
    across = z - t[:, None] * direction
    assert (np.abs(across.mean(0)) < 5.5 * across.std(0) / np.sqrt(len(z)) + 1e-7).all()


@pytest.mark.rows(every=2)
@pytest.mark.parametrize(("dim", "kappa"), [(2, 0.01), (2, 4.0), (3, 300.0), (8, 2.0), (128, 50.0), (784, 1e4)])
def test_an_angle_keeps_its_quantile_as_the_concentration_moves(dim, kappa):
    """The implicit derivative against solving F(angle; kappa) = quantile at two concentrations."""
    kappa = float(np.float32(kappa))

    def log_density(a, k):
        return k * (np.cos(a) - 1) + (dim - 2) * np.log(np.sin(a))

    grid = np.linspace(1e-9, np.pi - 1e-9, 400_001)
    peak = grid[np.argmax(log_density(grid, kappa))]

    def cumulative(k):
        mass = np.exp(log_density(grid, k) - log_density(peak, k))
        total = integrate.cumulative_simpson(mass, x=grid, initial=0)
        return total / total[-1]

    slope = jax.jit(jax.grad(lambda a, k: _follow(a, k, dim), 1))
    step = 1e-3 * kappa
    low, here, high = (cumulative(k) for k in (kappa - step, kappa, kappa + step))
    for quantile in (0.01, 0.3, 0.6, 0.98):
        angle = np.interp(quantile, here, grid)
        moved = (np.interp(quantile, high, grid) - np.interp(quantile, low, grid)) / (2 * step)
        found = slope(jnp.float32(angle), jnp.float32(kappa))
        assert float(found) == pytest.approx(moved, rel=2e-3, abs=1e-7)


@pytest.mark.full
def test_the_gradient_in_the_direction_is_that_of_the_expectation():
    """E[w'z] = A w'm, with m the direction of what the encoder emits."""
    mean, weight = jnp.array([1.0, -2.0, 0.5, 1.5]), jnp.array([0.3, 1.0, -1.0, 0.2])

    def one(key):
        return jax.grad(lambda m: weight @ von_mises_fisher_sample(key, unit_vector(m), jnp.float32(2.5)))(mean)

    found = np.float64(jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), 20_000)))
    exact = jax.grad(lambda m: float(ratio(mpf("2.5"), 4)) * weight @ unit_vector(m))(mean)
    assert (np.abs(found.mean(0) - exact) < 4.5 * found.std(0) / np.sqrt(len(found))).all()


def test_a_zero_vector_is_normalised_and_its_gradient_is_finite():
    for x in (jnp.zeros(3), jnp.full(3, 2e-38), jnp.full(3, 1e38), jnp.array([0.0, -2.0, 0.0])):
        assert float(jnp.linalg.norm(unit_vector(x))) == pytest.approx(1, rel=1e-6)
        assert np.isfinite(jax.jacobian(unit_vector)(x)).all()
    np.testing.assert_array_equal(jax.jacobian(unit_vector)(jnp.zeros(3)), 0)


def sphere_vae():
    return vae(
        Encoder(), Linear(16, SHAPE), event_shape=SHAPE, latent_dim=LATENTS,
        prior=uniform_sphere(LATENTS), posterior=hyperspherical_posterior,
    )  # fmt: skip


@pytest.mark.full
def test_a_vae_on_the_sphere_has_a_kl_a_bound_and_a_falling_loss():
    model, x = sphere_vae(), jnp.asarray(images(60) > 100, jnp.float32)
    params = jax.jit(model.init)(jax.random.key(0), x[0])
    terms = jax.jit(jax.vmap(model.terms, (None, 0, None)))(params, jax.random.split(jax.random.key(1), 20_000), x[0])
    np.testing.assert_allclose(jnp.sum(terms.z**2, axis=1), 1, rtol=1e-5)
    assert terms.kl.shape == (20_000, 1)
    _, log_var = Encoder().apply(params["encoder"], x[0])
    exact = von_mises_fisher_kl_uniform(1 / (1e-5 + jnp.exp(log_var.mean())), LATENTS)
    assert abs(terms.kl.mean() - exact) < 4.5 * terms.kl.std() / np.sqrt(20_000)
    assert float(elbo(terms)) < float(iwae_bound(terms)) < 0
    loss, optimizer = bound_loss(model), optax.adam(3e-2)

    @jax.jit
    def train(params):
        def step(carry, t):
            params, state = carry
            keys = jax.random.split(jax.random.fold_in(jax.random.key(2), t), len(x))
            (value, _), slope = jax.value_and_grad(loss, has_aux=True)(params, keys, x, t)
            updates, state = optimizer.update(slope, state)
            return (optax.apply_updates(params, updates), state), value

        return jax.lax.scan(step, (params, optimizer.init(params)), jnp.arange(300))[1]

    values = train(params)
    assert np.isfinite(values).all()
    assert values[-20:].mean() < values[:5].mean() - 4


@pytest.mark.full
def test_the_conditionals_keep_their_contract():
    posterior, x = hyperspherical_posterior(Encoder(), LATENTS), jnp.ones(SHAPE)
    params = jax.jit(posterior.init)(jax.random.key(0), x)
    sample = jax.jit(posterior.sample)
    z, log_density = sample(params, jax.random.key(1), x)
    assert float(jax.jit(posterior.log_prob)(params, z, x)) == pytest.approx(float(log_density), rel=1e-5)
    np.testing.assert_array_equal(z, sample(params, jax.random.key(1), x)[0])
    assert (z != sample(params, jax.random.key(2), x)[0]).any()
    assert float(jnp.linalg.norm(posterior.mean(params, x))) == pytest.approx(1)
    huge = jax.tree.map(lambda leaf: 1e4 * leaf, params)
    slope = jax.jit(jax.grad(lambda p: posterior.sample(p, jax.random.key(0), x)[1]))(huge)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slope))
    prior = uniform_sphere(5)
    z, log_density = jax.vmap(lambda key: prior.sample({}, key, None))(jax.random.split(jax.random.key(0), 5000))
    np.testing.assert_allclose(log_density, -log_sphere_area(5), rtol=1e-6)
    assert stats.kstest((np.float64(z[:, 0]) + 1) / 2, stats.beta(2, 2).cdf).pvalue > 1e-5
    np.testing.assert_array_equal(prior.mean({}, None), 0)


NORTH = jnp.array([0.0, 1.0])
BAD = [
    (lambda: uniform_sphere(1), ValueError, ["latent_dim is 1", "at least 2"]),
    (lambda: uniform_sphere(2.5), TypeError, ["latent_dim is 2.5"]),
    (lambda: hyperspherical_posterior(Encoder(), 0), ValueError, ["latent_dim is 0", "at least 2"]),
    (lambda: hyperspherical_posterior(Encoder(), True), TypeError, ["latent_dim is True"]),
    (lambda: uniform_sphere(3).log_prob({}, jnp.zeros(2), None), ValueError, ["z has shape (2,)", "(3,)"]),
    (lambda: von_mises_fisher_log_normalizer(jnp.float32(-1), 3), ValueError, ["concentration has the value -1.0"]),
    (lambda: von_mises_fisher_kl_uniform(jnp.float32(np.nan), 3), ValueError, ["concentration has the value nan"]),
    (lambda: von_mises_fisher_log_normalizer(jnp.float32(1), 1), ValueError, ["dim is 1", "at least 2"]),
    (lambda: von_mises_fisher_log_normalizer(np.int32([1]), 3), TypeError, ["concentration has dtype int32"]),
    (lambda: von_mises_fisher_log_density(2 * NORTH, NORTH, jnp.float32(1)), ValueError, ["z has length 2", "unit"]),
    (lambda: von_mises_fisher_log_density(NORTH, jnp.zeros(3), jnp.float32(1)), ValueError, ["(2,)", "(3,)"]),
    (
        lambda: von_mises_fisher_sample(jax.random.key(0), 0 * NORTH, jnp.float32(1)),
        ValueError,
        ["direction has length 0"],
    ),
    (lambda: von_mises_fisher_sample(jax.random.key(0), NORTH, jnp.float32(-2)), ValueError, ["-2.0"]),
    (lambda: von_mises_fisher_sample(jax.random.key(0), NORTH[None], jnp.float32(1)), ValueError, ["(1, 2)", "[d]"]),
]


@pytest.mark.parametrize(("call", "error", "words"), BAD)
def test_impossible_arguments_are_named(call, error, words):
    with pytest.raises(error) as raised:
        call()
    for word in words:
        assert word in str(raised.value)
