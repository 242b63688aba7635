"""Models and their conditionals: what each function promises, checked by hand, by NumPyro and from the outside."""

import functools
import math
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from flax import linen as nn
from flax import nnx
from scipy import stats
from small import LATENTS, SHAPE, Encoder, Linear, same_bits, small_vae

from jaxvae.evaluation.bounds.likelihood import per_example
from jaxvae.evaluation.latents.codes import encode
from jaxvae.models.observations.continuous import bernoulli, continuous_bernoulli, laplace, normal
from jaxvae.models.observations.discrete import categorical, discretized_logistic, logistic_mixture
from jaxvae.models.posteriors.gaussian import gaussian_posterior
from jaxvae.models.priors.standard import standard_normal
from jaxvae.models.records import Conditional, merge
from jaxvae.models.variational import vae
from jaxvae.networks.nnx import from_nnx
from jaxvae.objectives.bounds import elbo, iwae_bound
from jaxvae.training.losses.bound import bound_loss

pytestmark = pytest.mark.quick_compile

# Each program runs once: less optimised, it is compiled in half the time.
quick_jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
OBSERVATIONS = {
    "bernoulli": bernoulli(),
    "continuous_bernoulli": continuous_bernoulli(),
    "normal": normal(),
    "normal learned": normal("learned"),
    "laplace per pixel": laplace("per_pixel"),
    "discretized_logistic": discretized_logistic(),
    "logistic_mixture": logistic_mixture(2),
    "categorical": categorical(5),
}
LEVELS = {"discretized_logistic": 256, "logistic_mixture": 256, "categorical": 5}


def observed_vae(name):
    observation = OBSERVATIONS[name]
    shape = (*SHAPE[:-1], observation.channels)
    decoder = Linear(math.prod(shape), shape)
    return vae(Encoder(), decoder, event_shape=SHAPE, latent_dim=LATENTS, observation=observation)


def example(name="bernoulli", count=None, seed=0):
    """x in the support of an observation model, float32 (4, 4, 1) or (count, 4, 4, 1)."""
    rng = np.random.default_rng(seed)
    shape = SHAPE if count is None else (count, *SHAPE)
    return rng.integers(0, LEVELS.get(name, 2), shape).astype(np.float32)


def everything(model):
    """One program that calls every function of a model."""

    def call(key, x):
        key_init, key_q, key_p, key_x, key_t = jax.random.split(key, 5)
        params = jax.jit(model.init)(key_init, x)
        z, log_q = model.posterior.sample(params, key_q, x)
        prior_z, log_p = model.prior.sample(params, key_p, None)
        x_new, log_x = model.likelihood.sample(params, key_x, z)
        return {
            "params": params,
            "posterior": (z, log_q, model.posterior.log_prob(params, z, x), model.posterior.mean(params, x)),
            "q": model.posterior.distribution(params, x),
            "prior": (prior_z, log_p, model.prior.log_prob(params, prior_z, None), model.prior.mean(params, None)),
            "likelihood": (x_new, log_x, model.likelihood.log_prob(params, x_new, z), model.likelihood.mean(params, z)),
            "terms": (terms := model.terms(params, key_t, x)),
            "log_likelihood": model.likelihood.log_prob(params, x, terms.z),
            "log_prior": model.prior.log_prob(params, terms.z, None),
            "unit": model.to_unit(x),
        }

    return call


@functools.cache
def result(name):
    return quick_jit(everything(observed_vae(name)))(jax.random.key(0), example(name))


@pytest.fixture(scope="module")
def small():
    """(model, params, terms compiled for one example) of the small VAE."""
    model = small_vae()
    return model, quick_jit(model.init)(jax.random.key(0), example()), quick_jit(model.terms)


@pytest.mark.rows(quick=["continuous_bernoulli", "bernoulli"])
@pytest.mark.parametrize("name", OBSERVATIONS)
def test_a_sample_comes_with_its_density_and_the_mean_with_its_shape(name):
    found = result(name)
    shapes = {"posterior": (LATENTS,), "prior": (LATENTS,), "likelihood": SHAPE}
    for which, shape in shapes.items():
        value, log_density, log_prob, mean = found[which]
        assert value.shape == mean.shape == shape
        assert log_density.shape == ()
        np.testing.assert_allclose(log_density, log_prob, rtol=1e-6)
    assert found["unit"].shape == SHAPE
    assert (found["unit"] >= 0).all()
    assert (found["unit"] <= 1).all()


@pytest.mark.slow
@pytest.mark.rows(slow=["logistic_mixture", "categorical", "laplace per pixel", "normal learned"])
@pytest.mark.parametrize("name", OBSERVATIONS)
def test_eval_shape_tells_the_shapes_and_dtypes_that_come_out(name):
    promised = jax.eval_shape(everything(observed_vae(name)), jax.random.key(0), example(name))
    chex.assert_trees_all_equal_shapes_and_dtypes(promised, result(name))


@pytest.mark.rows(every=3)
@pytest.mark.parametrize("name", OBSERVATIONS)
def test_terms_by_hand(name):
    found = result(name)
    terms, (mean, log_var) = found["terms"], found["q"]
    std = np.exp(np.float64(log_var) / 2)
    log_q = stats.norm(np.float64(mean), std).logpdf(np.float64(terms.z)).sum()
    log_p = stats.norm.logpdf(np.float64(terms.z)).sum()
    np.testing.assert_allclose(found["log_prior"], log_p, rtol=1e-5)
    np.testing.assert_allclose(terms.log_likelihood, found["log_likelihood"], rtol=1e-6)
    np.testing.assert_allclose(terms.log_weight, np.float64(terms.log_likelihood) + log_p - log_q, rtol=1e-5)
    kl = dist.kl_divergence(dist.Normal(mean, jnp.exp(log_var / 2)), dist.Normal(0.0, 1.0))
    assert terms.kl.shape == (LATENTS,)
    np.testing.assert_allclose(terms.kl, kl, rtol=1e-4, atol=1e-6)
    assert float(terms.penalty) == 0
    assert same_bits(terms.posterior, found["q"])


@pytest.mark.parametrize(
    ("name", "judge"),
    [
        ("bernoulli", lambda o: dist.Bernoulli(logits=o)),
        ("continuous_bernoulli", lambda o: dist.ContinuousBernoulli(logits=o)),
        ("normal", lambda o: dist.Normal(o, 0.1)),
        ("categorical", lambda o: dist.Categorical(logits=o)),
    ],
)
def test_the_likelihood_is_the_sum_over_pixels_that_numpyro_gives(name, judge):
    if not hasattr(dist, "ContinuousBernoulli") and name == "continuous_bernoulli":
        judge = _continuous_bernoulli
    found, x = result(name), example(name)
    z = found["terms"].z
    outputs = (z @ found["params"]["decoder"]["w"] + found["params"]["decoder"]["b"]).reshape(*SHAPE[:-1], -1)
    value = x[..., 0].astype(np.int32) if name == "categorical" else x
    expected = np.float64(judge(outputs).log_prob(value)).sum()
    np.testing.assert_allclose(found["terms"].log_likelihood, expected, rtol=1e-4)


class _continuous_bernoulli(NamedTuple):
    """exp(l x) l / (exp(l) - 1) for NumPyro versions that lack it."""

    logits: jax.Array

    def log_prob(self, x):
        l = np.float64(self.logits)
        return l * x + np.log(l / np.expm1(l))


@pytest.mark.slow
def test_the_closed_form_kl_is_what_samples_say(small):
    model, params, _ = small

    @jax.jit
    def ratios(key):
        terms = jax.vmap(model.terms, (None, 0, None))(params, jax.random.split(key, 100_000), example())
        return terms.log_likelihood - terms.log_weight, terms.kl[0].sum()

    log_ratio, kl = (np.float64(a) for a in ratios(jax.random.key(1)))
    assert abs(log_ratio.mean() - kl) < 5 * log_ratio.std() / np.sqrt(log_ratio.size)
    assert log_ratio.std() / np.sqrt(log_ratio.size) < 0.02 * kl  # so a KL that is a tenth off would fail


def test_draws_of_posterior_and_prior_are_spread_as_they_say(small):
    model, params, _ = small

    @jax.jit
    def draws(key):
        keys = jax.random.split(key, 20_000)
        q = jax.vmap(lambda k: model.posterior.sample(params, k, example())[0])(keys)
        p = jax.vmap(lambda k: model.prior.sample(params, k, None)[0])(keys)
        return q, p, model.posterior.distribution(params, example())

    q, p, (mean, log_var) = jax.tree.map(np.float64, draws(jax.random.key(4)))
    for latent in range(LATENTS):
        assert stats.kstest((q[:, latent] - mean[latent]) / np.exp(log_var[latent] / 2), "norm").pvalue > 1e-5
        assert stats.kstest(p[:, latent], "norm").pvalue > 1e-5
    assert np.abs(log_var).min() > 0.1  # a scale of 1 would be noticed
    for values in (q, p):
        assert np.abs(np.corrcoef(values.T) - np.eye(LATENTS)).max() < 0.04


class Twice(NamedTuple):
    """The same latents two times over."""

    encoder: Encoder = Encoder()

    def init(self, key, x):
        return self.encoder.init(key, x)

    def apply(self, variables, x):
        return tuple(jnp.concatenate([part, part]) for part in self.encoder.apply(variables, x))


@pytest.mark.slow
def test_two_copies_of_the_latents_double_the_kl(small):
    model, params, terms = small
    double = vae(Twice(), Linear(16, SHAPE), event_shape=SHAPE, latent_dim=2 * LATENTS)
    decoder = jax.tree.map(jnp.asarray, {"w": np.zeros((2 * LATENTS, 16)), "b": np.zeros(16)})
    both = quick_jit(double.terms)({"encoder": params["encoder"], "decoder": decoder}, jax.random.key(0), example())
    one = terms(params, jax.random.key(0), example())
    np.testing.assert_allclose(both.kl.sum(), 2 * one.kl.sum(), rtol=1e-6)
    keys, x = jax.random.split(jax.random.key(0), 5), example(count=5)
    _, metrics = quick_jit(bound_loss(model))(params, keys, x, jnp.int32(0))
    summed = np.float64(jax.vmap(lambda k, x: terms(params, k, x).kl)(keys, x)).sum(1).mean()
    np.testing.assert_allclose(metrics["kl"], summed, rtol=1e-6)  # summed over latents, averaged over examples


def sampled_prior(latent_dim, name="prior"):
    """N(shift, 1) that hides that it is a Gaussian, with one parameter."""
    base = standard_normal(latent_dim)

    def log_prob(params, z, context):
        return base.log_prob(params, z - params[name]["shift"])

    def sample(params, key, context):
        z = base.sample(params, key)[0] + params[name]["shift"]
        return z, log_prob(params, z, context)

    return Conditional(
        lambda key, context: {name: {"shift": jnp.zeros(latent_dim)}},
        sample,
        log_prob,
        lambda params, context: params[name]["shift"],
    )


@pytest.mark.slow
def test_a_prior_without_a_closed_form_gives_the_one_sample_kl_and_one_bound(small):
    _, params, terms = small
    model = small_vae(prior=sampled_prior(LATENTS))
    own = quick_jit(model.init)(jax.random.key(0), example())
    assert sorted(own) == ["decoder", "encoder", "prior"]
    own = {**params, "prior": own["prior"]}
    found, closed = (
        quick_jit(model.terms)(own, jax.random.key(3), example()),
        terms(params, jax.random.key(3), example()),
    )
    assert found.kl.shape == (1,)
    np.testing.assert_allclose(found.log_weight, closed.log_weight, rtol=1e-6)  # the same density, after all
    np.testing.assert_allclose(found.kl.sum(), found.log_likelihood - found.log_weight, rtol=1e-5, atol=1e-5)
    lifted = jax.tree.map(lambda leaf: leaf[None], found)
    np.testing.assert_allclose(elbo(lifted), iwae_bound(lifted), rtol=1e-6)  # of this sample, not only on average


@pytest.mark.slow
def test_with_one_sample_the_two_bounds_differ_by_sample_and_agree_on_average(small):
    model, params, _ = small

    @jax.jit
    def bounds(key):
        def one(key):
            terms = jax.vmap(model.terms, (None, 0, None))(params, key[None], example())
            return elbo(terms), iwae_bound(terms)

        return jax.vmap(one)(jax.random.split(key, 100_000))

    plain, weighted = (np.float64(a) for a in bounds(jax.random.key(2)))
    assert np.abs(plain - weighted).max() > 0.1  # the closed-form KL takes part of the noise out
    gap = plain - weighted
    assert abs(gap.mean()) < 5 * gap.std() / np.sqrt(gap.size)


def test_parameters_are_one_flat_dict_of_named_parts():
    assert sorted(result("bernoulli")["params"]) == ["decoder", "encoder"]
    assert sorted(result("normal learned")["params"]) == ["decoder", "encoder", "observation"]


def test_a_name_used_twice_names_itself_and_the_others():
    model = small_vae(prior=sampled_prior(LATENTS, "encoder"))
    with pytest.raises(ValueError, match=r"both name their parameters 'encoder'.*another name"):
        model.init(jax.random.key(0), example())
    with pytest.raises(ValueError, match=r"'a'.*\['a', 'b'\].*\['a', 'c'\]"):
        merge({"a": 1, "b": 2}, {"a": 3, "c": 4})


def test_the_same_key_gives_the_same_bits_and_another_key_others(small):
    model, params, terms = small
    init = quick_jit(model.init)
    assert same_bits(init(jax.random.key(0), example()), params)
    other = init(jax.random.key(1), example())
    assert not same_bits(other["encoder"]["w"], params["encoder"]["w"])
    assert not same_bits(other["decoder"]["w"], params["decoder"]["w"])
    a, b, c = (terms(params, jax.random.key(key), example()) for key in (0, 0, 1))
    assert same_bits(a, b)
    assert (a.z != c.z).all()
    assert same_bits(a.kl, c.kl)


def test_encoder_and_decoder_start_from_different_keys():
    seen = []

    class Spy(NamedTuple):
        network: object

        def init(self, key, x):
            seen.append(jax.random.key_data(key).tolist())
            return self.network.init(key, x)

        def apply(self, variables, x):
            return self.network.apply(variables, x)

    vae(Spy(Encoder()), Spy(Linear(16, SHAPE)), event_shape=SHAPE, latent_dim=LATENTS).init(
        jax.random.key(0), example()
    )
    assert len(seen) == 2
    assert seen[0] != seen[1]


class LinenEncoder(nn.Module):
    @nn.compact
    def __call__(self, x):
        h = nn.tanh(nn.Dense(8)(x.reshape(-1)))
        return nn.Dense(LATENTS)(h), nn.Dense(LATENTS)(h)


class LinenDecoder(nn.Module):
    @nn.compact
    def __call__(self, z):
        return nn.Dense(math.prod(SHAPE))(z).reshape(SHAPE)


@pytest.mark.slow
def test_a_linen_module_is_a_network():
    model = vae(LinenEncoder(), LinenDecoder(), event_shape=SHAPE, latent_dim=LATENTS)
    params = quick_jit(model.init)(jax.random.key(0), example())
    found = quick_jit(model.terms)(params, jax.random.key(1), example())
    mean, log_var = LinenEncoder().apply(params["encoder"], example())
    np.testing.assert_allclose(found.posterior.mean, mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.posterior.log_var, log_var, rtol=1e-5, atol=1e-6)


class NnxEncoder(nnx.Module):
    def __init__(self, rngs):
        self.linear = nnx.Linear(math.prod(SHAPE), 2 * LATENTS, rngs=rngs)

    def __call__(self, x):
        mean, log_var = jnp.split(self.linear(x.reshape(-1)), 2)
        return mean, log_var


def test_an_nnx_module_is_a_network():
    encoder = from_nnx(lambda rngs: NnxEncoder(rngs))
    model = vae(encoder, Linear(16, SHAPE), event_shape=SHAPE, latent_dim=LATENTS)
    params = quick_jit(model.init)(jax.random.key(0), example())
    found = quick_jit(model.terms)(params, jax.random.key(1), example())
    weights = params["encoder"]["linear"]
    outputs = example().reshape(-1) @ np.asarray(weights["kernel"]) + weights["bias"]
    np.testing.assert_allclose(jnp.concatenate(found.posterior), outputs, rtol=1e-5, atol=1e-6)


class Emits(NamedTuple):
    """A network without parameters that returns what it is told to."""

    function: object

    def init(self, key, x):
        return {}

    def apply(self, variables, x):
        return self.function(x)


def zeros(*shape):
    return jnp.zeros(shape)


@pytest.mark.parametrize(
    ("emits", "found"),
    [
        (lambda x: (zeros(4), zeros(4)), "[(4,), (4,)]"),
        (lambda x: (zeros(3), zeros()), "[(3,), ()]"),
        (lambda x: (zeros(3), zeros(3, 1)), "[(3,), (3, 1)]"),
        (lambda x: (zeros(1, 3), zeros(1, 3)), "[(1, 3), (1, 3)]"),
        (lambda x: (zeros(3), zeros(3), zeros(3)), "[(3,), (3,), (3,)]"),
        (lambda x: zeros(2, 3), "ArrayImpl"),
        (lambda x: [zeros(3), zeros(3)], "list"),
    ],
)
def test_an_encoder_that_emits_something_else_is_told_what_and_what_was_expected(emits, found):
    model = vae(Emits(emits), Linear(16, SHAPE), event_shape=SHAPE, latent_dim=LATENTS)
    params = {"encoder": {}, "decoder": Linear(16, SHAPE).init(jax.random.key(0), zeros(LATENTS))}
    with pytest.raises(ValueError, match="the encoder returned") as error:
        model.terms(params, jax.random.key(0), example())
    for word in (found, "(mean, log_var)", "each of shape (3,)", "batch axis"):
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("emits", "found"),
    [
        (lambda z: zeros(16), "(16,)"),
        (lambda z: zeros(4, 4), "(4, 4)"),
        (lambda z: zeros(4, 4, 1), "(4, 4, 1)"),
        (lambda z: zeros(1, 4, 4, 2), "(1, 4, 4, 2)"),
        (lambda z: zeros(2, 8, 2), "(2, 8, 2)"),
        (lambda z: (zeros(4, 4, 1), zeros(4, 4, 1)), "tuple"),
    ],
)
def test_a_decoder_that_emits_something_else_is_told_what_and_what_was_expected(emits, found):
    model = vae(Encoder(), Emits(emits), event_shape=SHAPE, latent_dim=LATENTS, observation=normal("per_pixel"))
    params = {"decoder": {}}
    for call in (
        lambda: model.likelihood.mean(params, zeros(3)),
        lambda: model.likelihood.sample(params, jax.random.key(0), zeros(3)),
        lambda: model.likelihood.log_prob(params, example(), zeros(3)),
    ):
        with pytest.raises(ValueError, match="the decoder returned") as error:
            call()
        for word in (found, "expected (4, 4, 2)", "2 number(s) per channel", "'normal'", "batch axis"):
            assert word in str(error.value)


def test_integers_from_a_network_are_no_numbers_to_learn_from():
    model = vae(Emits(lambda x: (jnp.zeros(3, int),) * 2), Emits(zeros), event_shape=SHAPE, latent_dim=LATENTS)
    with pytest.raises(TypeError, match=r"the encoder's mean has dtype int32"):
        model.posterior.mean({"encoder": {}}, example())


IMAGE = (28, 28, 1)


@pytest.fixture(scope="module")
def image_model():
    model = vae(Encoder(), Linear(784, IMAGE), event_shape=IMAGE, latent_dim=LATENTS)
    return model, quick_jit(model.init)(jax.random.key(0), jnp.zeros(IMAGE))


@pytest.mark.parametrize(
    "shape",
    [
        *((5, 28, 28), (5, 1, 28, 28), (5, 784), (28, 28, 1), (5, 14, 56, 1), (5, 28, 28, 3), (5, 27, 28, 1)),
        *((), (784,), (1, 5, 28, 28, 1), (0, 28, 28, 1)),
    ],
)
def test_a_batch_of_another_shape_is_refused_by_name_and_shape(image_model, shape):
    model, params = image_model
    key, x = jax.random.key(0), np.zeros(shape, np.float32)
    calls = [
        lambda: bound_loss(model)(params, jax.random.split(key, 5), x, jnp.int32(0)),
        lambda: jax.jit(bound_loss(model))(params, jax.random.split(key, 5), x, jnp.int32(0)),
        lambda: per_example(model, params, key, x),
        lambda: encode(model, params, x),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"^x ") as error:
            call()
        words = ["0 examples"] if 0 in shape else [f"x has shape {shape}", "(B, 28, 28, 1)", "x[None]", "x[..., None]"]
        for word in words:
            assert word in str(error.value)


@pytest.mark.parametrize("shape", [(28, 28), (1, 28, 28, 1), (784,), (1, 28, 28), (14, 56, 1), ()])
def test_an_example_of_another_shape_is_refused_by_name_and_shape(image_model, shape):
    model, params = image_model
    x, key = np.zeros(shape, np.float32), jax.random.key(0)
    calls = [
        lambda: model.init(key, x),
        lambda: model.terms(params, key, x),
        lambda: model.posterior.mean(params, x),
        lambda: model.posterior.sample(params, key, x),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="expected one example") as error:
            call()
        assert f"x has shape {shape}" in str(error.value)
        assert "(28, 28, 1)" in str(error.value)
    with pytest.raises(ValueError, match=r"z has shape|shape"):
        model.prior.log_prob(params, np.zeros(2, np.float32), None)


@pytest.mark.parametrize("name", ["bernoulli", "continuous_bernoulli", "normal", "laplace per pixel"])
def test_raw_integers_are_refused_even_inside_a_compiled_program(name):
    model = observed_vae(name)
    params, raw = result(name)["params"], np.full(SHAPE, 200, np.uint8)
    calls = [
        lambda: quick_jit(model.terms)(params, jax.random.key(0), raw),
        lambda: quick_jit(model.posterior.mean)(params, raw),
        lambda: bound_loss(model)(params, jax.random.split(jax.random.key(0), 1), raw[None], jnp.int32(0)),
        lambda: per_example(model, params, jax.random.key(0), raw[None]),
        lambda: encode(model, params, raw[None]),
    ]
    for call in calls:
        with pytest.raises(TypeError, match=r"x has dtype uint8, expected a float array.*255"):
            call()


def test_levels_may_come_as_integers():
    model, params = observed_vae("categorical"), result("categorical")["params"]
    x = example("categorical")
    terms = quick_jit(model.terms)
    found = [terms(params, jax.random.key(0), x.astype(dtype)) for dtype in (np.float32, np.uint8, np.int32)]
    assert same_bits(found[0], found[1])
    assert same_bits(found[0], found[2])


@pytest.mark.parametrize("call", ["loss", "per_example", "encode", "terms"])
def test_values_outside_the_support_are_refused_before_anything_is_computed(small, call):
    model, params, _ = small
    key, x = jax.random.key(0), example(count=3)
    x[1, 2, 0, 0] = 255
    calls = {
        "loss": lambda x: bound_loss(model)(params, jax.random.split(key, 3), x, jnp.int32(0)),
        "per_example": lambda x: per_example(model, params, key, x),
        "encode": lambda x: encode(model, params, x),
        "terms": lambda x: model.terms(params, key, x[1]),
    }
    index = "(2, 0, 0)" if call == "terms" else "(1, 2, 0, 0)"
    for value, seen in ((255, "0.0 to 255.0"), (np.nan, "0.0 to 1.0"), (-1, "-1.0 to 1.0")):
        x[1, 2, 0, 0] = value
        with pytest.raises(ValueError, match=r"^x has the value") as error:
            calls[call](x)
        for word in (str(float(value)), f"index {index}", seen, "[0, 1]", "255"):
            assert word in str(error.value)


@pytest.mark.slow
def test_an_examples_numbers_do_not_depend_on_its_batch(small):
    """Not even where the batch is as large as the latent space, which hides a wrong broadcast."""
    model, params, terms = small
    keys, x = jax.random.split(jax.random.key(0), 8), example(count=8)
    alone = [terms(params, key, one) for key, one in zip(keys, x, strict=True)]
    alone = jax.tree.map(lambda *leaves: np.stack(leaves), *alone)
    batched = quick_jit(jax.vmap(model.terms, (None, 0, 0)))
    for size in (1, LATENTS, 8):
        found = batched(params, keys[:size], x[:size])
        expected = jax.tree.map(lambda leaf, size=size: leaf[:size], alone)
        chex.assert_trees_all_close(found, expected, rtol=1e-6, atol=1e-6)
        assert found.log_weight.shape == (size,)
        assert found.kl.shape == (size, LATENTS)


class Plain(NamedTuple):
    """An encoder to any number of latents."""

    latents: int

    def init(self, key, x):
        return {"w": jax.random.normal(key, (2, self.latents, x.size))}

    def apply(self, variables, x):
        mean, log_var = variables["w"] @ x.reshape(-1)
        return mean, log_var


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "latents", "batch", "samples"), [((1, 1, 1), 1, 1, 1), ((5, 7, 3), 11, 2, 3)])
def test_the_smallest_and_odd_sizes(shape, latents, batch, samples):
    decoder = Linear(math.prod(shape), shape)
    model = vae(Plain(latents), decoder, event_shape=shape, latent_dim=latents)
    params = quick_jit(model.init)(jax.random.key(0), jnp.zeros(shape))
    keys, x = jax.random.split(jax.random.key(1), batch), np.ones((batch, *shape), np.float32)
    for bound in (elbo, iwae_bound):
        value, metrics = quick_jit(bound_loss(model, bound, samples=samples))(params, keys, x, jnp.int32(0))
        assert value.shape == ()
        assert metrics["kl_per_latent"].shape == (latents,)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(metrics))


DTYPES = [(name, dtype) for name in OBSERVATIONS for dtype in (jnp.float32, jnp.float64)]
DTYPES += [("bernoulli", jnp.float16), ("normal learned", jnp.bfloat16), ("logistic_mixture", jnp.bfloat16)]


@pytest.mark.rows(every=3)
@pytest.mark.parametrize(("name", "dtype"), DTYPES)
def test_results_have_the_dtype_of_the_inputs_and_never_less_than_float32(name, dtype):
    model = observed_vae(name)
    with jax.enable_x64(True):
        params = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros(SHAPE, jnp.float32))
        params, x = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, dtype), (params, jax.ShapeDtypeStruct(SHAPE, dtype))
        )

        def call(params, key, x):
            z, log_q = model.posterior.sample(params, key, x)
            terms = model.terms(params, key, x)
            return terms, z, log_q, model.likelihood.sample(params, key, z), model.likelihood.mean(params, z)

        found = jax.eval_shape(call, params, jax.random.key(0), x)
        loss = jax.eval_shape(
            bound_loss(model),
            params,
            jax.random.split(jax.random.key(0), 2),
            jax.ShapeDtypeStruct((2, *SHAPE), dtype),
            jnp.int32(0),
        )
    expected = jnp.promote_types(dtype, jnp.float32)
    assert {leaf.dtype for leaf in jax.tree.leaves((found[0]._replace(penalty=None), found[1:], loss))} == {expected}


def test_float64_computes_in_float64(small):
    model, params, _ = small
    with jax.enable_x64(True):
        exact = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), params)
        x, key = jnp.asarray(example(), jnp.float64), jax.random.key(0)
        terms = quick_jit(model.terms)(exact, key, x)
        mean, log_var = (np.float64(part) for part in terms.posterior)
        by_hand = 0.5 * (mean**2 + np.exp(log_var) - 1 - log_var)
        np.testing.assert_allclose(terms.kl, by_hand, rtol=1e-12)


def test_half_precision_weights_stay_near_the_float32_result(small):
    _, params, terms = small
    whole = terms(params, jax.random.key(0), example())
    half = terms(jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), params), jax.random.key(0), example())
    assert half.log_weight.dtype == jnp.float32
    np.testing.assert_allclose(half.log_weight, whole.log_weight, rtol=2e-2)


@pytest.mark.slow
def test_reverse_and_forward_mode_agree_and_follow_the_value(small):
    model, params, _ = small
    key, x = jax.random.key(0), example()
    direction = jax.tree.map(lambda leaf: jax.random.normal(jax.random.key(5), leaf.shape), params)

    @quick_jit
    def slopes(params):
        def bound(params):
            terms = jax.vmap(model.terms, (None, 0, None))(params, jax.random.split(key, 4), x)
            return elbo(terms) + iwae_bound(terms)

        forward = jax.jvp(bound, (params,), (direction,))[1]
        gradient = jax.grad(bound)(params)
        up, down = (bound(jax.tree.map(lambda p, d, h=h: p + h * d, params, direction)) for h in (1e-2, -1e-2))
        return forward, gradient, (up - down) / 2e-2

    forward, gradient, difference = slopes(params)
    pairs = zip(jax.tree.leaves(gradient), jax.tree.leaves(direction), strict=True)
    reverse = sum(float((a * b).sum()) for a, b in pairs)
    assert float(forward) == pytest.approx(reverse, rel=1e-5)
    assert float(forward) == pytest.approx(float(difference), rel=1e-2)
    assert all((leaf != 0).any() for leaf in jax.tree.leaves(gradient))


def test_no_key_is_used_twice():
    with jax.debug_key_reuse(True):
        quick_jit(everything(observed_vae("normal learned")))(jax.random.key(0), example())


def test_a_posterior_may_stand_alone_under_another_name():
    posterior = gaussian_posterior(Encoder(), LATENTS, to_input=lambda x: x / 255, name="q")
    params = jax.jit(posterior.init)(jax.random.key(0), example())
    assert list(params) == ["q"]
    mean = posterior.mean(params, 255 * example())
    np.testing.assert_allclose(mean, Encoder().apply(params["q"], jnp.asarray(example()))[0], rtol=1e-5)


@pytest.mark.parametrize("latent_dim", [0, -1, 2.5, "4", True, None])
def test_an_impossible_latent_dim_is_named(latent_dim):
    for call in (standard_normal, vae_of):
        with pytest.raises(
            (ValueError, TypeError), match=r"latent_dim is .*expected an integer of at least 1"
        ) as error:
            call(latent_dim)
        assert repr(latent_dim) in str(error.value)


def vae_of(latent_dim=LATENTS, **options):
    return vae(Encoder(), Linear(16, SHAPE), **{"event_shape": SHAPE, **options}, latent_dim=latent_dim)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"event_shape": (4, 0, 1)}, ["event_shape is 0", "at least 1"]),
        ({"event_shape": ()}, ["event_shape is ()", "(28, 28, 1)"]),
        ({"event_shape": 784}, ["event_shape is 784", "tuple"]),
        ({"event_shape": (4.0, 4, 1)}, ["event_shape is 4.0", "integer"]),
        ({"observation": bernoulli}, ["observation is", "bernoulli()"]),
        ({"observation": "bernoulli"}, ["observation is 'bernoulli'", "bernoulli()"]),
    ],
)
def test_impossible_options_are_named(options, words):
    with pytest.raises((ValueError, TypeError), match="expected") as error:
        vae_of(**options)
    for word in words:
        assert word in str(error.value)
