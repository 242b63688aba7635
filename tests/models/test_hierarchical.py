"""Several stochastic layers: exact answers on linear models, each number of the KL, and the engine around them."""

import functools
import itertools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats
from small import SHAPE, Linear, binarize, images, same_bits

import jaxvae
from jaxvae.evaluation.bounds.likelihood import per_example
from jaxvae.evaluation.latents.codes import encode
from jaxvae.evaluation.latents.decoding import decode
from jaxvae.evaluation.latents.generation import prior_samples, reconstructions, traverse
from jaxvae.models.hierarchical import hierarchical_vae
from jaxvae.models.ladder import ladder_vae, precision_weighted
from jaxvae.models.observations.continuous import normal
from jaxvae.models.records import Conditional
from jaxvae.networks.hierarchical import MLPLevel
from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
from jaxvae.objectives.bounds import iwae_bound
from jaxvae.training.engine.loop import train
from jaxvae.training.engine.parallel import compile_steps
from jaxvae.training.engine.state import init_state
from jaxvae.training.losses.bound import bound_loss

pytestmark = pytest.mark.quick_compile

quick_jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
DIMS = (3, 2)
NONE = {"encoder_1": {}, "encoder_2": {}, "prior_1": {}, "decoder": {}}  # the parameters of a linear model


class Affine(NamedTuple):
    """mean = x @ w + b, a constant log_var; with `climbs`, x itself is passed on to the level above."""

    w: tuple
    b: tuple
    log_var: tuple
    climbs: bool = False

    def init(self, key, x):
        return {}

    def apply(self, variables, x):
        gaussian = x @ jnp.asarray(self.w) + jnp.asarray(self.b), jnp.asarray(self.log_var)
        return (x, *gaussian) if self.climbs else gaussian


class Map(NamedTuple):
    """x @ w."""

    w: tuple

    def init(self, key, x):
        return {}

    def apply(self, variables, x):
        return x @ jnp.asarray(self.w)


def frozen(array):
    return tuple(map(tuple, np.asarray(array, np.float32))) if np.ndim(array) == 2 else tuple(np.float32(array))


# z2 ~ N(0, I), z1 | z2 ~ N(a z2 + c, s), x | z1 ~ N(B z1, t) with orthogonal rows of B: all posteriors are diagonal.
RNG = np.random.default_rng(0)
A, C, S, T = np.array([1.5, -0.7]), np.array([0.3, -1.0]), np.array([0.4, 0.9]), 0.5**2
LENGTHS = np.array([2.0, 0.8])
B = LENGTHS[:, None] * np.linalg.qr(RNG.normal(size=(5, 2)))[0].T
X = RNG.normal(size=5)
EVIDENCE = stats.multivariate_normal(C @ B, B.T @ np.diag(A**2 + S) @ B + T * np.eye(5)).logpdf(X)
PRECISION = LENGTHS**2 / T  # of z1, in the likelihood
OBSERVED = B.T / LENGTHS**2  # x @ OBSERVED is the z1 that explains x best
GIVEN_Z1 = A / (A**2 + S), -A * C / (A**2 + S), np.log(S / (A**2 + S))  # slope, offset, log variance of z2


def linear_model(kind, shift=0.0, widen=0.0):
    """The model with its exact posterior, whose means may be shifted and log-variances raised."""
    down = [Affine(frozen(np.diag(A)), frozen(C), frozen(np.log(S)))]
    options = {"event_shape": (5,), "latent_dims": (2, 2), "observation": normal(std=math.sqrt(T))}
    if kind == "ladder":
        log_var_1 = -np.log(PRECISION)
        # z2 given x: the best z1 is N(a z2 + c, s + 1 / precision).
        noise = S + 1 / PRECISION
        slope, offset, log_var = A / (A**2 + noise), -A * C / (A**2 + noise), np.log(noise / (A**2 + noise))
        low = Affine(frozen(OBSERVED), frozen(np.zeros(2) + shift), frozen(log_var_1 + widen), climbs=True)
        top = Affine(frozen(OBSERVED * slope), frozen(offset + shift), frozen(log_var + widen), climbs=True)
        return ladder_vae([low, top], down, Map(frozen(B)), **options)
    prior_precision = 1 / (A**2 + S)
    log_var_1 = -np.log(PRECISION + prior_precision)
    gain = np.exp(log_var_1)
    low = Affine(
        frozen(OBSERVED * PRECISION * gain), frozen(C * prior_precision * gain + shift), frozen(log_var_1 + widen)
    )
    slope, offset, log_var = GIVEN_Z1
    top = Affine(frozen(np.diag(slope)), frozen(offset + shift), frozen(log_var + widen))
    return hierarchical_vae([low, top], down, Map(frozen(B)), **options)


def draws(model, count, seed=0):
    keys = jax.random.split(jax.random.key(seed), count)
    found = jax.jit(jax.vmap(lambda key: model.terms(NONE, key, jnp.asarray(X, jnp.float32))))(keys)
    return jax.tree.map(np.float64, found)


@pytest.mark.parametrize("kind", ["hierarchical", "ladder"])
def test_with_the_exact_posterior_every_weight_is_the_evidence(kind):
    terms = draws(linear_model(kind), 200)
    np.testing.assert_allclose(terms.log_weight, EVIDENCE, atol=2e-4)
    elbo = terms.log_likelihood - terms.kl.sum(1)
    assert abs(elbo.mean() - EVIDENCE) < 5 * elbo.std() / math.sqrt(200)
    assert elbo.std() > 0.05  # a KL in closed form: this sample's ELBO is not its weight


@pytest.mark.rows(slow=["hierarchical"])
@pytest.mark.parametrize("kind", ["hierarchical", "ladder"])
def test_with_another_posterior_the_importance_weighted_bound_rises_to_the_evidence(kind):
    weights = draws(linear_model(kind, 0.3, 0.5), 200_000).log_weight.reshape(400, 500)
    bounds = {k: np.log(np.exp(weights.reshape(-1, k)).mean(1)) for k in (1, 5, 50, 500)}
    means = [bound.mean() for bound in bounds.values()]
    assert means == sorted(means)
    assert EVIDENCE - means[0] > 0.2
    ratio = np.exp(weights.ravel() - EVIDENCE)
    assert abs(ratio.mean() - 1) < 5 * ratio.std() / math.sqrt(ratio.size) < 0.05


@pytest.mark.parametrize("kind", ["hierarchical", "ladder"])
def test_each_number_of_the_kl_is_what_it_says_and_their_sum_is_the_log_ratio_on_average(kind):
    terms = draws(linear_model(kind, 0.3, 0.5), 100_000)
    gap = terms.kl.sum(1) - (terms.log_likelihood - terms.log_weight)
    assert abs(gap.mean()) < 5 * gap.std() / math.sqrt(len(gap)) < 0.05
    z1, z2 = terms.z
    if kind == "ladder":
        p_mean, p_var = z2 * A + C, S
        q_var = 1 / (1 / p_var + PRECISION * math.exp(-0.5))
        q_mean = q_var * (p_mean / p_var + (X @ OBSERVED + 0.3) * PRECISION * math.exp(-0.5))
        assert (terms.kl >= 0).all()
    else:
        slope, offset, log_var = GIVEN_Z1
        q_mean, q_var, p_mean, p_var = z1 * slope + offset + 0.3, np.exp(log_var + 0.5), 0.0, 1.0
        q1 = stats.norm(X @ OBSERVED * PRECISION * (v := 1 / (PRECISION + 1 / (A**2 + S)))
                        + C * v / (A**2 + S) + 0.3, np.sqrt(v * math.exp(0.5)))  # fmt: skip
        one_sample = (q1.logpdf(z1) - stats.norm(z2 * A + C, np.sqrt(S)).logpdf(z1)).sum(1)
        np.testing.assert_allclose(terms.kl[:, 0], one_sample, rtol=1e-3, atol=1e-3)
        assert terms.kl[:, 0].min() < 0
    closed = 0.5 * (np.log(p_var / q_var) + (q_var + (q_mean - p_mean) ** 2) / p_var - 1).sum(1)
    np.testing.assert_allclose(terms.kl[:, 0 if kind == "ladder" else 1], closed, rtol=1e-3, atol=1e-4)


def test_partial_draws_keep_the_top_and_draw_the_rest_from_the_prior_at_a_temperature():
    model, (z1, z2) = linear_model("ladder"), (jnp.zeros(2), jnp.array([0.7, -2.0]))

    @jax.jit
    def drawn(keys, kept, temperature):
        return jax.vmap(lambda key: model.prior.redraw(NONE, key, (z1, z2), kept, temperature, None))(keys)

    keys = jax.random.split(jax.random.key(5), 10_000)
    for temperature in (1.0, 0.5):
        low, top = map(np.float64, drawn(keys, 1, temperature))
        np.testing.assert_array_equal(top, np.broadcast_to(z2, top.shape))
        np.testing.assert_allclose(low.mean(0), A * np.float64(z2) + C, atol=0.05)
        np.testing.assert_allclose(low.std(0), temperature * np.sqrt(S), rtol=0.05)
    low, top = map(np.float64, drawn(keys, 0, 2.0))
    np.testing.assert_allclose(top.std(0), 2.0, rtol=0.05)
    np.testing.assert_allclose((low - top * A - C).std(0), 2.0 * np.sqrt(S), rtol=0.05)
    low, top = drawn(keys[:2], 2, 1.0)
    assert (np.asarray(low) == 0).all()


def test_precisions_add_without_overflow_and_with_gradients():
    log_vars = np.array([-200.0, -30.0, 0.0, 3.0, 200.0])
    a, b = (grid.ravel() for grid in np.meshgrid(log_vars, log_vars))
    mean_a, mean_b = np.full(25, 1.0), np.full(25, -3.0)
    mean, log_var = precision_weighted(*(jnp.asarray(v, jnp.float32) for v in (mean_a, a, mean_b, b)))
    precision = np.exp(-a) + np.exp(-b)
    np.testing.assert_allclose(log_var, -np.log(precision), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(mean, (mean_a * np.exp(-a) + mean_b * np.exp(-b)) / precision, rtol=1e-5)
    slopes = jax.vmap(jax.grad(lambda *v: sum(precision_weighted(*v)), (0, 1, 2, 3)))(
        *(jnp.asarray(v, jnp.float32) for v in (mean_a, a, mean_b, b))
    )
    assert all(np.isfinite(slope).all() for slope in slopes)


def small_model(kind, **options):
    options = {"event_shape": SHAPE, "latent_dims": DIMS, **options}
    down, decoder = [MLPEncoder(3, (4,))], Linear(16, SHAPE)
    if kind == "ladder":
        return ladder_vae([MLPLevel(3, (6,)), MLPLevel(2, (4,))], down, decoder, **options)
    return hierarchical_vae([MLPEncoder(3, (6,)), MLPEncoder(2, (4,))], down, decoder, **options)


@functools.cache
def ready(kind):
    model = small_model(kind)
    return model, quick_jit(model.init)(jax.random.key(0), jnp.zeros(SHAPE))


def example():
    return jnp.asarray(images(1)[0] > 100, jnp.float32)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["hierarchical", "ladder"])
def test_the_weight_is_what_the_three_conditionals_say(kind):
    model, params = ready(kind)

    @quick_jit
    def call(params, key, x):
        t = model.terms(params, key, x)
        z, log_q = model.posterior.sample(params, key, x)
        prior_z, log_p = model.prior.sample(params, key, None)
        direct = model.likelihood.log_prob(params, x, t.z) + model.prior.log_prob(params, t.z, None)
        direct -= model.posterior.log_prob(params, t.z, x)
        densities = log_q - model.posterior.log_prob(params, z, x), log_p - model.prior.log_prob(params, prior_z, None)
        return t, z, prior_z, direct, densities

    t, z, prior_z, direct, differences = call(params, jax.random.key(1), example())
    np.testing.assert_allclose(direct, t.log_weight, rtol=1e-6)
    np.testing.assert_allclose(differences, 0, atol=1e-5)
    assert same_bits(z, t.z)
    assert [part.shape for part in prior_z] == [(3,), (2,)]
    assert t.kl.shape == (2,)
    other = call(params, jax.random.key(2), example())[0]
    assert all((a != b).all() for a, b in zip(t.z, other.z, strict=True))


@pytest.mark.slow
@pytest.mark.rows(full=["ladder"])
@pytest.mark.parametrize("kind", ["hierarchical", "ladder"])
def test_groups_are_drawn_and_networks_started_from_different_keys(kind):
    model = small_model(kind)
    params = quick_jit(model.init)(jax.random.key(0), example())
    assert sorted(params) == ["decoder", "encoder_1", "encoder_2", "prior_1"]
    with jax.debug_key_reuse(True):
        quick_jit(model.terms)(params, jax.random.key(0), example())
        quick_jit(lambda p, key: model.prior.sample(p, key, None))(params, jax.random.key(0))
    linear = linear_model(kind)  # groups of equal size: the same noise in both would show
    drawn = jax.vmap(lambda key: linear.prior.sample(NONE, key, None)[0])(jax.random.split(jax.random.key(0), 2000))
    z1, z2 = map(np.float64, drawn)
    assert abs(np.corrcoef(((z1 - z2 * A - C) / np.sqrt(S))[:, 0], z2[:, 0])[0, 1]) < 0.1


@pytest.mark.rows(full=["hierarchical", "ladder"])
@pytest.mark.parametrize("kind", ["hierarchical", "ladder"])
def test_a_fit_falls_below_what_independent_pixels_cost_and_evaluation_understands_the_groups(kind):
    model = small_model(kind)
    loss = bound_loss(model, iwae_bound, samples=2)
    options = {"epochs": 60, "batch_size": 24, "optimizer": optax.adam(0.03), "progress": False}
    params, history = jaxvae.fit(model, images(), loss=loss, protocol="threshold", **options)
    assert history[0]["loss"] > 10
    assert history[-1]["loss"] < 5
    x = (images(7) > 100).astype(np.float32)
    assert np.abs(reconstructions(model, params, x) - x).mean() < 0.2
    assert prior_samples(model, params, jax.random.key(0), 3).shape == (3, *SHAPE)
    assert decode(model, params, (np.zeros((4, 3)), np.zeros((4, 2)))).shape == (4, *SHAPE)
    values = per_example(model, params, jax.random.key(0), x, samples=20)
    assert values["kl_per_latent"].shape == (7, 2)
    assert values["iwae"].mean() > values["elbo"].mean()


@pytest.mark.rows(full=["finite", "overflows"])
@pytest.mark.parametrize(("deaf", "options"), [(True, {"skip_above": 1e3}), (False, {})], ids=["finite", "overflows"])
def test_a_kl_driven_to_a_hundred_millions_is_skipped_and_leaves_the_state_as_it_was(deaf, options):
    model, params = ready("hierarchical")
    layers = params["encoder_2"]["params"]
    bias = jnp.zeros(4).at[:2].set(1e4)  # of the two means: their KL is 1e8
    layers = {**layers, "Dense_1": {**layers["Dense_1"], "bias": bias}}
    thrown = {**params, "encoder_2": {"params": layers}}
    if deaf:  # a p(z1 | z2) that does not see z2 keeps all numbers finite, and only the limit can tell
        thrown["prior_1"] = jax.tree.map(jnp.zeros_like, params["prior_1"])
    optimizer, loss = optax.adam(1e-2), bound_loss(model)
    state = init_state(model, optimizer, jax.random.key(0), example(), ema=True)._replace(params=thrown, ema=thrown)
    compiled = compile_steps(loss, optimizer, binarize, batch_size=10, steps_per_call=2, ema=0.9, mode="jit", **options)
    (report,) = train(compiled, state, images(), 2)
    assert (report.metrics["kl_per_latent"][:, 1] > 0.9e8).all()
    assert np.isfinite(report.metrics["loss"]).all() == deaf
    assert report.metrics["skipped"].tolist() == [1, 1]
    assert int(report.step) == 2
    assert same_bits(report.state._replace(step=state.step), state)


def test_the_networks_of_burda_have_his_shapes():
    def mlp(outputs, width):
        return MLPEncoder(outputs, (width, width), activation="tanh")

    decoder = MLPDecoder((28, 28, 1), hidden=(200, 200), activation="tanh")
    model = hierarchical_vae(
        [mlp(100, 200), mlp(50, 100)], [mlp(100, 100)], decoder, event_shape=(28, 28, 1), latent_dims=(100, 50)
    )
    params = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((28, 28, 1)))
    layers = [784, 200, 200, 200], [100, 100, 100, 100], [50, 100, 100, 200], [100, 200, 200, 784]
    expected = sum(a * b + b for chain in layers for a, b in itertools.pairwise(chain))
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == expected


@pytest.mark.full
def test_three_groups_work_as_two_do():
    networks = [MLPEncoder(2, (4,)) for _ in range(3)]
    model = hierarchical_vae(networks, networks[:2], Linear(16, SHAPE), event_shape=SHAPE, latent_dims=(2, 2, 2))
    params = quick_jit(model.init)(jax.random.key(0), example())
    terms = quick_jit(model.terms)(params, jax.random.key(1), example())
    assert terms.kl.shape == (3,)
    direct = model.likelihood.log_prob(params, example(), terms.z) + model.prior.log_prob(params, terms.z, None)
    direct -= model.posterior.log_prob(params, terms.z, example())
    np.testing.assert_allclose(direct, terms.log_weight, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["hierarchical", "ladder"])
def test_a_top_prior_without_a_closed_form_gives_one_sample_numbers(kind):
    model, params = ready(kind)
    base = jaxvae.priors.standard_normal(2)
    hidden = Conditional(base.init, base.sample, base.log_prob, base.mean)
    plain, found = (
        quick_jit(m.terms)(params, jax.random.key(1), example()) for m in (model, small_model(kind, prior=hidden))
    )
    np.testing.assert_allclose(found.log_weight, plain.log_weight, rtol=1e-6)
    assert found.kl[1] != plain.kl[1]
    if kind == "hierarchical":
        np.testing.assert_allclose(found.kl.sum(), found.log_likelihood - found.log_weight, rtol=1e-4)


def groups(kind="hierarchical", encoders=2, priors=1, level=MLPEncoder, **options):
    build = ladder_vae if kind == "ladder" else hierarchical_vae
    options = {"event_shape": SHAPE, "latent_dims": (2, 2), **options}
    return build([level(2)] * encoders, [MLPEncoder(2)] * priors, Linear(16, SHAPE), **options)


BAD = {
    "too few encoders": (lambda: groups(encoders=1), ValueError, ["encoders has 1", "expected 2", "(2, 2)"]),
    "too many priors": (lambda: groups(priors=2), ValueError, ["priors has 2", "expected 1"]),
    "one number of latents": (lambda: groups(latent_dims=2), TypeError, ["latent_dims is 2", "(100, 50)"]),
    "no groups": (lambda: groups(latent_dims=()), TypeError, ["latent_dims is ()"]),
    "0 latents": (lambda: groups(latent_dims=(2, 0)), ValueError, ["latent_dims is 0"]),
    "a shape that is none": (lambda: groups(event_shape=4), TypeError, ["event_shape is 4"]),
    "an observation not called": (lambda: groups(observation=normal), TypeError, ["observation is", "bernoulli()"]),
    "a prior not called": (lambda: groups(prior=jaxvae.priors.standard_normal), TypeError, ["prior is", "Conditional"]),
    "an encoder of another size": (
        lambda: groups(latent_dims=(3, 2)).init(jax.random.key(0), example())
        and groups(latent_dims=(3, 2)).posterior.mean(
            {"encoder_1": MLPEncoder(2).init(jax.random.key(0), example())}, example()),
        ValueError, ["the encoder_1 returned", "(3,)"],
    ),
    "a level without features": (
        lambda: groups("ladder").init(jax.random.key(0), example()), ValueError, ["'encoder_1'", "MLPLevel"],
    ),
    "a level without layers": (lambda: MLPLevel(2, ()), ValueError, ["hidden is ()"]),
    "x of another shape": (
        lambda: groups().init(jax.random.key(0), jnp.zeros((2, *SHAPE))), ValueError, ["(2, 4, 4, 1)", "one example"],
    ),
    "codes of groups as one Gaussian": (
        lambda: encode(*ready("ladder"), np.zeros((2, *SHAPE), np.float32)), ValueError, ["no diagonal Gaussian"],
    ),
    "a traversal of groups": (
        lambda: traverse(*ready("ladder"), np.zeros(2), 0, np.zeros(3)), ValueError, ["(3,), (2,)", "single latent"],
    ),
    "one array for two groups": (
        lambda: decode(*ready("ladder"), np.zeros((4, 2))), ValueError, ["tuple", "(3,), (2,)"],
    ),
    "groups of different lengths": (
        lambda: decode(*ready("ladder"), (np.zeros((4, 3)), np.zeros((5, 2)))), ValueError, ["has 4", "has 5"],
    ),
}  # fmt: skip


@pytest.mark.rows(every=3)
@pytest.mark.rows(slow=["an encoder of another size", "groups of different lengths"])
@pytest.mark.parametrize("what", BAD)
def test_impossible_options_say_what_was_passed_and_what_to_do(what):
    call, error, words = BAD[what]
    with pytest.raises(error) as caught:
        call()
    for word in words:
        assert word in str(caught.value), f"{word!r} is not in: {caught.value}"
