"""Priors p(z): their densities in float64, what every one of them promises, and what a VampPrior costs."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from sklearn.mixture import GaussianMixture
from small import SHAPE, images, small_vae

import jaxvae
from jaxvae.flows import real_nvp
from jaxvae.math.mixtures import gaussian_mixture_log_prob, mixture_log_prob
from jaxvae.models.posteriors.low_rank import low_rank_posterior
from jaxvae.models.priors.flow import flow_prior
from jaxvae.models.priors.mixture import gaussian_mixture_prior
from jaxvae.models.priors.standard import standard_normal
from jaxvae.models.priors.vamp import vamp_prior
from jaxvae.models.records import merge
from jaxvae.models.variational import vae
from jaxvae.networks import MLPDecoder, MLPEncoder
from jaxvae.networks.conditioner import ConditionerMLP
from jaxvae.training.losses.bound import bound_loss

pytestmark = pytest.mark.quick_compile

KEY = jax.random.key(0)
quick_jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


def test_the_mixture_density_is_scikit_learns_and_the_definition():
    draw = np.random.default_rng(0)
    logits, means, log_vars = draw.normal(size=4), 3 * draw.normal(size=(4, 3)), draw.uniform(-3, 1, (4, 3))
    weights = np.exp(logits) / np.exp(logits).sum()
    points = np.concatenate([means, 4 * draw.normal(size=(60, 3)), np.full((1, 3), 60.0)])  # the last: far off all
    judge = GaussianMixture(4, covariance_type="diag")
    judge.weights_, judge.means_, judge.covariances_ = weights, means, np.exp(log_vars)
    judge.precisions_cholesky_ = np.exp(-log_vars / 2)
    function = jax.jit(jax.vmap(gaussian_mixture_log_prob, (0, None, None, None)))
    found = function(*(np.float32(part) for part in (points, logits, means, log_vars)))
    np.testing.assert_allclose(found, judge.score_samples(points), rtol=1e-5, atol=1e-5)
    near = points[:-1]
    parts = [
        w * stats.norm(m, s).pdf(near).prod(1) for w, m, s in zip(weights, means, np.exp(log_vars / 2), strict=True)
    ]
    np.testing.assert_allclose(found[:-1], np.log(sum(parts)), rtol=1e-5, atol=1e-5)


@pytest.mark.full
def test_a_weight_of_zero_and_a_far_component_leave_finite_gradients():
    def density(logits, means, log_vars):
        return gaussian_mixture_log_prob(jnp.zeros(2), logits, means, log_vars)

    arguments = jnp.array([0.0, -1e4, -jnp.inf]), jnp.array([[0.0, 0], [1, 1], [1e3, 0]]), jnp.array([[-24.0] * 2] * 3)
    value, slopes = jax.value_and_grad(density, (0, 1, 2))(*arguments)
    assert float(value) == pytest.approx(24 - math.log(2 * math.pi), rel=1e-6)
    assert all(np.isfinite(slope).all() for slope in slopes)
    assert float(mixture_log_prob(jnp.zeros(2), jnp.array([-jnp.inf, 0.0]))) == pytest.approx(-math.log(2))


@pytest.mark.slow
def test_the_slope_a_few_components_at_a_time_is_the_automatic_one():
    def plain(x, logits, means, log_vars):
        return mixture_log_prob(logits, jax.vmap(jaxvae.normal_log_prob, (None, 0, 0))(x, means, log_vars))

    draw = np.random.default_rng(0)
    parts = [draw.normal(size=shape) for shape in ((20, 3), 11, (11, 3), (11, 3))]  # more than one block of components

    def slopes(function, *parts):
        def total(x, *rest):
            return jax.vmap(function, (0, None, None, None))(x, *rest).sum()

        return jax.jit(jax.grad(total, (0, 1, 2, 3)))(*parts)

    with jax.enable_x64(True):
        wide = [jnp.float64(part) for part in parts]
        exact = slopes(plain, *wide)
        for found, expected in zip(slopes(gaussian_mixture_log_prob, *wide), exact, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    for found, expected in zip(slopes(gaussian_mixture_log_prob, *map(np.float32, parts)), exact, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def vamp(size=2, count=3, **options):
    return vamp_prior(MLPEncoder(size, (6,), "tanh"), size, SHAPE, pseudo_inputs=count, **options)


def low_rank_vamp(size=2):
    encoder = MLPEncoder(size, (6,), "tanh")
    return vamp_prior(encoder, size, SHAPE, pseudo_inputs=3, posterior=low_rank_posterior(1))


# name: latents -> prior. A new prior needs one row, and it is held to everything below.
PRIORS = {
    "standard normal": standard_normal,
    "gaussian mixture": lambda size: gaussian_mixture_prior(4, size),
    "vamp": vamp,
    "vamp of low-rank Gaussians": low_rank_vamp,
    "flow": lambda size: flow_prior(real_nvp(size, ConditionerMLP, layers=2), size),
}
every = pytest.mark.parametrize("name", PRIORS)


def encoder_of(name, size):
    """Parameters of the encoder that a VampPrior reads."""
    if not name.startswith("vamp"):
        return {}
    encoder = MLPEncoder(size, (6,), "tanh", outputs=3 * size if "low-rank" in name else None)
    return {"encoder": encoder.init(jax.random.key(5), jnp.zeros(SHAPE))}


def standing(name, size):
    """(prior, params), the parameters moved off their start by different amounts."""
    prior = PRIORS[name](size)
    params = quick_jit(lambda key: merge(prior.init(key, None), encoder_of(name, size)))(KEY)
    size = 0.03 if name == "flow" else 0.3  # a flow moved by more leaves the grid
    moved = jax.tree.map(lambda leaf: leaf + size * jnp.cos(3.0 * jnp.arange(leaf.size)).reshape(leaf.shape), params)
    return prior, moved


@pytest.mark.rows(full=["flow", "vamp of low-rank Gaussians", "vamp"])
@every
def test_a_density_integrates_to_one(name):
    prior, params = standing(name, 2)
    axis = np.linspace(-12, 12, 401, dtype=np.float32)
    points = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    density = jnp.exp(quick_jit(jax.vmap(prior.log_prob, (None, 0, None)))(params, points, None))
    assert float(np.float64(density).sum() * (axis[1] - axis[0]) ** 2) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.rows(slow=["gaussian mixture", "vamp"], full=["flow", "vamp of low-rank Gaussians"])
@every
def test_samples_know_their_density_and_have_its_moments(name):
    """Moments of 100,000 draws against those of the density, integrated on a grid."""
    prior, params = standing(name, 2)
    axis = np.linspace(-12, 12, 401, dtype=np.float32)
    points = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)

    @quick_jit
    def draws(params, keys):
        z, log_p = jax.vmap(prior.sample, (None, 0, None))(params, keys, None)
        log_prob = jax.vmap(prior.log_prob, (None, 0, None))
        return z, log_p, log_prob(params, z, None), log_prob(params, points, None)

    z, log_p, again, density = draws(params, jax.random.split(KEY, 100_000))
    assert (z.shape, log_p.shape) == ((100_000, 2), (100_000,))
    np.testing.assert_allclose(log_p, again, rtol=1e-4, atol=1e-4)
    z, weight = np.float64(z), np.exp(np.float64(density)) * (axis[1] - axis[0]) ** 2
    for power in (1, 2):
        exact, error = weight @ points**power, (z**power).std(0) / math.sqrt(len(z))
        assert (np.abs((z**power).mean(0) - exact) < 5 * error + 1e-3).all(), power
    cross = weight @ (points[:, 0] * points[:, 1])
    assert abs((z[:, 0] * z[:, 1]).mean() - cross) < 5 * (z[:, 0] * z[:, 1]).std() / math.sqrt(len(z)) + 1e-3
    if name != "flow":  # whose `mean` is the image of the centre
        np.testing.assert_allclose(prior.mean(params, None), weight @ points, atol=2e-3)


@pytest.mark.slow
@pytest.mark.rows(full=["flow", "gaussian mixture", "vamp of low-rank Gaussians", "vamp"])
@every
def test_keys_gradients_and_transformations(name):
    prior, params = standing(name, 3)
    sample, log_prob = quick_jit(prior.sample), quick_jit(prior.log_prob)
    first, same, other = (sample(params, jax.random.key(seed), None) for seed in (1, 1, 2))
    assert np.array_equal(first[0], same[0])
    assert not np.array_equal(first[0], other[0])
    eager = prior.log_prob(params, first[0], None)
    np.testing.assert_allclose(log_prob(params, first[0], None), eager, rtol=1e-5, atol=1e-5)
    stacked = quick_jit(jax.vmap(prior.log_prob, (None, 0, None)))(params, first[0][None], None)
    np.testing.assert_allclose(stacked[0], eager, rtol=1e-5, atol=1e-5)
    slopes = quick_jit(jax.grad(prior.log_prob, (0, 1)))(params, jnp.array([0.3, -1.0, 2.0]), None)
    assert all(np.isfinite(leaf).all() and (leaf != 0).any() for leaf in jax.tree.leaves(slopes))
    far = quick_jit(jax.grad(prior.log_prob, (0, 1)))(params, jnp.full(3, 30.0), None)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(far))
    with jax.debug_key_reuse(True):
        quick_jit(prior.sample)(params, jax.random.key(3), None)
    found = jax.eval_shape(prior.sample, params, KEY, None)
    assert [(leaf.shape, leaf.dtype) for leaf in found] == [((3,), jnp.float32), ((), jnp.float32)]


@pytest.mark.rows(full=["flow", "gaussian mixture", "vamp"])
@pytest.mark.parametrize("name", ["gaussian mixture", "vamp", "flow"])
def test_a_small_vae_trains_and_its_prior_moves(name):
    prior, encoder = PRIORS[name](3), MLPEncoder(3, (6,), "tanh")
    model = vae(encoder, MLPDecoder(SHAPE, hidden=(16,)), event_shape=SHAPE, latent_dim=3, prior=prior)
    params, history = jaxvae.fit(model, images(200), epochs=8, batch_size=20, progress=False)
    assert history[-1]["elbo"] > history[0]["elbo"] + 0.5
    assert np.shape(history[-1]["kl_per_latent"]) == (1,)
    before = jax.eval_shape(prior.init, KEY, None)
    own = {key: params[key] for key in before}
    start = quick_jit(model.init)(jax.random.key(0), jnp.zeros(SHAPE))
    assert any(
        (leaf != jnp.asarray(start_leaf)).any()
        for leaf, start_leaf in zip(
            jax.tree.leaves(own), jax.tree.leaves({key: start[key] for key in before}), strict=True
        )
    )


@pytest.mark.full
def test_a_mixture_starts_near_a_standard_normal_with_components_of_its_own():
    prior = gaussian_mixture_prior(2000, 3, spread=0.7)
    params = jax.jit(prior.init)(KEY, None)
    means = np.float64(params["prior"]["means"])
    np.testing.assert_allclose(means.var(0) + math.exp(params["prior"]["log_vars"][0, 0]), 1.0, atol=0.1)
    assert np.linalg.matrix_rank(means) == 3
    found = prior.log_prob(params, jnp.ones(3), None)
    assert float(found) == pytest.approx(float(standard_normal(3).log_prob({}, jnp.ones(3), None)), abs=0.1)


@pytest.mark.full
def test_the_vamp_prior_is_the_mixture_of_the_posteriors_at_its_pseudo_inputs():
    data = np.random.default_rng(0).uniform(size=(10, *SHAPE)).astype(np.float32)
    prior, encoder = vamp(2, 4, data=data), MLPEncoder(2, (6,), "tanh")
    params = merge(jax.jit(prior.init)(KEY, None), encoder_of("vamp", 2))
    u = 1 / (1 + np.exp(-np.float64(params["pseudo_inputs"]["raw"])))
    np.testing.assert_allclose(u, np.clip(data[[0, 3, 6, 9]], 0.01, 0.99), atol=1e-6)
    outputs = [encoder.apply(params["encoder"], jnp.float32(one)) for one in u]
    z = np.array([0.3, -1.2])
    parts = [stats.norm(np.float64(m), np.exp(np.float64(v) / 2)).pdf(z).prod() for m, v in outputs]
    assert float(prior.log_prob(params, jnp.float32(z), None)) == pytest.approx(np.log(np.mean(parts)), rel=1e-5)


@pytest.mark.full
def test_the_encoder_is_trained_through_the_prior_too():
    prior, params = standing("vamp", 2)
    slopes = jax.grad(prior.log_prob)(params, jnp.ones(2), None)
    assert all((leaf != 0).any() for leaf in jax.tree.leaves(slopes["encoder"]))
    assert (slopes["pseudo_inputs"]["raw"] != 0).all()


@pytest.mark.full
def test_a_batch_and_its_samples_share_one_pass_of_the_encoder_over_the_pseudo_inputs():
    count, encoder = 50, MLPEncoder(3, (64,))

    def flops(prior, batch, samples):
        model = vae(encoder, MLPDecoder(SHAPE, hidden=(4,)), event_shape=SHAPE, latent_dim=3, prior=prior)
        params = jax.eval_shape(model.init, KEY, jnp.zeros(SHAPE))
        step = jax.jit(jax.value_and_grad(bound_loss(model, samples=samples), has_aux=True))
        x = jax.ShapeDtypeStruct((batch, *SHAPE), jnp.float32)
        keys = jax.eval_shape(lambda: jax.random.split(KEY, batch))
        return step.lower(params, keys, x, jnp.int32(0)).compile().cost_analysis()["flops"]

    def extra(batch, samples):
        """What the VampPrior costs beyond a mixture with as many components that needs no encoder."""
        priors = vamp_prior(encoder, 3, SHAPE, pseudo_inputs=count), gaussian_mixture_prior(count, 3)
        return flops(priors[0], batch, samples) - flops(priors[1], batch, samples)

    one_pass = count * 2 * (16 * 64 + 64 * 6)  # forward; backward is about twice as much
    assert 2 * one_pass < extra(2, 1) < 5 * one_pass
    assert abs(extra(16, 4) - extra(2, 1)) < one_pass


def near(*words):
    return list(words)


DATA = np.zeros((5, *SHAPE), np.float32)
BAD = [
    (lambda: gaussian_mixture_prior(0, 2), ValueError, near("components is 0", "at least 1")),
    (lambda: gaussian_mixture_prior(2.5, 2), TypeError, near("components is 2.5")),
    (lambda: gaussian_mixture_prior(2, -1), ValueError, near("latent_dim is -1")),
    (lambda: gaussian_mixture_prior(2, 2, spread=0.0), ValueError, near("spread is 0.0", "above 0")),
    (lambda: gaussian_mixture_prior(2, 2, spread=1), ValueError, near("spread is 1", "below 1")),
    (lambda: gaussian_mixture_prior(2, 2, spread=float("nan")), ValueError, near("spread is nan")),
    (lambda: gaussian_mixture_prior(2, 2, spread="wide"), TypeError, near("spread is 'wide'")),
    (lambda: vamp(count=0), ValueError, near("pseudo_inputs is 0", "at least 1")),
    (lambda: vamp(count=True), TypeError, near("pseudo_inputs is True")),
    (lambda: vamp(size=0), ValueError, near("latent_dim is 0")),
    (lambda: vamp_prior(MLPEncoder(2), 2, 784), TypeError, near("event_shape is 784", "tuple")),
    (lambda: vamp(data=DATA[:2]), ValueError, near("data has 2 examples for 3 pseudo_inputs", "at least as many")),
    (lambda: vamp(data=DATA[0]), ValueError, near("data has shape (4, 4, 1)", "(N, 4, 4, 1)")),
    (lambda: vamp(data=255 + DATA), ValueError, near("data has the value 255.0", "[0, 1]", "255")),
    (lambda: vamp(data=images(5)), TypeError, near("data has dtype uint8", "255")),
    (lambda: vamp(data=np.nan + DATA), ValueError, near("data has the value nan")),
    (
        lambda: merge(vamp(name="encoder").init(KEY, None), {"encoder": 1}),
        ValueError,
        near("both name their parameters 'encoder'"),
    ),
    (lambda: small_vae(prior=gaussian_mixture_prior), TypeError, near("prior is", "Call one")),
    (
        lambda: gaussian_mixture_log_prob(jnp.zeros(2), jnp.zeros(3), jnp.zeros((4, 2)), jnp.zeros((4, 2))),
        ValueError,
        near("means has shape (4, 2)", "[K, Z]", "jax.vmap"),
    ),
]


@pytest.mark.parametrize(("call", "error", "words"), BAD)
def test_bad_inputs_are_named(call, error, words):
    with pytest.raises(error) as raised:
        call()
    for word in words:
        assert word in str(raised.value)
