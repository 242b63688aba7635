"""Flows as priors and as posteriors: densities that integrate to 1, and what they buy over a Gaussian."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small import LATENTS, SHAPE, Encoder, Linear, images, same_bits

import jaxvae
from jaxvae.flows.amortization import amortized
from jaxvae.flows.autoregressive import autoregressive_flow, inverse_autoregressive, masked_autoregressive
from jaxvae.flows.couplings import neural_spline, real_nvp
from jaxvae.flows.elementary import affine, reverse_order
from jaxvae.flows.planar_flow import planar
from jaxvae.flows.radial_flow import radial
from jaxvae.flows.records import chain
from jaxvae.models.posteriors.flow import flow_posterior
from jaxvae.models.priors.flow import flow_prior, transformed
from jaxvae.models.priors.standard import standard_normal
from jaxvae.models.records import Conditional
from jaxvae.models.variational import vae
from jaxvae.networks.conditioner import ConditionerMLP
from jaxvae.networks.made import MADE
from jaxvae.networks.mlp import MLPEncoder
from jaxvae.objectives.bounds import elbo, iwae_bound
from jaxvae.training.losses.bound import bound_loss

pytestmark = pytest.mark.quick_compile

quick_jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
small = functools.partial(ConditionerMLP, hidden=(16,))


def masked(latent_dim, hidden=(16,)):
    return lambda size: MADE(latent_dim, size, hidden)


PRIORS = {
    "real_nvp": lambda z: real_nvp(z, small, 2),
    "neural_spline": lambda z: neural_spline(z, small, 2, bins=4),
    "masked autoregressive": lambda z: autoregressive_flow(masked_autoregressive, z, masked(z), layers=2),
}
POSTERIORS = {  # name -> (flow, whether it needs a context)
    "planar": (lambda z: chain(planar(z), planar(z)), False),
    "radial": (radial, False),
    "real_nvp": (lambda z: real_nvp(z, small, 2), True),
    "inverse autoregressive": (lambda z: autoregressive_flow(inverse_autoregressive, z, masked(z), layers=2), True),
    "amortized planar": (lambda z: amortized(chain(planar(z), planar(z)), small), True),
}
CONTEXT, ENCODER = 4, MLPEncoder(LATENTS, (8,))


def quick(table, *slow):
    """The names of a table, those that are slow to compile in the long tier."""
    return [pytest.param(name, marks=pytest.mark.full) if name in slow else name for name in table]


def shaken(params, noise=0.3):
    draw = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: leaf + noise * jnp.asarray(draw.normal(size=leaf.shape), jnp.float32), params)


@pytest.mark.slow
@pytest.mark.rows(full=["real_nvp"])
@pytest.mark.parametrize("name", quick(PRIORS, "neural_spline"))
def test_a_flow_prior_integrates_to_one_and_samples_from_its_density(name):
    prior = flow_prior(PRIORS[name](2), 2)
    params = shaken(quick_jit(prior.init)(jax.random.key(0), None), 0.2)
    assert sorted(params) == ["prior"]
    ticks = jnp.linspace(-12.0, 12.0, 641)
    grid = jnp.stack(jnp.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)

    @quick_jit
    def call(params):
        density = jnp.exp(jax.vmap(prior.log_prob, (None, 0, None))(params, grid, None)) * (ticks[1] - ticks[0]) ** 2
        keys = jax.random.split(jax.random.key(1), 20_000)
        z, log_density = jax.vmap(prior.sample, (None, 0, None))(params, keys, None)
        difference = jax.vmap(prior.log_prob, (None, 0, None))(params, z[:200], None) - log_density[:200]
        return density, z, difference, prior.mean(params, None)

    density, z, difference, mean = call(params)
    assert float(density.sum()) == pytest.approx(1.0, abs=1e-2)
    np.testing.assert_allclose(difference, 0.0, atol=1e-3)
    np.testing.assert_allclose(density @ grid, z.mean(0), atol=5 * float(z.std()) / 20_000**0.5 + 1e-2)
    image = PRIORS[name](2).forward(params["prior"], jnp.zeros(2), None)[0]
    np.testing.assert_allclose(mean, image, atol=1e-5)


@pytest.mark.rows(slow=["inverse autoregressive"])
@pytest.mark.parametrize("name", quick(POSTERIORS, "real_nvp", "amortized planar"))
def test_a_flow_posterior_knows_the_density_of_its_own_samples(name):
    flow, needs_context = POSTERIORS[name]
    posterior = flow_posterior(flow, CONTEXT if needs_context else 0)(ENCODER if needs_context else Encoder(), LATENTS)
    x = jnp.asarray(np.random.default_rng(0).random(SHAPE), jnp.float32)

    @quick_jit
    def call(params, keys):
        z, log_density = jax.vmap(posterior.sample, (None, 0, None))(params, keys, x)
        log_prob = jax.vmap(posterior.log_prob, (None, 0, None))(params, z, x)
        return z, log_density, log_prob, posterior.mean(params, x), posterior.mean(params, 1.0 - x)

    params, keys = shaken(quick_jit(posterior.init)(jax.random.key(0), x)), jax.random.split(jax.random.key(1), 50)
    z, log_density, log_prob, mean, other = call(params, keys)
    assert sorted(params) == ["encoder", "posterior_flow"]
    assert z.shape == (50, LATENTS)
    assert log_density.shape == (50,)
    assert mean.shape == (LATENTS,)
    assert posterior.distribution is None
    np.testing.assert_allclose(log_prob, log_density, atol=1e-3)
    assert np.abs(mean - other).max() > 1e-3
    assert same_bits(call(params, keys), (z, log_density, log_prob, mean, other))
    assert np.abs(call(params, jax.random.split(jax.random.key(2), 50))[0] - z).min() > 0.0


def test_what_a_uniform_base_becomes():
    """Y = 2 X + 1: the density of any base `Conditional`, 1 on [0, 1], is 1/2 on [1, 3]."""

    def log_prob(params, u, context):
        return jnp.where((u >= 0.0) & (u <= 1.0), 0.0, -jnp.inf).sum()

    uniform = Conditional(
        lambda key, context: {},
        lambda params, key, context: (jax.random.uniform(key, (1,)), jnp.zeros(())),
        log_prob,
        lambda params, context: jnp.full(1, 0.5),
    )
    y = transformed(uniform, affine(1, scale=2.0, shift=1.0), 1)
    params = y.init(jax.random.key(0), None)
    found = [float(jnp.exp(y.log_prob(params, jnp.array([at]), None))) for at in (0.9, 1.1, 2.9, 3.1)]
    np.testing.assert_allclose(found, [0.0, 0.5, 0.5, 0.0], atol=1e-6)
    assert float(y.mean(params, None)[0]) == pytest.approx(2.0)
    value, log_density = y.sample(params, jax.random.key(0), None)
    assert 1.0 <= float(value[0]) <= 3.0
    assert float(jnp.exp(log_density)) == pytest.approx(0.5)


def test_a_map_without_parameters_adds_none():
    prior = flow_prior(reverse_order(2), 2)
    assert prior.init(jax.random.key(0), None) == {}
    assert float(prior.log_prob({}, jnp.array([1.0, 2.0]), None)) == pytest.approx(-2.5 - np.log(2 * np.pi), rel=1e-6)
    assert chain(reverse_order(2), affine(2)).init(jax.random.key(0), jnp.zeros(2), None).keys() == {"layer_1"}
    assert flow_posterior(reverse_order)(Encoder(), LATENTS).init(jax.random.key(0), X).keys() == {"encoder"}


def descend(loss, params, steps, rate):
    """Adam for `steps` steps on loss(params, key) at a rate that falls to 0, in one program."""
    optimizer = optax.adam(optax.cosine_decay_schedule(rate, steps))

    def step(carry, key):
        params, state = carry
        slope = jax.grad(loss)(params, key)
        update, state = optimizer.update(slope, state)
        return (optax.apply_updates(params, update), state), None

    @jax.jit
    def run(params):
        return jax.lax.scan(step, (params, optimizer.init(params)), jax.random.split(jax.random.key(0), steps))[0][0]

    return run(params)


def moons(key, count):
    """Two interleaved half circles with noise, of mean about 0."""
    key_angle, key_upper, key_noise = jax.random.split(key, 3)
    angle, upper = jnp.pi * jax.random.uniform(key_angle, (count,)), jax.random.bernoulli(key_upper, 0.5, (count,))
    x = jnp.where(upper, jnp.cos(angle) - 0.5, 0.5 - jnp.cos(angle))
    y = jnp.where(upper, jnp.sin(angle) - 0.25, 0.25 - jnp.sin(angle))
    return 1.5 * jnp.stack([x, y], axis=1) + 0.1 * jax.random.normal(key_noise, (count, 2))


@pytest.mark.slow
@pytest.mark.parametrize("name", quick(PRIORS, "neural_spline"))
def test_a_flow_fits_two_moons_much_better_than_a_gaussian(name):
    test = np.asarray(moons(jax.random.key(1), 1000))
    residual, covariance = test - test.mean(0), np.cov(test.T)  # the best Gaussian there is for these points
    gaussian = -0.5 * np.linalg.slogdet(2 * np.pi * covariance)[1]
    gaussian -= 0.5 * np.sum(residual @ np.linalg.inv(covariance) * residual, axis=1).mean()
    wide = functools.partial(ConditionerMLP, hidden=(32,))
    flow, margin = {
        "real_nvp": lambda: (real_nvp(2, wide, 6), 0.15),
        "neural_spline": lambda: (neural_spline(2, wide, 2, bins=4), 0.6),
        "masked autoregressive": lambda: (autoregressive_flow(masked_autoregressive, 2, masked(2, (32,))), 0.25),
    }[name]()
    prior = flow_prior(flow, 2)

    def log_prob(params, z):
        return jax.vmap(prior.log_prob, (None, 0, None))(params, z, None).mean()

    def loss(params, key):  # fresh points at every step: on a fixed set one point far out decides about the test score
        return -log_prob(params, moons(key, 500))

    params = descend(loss, quick_jit(prior.init)(jax.random.key(0), None), 300, 1e-2)
    found = float(quick_jit(log_prob)(params, test))
    assert found > gaussian + margin, f"{name}: {found:.3f} nats, the Gaussian {gaussian:.3f}"


class Free(NamedTuple):
    """An encoder that ignores x: one mean and one log-variance, trained themselves."""

    def init(self, key, x):
        return {"mean": 0.1 * jax.random.normal(key, (2,)), "log_var": jnp.zeros(2)}

    def apply(self, variables, x):
        return variables["mean"], variables["log_var"]


def log_ring(z):
    """log p(z) p(x | z) of z ~ N(0, I) and a radius of 1.5 that was measured with a standard deviation of 0.15."""
    log_prior = -0.5 * z @ z - jnp.log(2 * jnp.pi)
    return log_prior - 0.5 * ((jnp.sqrt(z @ z + 1e-12) - 1.5) / 0.15) ** 2 - jnp.log(0.15 * jnp.sqrt(2 * jnp.pi))


def best_diagonal(log_evidence):
    """The smallest KL to the ring's posterior of any diagonal Gaussian, by quadrature on a lattice of its settings."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(24)
    x, y = (part.ravel() for part in np.meshgrid(nodes, nodes))
    weight = np.outer(weights, weights).ravel() / (2 * np.pi)
    gaps = []
    for mean in np.linspace(0.0, 1.6, 17):
        for across in np.exp(np.linspace(-2.5, 0.0, 11)):
            for along in np.exp(np.linspace(-1.5, 0.5, 9)):
                a, b = mean + across * x, along * y
                log_p = -0.5 * (a**2 + b**2) - np.log(2 * np.pi) - np.log(0.15 * np.sqrt(2 * np.pi))
                log_p = log_p - 0.5 * ((np.hypot(a, b) - 1.5) / 0.15) ** 2
                gaps.append(log_evidence - weight @ log_p - np.log(2 * np.pi * np.e * across * along))
    return min(gaps)


@pytest.mark.full
def test_flow_posteriors_match_a_ring_that_no_diagonal_gaussian_can():
    """log p(x) on a grid minus the ELBO is KL(q || posterior)."""
    ticks = jnp.linspace(-4.0, 4.0, 401)
    grid = jnp.stack(jnp.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    log_evidence = float(jax.nn.logsumexp(jax.vmap(log_ring)(grid)) + 2 * jnp.log(ticks[1] - ticks[0]))
    flows = {
        "planar": chain(*[planar(2)] * 8),
        "inverse autoregressive": autoregressive_flow(inverse_autoregressive, 2, masked(2, (32,))),
    }
    gaps, x = {}, jnp.zeros(1)
    for name, flow in flows.items():
        posterior = flow_posterior(flow)(Free(), 2)

        def bound(params, key, count=64, posterior=posterior):
            z, log_q = jax.vmap(posterior.sample, (None, 0, None))(params, jax.random.split(key, count), x)
            return jnp.mean(jax.vmap(log_ring)(z) - log_q)

        params = quick_jit(posterior.init)(jax.random.key(0), x)
        params = descend(lambda p, key, bound=bound: -bound(p, key), params, 1000, 1e-2)
        gaps[name] = log_evidence - float(quick_jit(functools.partial(bound, count=4000))(params, jax.random.key(1)))
    best = best_diagonal(log_evidence)
    assert 1.0 < best < 2.0
    assert -0.05 < gaps["planar"] < best - 0.5, (gaps, best)
    assert -0.05 < gaps["inverse autoregressive"] < best - 1.0, (gaps, best)


TRAINED = {  # name -> (options of the VAE, encoder, bound, posterior samples)
    "real_nvp prior": ({"prior": flow_prior(PRIORS["real_nvp"](LATENTS), LATENTS)}, Encoder(), elbo, 1),
    "spline prior": ({"prior": flow_prior(PRIORS["neural_spline"](LATENTS), LATENTS)}, Encoder(), iwae_bound, 3),
    "planar": ({"posterior": flow_posterior(POSTERIORS["planar"][0])}, Encoder(), iwae_bound, 3),
    "real_nvp prior, planar posterior": (
        {"prior": flow_prior(PRIORS["real_nvp"](LATENTS), LATENTS), "posterior": flow_posterior(planar)},
        Encoder(), iwae_bound, 2,
    ),
    "amortized planar": (
        {"posterior": flow_posterior(POSTERIORS["amortized planar"][0], CONTEXT)}, ENCODER, elbo, 1,
    ),
    "autoregressive both": (
        {
            "prior": flow_prior(PRIORS["masked autoregressive"](LATENTS), LATENTS),
            "posterior": flow_posterior(POSTERIORS["inverse autoregressive"][0], CONTEXT),
        },
        ENCODER, elbo, 2,
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", quick(TRAINED, *(set(TRAINED) - {"real_nvp prior, planar posterior"})))
def test_a_vae_with_flows_trains(name):
    options, encoder, bound, samples = TRAINED[name]
    model = vae(encoder, Linear(16, SHAPE), event_shape=SHAPE, latent_dim=LATENTS, **options)
    history = jaxvae.fit(
        model,
        images(200),
        loss=bound_loss(model, bound, samples=samples),
        optimizer=optax.adam(1e-2),
        epochs=5,
        batch_size=20,
        progress=False,
    ).history
    assert history[-1]["elbo"] > history[0]["elbo"] + 0.5
    assert np.isfinite([record["loss"] for record in history]).all()
    assert np.shape(history[-1]["kl_per_latent"]) == (1,)


X, ZERO, KEY = jnp.zeros(SHAPE), jnp.zeros(LATENTS), jax.random.key(0)


def posterior_of(flow, encoder=None):
    """Calls init and sample."""
    posterior = flow_posterior(flow)(encoder or Encoder(), LATENTS)
    return posterior.sample(posterior.init(KEY, X), KEY, X)


class Outputs(NamedTuple):
    """An encoder that returns zeros of the given shapes."""

    shapes: tuple

    def init(self, key, x):
        return {}

    def apply(self, variables, x):
        return tuple(jnp.zeros(shape) for shape in self.shapes)


BAD = {
    "prior of a constructor": (lambda: flow_prior(planar, 2), TypeError, "no Bijection"),
    "prior of 0 latents": (lambda: flow_prior(planar(2), 0), ValueError, "latent_dim is 0"),
    "prior of other latents": (
        lambda: flow_prior(planar(2), LATENTS).log_prob(flow_prior(planar(2), LATENTS).init(KEY, None), ZERO, None),
        ValueError, "expected one vector (2,)",
    ),
    "transformed name twice": (
        lambda: transformed(flow_prior(planar(2), 2, name="flow"), planar(2), 2).init(KEY, None), ValueError, "'flow'",
    ),
    "transformed of a half": (lambda: transformed(standard_normal(2), planar(2), 2.5), TypeError, "latent_dim is 2.5"),
    "posterior of a name": (lambda: flow_posterior("planar"), TypeError, "flow is 'planar'"),
    "posterior of a number": (lambda: posterior_of(lambda latent_dim: latent_dim), TypeError, "no Bijection"),
    "posterior of other latents": (lambda: posterior_of(planar(2)), ValueError, "expected one vector (2,)"),
    "encoder of other latents": (
        lambda: posterior_of(planar, Outputs(((2,), (2,)))), ValueError, "the first two of shape (3,)",
    ),
    "encoder of one output": (lambda: posterior_of(planar, Outputs(((3,),))), ValueError, "(mean, log_var, context)"),
    "encoder of four": (lambda: posterior_of(planar, Outputs(((3,),) * 4)), ValueError, "(mean, log_var, context)"),
    "encoder without context": (
        lambda: posterior_of(POSTERIORS["amortized planar"][0]), ValueError, "context is None",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_impossible_options_are_named(name):
    call, error, words = BAD[name]
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)
