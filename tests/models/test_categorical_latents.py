"""Categorical latents: a model of two variables of three classes is small enough to enumerate."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import optax
import pytest
from small import SHAPE, Linear, images, same_bits

import jaxvae
from jaxvae.math.categorical import categorical_kl_uniform, gumbel_softmax
from jaxvae.models.categorical_latents import categorical_vae, uniform_categories
from jaxvae.objectives.bounds import elbo, iwae_bound
from jaxvae.training.losses.bound import bound_loss
from jaxvae.training.losses.schedules import schedule_loss

pytestmark = pytest.mark.quick_compile

quick_jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
N, K = 2, 3
X = jnp.asarray(images(1)[0] > 100, jnp.float32)


def small(classes=K, shape=None, **options):
    shape = (N * classes,) if shape is None else shape
    return categorical_vae(
        Linear(math.prod(shape), shape),
        Linear(16, SHAPE),
        **{"event_shape": SHAPE, "variables": N, **options},
        classes=classes,
    )


@functools.cache
def enumerated():
    """(params, exact log p(x), exact ELBO) of the discrete model, every state in turn, float64 sums."""
    model = small()
    params = quick_jit(model.init)(jax.random.key(0), X)
    log_joint = quick_jit(lambda z: model.likelihood.log_prob(params, X, z) + model.prior.log_prob(params, z, None))
    log_q = quick_jit(lambda z: model.posterior.log_prob(params, z, X))
    states = [jnp.eye(K)[jnp.array(state)] for state in itertools.product(range(K), repeat=N)]
    joint = np.array([float(log_joint(z)) for z in states])
    q = np.array([float(log_q(z)) for z in states])
    assert np.exp(q).sum() == pytest.approx(1.0, rel=1e-5)
    return params, np.logaddexp.reduce(joint), (np.exp(q) * (joint - q)).sum()


@pytest.mark.rows(slow=["False-shape1"], full=["False-shape0"])
@pytest.mark.parametrize("shape", [(N * K,), (N, K)])
@pytest.mark.parametrize("relaxed", [False, True])
def test_every_setting_keeps_the_contract_of_a_model(shape, relaxed):
    model = small(shape=shape, relaxed=relaxed, temperature=0.7)
    params = quick_jit(model.init)(jax.random.key(0), X)
    call = quick_jit(model.terms)
    terms = call(params, jax.random.key(1), X)
    assert terms.kl.shape == (N,)
    assert terms.z.shape == (N, K)
    np.testing.assert_allclose(terms.z.sum(-1), 1.0, rtol=1e-6)
    assert set(np.unique(terms.z)) <= {0.0, 1.0} if not relaxed else (terms.z < 1).all()
    assert (terms.log_weight == -np.inf) == relaxed
    assert same_bits(terms, call(params, jax.random.key(1), X))
    assert not all(same_bits(terms, call(params, jax.random.key(k), X)) for k in range(2, 7))
    np.testing.assert_allclose(model.posterior.mean(params, X).sum(-1), 1.0, rtol=1e-6)
    z, log_q = model.posterior.sample(params, jax.random.key(1), X)
    assert set(np.unique(z)) == {0.0, 1.0}  # hard, whatever `terms` does
    assert float(log_q) == pytest.approx(float(model.posterior.log_prob(params, z, X)), rel=1e-6)
    slope = quick_jit(jax.grad(lambda p: -model.terms(p, jax.random.key(1), X).log_likelihood))(params)
    assert all(np.isfinite(leaf).all() and (leaf != 0).any() for leaf in jax.tree.leaves(slope))


@pytest.mark.slow
def test_hard_samples_average_to_the_enumerated_bound_and_lie_below_the_evidence():
    params, evidence, exact = enumerated()
    model, draws = small(), 20_000
    keys = jax.random.split(jax.random.key(5), draws)
    terms = quick_jit(jax.vmap(model.terms, (None, 0, None)))(params, keys, X)
    for values in (np.float64(terms.log_weight), np.float64(terms.log_likelihood - terms.kl.sum(-1))):
        assert abs(values.mean() - exact) < 5 * values.std() / math.sqrt(draws)
    assert exact < evidence - 1e-3
    weights = np.exp(np.float64(terms.log_weight) - evidence)
    assert abs(weights.mean() - 1) < 5 * weights.std() / math.sqrt(draws)
    assert float(elbo(terms)) < float(iwae_bound(terms))


@pytest.mark.full
def test_a_relaxed_value_is_not_the_bound_and_says_so():
    params, _, exact = enumerated()
    model = small(relaxed=True, temperature=5.0)
    terms = jax.vmap(model.terms, (None, 0, None))(params, jax.random.split(jax.random.key(5), 4000), X)
    assert abs(float(elbo(terms)) - exact) > 0.05
    assert iwae_bound(terms) == -np.inf


@pytest.mark.slow
def test_the_relaxed_gradient_is_that_of_finite_differences():
    with jax.enable_x64(True):
        model = small(relaxed=True, temperature=0.5)
        params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), enumerated()[0])
        keys, x = jax.random.split(jax.random.key(2), 5), jnp.asarray(X, jnp.float64)

        @jax.jit
        def objective(params):
            return elbo(jax.vmap(model.terms, (None, 0, None))(params, keys, x))

        rng = np.random.default_rng(0)
        direction = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), params)
        slope = jax.jvp(objective, (params,), (direction,))[1]
        up, down = (objective(jax.tree.map(lambda p, d, h=h: p + h * d, params, direction)) for h in (1e-5, -1e-5))
        assert float(slope) == pytest.approx(float(up - down) / 2e-5, rel=1e-7)


@pytest.mark.slow
def test_the_hard_sample_has_the_gradient_of_the_relaxed_one():
    key = jax.random.key(1)
    model = small(temperature=0.7)
    params = enumerated()[0]

    def read(z_of):
        return jax.grad(lambda p: (z_of(p) * jnp.arange(6.0).reshape(N, K)).sum())(params)["encoder"]["b"]

    through = read(lambda p: model.posterior.sample(p, key, X)[0])
    smooth = read(lambda p: gumbel_softmax(key, model_logits(p), 0.7)[0])
    np.testing.assert_allclose(through, smooth, rtol=1e-5)
    assert (through != 0).any()


def model_logits(params):
    return Linear(N * K, (N, K)).apply(params["encoder"], X)


@pytest.mark.rows(every=2)
@pytest.mark.rows(full=["1e-30"])
@pytest.mark.parametrize("temperature", [5e-324, 1e-40, 1e-30, 1e-6, 0.1, 1.0, 1e6, 1e30])
def test_every_temperature_gives_the_same_hard_draws_and_finite_gradients(temperature):
    logits = jnp.array([[0.0, 1.0, -1.0], [1e4, -1e4, 0.0], [-jnp.inf, 0.0, 0.0]])
    relaxed, hard = gumbel_softmax(jax.random.key(0), logits, temperature)
    np.testing.assert_array_equal(hard, gumbel_softmax(jax.random.key(0), logits, 1.0)[1])
    np.testing.assert_allclose(relaxed.sum(-1), 1.0, rtol=1e-6)
    assert hard[2, 0] == relaxed[2, 0] == 0
    if temperature <= 1e-6:
        np.testing.assert_array_equal(relaxed, hard)

    def squares(logits, temperature):
        return (gumbel_softmax(jax.random.key(0), logits, temperature)[0] ** 2).sum()

    slopes = jax.grad(squares, (0, 1))(logits, temperature)
    assert all(np.isfinite(slope).all() for slope in slopes)


def test_hard_draws_have_the_frequencies_of_the_softmax():
    logits, draws = jnp.log(jnp.array([0.7, 0.2, 0.1])), 50_000
    keys = jax.random.split(jax.random.key(0), draws)
    hard = jax.vmap(gumbel_softmax, (0, None, None))(keys, logits, 0.5)[1]
    p = np.array([0.7, 0.2, 0.1])
    assert (np.abs(np.float64(hard).mean(0) - p) < 5 * np.sqrt(p * (1 - p) / draws)).all()


@pytest.mark.parametrize("logits", [(0.0, 0.0, 0.0), (3.0, -2.0, 0.5), (80.0, -80.0, 0.0), (1e-4, 0.0, -1e-4)])
def test_the_divergence_from_the_uniform_is_that_of_the_definition(logits):
    with mpmath.workdps(60):
        weights = [mpmath.exp(mpmath.mpf(float(np.float32(l)))) for l in logits]
        p = [w / mpmath.fsum(weights) for w in weights]
        expected = float(mpmath.fsum(q * mpmath.log(q * len(p)) for q in p))
    value, slope = jax.value_and_grad(categorical_kl_uniform)(jnp.array(logits))
    assert float(value) == pytest.approx(expected, rel=1e-5, abs=3e-7)
    kl = float(mpmath.fsum(q * mpmath.log(q * len(p)) for q in p))
    exact = [float(q) * (float(mpmath.log(q * len(p))) - kl) for q in p]
    np.testing.assert_allclose(slope, exact, rtol=1e-4, atol=3e-7)


def test_impossible_classes_and_the_dtypes_of_halves():
    value, slope = jax.value_and_grad(categorical_kl_uniform)(jnp.array([0.0, -jnp.inf, 0.0]))
    assert float(value) == pytest.approx(math.log(1.5), rel=1e-6)
    assert np.isfinite(slope).all()
    assert categorical_kl_uniform(jnp.zeros(3, jnp.bfloat16)).dtype == jnp.float32


@pytest.mark.full
def test_a_temperature_follows_its_schedule_and_the_bound_rises():
    def build(temperature):
        return bound_loss(small(temperature=temperature, relaxed=True))

    loss = schedule_loss(build, temperature=optax.exponential_decay(1.0, 10, 0.5, end_value=0.4))
    params, history = jaxvae.fit(
        small(), images(), loss=loss, optimizer=optax.adam(0.03), epochs=30, batch_size=50, progress=False
    )
    assert history[0]["temperature"] == 1.0
    assert history[-1]["temperature"] == pytest.approx(0.4, rel=1e-6)
    assert history[-1]["elbo"] > history[0]["elbo"] + 1
    value = bound_loss(small())(params, jax.random.split(jax.random.key(0), 50), jnp.float32(images() > 100), 0)[0]
    assert np.isfinite(value)


BAD = [
    (lambda: small(variables=0), ValueError, ["variables is 0"]),
    (lambda: small(classes=1), ValueError, ["classes is 1", "at least 2"]),
    (lambda: small(temperature=0.0), ValueError, ["temperature is 0.0", "above 0"]),
    (lambda: small(temperature=math.nan), ValueError, ["temperature is nan"]),
    (lambda: small(event_shape=16), TypeError, ["event_shape is 16"]),
    (lambda: small(observation="bernoulli"), TypeError, ["observation is 'bernoulli'"]),
    (lambda: uniform_categories(2, 0), ValueError, ["classes is 0"]),
    (lambda: gumbel_softmax(jax.random.key(0), jnp.zeros(3), -1.0), ValueError, ["temperature is -1.0"]),
    (lambda: gumbel_softmax(jax.random.key(0), jnp.array([0.0, math.nan]), 1.0), ValueError, ["logits", "nan"]),
    (lambda: categorical_kl_uniform(jnp.zeros(())), ValueError, ["logits has shape ()"]),
    (lambda: schedule_loss(lambda temperature: None, temperature=0.5), TypeError, ["temperature is 0.5", "function"]),
    (lambda: schedule_loss(lambda: None), TypeError, ["no schedules"]),
    (lambda: tried(small(shape=(4,))), ValueError, ["the encoder returned (4,)", "(2, 3) or (6,)"]),
]


def tried(model):
    return model.terms(model.init(jax.random.key(0), X), jax.random.key(0), X)


@pytest.mark.parametrize(("call", "error", "words"), BAD)
def test_what_cannot_be_is_refused_with_the_way_out(call, error, words):
    with pytest.raises(error) as raised:
        call()
    for word in words:
        assert word in str(raised.value)
