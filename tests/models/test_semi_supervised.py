"""The semi-supervised VAE against the enumeration of its classes in float64."""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import special, stats
from small import LATENTS, SHAPE, Encoder, Linear, images

import jaxvae
from jaxvae.evaluation.bounds.likelihood import per_example
from jaxvae.evaluation.latents.generation import prior_samples, reconstructions
from jaxvae.models.contexts import Labelled
from jaxvae.models.given_context import condition
from jaxvae.models.semi_supervised import ClassAndCode, semi_supervised_vae
from jaxvae.networks.conditional import with_context
from jaxvae.networks.deterministic import MLPClassifier
from jaxvae.objectives.bounds import elbo, iwae_bound
from jaxvae.training.losses.bound import bound_loss

pytestmark = pytest.mark.quick_compile

quick_jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
CLASSES, ALPHA = 3, 7.0


class OneLatent(NamedTuple):
    """A linear encoder of one latent."""

    linear: Linear = Linear(2, (2, 1))

    def init(self, key, x):
        return self.linear.init(key, x)

    def apply(self, variables, x):
        mean, log_var = self.linear.apply(variables, x)
        return mean, log_var


def build(latent_dim=LATENTS, classes=CLASSES, classifier=None, **options):
    encoder = Encoder() if latent_dim == LATENTS else OneLatent()
    return semi_supervised_vae(
        with_context(encoder), with_context(Linear(16, SHAPE)), classifier or Linear(classes, (classes,)),
        event_shape=SHAPE, latent_dim=latent_dim, classes=classes, **{"alpha": ALPHA, **options},
    )  # fmt: skip


def example(label):
    x = np.random.default_rng(0).integers(0, 2, SHAPE).astype(np.float32)
    return Labelled(jnp.asarray(x), jnp.int32(label))


@functools.cache
def ready():
    model = build()
    return model, quick_jit(model.init)(jax.random.key(0), example(-1)), quick_jit(model.terms)


def linear(weights, *inputs):
    flat = np.concatenate([np.asarray(part, np.float64).ravel() for part in inputs])
    return flat @ np.asarray(weights["w"], np.float64) + np.asarray(weights["b"], np.float64)


def bernoulli(x, logits):
    return np.where(np.asarray(x).ravel() == 1, special.log_expit(logits), special.log_expit(-logits)).sum(-1)


def by_hand(params, x, label, code):
    """log p(x | y, z), KL of the code [Z] and log p(z) - log q(z | x, y), in float64."""
    one_hot = np.eye(CLASSES)[label]
    mean, log_var = linear(params["encoder"], x, one_hot).reshape(2, -1)
    log_p_x = bernoulli(x, linear(params["decoder"], code, one_hot))
    kl = (np.exp(log_var) + mean**2 - 1 - log_var) / 2
    return log_p_x, kl, (stats.norm.logpdf(code) - stats.norm(mean, np.exp(log_var / 2)).logpdf(code)).sum()


@pytest.mark.slow
def test_an_unknown_class_is_enumerated():
    _, params, terms = ready()
    x = example(-1)
    found = terms(params, jax.random.key(1), x)
    log_q = special.log_softmax(linear(params["classifier"], x.value))
    each = [by_hand(params, x.value, y, np.float64(found.z.code[y])) for y in range(CLASSES)]
    q = np.exp(log_q)
    np.testing.assert_allclose(found.log_likelihood, sum(q[y] * each[y][0] for y in range(CLASSES)), rtol=1e-5)
    kl = [(q * (log_q + math.log(CLASSES))).sum(), *sum(q[y] * each[y][1] for y in range(CLASSES))]
    np.testing.assert_allclose(found.kl, kl, rtol=1e-4, atol=1e-6)
    weight = special.logsumexp([log_p_x + ratio - math.log(CLASSES) for log_p_x, _, ratio in each])
    np.testing.assert_allclose(found.log_weight, weight, rtol=1e-5)
    assert found.penalty == 0
    np.testing.assert_array_equal(found.z.label, np.arange(CLASSES))
    assert len(np.unique(found.z.code)) == found.z.code.size  # each class has noise of its own


@pytest.mark.parametrize("label", range(CLASSES))
def test_a_known_class_is_the_only_one_and_teaches_the_classifier(label):
    _, params, terms = ready()
    x = example(label)
    found = terms(params, jax.random.key(1), x)
    log_p_x, kl, ratio = by_hand(params, x.value, label, np.float64(found.z.code[0]))
    np.testing.assert_allclose(found.log_likelihood, log_p_x, rtol=1e-5)
    np.testing.assert_allclose(found.kl, [math.log(CLASSES), *kl], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.log_weight, log_p_x + ratio - math.log(CLASSES), rtol=1e-5)
    log_q = special.log_softmax(linear(params["classifier"], x.value))
    np.testing.assert_allclose(found.penalty, -ALPHA * log_q[label], rtol=1e-5)


@pytest.mark.rows(slow=["-1"])
@pytest.mark.parametrize("label", [-1, 1])
def test_importance_weights_average_to_the_evidence_found_by_integration(label):
    model = build(latent_dim=1)
    params = quick_jit(model.init)(jax.random.key(0), example(label))
    x, grid = example(label), np.linspace(-12, 12, 5001)
    joint = []
    for y in range(CLASSES):
        log_p_x = bernoulli(x.value, np.stack([linear(params["decoder"], [z], np.eye(CLASSES)[y]) for z in grid]))
        total = special.logsumexp(log_p_x + stats.norm.logpdf(grid)) + math.log(grid[1] - grid[0])
        joint.append(total - math.log(CLASSES))
    evidence = special.logsumexp(joint) if label < 0 else joint[label]

    @jax.jit
    def draw(keys):
        def one(key):
            terms = model.terms(params, key, x)
            return terms.log_weight, elbo(jax.tree.map(lambda leaf: leaf[None], terms))

        return jax.vmap(one)(keys)

    weights, bounds = (np.float64(part) for part in draw(jax.random.split(jax.random.key(2), 20_000)))
    ratio = np.exp(weights - evidence)
    assert abs(ratio.mean() - 1) < 5 * ratio.std() / math.sqrt(ratio.size) < 0.05
    assert bounds.mean() < evidence - 5 * bounds.std() / math.sqrt(bounds.size)


def test_posterior_prior_and_likelihood_draw_one_class_and_agree_with_the_weight_of_a_known_one():
    model, params, _ = ready()

    @quick_jit
    def call(params, key, x):
        plain, value = condition(model, x)
        z, log_q = model.posterior.sample(params, key, x)
        prior_z, log_p = model.prior.sample(params, key, x.context)
        t = model.terms(params, key, x)
        first = ClassAndCode(t.z.label[0], t.z.code[0])
        weight = plain.likelihood.log_prob(params, value, first) + plain.prior.log_prob(params, first, None)
        weight -= plain.posterior.log_prob(params, first, value)
        same = log_q - model.posterior.log_prob(params, z, x), log_p - model.prior.log_prob(params, prior_z, None)
        return t.log_weight, weight, same, z.label, prior_z.label

    weight, direct, same, label, prior_label = call(params, jax.random.key(3), example(2))
    np.testing.assert_allclose(weight, direct, rtol=1e-6)
    np.testing.assert_allclose(same, 0, atol=1e-5)
    assert (int(label), int(prior_label)) == (2, 2)
    labels = jax.jit(jax.vmap(lambda key: model.posterior.sample(params, key, example(-1))[0].label))(
        jax.random.split(jax.random.key(0), 2000)
    )
    share = np.bincount(labels, minlength=CLASSES) / 2000
    expected = special.softmax(linear(params["classifier"], example(0).value))
    assert (np.abs(share - expected) < 5 * np.sqrt(expected * (1 - expected) / 2000)).all()
    np.testing.assert_allclose(call(params, jax.random.key(3), example(-1))[2], 0, atol=1e-5)


@pytest.mark.full
def test_a_few_labels_and_many_pictures_without_teach_the_classes():
    raw = images(200)
    truth = (raw[:, 0, 0, 0] > 100).astype(np.int32)
    labels = np.where(np.arange(200) < 20, truth, -1)
    assert set(labels) == {-1, 0, 1}
    model = build(classes=2, classifier=MLPClassifier(2, (8,)))
    options = {"epochs": 30, "batch_size": 40, "optimizer": optax.adam(0.02), "progress": False}
    params, history = jaxvae.fit(model, raw, labels=labels, loss=bound_loss(model, elbo), **options)
    assert history[-1]["loss"] < history[0]["loss"] - 1
    x = Labelled((raw > 100).astype(np.float32), np.full(200, -1))
    guess = jax.jit(jax.vmap(model.posterior.mean, (None, 0)))(params, x).label
    assert (np.asarray(guess) == truth).mean() > 0.95
    for y in (0, 1):
        drawn = prior_samples(model, params, jax.random.key(0), 50, context=y)
        assert (drawn[:, :, :2].mean() - drawn[:, :, 2:].mean()) * (2 * y - 1) > 0.3
    assert prior_samples(model, params, jax.random.key(0), 3).shape == (3, *SHAPE)  # of any class
    assert np.abs(reconstructions(model, params, x) - x.value).mean() < 0.25
    values = per_example(model, params, jax.random.key(0), x, samples=5)
    assert values["iwae"].mean() > values["elbo"].mean()


@pytest.mark.slow
def test_every_part_learns_and_alpha_weighs_the_classifier_alone():
    model, params, _ = ready()
    batch = Labelled(jnp.stack([example(0).value] * 4), jnp.array([-1, -1, 0, 2]))
    keys = jax.random.split(jax.random.key(0), 4)

    def gradient(model, bound=elbo):
        loss = bound_loss(model, bound, samples=2)
        return quick_jit(jax.grad(lambda p: loss(p, keys, batch, jnp.int32(0))[0]))(params)

    one, other, weighted = gradient(model), gradient(build(alpha=0.0)), gradient(build(alpha=0.0), iwae_bound)
    for part in ("encoder", "decoder", "classifier"):
        assert all(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(other[part]))
    np.testing.assert_allclose(one["encoder"]["w"], other["encoder"]["w"], rtol=1e-4, atol=1e-6)
    assert np.abs(one["classifier"]["w"] - other["classifier"]["w"]).max() > 0.1
    assert np.abs(weighted["classifier"]["w"]).max() == 0  # its classes are summed out of the weight


BAD = {
    "alpha -1": (lambda: build(alpha=-1.0), ValueError, ["alpha is -1.0", "at least 0"]),
    "0 classes": (lambda: build(classes=0, classifier=Linear(1, (1,))), ValueError, ["0", "at least 1"]),
    "logits of other classes": (
        lambda: build(classifier=Linear(2, (2,))).terms(
            {**ready()[1], "classifier": Linear(2, (2,)).init(jax.random.key(0), jnp.zeros(16))},
            jax.random.key(0), example(0)),
        ValueError, ["(2,)", "(3,)"],
    ),
    "label -2": (lambda: ready()[0].posterior.mean(ready()[1], example(-2)), ValueError, ["label -2", "-1 for"]),
    "no label": (lambda: ready()[0].posterior.mean(ready()[1], example(0).value), ValueError, ["Labelled"]),
    "a class out of range": (
        lambda: prior_samples(*ready()[:2], jax.random.key(0), 2, context=3), ValueError, ["label 3", "-1 to 2"],
    ),
    "the z of terms": (
        lambda: ready()[0].likelihood.mean(ready()[1], ready()[2](ready()[1], jax.random.key(0), example(-1)).z),
        ValueError, ["labels of shape (3,)", "summed out"],
    ),
    "a classifier of no classes": (lambda: MLPClassifier(0), ValueError, ["classes is 0"]),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_impossible_options_say_what_was_passed_and_what_to_do(what):
    call, error, words = BAD[what]
    with pytest.raises(error) as caught:
        call()
    for word in words:
        assert word in str(caught.value), f"{word!r} is not in: {caught.value}"


@pytest.mark.full
def test_an_estimator_that_needs_a_path_through_the_class_is_refused():
    model, params, _ = ready()
    x = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], example(-1))
    loss = bound_loss(model, elbo, estimator=jaxvae.objectives.sticking_the_landing)
    with pytest.raises(ValueError, match="draws integers"):
        loss(params, jax.random.split(jax.random.key(0), 1), x, jnp.int32(0))
