"""The conditional VAE: by hand, by integration over its latent, and class by class."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import special, stats
from small import LATENTS, SHAPE, Encoder, Linear, images, same_bits

import jaxvae
from jaxvae.evaluation.bounds.likelihood import per_example
from jaxvae.evaluation.latents.codes import encode
from jaxvae.evaluation.latents.decoding import decode
from jaxvae.evaluation.latents.generation import interpolate, prior_means, prior_samples, reconstructions
from jaxvae.models.conditional import conditional_vae
from jaxvae.models.contexts import Labelled
from jaxvae.models.given_context import condition
from jaxvae.networks.conditional import with_context
from jaxvae.networks.conv import ConvDecoder, ConvEncoder
from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
from jaxvae.objectives.bounds import iwae_bound
from jaxvae.training.losses.bound import bound_loss

pytestmark = pytest.mark.quick_compile

quick_jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


class OneLatent(Encoder):
    """The linear encoder cut to one latent."""

    def apply(self, variables, x):
        mean, log_var = super().apply(variables, x)
        return mean[:1], log_var[:1]


def build(context=3, latent_dim=LATENTS, **options):
    encoder = Encoder() if latent_dim == LATENTS else OneLatent()
    networks = with_context(encoder), with_context(Linear(16, SHAPE))
    return conditional_vae(*networks, event_shape=SHAPE, latent_dim=latent_dim, context=context, **options)


def learned(latent_dim=LATENTS):
    return MLPEncoder(latent_dim, hidden=(4,))


def example(label=1, seed=0):
    x = np.random.default_rng(seed).integers(0, 2, SHAPE).astype(np.float32)
    return Labelled(jnp.asarray(x), jnp.int32(label))


@functools.cache
def ready(prior):
    """(model, params, one sample's terms) with the standard or the learned prior."""
    model = build(prior=learned() if prior == "learned" else None)
    params = quick_jit(model.init)(jax.random.key(0), example())
    return model, params, quick_jit(model.terms)


def linear(weights, *inputs):
    flat = np.concatenate([np.asarray(part, np.float64).ravel() for part in inputs])
    return flat @ np.asarray(weights["w"], np.float64) + np.asarray(weights["b"], np.float64)


@pytest.mark.rows(slow=["0-learned"])
@pytest.mark.parametrize("prior", ["standard", "learned"])
@pytest.mark.parametrize("label", [0, 2])
def test_terms_by_hand_with_the_label_appended_to_every_input(prior, label):
    _, params, terms = ready(prior)
    x, one_hot = example(label), np.eye(3)[label]
    found = terms(params, jax.random.key(1), x)
    mean, log_var = linear(params["encoder"], x.value, one_hot).reshape(2, LATENTS)
    z = np.asarray(found.z, np.float64)
    logits = linear(params["decoder"], z, one_hot)
    pixels = np.asarray(x.value).ravel()
    log_p_x = np.where(pixels == 1, special.log_expit(logits), special.log_expit(-logits)).sum()
    p_mean, p_log_var = np.zeros(LATENTS), np.zeros(LATENTS)
    if prior == "learned":
        p_mean, p_log_var = (np.float64(part) for part in learned().apply(params["prior"], one_hot))
        assert np.abs(p_mean).max() > 0.01
    log_q = stats.norm(mean, np.exp(log_var / 2)).logpdf(z).sum()
    log_p_z = stats.norm(p_mean, np.exp(p_log_var / 2)).logpdf(z).sum()
    np.testing.assert_allclose(found.log_likelihood, log_p_x, rtol=1e-5)
    np.testing.assert_allclose(found.log_weight, log_p_x + log_p_z - log_q, rtol=1e-5)
    kl = (p_log_var - log_var + (np.exp(log_var) + (mean - p_mean) ** 2) / np.exp(p_log_var) - 1) / 2
    np.testing.assert_allclose(found.kl, kl, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("prior", ["standard", "learned"])
def test_the_weight_is_what_the_three_conditionals_say_and_condition_says_the_same(prior):
    model, params, _ = ready(prior)

    @quick_jit
    def both(params, key, x):
        t = model.terms(params, key, x)
        direct = model.likelihood.log_prob(params, x.value, Labelled(t.z, x.context)) + model.prior.log_prob(
            params, t.z, x.context
        )
        direct -= model.posterior.log_prob(params, t.z, x)
        plain, value = condition(model, x)
        given = plain.terms(params, key, value)
        parts = plain.likelihood.log_prob(params, value, t.z) + plain.prior.log_prob(params, t.z, None)
        z, log_q = plain.posterior.sample(params, key, value)
        again = plain.posterior.log_prob(params, z, value)
        return t, given, direct, parts - plain.posterior.log_prob(params, t.z, value), log_q, again

    t, given, direct, parts, log_q, again = both(params, jax.random.key(3), example(2))
    np.testing.assert_allclose([direct, parts], [t.log_weight] * 2, rtol=1e-6)
    np.testing.assert_allclose(log_q, again, rtol=1e-6)
    assert same_bits(t, given)


@pytest.mark.slow
@pytest.mark.parametrize("prior", ["standard", "learned"])
def test_many_samples_reach_the_evidence_of_the_class_found_by_integration(prior):
    model = build(latent_dim=1, prior=learned(1) if prior == "learned" else None)
    params = quick_jit(model.init)(jax.random.key(0), example())
    params["decoder"]["w"] = 4.0 * params["decoder"]["w"]
    for label in (0, 1):
        x, one_hot = example(label), np.eye(3)[label]
        mean, log_var = 0.0, 0.0
        if prior == "learned":
            mean, log_var = (float(part[0]) for part in learned(1).apply(params["prior"], one_hot))
        grid = np.linspace(-12, 12, 20_001)
        logits = np.stack([linear(params["decoder"], [z], one_hot) for z in grid])
        pixels = np.asarray(x.value).ravel()
        log_p_x = np.where(pixels == 1, special.log_expit(logits), special.log_expit(-logits)).sum(1)
        log_joint = log_p_x + stats.norm(mean, math.exp(log_var / 2)).logpdf(grid)
        evidence = special.logsumexp(log_joint) + math.log(grid[1] - grid[0])
        keys = jax.random.split(jax.random.key(5), 50_000)
        weights = np.float64(jax.jit(jax.vmap(model.terms, (None, 0, None)))(params, keys, x).log_weight)
        found = special.logsumexp(weights) - math.log(len(weights))
        ratio = np.exp(weights - found)
        assert abs(found - evidence) < 5 * ratio.std() / math.sqrt(len(weights))
        assert 5 * ratio.std() / math.sqrt(len(weights)) < 0.1


def test_the_label_changes_every_part_and_the_loss_is_differentiable_in_all_of_them():
    model, params, terms = ready("learned")
    a, b = (terms(params, jax.random.key(1), example(label)) for label in (0, 1))
    assert not same_bits(a.posterior, b.posterior)
    loss = bound_loss(model, iwae_bound, samples=4)
    batch = Labelled(jnp.stack([example().value] * 3), jnp.arange(3))
    keys = jax.random.split(jax.random.key(0), 3)
    gradient = quick_jit(jax.grad(lambda p: loss(p, keys, batch, jnp.int32(0))[0]))(params)
    assert sorted(gradient) == ["decoder", "encoder", "prior"]
    for leaf in jax.tree.leaves(gradient):
        assert np.isfinite(leaf).all()
        assert np.abs(leaf).max() > 0


def test_parts_are_initialised_and_sampled_from_different_keys():
    model, params, _ = ready("learned")
    assert sorted(params) == ["decoder", "encoder", "prior"]
    other = quick_jit(model.init)(jax.random.key(1), example())
    assert not same_bits(other["prior"], params["prior"])
    with jax.debug_key_reuse(True):
        quick_jit(model.terms)(params, jax.random.key(0), example())
        prior_samples(model, params, jax.random.key(0), 2, context=0)


@pytest.fixture(scope="module")
def trained():
    """A model of bright halves trained with the importance-weighted bound, its parameters and its data."""
    raw = images(60)
    labels = (raw[:, 0, 0, 0] > 100).astype(np.int32)
    model = build(2, prior=learned())
    loss = bound_loss(model, iwae_bound, samples=3)
    options = {"epochs": 40, "batch_size": 20, "optimizer": optax.adam(0.03), "progress": False}
    params = jaxvae.fit(model, raw, labels=labels, loss=loss, **options).params
    return model, params, Labelled((raw > 100).astype(np.float32), labels)


@pytest.mark.full
def test_a_class_is_drawn_on_request(trained):
    model, params, _ = trained
    for label in (0, 1):
        drawn = prior_samples(model, params, jax.random.key(0), 50, context=label)
        left, right = drawn[:, :, :2].mean(), drawn[:, :, 2:].mean()
        assert (left - right) * (2 * label - 1) > 0.4
    mixed = prior_means(model, params, jax.random.key(1), 4, context=np.array([0, 1, 0, 1]), batch_size=3)
    assert ((mixed[:, :, :2] - mixed[:, :, 2:]).mean((1, 2, 3)) > 0).tolist() == [False, True, False, True]


@pytest.mark.slow
def test_the_evaluation_functions_take_labelled_examples(trained):
    model, params, x = trained
    code = encode(model, params, x)
    rebuilt = reconstructions(model, params, x)
    np.testing.assert_array_equal(rebuilt, decode(model, params, code.mean, context=x.context))
    assert np.abs(rebuilt - x.value).mean() < 0.25
    values = per_example(model, params, jax.random.key(0), x, samples=50)
    assert values["elbo"].shape == (60,)
    assert values["iwae"].mean() > values["elbo"].mean()
    swapped = per_example(model, params, jax.random.key(0), x._replace(context=1 - x.context), samples=50)
    assert swapped["iwae"].mean() < values["iwae"].mean() - 3  # the wrong label explains the picture badly
    same = Labelled(x.value[:2], np.array([1, 1]))
    assert interpolate(model, params, same, same, 3).shape == (2, 3, *SHAPE)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"embedding": 5}])
def test_contexts_of_any_shape_enter_dense_and_convolutional_networks(options):
    shape = (4, 4, 2)
    model = conditional_vae(
        with_context(ConvEncoder(2, features=(2,), dense=4), channels=True, **options),
        with_context(ConvDecoder((4, 4, 1), features=(2,), dense=4), **options),
        event_shape=(4, 4, 1), latent_dim=2, context=shape,
    )  # fmt: skip
    x = Labelled(jnp.zeros((4, 4, 1)), jax.random.normal(jax.random.key(7), shape))
    params = quick_jit(model.init)(jax.random.key(0), x)
    assert ("embedding" in params["encoder"]) == bool(options)
    terms = quick_jit(model.terms)
    a, b = (terms(params, jax.random.key(1), x._replace(context=c)) for c in (x.context, 0.0 * x.context))
    assert np.isfinite(a.log_weight)
    assert a.log_likelihood != b.log_likelihood
    assert not same_bits(a.posterior, b.posterior)


def drawn(**options):
    model, params, _ = ready("standard")
    return lambda: prior_samples(model, params, jax.random.key(0), 4, **options)


def posterior_sample(x):
    model, params, _ = ready("standard")
    return lambda: model.posterior.sample(params, jax.random.key(0), x)


def unwrapped():
    model = conditional_vae(MLPEncoder(2), MLPDecoder(SHAPE), event_shape=SHAPE, latent_dim=2, context=3)
    model.init(jax.random.key(0), example())


def sides():
    network = with_context(ConvEncoder(2), channels=True)
    network.init(jax.random.key(0), jnp.zeros((4, 4, 1)), jnp.zeros((2, 2, 1)))


BAD = {
    "no class to draw": (drawn(), ValueError, ["context is missing", "context="]),
    "a class out of range": (drawn(context=3), ValueError, ["label 3", "0 to 2"]),
    "a float class": (drawn(context=1.0), ValueError, ["float64", "integer labels 0 to 2"]),
    "a negative class": (drawn(context=-1), ValueError, ["label -1"]),
    "two classes for four": (drawn(context=np.array([0, 1])), ValueError, ["2 rows", "expected 4"]),
    "a class for a model without": (
        lambda: prior_samples(jaxvae.vae(Encoder(), Linear(16, SHAPE), event_shape=SHAPE, latent_dim=LATENTS),
                              ready("standard")[1], jax.random.key(0), 2, context=1),
        ValueError, ["context is 1", "takes none"],
    ),
    "x without a label": (posterior_sample(jnp.zeros(SHAPE)), ValueError, ["without a context", "Labelled"]),
    "the learned prior untold": (
        lambda: ready("learned")[0].prior.mean(ready("learned")[1], None), ValueError, ["missing", "conditional"],
    ),
    "a network of one input": (unwrapped, TypeError, ["does not take a context", "with_context"]),
    "no network": (lambda: with_context(3), TypeError, ["network is 3", ".init and .apply"]),
    "an embedding of 0": (lambda: with_context(Encoder(), embedding=0), ValueError, ["embedding is 0"]),
    "sides that differ": (sides, ValueError, ["(2, 2, 1)", "equal sides"]),
    "channels of a vector": (
        lambda: with_context(Encoder(), channels=True).init(jax.random.key(0), jnp.zeros(3), jnp.zeros(2)),
        ValueError, ["(3,)", "(H, W, C)"],
    ),
    "latent_dim 0": (lambda: build(latent_dim=0), ValueError, ["latent_dim is 0"]),
    "a context that is no context": (lambda: build("ten"), TypeError, ["context is 'ten'"]),
    "a prior that emits something else": (
        lambda: build(prior=learned(2)).init and build(prior=learned(2)).prior.mean(
            {"prior": learned(2).init(jax.random.key(0), jnp.zeros(3))}, jnp.int32(0)),
        ValueError, ["the prior returned", "(3,)"],
    ),
    "an interpolation between classes": (
        lambda: interpolate(*ready("standard")[:2], *(Labelled(np.zeros((1, *SHAPE)), np.array([c])) for c in (0, 1))),
        ValueError, ["different contexts"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_impossible_options_say_what_was_passed_and_what_to_do(what):
    call, error, words = BAD[what]
    with pytest.raises(error) as caught:
        call()
    for word in words:
        assert word in str(caught.value), f"{word!r} is not in: {caught.value}"
