"""Posteriors q(z | x): their densities in float64, what every one of them promises, and where correlations pay."""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from small import SHAPE, images, small_vae

import jaxvae
from jaxvae.flows import planar, real_nvp
from jaxvae.math.multivariate import (
    full_normal_kl,
    full_normal_log_prob,
    full_normal_sample,
    low_rank_normal_kl,
    low_rank_normal_log_prob,
    low_rank_normal_sample,
)
from jaxvae.models.conditional import conditional_vae
from jaxvae.models.contexts import Labelled
from jaxvae.models.observations.continuous import normal
from jaxvae.models.posteriors.flow import flow_posterior
from jaxvae.models.posteriors.full_covariance import full_covariance_posterior
from jaxvae.models.posteriors.gaussian import gaussian_posterior
from jaxvae.models.posteriors.hyperspherical import hyperspherical_posterior
from jaxvae.models.posteriors.low_rank import low_rank_posterior
from jaxvae.models.variational import vae
from jaxvae.networks import ConvEncoder, MLPDecoder, MLPEncoder
from jaxvae.networks.conditional import with_context
from jaxvae.networks.conditioner import ConditionerMLP
from jaxvae.networks.deterministic import MappedInput
from jaxvae.objectives.bounds import elbo, iwae_bound

pytestmark = pytest.mark.quick_compile

KEY = jax.random.key(0)
quick_jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


def covariance(log_var, kind, matrix):
    """The covariance in float64, from the definition."""
    log_var, matrix = np.float64(log_var), np.float64(matrix)
    if kind == "low_rank":
        return np.diag(np.exp(log_var)) + matrix @ matrix.T
    scale = np.diag(np.exp(log_var / 2)) + np.tril(matrix, -1)
    return scale @ scale.T


def exact_log_prob(x, mean, cov):
    residual = np.float64(x) - np.float64(mean)
    return -0.5 * (np.linalg.slogdet(2 * np.pi * cov)[1] + residual @ np.linalg.solve(cov, residual))


def exact_kl(mean, cov, mean_p, log_var_p):
    """1/2 (tr(P^-1 S) + d^T P^-1 d - Z + log det P - log det S), P diagonal."""
    p = np.exp(np.float64(log_var_p))
    gap = np.float64(mean) - np.float64(mean_p)
    log_dets = np.log(p).sum() - np.linalg.slogdet(cov)[1]
    return 0.5 * ((np.diag(cov) / p).sum() + (gap**2 / p).sum() - len(p) + log_dets)


DENSITIES = {"low_rank": low_rank_normal_log_prob, "full": full_normal_log_prob}
KLS = {"low_rank": low_rank_normal_kl, "full": full_normal_kl}
SAMPLERS = {"low_rank": low_rank_normal_sample, "full": full_normal_sample}
kinds = pytest.mark.parametrize("kind", DENSITIES)


def settings(kind, count=40, size=5, rank=2, seed=0):
    """float32 settings (x, mean, log_var, matrix), each with a leading axis."""
    draw = np.random.default_rng(seed)
    columns = rank if kind == "low_rank" else size
    shapes = ((size,), (size,), (size,), (size, columns))
    scales = (2.0, 1.0, 1.5, 1.0)
    return [np.float32(s * draw.normal(size=(count, *shape))) for s, shape in zip(scales, shapes, strict=True)]


@kinds
@pytest.mark.parametrize(("size", "rank"), [(1, 1), (5, 2), (3, 4)])
def test_the_density_is_the_one_of_the_covariance_matrix(kind, size, rank):
    x, mean, log_var, matrix = settings(kind, size=size, rank=rank)
    found = jax.jit(jax.vmap(DENSITIES[kind]))(x, mean, log_var, matrix)
    covs = [covariance(v, kind, m) for v, m in zip(log_var, matrix, strict=True)]
    exact = [exact_log_prob(*row) for row in zip(x, mean, covs, strict=True)]
    np.testing.assert_allclose(found, exact, rtol=1e-5, atol=1e-5)
    scipy = stats.multivariate_normal(np.float64(mean[0]), covs[0]).logpdf(np.float64(x[0]))
    assert float(found[0]) == pytest.approx(scipy, rel=1e-5)


@pytest.mark.rows(full=["low_rank"])
@kinds
def test_the_divergence_to_a_diagonal_gaussian_is_exact(kind):
    mean_p, mean, log_var, matrix = settings(kind)
    log_var_p = np.float32(np.random.default_rng(1).uniform(-1, 1, mean.shape))
    found = jax.jit(jax.vmap(KLS[kind]))(mean, log_var, matrix, mean_p, log_var_p)
    covs = [covariance(v, kind, m) for v, m in zip(log_var, matrix, strict=True)]
    exact = [exact_kl(*row) for row in zip(mean, covs, mean_p, log_var_p, strict=True)]
    np.testing.assert_allclose(found, exact, rtol=1e-5)
    zero = jnp.zeros(5)
    assert abs(float(KLS[kind](zero, zero, 0 * matrix[0], zero, zero))) < 1e-6


@pytest.mark.rows(slow=["low_rank"])
@kinds
def test_gradients_agree_with_central_differences(kind):
    with jax.enable_x64(True):
        x, mean, log_var, matrix = (jnp.float64(part[0]) for part in settings(kind, size=3))
        zero = jnp.zeros(3)
        functions = {
            "density": (DENSITIES[kind], (x, mean, log_var, matrix)),
            "divergence": (lambda *q: KLS[kind](*q, zero, zero + 0.3), (mean, log_var, matrix)),
        }
        for name, (function, arguments) in functions.items():
            slopes = jax.jit(jax.grad(function, tuple(range(len(arguments)))))(*arguments)
            value = jax.jit(function)
            for i, slope in enumerate(slopes):
                for index in np.ndindex(arguments[i].shape):
                    moved = [
                        value(*arguments[:i], arguments[i].at[index].add(h), *arguments[i + 1 :]) for h in (1e-6, -1e-6)
                    ]
                    difference = float(moved[0] - moved[1]) / 2e-6
                    assert float(slope[index]) == pytest.approx(difference, rel=1e-6, abs=1e-8), (name, i, index)


@kinds
def test_samples_have_the_mean_and_the_covariance(kind):
    _, mean, log_var, matrix = (part[0] for part in settings(kind, size=3))
    n = 100_000
    draws = jax.jit(jax.vmap(lambda key: SAMPLERS[kind](key, mean, log_var, matrix)))(jax.random.split(KEY, n))
    draws, cov = np.float64(draws), covariance(log_var, kind, matrix)
    error = np.sqrt(np.diag(cov) / n)
    assert (np.abs(draws.mean(0) - mean) < 5 * error).all()
    spread = np.sqrt((cov**2 + np.outer(np.diag(cov), np.diag(cov))) / n)
    assert (np.abs(np.cov(draws.T) - cov) < 5 * spread).all()


@pytest.mark.full
def test_a_tiny_variance_beside_a_repeated_direction_is_no_nan():
    """Here 1 + W^T W has no Cholesky factor in float32."""
    draw = np.random.default_rng(0)
    factor = np.float32(draw.normal(size=(40, 3)))
    factor[:, 1] = factor[:, 0]
    mean, log_var = np.zeros(40, np.float32), np.float32(-16 + draw.normal(size=40))
    x = np.float32(factor @ draw.normal(size=3))
    value, slopes = jax.value_and_grad(low_rank_normal_log_prob, (1, 2, 3))(x, mean, log_var, factor)
    exact = exact_log_prob(x, mean, covariance(log_var, "low_rank", factor))
    assert float(value) == pytest.approx(exact, rel=1e-3)
    assert all(np.isfinite(slope).all() for slope in slopes)
    extreme = low_rank_normal_log_prob(x, mean, np.full(40, -100, np.float32), factor)
    assert np.isfinite(extreme)


class Emits(NamedTuple):
    """An encoder without parameters that emits what it is told to."""

    outputs: tuple

    def init(self, key, x):
        return {}

    def apply(self, variables, x):
        return self.outputs


def correlated_model(pixels=12, latents=4, noise=0.5):
    """(decoder's weights [latents, pixels], x, the exact posterior mean and covariance, log p(x)), float64."""
    draw = np.random.default_rng(2)
    weights, x = draw.normal(size=(latents, pixels)) + draw.normal(size=pixels), draw.normal(size=pixels)
    precision = np.eye(latents) + weights @ weights.T / noise**2
    cov = np.linalg.inv(precision)
    evidence = stats.multivariate_normal(np.zeros(pixels), weights.T @ weights + noise**2 * np.eye(pixels))
    return weights, x, cov @ weights @ x / noise**2, cov, evidence.logpdf(x)


class Times(NamedTuple):
    """The decoder z -> z W."""

    weights: object

    def init(self, key, z):
        return {}

    def apply(self, variables, z):
        return z @ self.weights


def bounds_of(posterior, outputs, weights, x, samples=2000):
    model = vae(
        Emits(tuple(jnp.float32(part) for part in outputs)),
        Times(jnp.float32(weights)),
        event_shape=(12,),
        latent_dim=4,
        observation=normal(std=0.5),
        posterior=posterior,
    )
    params = {"encoder": {}, "decoder": {}}

    @jax.jit
    def run(x):
        terms = jax.vmap(model.terms, (None, 0, None))(params, jax.random.split(KEY, samples), x)
        each = terms.log_likelihood - terms.kl.sum(-1)
        return terms.log_weight, elbo(terms), iwae_bound(terms), each.std() / math.sqrt(samples), terms.kl

    return run(jnp.float32(x))


@pytest.mark.full
def test_the_right_covariance_makes_the_bound_exact_and_the_best_diagonal_does_not():
    weights, x, mean, cov, log_p = correlated_model()
    scale = np.linalg.cholesky(cov)
    below = scale[np.tril_indices(4, -1)]
    weight, bound, weighted, error, kl = bounds_of(
        full_covariance_posterior, (mean, 2 * np.log(np.diag(scale)), below), weights, x
    )
    np.testing.assert_allclose(weight, log_p, atol=1e-4)  # each sample alone: log p(x, z) - log q(z | x) is log p(x)
    assert float(weighted) == pytest.approx(log_p, abs=1e-4)
    assert abs(float(bound) - log_p) < 5 * float(error)
    assert kl.shape == (2000, 1)
    np.testing.assert_allclose(kl, exact_kl(mean, cov, np.zeros(4), np.zeros(4)), rtol=1e-5)
    # The best diagonal q has the precisions of the posterior's diagonal; its gap is KL(q || p(z | x)).
    best = -np.log(np.diag(np.linalg.inv(cov)))
    gap = 0.5 * (np.linalg.slogdet(cov)[1] - best.sum())
    _, bound, _, error, _ = bounds_of(gaussian_posterior, (mean, best), weights, x)
    assert gap > 0.3
    assert abs(float(bound) - (log_p - gap)) < 5 * float(error)


@pytest.mark.slow
def test_enough_factors_make_the_low_rank_posterior_exact_too():
    weights, x, mean, cov, log_p = correlated_model()
    values, directions = np.linalg.eigh(cov)
    factor = directions[:, 1:] * np.sqrt(values[1:] - values[0])
    outputs = (mean, np.full(4, np.log(values[0])), factor.reshape(-1))
    weight, bound, _, error, kl = bounds_of(low_rank_posterior(3), outputs, weights, x)
    np.testing.assert_allclose(weight, log_p, atol=1e-4)
    assert abs(float(bound) - log_p) < 5 * float(error)
    np.testing.assert_allclose(kl, exact_kl(mean, cov, np.zeros(4), np.zeros(4)), rtol=1e-4)


# name: (constructor, numbers the encoder emits besides mean and log_var for `size` latents). A new posterior needs
# one row, and it is held to everything below.
POSTERIORS = {
    "gaussian": gaussian_posterior,
    "low_rank": low_rank_posterior(2),
    "full": full_covariance_posterior,
}
every = pytest.mark.parametrize("name", POSTERIORS)


def standing(name, size, seed=0):
    """(posterior, params, x) with an encoder whose weights are large enough for real correlations."""
    posterior = POSTERIORS[name](MLPEncoder(size, (6,), "tanh"), size)
    x = jnp.asarray(np.random.default_rng(seed).normal(size=SHAPE), jnp.float32)
    params = jax.jit(posterior.init)(jax.random.key(seed), x)
    return (
        posterior,
        jax.tree.map(lambda leaf: leaf + 0.3 * jnp.cos(jnp.arange(leaf.size)).reshape(leaf.shape), params),
        x,
    )


@pytest.mark.rows(slow=["gaussian", "full"])
@every
def test_a_density_integrates_to_one(name):
    posterior, params, x = standing(name, 2)
    axis = np.linspace(-12, 12, 401, dtype=np.float32)
    points = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    density = jnp.exp(quick_jit(jax.vmap(posterior.log_prob, (None, 0, None)))(params, points, x))
    assert float(np.float64(density).sum() * (axis[1] - axis[0]) ** 2) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.slow
@pytest.mark.rows(full=["full"])
@every
def test_a_sample_knows_its_density_and_follows_the_mean(name):
    posterior, params, x = standing(name, 3)

    @quick_jit
    def draws(params, keys):
        z, log_q = jax.vmap(posterior.sample, (None, 0, None))(params, keys, x)
        return z, log_q, jax.vmap(posterior.log_prob, (None, 0, None))(params, z, x)

    z, log_q, again = draws(params, jax.random.split(KEY, 100_000))
    assert (z.shape, log_q.shape) == ((100_000, 3), (100_000,))
    np.testing.assert_allclose(log_q, again, rtol=1e-5, atol=1e-5)
    z = np.float64(z)
    error = z.std(0) / math.sqrt(len(z))
    assert (np.abs(z.mean(0) - posterior.mean(params, x)) < 5 * error).all()
    entropy = -np.float64(log_q)  # of a Gaussian, from the covariance of the draws
    expected = 0.5 * np.linalg.slogdet(2 * np.pi * math.e * np.cov(z.T))[1]
    assert entropy.mean() == pytest.approx(expected, abs=0.02)


@pytest.mark.rows(full=["full", "gaussian", "low_rank"])
@every
def test_keys_gradients_and_transformations(name):
    posterior, params, x = standing(name, 3)
    sample = quick_jit(posterior.sample)
    first, same, other = (sample(params, jax.random.key(seed), x) for seed in (1, 1, 2))
    assert np.array_equal(first[0], same[0])
    assert not np.array_equal(first[0], other[0])
    eager = posterior.sample(params, jax.random.key(1), x)
    np.testing.assert_allclose(first[0], eager[0], rtol=1e-5, atol=1e-6)
    stacked = quick_jit(jax.vmap(posterior.log_prob, (None, 0, 0)))(params, first[0][None], x[None])
    np.testing.assert_allclose(stacked[0], first[1], rtol=1e-5, atol=1e-6)
    slopes = quick_jit(jax.grad(lambda params: posterior.sample(params, KEY, x)[1]))(params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes))
    slopes = quick_jit(jax.grad(lambda params: posterior.log_prob(params, jnp.ones(3), x)))(params)
    assert all((leaf != 0).any() for leaf in jax.tree.leaves(slopes))
    with jax.debug_key_reuse(True):
        quick_jit(posterior.sample)(params, jax.random.key(3), x)


@pytest.mark.rows(slow=["full"], full=["low_rank"])
@every
def test_the_closed_form_kl_is_the_average_of_the_sampled_one(name):
    posterior, params, x = standing(name, 3)
    if posterior.sample_with_kl is None:
        assert posterior.distribution is not None, "then vae() estimates the KL from one sample"
        return
    p = jaxvae.DiagNormal(jnp.full(3, 0.2), jnp.full(3, -0.4))

    @quick_jit
    def draws(keys):
        z, log_q, kl = jax.vmap(posterior.sample_with_kl, (None, 0, None, None))(params, keys, x, p)
        return log_q - jax.vmap(lambda z: jaxvae.normal_log_prob(z, *p))(z), kl

    each, kl = (np.float64(part) for part in draws(jax.random.split(KEY, 50_000)))
    assert np.ptp(kl) == 0
    assert abs(each.mean() - kl[0]) < 5 * each.std() / math.sqrt(len(each))
    with_kl = posterior.sample_with_kl(params, KEY, x, p)
    np.testing.assert_allclose(with_kl[0], posterior.sample(params, KEY, x)[0], rtol=1e-6)


@pytest.mark.rows(full=["full", "gaussian", "low_rank"])
@every
def test_a_small_vae_trains(name):
    networks = MLPEncoder(3, (16,)), MLPDecoder(SHAPE, hidden=(16,))
    model = vae(*networks, event_shape=SHAPE, latent_dim=3, posterior=POSTERIORS[name])
    history = jaxvae.fit(model, images(200), epochs=8, batch_size=20, progress=False).history
    assert history[-1]["elbo"] > history[0]["elbo"] + 0.5
    assert np.shape(history[-1]["kl_per_latent"]) == ((3,) if name == "gaussian" else (1,))


@pytest.mark.slow
@pytest.mark.rows(full=["conv"])
@pytest.mark.parametrize(
    "encoder", [MLPEncoder(2, (4,), outputs=9), ConvEncoder(2, (4,), 8, outputs=9)], ids=["mlp", "conv"]
)
def test_the_librarys_encoders_emit_what_is_asked_for_besides(encoder):
    x = jnp.ones((4, 4, 1))
    outputs = encoder.apply(quick_jit(encoder.init)(KEY, x), x)
    assert [part.shape for part in outputs] == [(2,), (2,), (5,)]
    assert float(jnp.abs(outputs[2]).max()) < 0.5
    plain = encoder.clone(outputs=None)
    assert len(plain.apply(quick_jit(plain.init)(KEY, x), x)) == 2


OUTPUTS = {  # name -> (constructor, what its encoder of 3 latents emits in all)
    "gaussian": (gaussian_posterior, 6),
    "low rank": (low_rank_posterior(2), 6 + 6),
    "full covariance": (full_covariance_posterior, 6 + 3),
    "sphere": (hyperspherical_posterior, 6),
    "flow": (flow_posterior(planar), 6),
    "flow with a context": (flow_posterior(real_nvp(3, functools.partial(ConditionerMLP, hidden=()), 1), 5), 6 + 5),
}


@pytest.mark.rows(every=2)
@pytest.mark.rows(slow=["sphere"])
@pytest.mark.parametrize("name", OUTPUTS)
def test_a_posterior_says_how_many_numbers_it_reads_and_asks_the_encoder_for_them(name):
    make, expected = OUTPUTS[name]
    assert make.outputs(3) == expected
    encoders = [MLPEncoder(3, (4,)), MLPEncoder(3, (4,), outputs=expected), MappedInput(MLPEncoder(3, (4,)), jnp.ravel)]
    x, found = jnp.ones(SHAPE), []
    for encoder in encoders:
        posterior = make(encoder, 3)
        params = quick_jit(posterior.init)(KEY, x)
        found.append(posterior.sample(params, KEY, x)[0])
        emitted = jax.tree.map(lambda leaf: leaf.shape[-1], params["encoder"]["params"])
        assert sum(layer["bias"] for name, layer in emitted.items() if name != "Dense_0") == expected
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_networks_of_two_inputs_are_asked_too():
    model = conditional_vae(
        with_context(MLPEncoder(3, (4,))), with_context(MLPDecoder(SHAPE, hidden=(4,))), event_shape=SHAPE,
        latent_dim=3, context=2, posterior=full_covariance_posterior,
    )  # fmt: skip
    x = Labelled(jnp.ones(SHAPE), jnp.int32(1))
    params = quick_jit(model.init)(KEY, x)
    assert model.terms(params, KEY, x).kl.shape == (1,)


def of(make, *shapes):
    """A call of a posterior whose encoder emits zeros of these shapes, for 3 latents."""
    encoder = Emits(tuple(jnp.zeros(shape) for shape in shapes))
    return lambda: make(encoder, 3).mean({"encoder": {}}, jnp.zeros(SHAPE))


BAD = [
    (lambda: low_rank_posterior(0), ValueError, ["rank is 0", "at least 1"]),
    (lambda: low_rank_posterior(1.5), TypeError, ["rank is 1.5", "integer"]),
    (lambda: low_rank_posterior(True), TypeError, ["rank is True"]),
    (of(low_rank_posterior(2), 3, 3), ValueError, ["[(3,), (3,)]", "(6,)", "12 numbers", "batch axis"]),
    (of(low_rank_posterior(2), 3, 3, (3, 2)), ValueError, ["(3, 2)", "(6,)"]),
    (of(full_covariance_posterior, 3, 3, 6), ValueError, ["(6,)", "9 numbers"]),
    (of(full_covariance_posterior, 4, 3, 3), ValueError, ["(4,)", "(3,)"]),
    (of(gaussian_posterior, 3, 3, 3), ValueError, ["[(3,), (3,), (3,)]", "(mean, log_var)"]),
    (lambda: small_vae(posterior="full"), TypeError, ["posterior is 'full'", "constructor"]),
    (lambda: small_vae(prior="normal"), TypeError, ["prior is 'normal'", "Conditional", "standard_normal(3)"]),
    (lambda: MLPEncoder(2, outputs=3), ValueError, ["outputs is 3", "at least 4"]),
    (lambda: ConvEncoder(2, outputs=4.0), TypeError, ["outputs is 4.0"]),
    (
        lambda: low_rank_normal_log_prob(jnp.zeros(3), jnp.zeros(3), jnp.zeros(3), jnp.zeros((2, 1))),
        ValueError,
        ["factor has shape (2, 1)", "(3, 1)", "jax.vmap"],
    ),
    (
        lambda: full_normal_log_prob(jnp.zeros(3), jnp.zeros(3), jnp.zeros(3), jnp.zeros((3, 2))),
        ValueError,
        ["lower has shape (3, 2)", "(3, 3)"],
    ),
    (
        lambda: full_normal_log_prob(jnp.zeros(3), jnp.zeros(3), jnp.zeros(()), jnp.zeros((3, 3))),
        ValueError,
        ["log_var has shape ()", "(3,)"],
    ),
    (
        lambda: full_normal_kl(jnp.full(2, jnp.nan), jnp.zeros(2), jnp.eye(2), jnp.zeros(2), jnp.zeros(2)),
        ValueError,
        ["mean has the value nan", "index (0,)"],
    ),
    (
        lambda: low_rank_normal_kl(*[jnp.zeros((2, 3))] * 2, jnp.zeros((3, 1)), *[jnp.zeros(3)] * 2),
        ValueError,
        ["mean has shape (2, 3)", "jax.vmap"],
    ),
]


@pytest.mark.parametrize(("call", "error", "words"), BAD)
def test_bad_inputs_are_named(call, error, words):
    with pytest.raises(error) as raised:
        call()
    for word in words:
        assert word in str(raised.value)
