"""Hamiltonian moves keep a known density; annealed bounds lie on their sides of an exact log p(x) and meet there."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from exact import dense_log_normal, linear_truth
from scipy import stats
from small import SHAPE, images, small_vae

from jaxvae.evaluation.annealing.annealed import ancestral_sample, annealed_bounds
from jaxvae.evaluation.annealing.chains import sigmoid_schedule
from jaxvae.evaluation.annealing.hmc import hmc_step, leapfrog, point
from jaxvae.evaluation.bounds.likelihood import per_example
from jaxvae.models.densities import dequantized
from jaxvae.models.exact.linear import linear_gaussian
from jaxvae.models.priors.standard import standard_normal

pytestmark = pytest.mark.quick_compile

COVARIANCE = np.array([[1.0, 0.6], [0.6, 0.5]])
PRECISION = jnp.float32(np.linalg.inv(COVARIANCE))
MEAN = jnp.array([1.0, -2.0])


def log_density(z):
    return -0.5 * (z - MEAN) @ PRECISION @ (z - MEAN)


def moved(always=False, step_size=0.5):
    """40,000 exact samples of the Gaussian after six moves of two long leapfrog steps; `always` skips Metropolis."""
    draws = np.random.default_rng(0).multivariate_normal(np.float64(MEAN), COVARIANCE, 40_000)

    @jax.jit
    @jax.vmap
    def chain(key, z):
        def move(z, key):
            if always:
                momentum = jax.random.normal(key, z.shape)
                return leapfrog(log_density, point(log_density, z), momentum, jnp.float32(step_size), 2)[
                    0
                ].z, jnp.float32(1)
            return hmc_step(key, z, log_density, step_size, leapfrog_steps=2)

        return jax.lax.scan(move, z, jax.random.split(key, 6))

    z, acceptance = chain(jax.random.split(jax.random.key(1), 40_000), jnp.float32(draws))
    return np.float64(z), float(acceptance.mean())


def worst_moment(z):
    """The largest distance of a first or second moment from the truth, in standard errors."""
    centred = z - np.float64(MEAN)
    moments = [centred[:, 0], centred[:, 1]]
    moments += [centred[:, i] * centred[:, j] - COVARIANCE[i, j] for i, j in ((0, 0), (0, 1), (1, 1))]
    return max(abs(m.mean()) / m.std() * np.sqrt(len(m)) for m in moments)


@pytest.mark.slow
def test_a_move_leaves_a_gaussian_as_it_was():
    z, acceptance = moved()
    assert 0.3 < acceptance < 0.95  # coarse steps, so that Metropolis has work to do
    assert worst_moment(z) < 4.5


def test_the_moments_would_show_a_move_without_metropolis():
    z, _ = moved(always=True)
    assert not worst_moment(z) < 10


def test_a_chain_forgets_where_it_started():
    @jax.jit
    @jax.vmap
    def chain(key):
        def move(z, key):
            return hmc_step(key, z, log_density, 0.4, leapfrog_steps=4)[0], None

        return jax.lax.scan(move, jnp.array([6.0, 6.0]), jax.random.split(key, 60))[0]

    assert worst_moment(np.float64(chain(jax.random.split(jax.random.key(0), 4000)))) < 4.5


@pytest.mark.slow
def test_leapfrog_is_its_own_inverse_with_the_momentum_turned_round():
    with jax.enable_x64(True):
        start, momentum = jnp.array([0.3, -1.2]), jnp.array([1.0, 0.5])

        def steep(z):
            return -0.25 * jnp.sum(z**4) + z[0] * z[1]

        def run(z, momentum):
            end, momentum = leapfrog(steep, point(steep, z), momentum, jnp.asarray(0.1), 7)
            return end.z, momentum

        there, end = run(start, momentum)
        back, first = run(there, -end)
        np.testing.assert_allclose(back, start, rtol=1e-12)
        np.testing.assert_allclose(-first, momentum, rtol=1e-12)
        volume = jax.jacfwd(lambda both: jnp.concatenate(run(both[:2], both[2:])))
        assert abs(np.linalg.det(volume(jnp.concatenate([start, momentum]))) - 1) < 1e-12
        energy = [-float(steep(z)) + 0.5 * float(r @ r) for z, r in ((start, momentum), (there, end))]
        assert energy[1] == pytest.approx(energy[0], abs=0.02)


@pytest.mark.slow
def test_a_proposal_that_is_not_finite_is_refused():
    def cliff(z):
        return jnp.where(z[0] > 0, jnp.nan, -0.5 * z @ z)

    z, acceptance = jax.vmap(lambda key: hmc_step(key, jnp.array([-0.01]), cliff, 1.0))(
        jax.random.split(jax.random.key(0), 200)
    )
    assert np.isfinite(z).all()
    assert (np.asarray(acceptance)[np.asarray(z)[:, 0] == -0.01] < 1).any()
    assert np.isfinite(acceptance).all()


@pytest.mark.parametrize("temperatures", [1, 2, 7, 1000])
def test_the_schedule_climbs_from_0_to_1_and_is_symmetric(temperatures):
    schedule = sigmoid_schedule(temperatures)
    assert schedule[0] == 0
    assert schedule[-1] == 1
    assert (np.diff(schedule) > 0).all()
    np.testing.assert_allclose(schedule + schedule[::-1], 1, atol=1e-6)
    if temperatures == 1000:
        assert np.diff(schedule)[0] < 0.1 * np.diff(schedule).max()


@pytest.fixture(scope="module")
def linear():
    """(model, params, x, z, exact log p): 24 examples of the model; a fresh encoder says the prior."""
    truth = linear_truth(size=6, latents=3, noise=0.5, seed=2)
    model = linear_gaussian(jnp.float32(truth.weights), noise=truth.noise)
    params = jax.jit(model.init)(jax.random.key(0), jnp.zeros(6))
    x, z = ancestral_sample(model, params, jax.random.key(1), 24)
    log_p = [dense_log_normal(np.float64(one), truth.weights @ truth.weights.T, truth.noise) for one in x]
    return model, params, x, z, np.array(log_p)


@pytest.mark.slow
def test_simulated_data_are_draws_of_the_model(linear):
    model, params, *_ = linear
    x, z = (np.float64(part) for part in ancestral_sample(model, params, jax.random.key(7), 5000))
    assert stats.kstest(z.ravel(), "norm").pvalue > 1e-4
    residual = x - z @ np.float64(params["decoder"]["weights"]).T
    assert stats.kstest(residual.ravel() / 0.5, "norm").pvalue > 1e-4


OPTIONS = {"temperatures": 600, "chains": 16, "leapfrog_steps": 5}


@pytest.mark.rows(full=["posterior", "prior"])
@pytest.mark.parametrize("start", ["prior", "posterior"])
def test_both_bounds_are_near_the_truth_and_on_their_sides(linear, start):
    model, params, x, z, log_p = linear
    if start == "posterior":  # a q that is no prior: right on average, too narrow
        params = {**params, "encoder": {**params["encoder"], "log_var": jnp.full(3, -0.5)}}
    found = annealed_bounds(model, params, jax.random.key(3), x, z, start=start, **OPTIONS)
    lower, upper = np.float64(found["lower"]) - log_p, np.float64(found["upper"]) - log_p
    error = max(values.std() / np.sqrt(len(values)) for values in (lower, upper))
    assert abs(lower.mean()) < 0.05
    assert abs(upper.mean()) < 0.05
    assert lower.mean() < 3 * error
    assert upper.mean() > -3 * error
    assert 0.5 < found["acceptance"].mean() < 0.8
    assert (found["effective_samples"] > 4).all()
    assert (found["effective_samples"] <= 16.001).all()


@pytest.mark.full
def test_few_temperatures_leave_a_gap_that_many_close(linear):
    model, params, x, z, log_p = linear
    gaps = []
    for temperatures in (6, OPTIONS["temperatures"]):
        options = {**OPTIONS, "temperatures": temperatures}
        found = annealed_bounds(model, params, jax.random.key(0), x, z, **options)
        gaps.append(float((found["upper"] - found["lower"]).mean()))
        if temperatures == 6:
            assert found["lower"].mean() < log_p.mean() - 0.1
            assert found["upper"].mean() > log_p.mean() + 0.1
    assert gaps[1] < 0.3 * gaps[0]


@pytest.mark.full
def test_exponentials_of_the_weights_have_the_promised_means(linear):
    """E[exp(lower)] = p(x) with one chain, and E[exp(-upper)] = 1 / p(x) with exact samples, for any temperatures."""
    model, params, x, z, log_p = linear
    count = 6000
    truth = linear_truth(size=6, latents=3, noise=0.5, seed=2)
    covariance = np.linalg.inv(np.eye(3) + truth.weights.T @ truth.weights / 0.25)
    mean = covariance @ truth.weights.T @ np.float64(x[0]) / 0.25
    z = np.float32(np.random.default_rng(0).multivariate_normal(mean, covariance, count))
    x = np.repeat(x[:1], count, axis=0)
    rows = annealed_bounds(model, params, jax.random.key(0), x, z, temperatures=8, chains=1, leapfrog_steps=3)
    for sign, name in ((1, "lower"), (-1, "upper")):
        weights = np.exp(sign * (np.float64(rows[name]) - log_p[0]))
        assert abs(weights.mean() - 1) < 4.5 * weights.std() / np.sqrt(count)
        assert weights.std() > 0.05  # so few temperatures that the weights do vary


@pytest.mark.full
def test_annealing_is_tighter_than_importance_weights_of_a_q_that_is_off(linear):
    model, params, x, z, log_p = linear
    params = {**params, "encoder": {**params["encoder"], "bias": jnp.full(3, 1.5), "log_var": jnp.full(3, -3.0)}}
    lower = annealed_bounds(model, params, jax.random.key(0), x, z, start="posterior", **OPTIONS)["lower"]
    weighted = per_example(model, params, jax.random.key(0), x, samples=3200)["iwae"]
    assert weighted.mean() < log_p.mean() - 0.5
    assert abs(lower.mean() - log_p.mean()) < 0.1


@pytest.mark.full
def test_a_vae_of_pixels_and_no_dependence_on_the_batch():
    model = small_vae()
    x = np.float32(images(5) > 100)
    params = jax.jit(model.init)(jax.random.key(0), x[0])
    options = {"temperatures": 30, "chains": 4, "leapfrog_steps": 2}
    told = []
    a = annealed_bounds(model, params, jax.random.key(0), x, **options, batch_size=2, progress=told.append)
    b = annealed_bounds(model, params, jax.random.key(0), x[:3], **options, batch_size=2)
    other = annealed_bounds(model, params, jax.random.key(1), x, **options, batch_size=2)
    assert sorted(a) == ["acceptance", "effective_samples", "lower"]
    assert told == [0, 2, 4, 5]
    np.testing.assert_array_equal(a["lower"][:3], b["lower"])
    assert (a["lower"] != other["lower"]).all()
    weighted = per_example(model, params, jax.random.key(2), x, samples=2000)["iwae"]
    np.testing.assert_allclose(a["lower"], weighted, atol=0.5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"temperatures": 0}, ["temperatures is 0", "at least 1"]),
        ({"chains": 0}, ["chains is 0", "at least 1"]),
        ({"chains": 1.5}, ["chains is 1.5", "integer"]),
        ({"leapfrog_steps": 0}, ["leapfrog_steps is 0", "at least 1"]),
        ({"start": "q"}, ["start is 'q'", "'posterior'"]),
        ({"z": np.zeros((3, 3), np.float32)}, ["z has shape (3, 3)", "(24, 3)"]),
        ({"x": np.zeros((2, 5), np.float32)}, ["x has shape (2, 5)", "(B, 6)"]),
    ],
)
def test_impossible_requests_are_named(linear, options, words):
    model, params, x, *_ = linear
    with pytest.raises((ValueError, TypeError), match="expected") as error:
        annealed_bounds(model, params, jax.random.key(0), **{"x": x, **options})
    for word in words:
        assert word in str(error.value)


@pytest.mark.slow
def test_models_without_the_densities_are_refused():
    model = small_vae()
    x = np.float32(images(3) > 100)
    params = jax.jit(model.init)(jax.random.key(0), x[0])
    plain = model._replace(terms=lambda *a: model.terms(*a)._replace(kl=jnp.zeros(0)), evidence="none")
    with pytest.raises(ValueError, match="deterministic autoencoder or a GAN"):
        annealed_bounds(plain, params, jax.random.key(0), x)
    integers = model.prior._replace(sample=lambda *a: (jnp.zeros(3, jnp.int32), jnp.zeros(())))
    with pytest.raises(ValueError, match="discrete latents, expected real"):
        annealed_bounds(model._replace(prior=integers), params, jax.random.key(0), x)
    with pytest.raises(ValueError, match="count is 0, expected"):
        ancestral_sample(model, params, jax.random.key(0), 0)
    assert x.shape[1:] == SHAPE


@pytest.mark.slow
def test_noise_between_levels_is_annealed_from_its_bins_and_refused_from_where_they_are_missed():
    model = dequantized(standard_normal(2), 2, event_shape=(2,))
    x = jnp.array([[1.0, 0.0], [1.0, 1.0]])
    options = {"temperatures": 50, "chains": 4, "leapfrog_steps": 3}
    with pytest.raises(ValueError, match=r"the values here are on 'bins'"):
        annealed_bounds(model, {}, jax.random.key(0), x, **options)
    # Who takes them for real numbers meets the walls.
    parts = {name: getattr(model, name)._replace(support="real") for name in ("posterior", "prior")}
    model = model._replace(**parts)
    with pytest.raises(ValueError, match=r"no chain of 1 of the 2 examples came from the prior.*Start at the post"):
        annealed_bounds(model, {}, jax.random.key(0), x, **options)
    found = annealed_bounds(model, {}, jax.random.key(0), x, start="posterior", **options)
    low, high = np.diff(stats.norm.cdf([0.0, 0.5, 1.0]))
    np.testing.assert_allclose(found["lower"], np.log([high * low, high * high]), atol=0.15)


@pytest.mark.full
def test_latents_may_be_a_tree(linear):
    """The same model with z in two pieces has the same bounds, to the rounding of a different layout."""
    model, params, x, z, log_p = linear

    def split(z):
        return {"first": z[:1], "rest": z[1:]}

    def join(tree):
        return jnp.concatenate([tree["first"], tree["rest"]])

    def sample(params, key, context):
        z, log_density = model.prior.sample(params, key, context)
        return split(z), log_density

    prior = model.prior._replace(
        sample=sample,
        log_prob=lambda params, z, context: model.prior.log_prob(params, join(z), context),
        distribution=None,
    )
    likelihood = model.likelihood._replace(log_prob=lambda params, x, z: model.likelihood.log_prob(params, x, join(z)))
    pieces = jax.vmap(split)(z)
    tree = model._replace(prior=prior, likelihood=likelihood)
    found = annealed_bounds(tree, params, jax.random.key(3), x, pieces, **OPTIONS)
    assert abs(found["lower"].mean() - log_p.mean()) < 0.05
    assert abs(found["upper"].mean() - log_p.mean()) < 0.05
    with pytest.raises(ValueError, match=r"z has shape .*expected .*'first': \(24, 1\)"):
        annealed_bounds(tree, params, jax.random.key(3), x, z, **OPTIONS)
