"""Densities whose elements are drawn one after the other, by enumeration of every example there is."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import moved

from jaxvae.evaluation.bounds.likelihood import per_example
from jaxvae.evaluation.bounds.report import report_rows
from jaxvae.evaluation.latents import draw
from jaxvae.evaluation.measured import Setting
from jaxvae.evaluation.probes import generative_classifier
from jaxvae.evaluation.samples import complete
from jaxvae.models.contexts import Labelled
from jaxvae.models.densities import autoregressive, density_model
from jaxvae.models.observations.continuous import bernoulli, normal
from jaxvae.models.observations.discrete import categorical, discretized_logistic, logistic_mixture
from jaxvae.models.observations.marginal import marginal_normal
from jaxvae.models.observations.parts import joint
from jaxvae.models.semi_supervised import semi_supervised_vae
from jaxvae.models.variational import vae
from jaxvae.networks.causal import CausalNetwork, gated_pixel_cnn, masked_network, visit_by_passes
from jaxvae.networks.conditional import with_context
from jaxvae.networks.deterministic import MLPDeterministicEncoder
from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
from jaxvae.objectives.bounds import elbo
from jaxvae.training.losses.bound import bound_loss

pytestmark = pytest.mark.quick_compile
CASES = {
    "bernoulli": (bernoulli(), 2, (2, 2, 1)),
    "categorical, colour": (categorical(3), 3, (1, 2, 2)),
    "discretized_logistic": (discretized_logistic(4), 4, (2, 1, 2)),
    "logistic_mixture": (logistic_mixture(2, 3), 3, (2, 2, 1)),
}


def everything(levels, shape):
    rows = itertools.product(range(levels), repeat=int(np.prod(shape)))
    return np.array(list(rows), np.float32).reshape(-1, *shape)


def pixel_cnn(name):
    observation, levels, shape = CASES[name]
    p = autoregressive(gated_pixel_cnn(shape, observation.channels, features=3, layers=2, hidden=4), observation)
    return p, moved(jax.jit(p.init)(jax.random.key(0), None), 0.5), everything(levels, shape)


def chances(p, params, examples):
    return np.exp(np.float64(jax.jit(jax.vmap(p.log_prob, (None, 0, None)))(params, examples, None)))


@pytest.mark.rows(quick=["categorical, colour"])
@pytest.mark.parametrize("name", CASES)
def test_the_probabilities_of_all_examples_sum_to_one(name):
    p, params, examples = pixel_cnn(name)
    found = chances(p, params, examples)
    assert found.sum() == pytest.approx(1.0, abs=2e-5)
    assert np.log(found).std() > 0.1  # and they are no uniform distribution


@pytest.mark.rows(slow=["bernoulli"])
@pytest.mark.parametrize("name", ["bernoulli", "categorical, colour"])
def test_draws_come_as_often_as_their_probability_says_and_know_it(name):
    p, params, examples = pixel_cnn(name)
    keys = jax.random.split(jax.random.key(3), 4000)
    x, log_p = jax.jit(jax.vmap(p.sample, (None, 0, None)))(params, keys, None)
    told = jax.jit(jax.vmap(p.log_prob, (None, 0, None)))(params, x, None)
    np.testing.assert_allclose(log_p, told, atol=1e-5)
    expected = 4000 * chances(p, params, examples)
    levels = round(len(examples) ** 0.25)
    places = np.asarray(x).reshape(4000, 4) @ (levels ** np.arange(4)[::-1])
    counts = np.bincount(places.astype(int), minlength=len(examples))
    chi = ((counts - expected) ** 2 / expected).sum()
    assert chi < len(examples) + 4 * np.sqrt(2 * len(examples))


def test_the_density_is_the_product_of_the_conditionals_of_one_element_each():
    """Against a sum over the last elements: p(x_1 .. x_i) = sum over the rest."""
    p, params, examples = pixel_cnn("bernoulli")
    chance = chances(p, params, examples).reshape(2, 2, 2, 2)
    fill = jax.jit(p.complete)
    for known in range(5):
        mask = (np.arange(4) < known).reshape(2, 2, 1)
        x, log_weight = fill(params, jax.random.key(known), examples[11], None, mask)
        index = tuple(examples[11].ravel().astype(int))[:known]
        assert float(np.exp(log_weight)) == pytest.approx(chance[index].sum(), rel=1e-5)
        assert (np.asarray(x).ravel()[:known] == examples[11].ravel()[:known]).all()


@pytest.mark.slow
def test_a_label_makes_another_distribution_and_each_sums_to_one():
    p = autoregressive(gated_pixel_cnn((2, 2, 1), features=3, layers=2))
    model = density_model(p, bernoulli(), event_shape=(2, 2, 1), context=3)
    examples = everything(2, (2, 2, 1))
    labels = np.zeros(len(examples), np.int32)
    params = moved(jax.jit(model.init)(jax.random.key(0), Labelled(examples[0], labels[0])), 0.5)
    terms = jax.jit(jax.vmap(model.terms, (None, None, 0)))

    def of(label):
        found = terms(params, jax.random.key(0), Labelled(examples, labels + label))
        return np.exp(np.float64(found.log_weight))

    assert [of(label).sum() for label in range(3)] == pytest.approx([1.0] * 3, abs=2e-5)
    assert np.abs(of(0) - of(1)).max() > 0.01
    assert draw(model, params, jax.random.key(1), 5, context=2).shape == (5, 2, 2, 1)


def test_a_classifier_by_bayes_rule_has_the_posterior_of_the_enumeration_and_knows_what_it_has_not_seen():
    p = autoregressive(gated_pixel_cnn((2, 2, 1), features=3, layers=2))
    model = density_model(p, bernoulli(), event_shape=(2, 2, 1), context=3)
    examples, prior = everything(2, (2, 2, 1)), np.array([0.5, 0.3, 0.2])
    params = moved(jax.jit(model.init)(jax.random.key(0), Labelled(examples[0], np.int32(0))), 1.0)
    found = generative_classifier(model, params, jax.random.key(0), examples, log_prior=np.log(prior))
    assert np.exp(found.log_p).sum() == pytest.approx(1.0, abs=1e-5)  # p(x) is a distribution over all examples
    assert np.exp(found.log_joint).sum(0) == pytest.approx(prior, abs=1e-5)
    by_hand = np.exp(found.log_joint) / np.exp(found.log_joint).sum(1, keepdims=True)
    np.testing.assert_allclose(np.exp(found.log_posterior), by_hand, rtol=1e-9)
    assert (found.predictions == by_hand.argmax(1)).all()
    with pytest.raises(ValueError, match="expected \\[3\\] logarithms of probabilities"):
        generative_classifier(model, params, jax.random.key(0), examples, log_prior=prior)
    with pytest.raises(ValueError, match="takes no class"):
        generative_classifier(density_model(p, event_shape=(2, 2, 1)), params, jax.random.key(0), examples)


def test_a_semi_supervised_model_is_refused_whose_bound_has_the_prior_of_the_class_in_it():
    networks = with_context(MLPEncoder(1, (4,))), with_context(MLPDecoder((2, 2, 1), hidden=(4,)))
    sizes = {"event_shape": (2, 2, 1), "latent_dim": 1, "classes": 2}
    model = semi_supervised_vae(*networks, MLPDeterministicEncoder(2, (4,)), **sizes)
    with pytest.raises(ValueError, match=r"is log p\(x, y\), prior included"):
        generative_classifier(model, {}, jax.random.key(0), np.ones((1, 2, 2, 1), np.float32))


@pytest.mark.parametrize(("width", "evidence"), [(1.0, "exact"), (1 / 256, "bound")])
def test_bits_of_values_with_noise_are_a_bound_where_the_density_is_exact(width, evidence):
    model = density_model(autoregressive(masked_network((4,)), normal()), event_shape=(4,))
    setting = Setting("zeros", 3, 3, "dequantize", 0, "c0ffee")
    values = {"log_p": np.zeros(3)}
    rows = {row.name: row for row in report_rows(model, values, setting, counts=(1,), bin_width=width)}
    found = {name: row.setting.evidence for name, row in rows.items()}
    assert found == {"-log p": "exact", "bits per dimension": evidence}
    assert ("uniform noise of width 0.003906" in str(rows["bits per dimension"])) == (width < 1)


def test_continuous_elements_have_a_density_that_integrates_to_one():
    p = autoregressive(masked_network((2,), hidden=(8,)), normal("fixed", 0.5))
    params = moved(p.init(jax.random.key(0), None), 0.3)
    axis = jnp.linspace(-8.0, 8.0, 401)
    grid = jnp.stack(jnp.meshgrid(axis, axis), -1).reshape(-1, 2)
    assert float(chances(p, params, grid).sum() * (axis[1] - axis[0]) ** 2) == pytest.approx(1.0, abs=1e-3)


def test_completions_keep_what_is_known_and_follow_its_posterior_whatever_the_mask():
    """Each element leans towards those before it, so that the last one says much of the first."""

    def leaning(variables, u, context=None):
        return 1.5 * (jnp.cumsum(u) - u)[:, None]

    def visit(variables, pick, context):
        return visit_by_passes(leaning, variables, pick, context, (4,))

    p = autoregressive(CausalNetwork(lambda key, u, context: {}, leaning, visit, (4,), 1))
    model, params = density_model(p, event_shape=(4,)), {"autoregressive": {}}
    chance = chances(p, params, everything(2, (4,))).reshape(2, 2, 2, 2)
    expected = chance[1, :, :, 1].sum() / chance[..., 1].sum()  # that the first is one, given the last
    assert expected > 0.8 > 0.5 == pytest.approx(chance[1].sum())
    known = np.array([False, False, False, True])  # the last one, and nothing before it
    found = complete(model, params, jax.random.key(0), np.ones((1, 4), np.float32), known, draws=1500, candidates=24)
    assert (found.x[:, :, 3] == 1.0).all()
    assert 1.0 < float(found.effective[0]) < 24.0
    assert found.x[0, :, 0].mean() == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / 1500))


@pytest.mark.slow
def test_a_decoder_of_codes_is_told_by_a_vae_and_its_importance_bound_reaches_the_evidence():
    """The evidence of a picture as a sum over a grid of codes, with a posterior that is none too good."""
    shape = (2, 2, 1)
    p = autoregressive(gated_pixel_cnn(shape, features=3, layers=2), told=MLPDecoder(shape, 4, hidden=(8,)))
    model = vae(MLPEncoder(1, (8,)), p, event_shape=shape, latent_dim=1)
    x = jnp.asarray(everything(2, shape)[[3, 9]])
    params = moved(jax.jit(model.init)(jax.random.key(0), x[0]), 0.3)
    codes = jnp.linspace(-8.0, 8.0, 801)[:, None]
    log_joint = jax.jit(jax.vmap(lambda z: jax.vmap(p.log_prob, (None, 0, None))(params, x, z)))(codes)
    prior = jax.scipy.stats.norm.pdf(codes) * 0.02
    evidence = np.log((jnp.exp(log_joint) * prior).sum(0))
    bound = per_example(model, params, jax.random.key(0), x, samples=2000)["iwae"]
    np.testing.assert_allclose(bound, evidence, atol=0.05)
    assert np.asarray(log_joint).std(0).min() > 0.05  # the codes matter
    assert model.likelihood.mean(params, jnp.zeros(1)).shape == shape


def test_maximum_likelihood_has_a_gradient_for_every_parameter():
    p, params, examples = pixel_cnn("bernoulli")
    model = density_model(p, event_shape=(2, 2, 1))
    loss = bound_loss(model, elbo)
    keys = jax.random.split(jax.random.key(0), 8)
    slopes = jax.jit(jax.grad(lambda params: loss(params, keys, jnp.asarray(examples[:8]), 0)[0]))(params)
    assert all(float(jnp.abs(leaf).max()) > 0 for leaf in jax.tree.leaves(slopes))


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: autoregressive(masked_network((4,), 2)), ValueError, "emits 2 number\\(s\\) for an element, expected"),
        (lambda: autoregressive(masked_network((4,)), marginal_normal()), ValueError, "scores all elements together"),
        (lambda: autoregressive(masked_network((4,)), joint({"a": normal()})), ValueError, "scores all elements toge"),
        (lambda: autoregressive(len), TypeError, "expected a CausalNetwork"),
    ],
)
def test_what_does_not_fit_is_named(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_a_model_without_an_order_completes_nothing():
    from jaxvae.models.exact import linear_gaussian

    with pytest.raises(ValueError, match="draws no element after the other"):
        complete(linear_gaussian(jnp.ones((4, 2))), {}, jax.random.key(0), np.ones((1, 4)), np.ones(4, bool))
    p, params, _ = pixel_cnn("bernoulli")
    model = density_model(p, bernoulli(), event_shape=(2, 2, 1))
    with pytest.raises(ValueError, match="known is float64 of shape \\(2, 2\\), expected bool"):
        complete(model, params, jax.random.key(0), np.ones((1, 2, 2, 1), np.float32), np.ones((2, 2)))
