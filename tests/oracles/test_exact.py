"""The models whose answers are known: the library's closed forms against dense algebra, sums and grids in float64."""

import exact
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small import Linear

from jaxvae.models.exact.linear import (
    linear_gaussian,
    linear_gaussian_log_evidence,
    linear_gaussian_posterior,
)
from jaxvae.models.exact.linear_encoder import linear_gaussian_elbo, linear_gaussian_encoder, linear_gaussian_gap
from jaxvae.objectives.bounds import elbo, iwae_bound

pytestmark = pytest.mark.quick_compile

SETTINGS = {
    "full": {},
    "orthogonal": {"orthogonal": True, "size": 9},
    "one latent": {"latents": 1},
    "more latents than pixels": {"size": 2, "latents": 4},
    "little noise": {"noise": 0.05},
}
every = pytest.mark.parametrize("options", SETTINGS.values(), ids=SETTINGS)


def ready(**options):
    """(model, truth, x, params at the best encoder)."""
    model, truth = exact.linear(**options)
    x = jnp.float32(truth.x)
    params = jax.jit(model.init)(jax.random.key(0), x)
    return model, truth, x, params | {"encoder": linear_gaussian_encoder(params["decoder"], noise=truth.noise)}


def many_terms(model, params, x, samples, seed=0):
    keys = jax.random.split(jax.random.key(seed), samples)
    return jax.jit(jax.vmap(model.terms, (None, 0, None)))(params, keys, x)


@pytest.mark.rows(quick=["little noise"])
@every
def test_evidence_and_posterior_are_those_of_dense_algebra(options):
    _, truth, x, params = ready(**options)
    mean, covariance = jax.jit(linear_gaussian_posterior, static_argnames="noise")(
        params["decoder"], x, noise=truth.noise
    )
    np.testing.assert_allclose(mean, truth.mean, rtol=2e-4, atol=1e-5)
    np.testing.assert_allclose(covariance, truth.covariance, rtol=2e-4, atol=1e-6)
    found = linear_gaussian_log_evidence(params["decoder"], x, noise=truth.noise)
    assert float(found) == pytest.approx(truth.log_evidence, abs=1e-4)


def kl_to_posterior(truth, mean, log_var):
    """KL(N(mean, diag) || the true posterior), from the definition."""
    precision, off = np.linalg.inv(truth.covariance), mean - truth.mean
    log_ratio = np.linalg.slogdet(truth.covariance)[1] - log_var.sum()
    return 0.5 * (np.diag(precision) @ np.exp(log_var) - len(mean) + off @ precision @ off + log_ratio)


@pytest.mark.rows(every=2)
@every
def test_the_exact_elbo_misses_the_evidence_by_the_kl_to_the_posterior(options):
    """For the best encoder and for three poor ones."""
    model, truth, x, best = ready(**options)
    fresh = jax.jit(model.init)(jax.random.key(0), x)["encoder"]
    draw = np.random.default_rng(0)
    poor = [jax.tree.map(lambda leaf: leaf + jnp.float32(0.3 * draw.normal(size=leaf.shape)), fresh) for _ in range(2)]
    for encoder in (best["encoder"], fresh, *poor):
        mean = np.float64(encoder["weights"]) @ truth.x + np.float64(encoder["bias"])
        expected = truth.log_evidence - kl_to_posterior(truth, mean, np.float64(encoder["log_var"]))
        found = linear_gaussian_elbo(best | {"encoder": encoder}, x, noise=truth.noise)
        assert float(found) == pytest.approx(expected, rel=2e-6, abs=1e-4)


@pytest.mark.rows(slow=["full", "orthogonal", "more latents than pixels"])
@every
def test_no_diagonal_encoder_does_better_and_the_gap_is_what_it_misses(options):
    _, truth, x, params = ready(**options)
    at_best = linear_gaussian_elbo(params, x, noise=truth.noise)
    gap = linear_gaussian_gap(params["decoder"], noise=truth.noise)
    assert float(truth.log_evidence - at_best) == pytest.approx(float(gap), abs=1e-4)
    slope = jax.grad(lambda e: linear_gaussian_elbo(params | {"encoder": e}, x, noise=truth.noise))(params["encoder"])
    size = float(jnp.sqrt(optax.tree.norm(params["encoder"], squared=True))) / truth.noise**2
    assert float(optax.tree.norm(slope)) < 2e-5 * size
    if options.get("orthogonal") or options.get("latents") == 1:
        assert float(gap) == pytest.approx(0, abs=1e-6)
    else:
        assert float(gap) > 0.05


@pytest.mark.slow
@pytest.mark.rows(full=["1"])
@pytest.mark.parametrize("samples", [1, 5, 50])
def test_where_the_posterior_is_diagonal_every_sample_tells_the_evidence(samples):
    model, truth, x, params = ready(orthogonal=True, size=784, latents=20, noise=0.3)
    terms = many_terms(model, params, x, samples)
    np.testing.assert_allclose(terms.log_weight, truth.log_evidence, atol=1e-3)
    assert float(iwae_bound(terms)) == pytest.approx(truth.log_evidence, abs=1e-3)


def test_the_sampled_elbo_is_the_exact_one_on_average():
    model, truth, x, params = ready()
    terms = many_terms(model, params, x, 20_000)
    each = np.float64(terms.log_likelihood) - np.float64(terms.kl).sum(1)
    expected = float(linear_gaussian_elbo(params, x, noise=truth.noise))
    assert abs(each.mean() - expected) < 4 * each.std() / np.sqrt(len(each))
    assert expected < truth.log_evidence - 0.05


def test_a_bias_moves_everything_with_x():
    truth = exact.linear_truth()
    bias = jnp.arange(6.0)
    model = linear_gaussian(jnp.float32(truth.weights), bias=bias, noise=truth.noise)
    x = jnp.float32(truth.x) + bias
    params = jax.jit(model.init)(jax.random.key(0), x)
    params |= {"encoder": linear_gaussian_encoder(params["decoder"], noise=truth.noise)}
    evidence = linear_gaussian_log_evidence(params["decoder"], x, noise=truth.noise)
    assert float(evidence) == pytest.approx(truth.log_evidence, abs=1e-4)
    mean, _ = linear_gaussian_posterior(params["decoder"], x, noise=truth.noise)
    np.testing.assert_allclose(mean, truth.mean, atol=1e-5)
    np.testing.assert_allclose(model.posterior.mean(params, x), truth.mean, atol=1e-5)


@pytest.mark.slow
def test_maximising_the_elbo_over_the_encoder_reaches_the_closed_form():
    model, truth, x, best = ready(size=4, latents=2, noise=1.0)
    xs = jnp.float32(np.random.default_rng(0).normal(size=(20, 4)))
    optimizer = optax.adam(0.05)

    def loss(encoder):
        params = best | {"encoder": encoder}
        return -jax.vmap(lambda x: linear_gaussian_elbo(params, x, noise=truth.noise))(xs).mean()

    @jax.jit
    def train(encoder):
        def step(carry, _):
            encoder, state = carry
            updates, state = optimizer.update(jax.grad(loss)(encoder), state)
            return (optax.apply_updates(encoder, updates), state), None

        return jax.lax.scan(step, (encoder, optimizer.init(encoder)), length=1500)[0][0]

    found = train(model.init(jax.random.key(0), x)["encoder"])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-3), found, best["encoder"])


@pytest.mark.full
def test_images_keep_their_shape():
    weights = jnp.float32(np.random.default_rng(0).normal(size=(4, 4, 1, 2)))
    model = linear_gaussian(weights)
    x = jnp.ones((4, 4, 1))
    params = jax.jit(model.init)(jax.random.key(0), x)
    assert model.event_shape == (4, 4, 1)
    assert model.terms(params, jax.random.key(0), x).kl.shape == (2,)
    flat = {"weights": weights.reshape(16, 2), "bias": jnp.zeros(16)}
    assert float(linear_gaussian_log_evidence(params["decoder"], x, noise=1.0)) == pytest.approx(
        float(linear_gaussian_log_evidence(flat, x.ravel(), noise=1.0)), rel=1e-6
    )


def test_the_discrete_model_adds_up_and_its_bounds_rise_to_the_evidence():
    model = exact.discrete()
    params = jax.jit(model.init)(jax.random.key(0), exact.EVERY_X[0])
    evidence = [exact.discrete_log_evidence(params, x) for x in exact.EVERY_X]
    assert np.exp(evidence).sum() == pytest.approx(1, abs=1e-12)
    for x, log_p in zip(exact.EVERY_X[:3], evidence, strict=False):
        bounds = [exact.discrete_bound(params, x, samples) for samples in (1, 2, 3)]
        assert bounds[0] < bounds[1] < bounds[2] < log_p


@pytest.mark.full
def test_the_discrete_model_says_of_each_state_what_its_tables_say():
    model = exact.discrete()
    x = jnp.asarray(exact.EVERY_X[5])
    params = jax.jit(model.init)(jax.random.key(1), x)
    terms = many_terms(model, params, x, 50_000)
    log_joint, log_q = exact.discrete_tables(params, x)
    np.testing.assert_allclose(terms.log_weight, (log_joint - log_q)[terms.z], rtol=1e-4, atol=1e-5)
    frequency = np.bincount(terms.z, minlength=exact.STATES) / 50_000
    q = np.exp(log_q)
    assert (np.abs(frequency - q) < 4.5 * np.sqrt(q * (1 - q) / 50_000)).all()
    each = np.float64(terms.log_likelihood) - np.float64(terms.kl).sum(1)
    assert abs(each.mean() - exact.discrete_bound(params, x)) < 4 * each.std() / np.sqrt(50_000)
    pairs = jax.tree.map(lambda leaf: leaf.reshape(25_000, 2, *leaf.shape[1:]), terms)
    two = np.float64(jax.vmap(iwae_bound)(pairs))
    assert abs(two.mean() - exact.discrete_bound(params, x, 2)) < 4 * two.std() / np.sqrt(25_000)
    assert float(elbo(terms)) == pytest.approx(each.mean(), rel=1e-5)


def test_a_grid_integrates_the_linear_model_as_its_closed_form_does():
    truth = exact.linear_truth(size=16, latents=1, noise=0.4)

    def log_joint(z):
        error = ((truth.x - z[:, None] * truth.weights[:, 0]) ** 2).sum(1)
        likelihood = -0.5 * (error / truth.noise**2 + 16 * (exact.LOG_2_PI + 2 * np.log(truth.noise)))
        return likelihood - 0.5 * (z**2 + exact.LOG_2_PI)

    grid = exact.on_grid(log_joint)
    assert grid.log_evidence == pytest.approx(truth.log_evidence, abs=1e-10)
    assert grid.mean == pytest.approx(truth.mean[0], abs=1e-10)
    assert grid.variance == pytest.approx(truth.covariance[0, 0], rel=1e-9)
    assert grid.density.sum() * (grid.z[1] - grid.z[0]) == pytest.approx(1, abs=1e-12)


class Posterior:
    """An encoder that says the same of every x: a Gaussian a little wider than the grid's posterior."""

    def __init__(self, grid):
        self.mean, self.log_var = jnp.float32([grid.mean]), jnp.float32([np.log(2 * grid.variance)])

    def init(self, key, x):
        return {}

    def apply(self, variables, x):
        return self.mean, self.log_var


@pytest.mark.parametrize("index", range(3))
def test_importance_samples_of_the_pictures_agree_with_the_grid(index):
    _, xs = exact.draw_pictures(3)
    grid = exact.on_grid(exact.picture_log_joint(xs[index]))
    finer = exact.on_grid(exact.picture_log_joint(xs[index]), points=8001)
    assert grid.log_evidence == pytest.approx(finer.log_evidence, abs=1e-9)
    model, x = exact.pictures(Posterior(grid)), jnp.float32(xs[index])
    terms = many_terms(model, model.init(jax.random.key(0), x), x, 20_000)
    weight = np.exp(np.float64(terms.log_weight) - grid.log_evidence)
    assert abs(weight.mean() - 1) < 4.5 * weight.std() / np.sqrt(20_000) + 1e-4
    mean = (weight * np.float64(terms.z[:, 0])).mean()
    error = (weight * (np.float64(terms.z[:, 0]) - grid.mean)).std() / np.sqrt(20_000)
    assert abs(mean / weight.mean() - grid.mean) < 4.5 * error + 1e-5
    assert float(elbo(terms)) < grid.log_evidence


@pytest.mark.slow
def test_the_pictures_are_driven_by_their_number():
    z, x = exact.draw_pictures(2000, seed=1)
    assert x.shape == (2000, 4, 4, 1)
    assert abs((x - exact.brightness(z)).std() - exact.NOISE) < 0.01
    model = exact.pictures(Linear(2, (2, 1)))
    params = jax.jit(model.init)(jax.random.key(0), jnp.zeros((4, 4, 1)))
    np.testing.assert_allclose(
        jax.vmap(lambda z: model.likelihood.mean(params, z))(jnp.float32(z[:5, None])),
        exact.brightness(z[:5]),
        atol=1e-6,
    )


BAD = [
    (lambda: linear_gaussian(jnp.ones(3)), ValueError, ["weights has shape (3,)", "[..., Z]"]),
    (lambda: linear_gaussian(jnp.ones((3, 0))), ValueError, ["weights has shape (3, 0)"]),
    (lambda: linear_gaussian(np.ones((3, 2), np.int32)), TypeError, ["weights has dtype int32"]),
    (lambda: linear_gaussian(jnp.full((3, 2), jnp.nan)), ValueError, ["weights holds a NaN"]),
    (lambda: linear_gaussian(jnp.ones((3, 2)), bias=jnp.zeros(2)), ValueError, ["bias has shape (2,)", "(3,)"]),
    (lambda: linear_gaussian(jnp.ones((3, 2)), bias=jnp.full(3, jnp.inf)), ValueError, ["bias holds"]),
    (lambda: linear_gaussian(jnp.ones((3, 2)), noise=0.0), ValueError, ["noise is 0.0", "above 0"]),
    (lambda: linear_gaussian(jnp.ones((3, 2)), noise=-1.0), ValueError, ["noise is -1.0"]),
    (lambda: linear_gaussian(jnp.ones((3, 2)), noise="1"), TypeError, ["noise is '1'", "number"]),
    (lambda: linear_gaussian_gap(GOOD, noise=0.0), ValueError, ["noise is 0.0"]),
    (lambda: linear_gaussian_encoder(GOOD, noise=jnp.nan), ValueError, ["noise is nan"]),
    (lambda: linear_gaussian_log_evidence(GOOD, jnp.zeros(2), noise=1.0), ValueError, ["x has shape (2,)", "(3,)"]),
    (lambda: linear_gaussian_posterior(GOOD, np.zeros(3, int), noise=1.0), TypeError, ["x has dtype int"]),
    (
        lambda: linear_gaussian_elbo({"decoder": GOOD, "encoder": {}}, jnp.zeros((5, 3)), noise=1.0),
        ValueError,
        ["x has shape (5, 3)", "jax.vmap"],
    ),
]
GOOD = {"weights": jnp.ones((3, 2)), "bias": jnp.zeros(3)}


@pytest.mark.rows(every=3)
@pytest.mark.parametrize(("call", "error", "words"), BAD)
def test_impossible_arguments_are_named(call, error, words):
    with pytest.raises(error) as raised:
        call()
    for word in words:
        assert word in str(raised.value)
