"""Examples of several parts: five binary pixels and a count, against the sum of the parts and by enumeration."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats
from small import moved

import jaxvae
from jaxvae.data.protocols import as_it_is
from jaxvae.evaluation.bounds.report import Setting, evaluate
from jaxvae.evaluation.latents import generation
from jaxvae.models.events import Shapes
from jaxvae.models.incomplete import Incomplete, observed_log_prob, observed_log_weight
from jaxvae.models.latent_variable import latent_variable_model
from jaxvae.models.observations.counts import poisson
from jaxvae.models.records import check_batch
from jaxvae.networks.deterministic import ByName
from jaxvae.training.losses.incomplete import incomplete_loss

pytestmark = pytest.mark.quick_compile

KEY = jax.random.key(0)
SHAPES = {"picture": (5, 1), "count": (1,)}
COUNTS = 30  # above it lies less than 1e-6
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(40)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


def two_parts(**options):
    decoder = ByName({"picture": jaxvae.MLPDecoder((5, 1), hidden=(4,)), "count": jaxvae.MLPDecoder((1,), hidden=(4,))})
    parts = {"observation": {"picture": jaxvae.bernoulli(), "count": poisson()}} | options
    return jaxvae.vae(jaxvae.MLPEncoder(1, (6,)), decoder, event_shape=SHAPES, latent_dim=1, **parts)


def every():
    """All pictures with all counts below the limit."""
    pictures = np.array(list(itertools.product([0.0, 1.0], repeat=5)), np.float32)[..., None]
    picture = np.repeat(pictures, COUNTS, axis=0)
    return {"picture": picture, "count": np.tile(np.arange(COUNTS, dtype=np.float32)[:, None], (len(pictures), 1))}


def one(index=70):
    return jax.tree.map(lambda leaf: leaf[index], every())


def ready():
    model = two_parts()
    params = jax.jit(model.init)(KEY, one())
    return model, moved(params, 0.2, seed=2)  # rates so low that counts beyond the listed ones have 6e-8 together


def evidence(model, params, x):
    """log p(x) of each example by Gauss-Hermite."""

    @jax.jit
    def each(x):
        z = jnp.asarray(NODES, jnp.float32)[:, None]
        return jax.vmap(lambda x: jax.vmap(lambda z: model.likelihood.log_prob(params, x, z))(z))(x)

    return np.log(np.exp(np.float64(each(x))) @ WEIGHTS)


@pytest.mark.slow
def test_the_log_likelihood_is_the_sum_of_the_parts():
    model, params = ready()
    terms = model.terms(params, KEY, one())
    outputs = {
        name: jaxvae.MLPDecoder(shape, hidden=(4,)).apply(params["decoder"][name], terms.z)
        for name, shape in SHAPES.items()
    }
    picture = stats.bernoulli(1 / (1 + np.exp(-np.float64(outputs["picture"])))).logpmf(one()["picture"]).sum()
    count = stats.poisson(np.exp(np.float64(outputs["count"]))).logpmf(one()["count"]).sum()
    np.testing.assert_allclose(terms.log_likelihood, picture + count, rtol=1e-5)
    np.testing.assert_allclose(model.likelihood.log_prob(params, one(), terms.z), terms.log_likelihood, rtol=1e-6)


@pytest.mark.slow
def test_all_examples_together_have_the_probability_one_and_no_bound_exceeds_it():
    model, params = ready()
    x = every()
    exact = evidence(model, params, x)
    assert np.exp(exact).sum() == pytest.approx(1, abs=1e-4)
    found = jaxvae.per_example(model, params, KEY, x, samples=(1, 100))
    assert found["elbo"].shape == exact.shape
    assert np.exp(found["elbo"].astype(np.float64)).sum() < 1
    assert np.exp(found["iwae"].astype(np.float64)).sum() == pytest.approx(1, abs=0.03)
    rows = evaluate(model, params, x, Setting("all", 960, 960, "", 0, "c0ffee"), samples=20, bin_width=1.0)
    names = {row.name: row for row in rows}
    bits = names["bits per dimension"].estimate.mean
    assert bits == pytest.approx(names["-IW-20"].estimate.mean / 6 / np.log(2), rel=1e-5)  # six numbers


@pytest.mark.slow
def test_a_part_that_is_missing_is_summed_out():
    model, params = ready()
    x = every()
    seen = {"picture": np.ones((5, 1), bool), "count": np.zeros(1, bool)}
    whole = np.exp(evidence(model, params, x)).reshape(32, COUNTS).sum(1)

    def of_picture(picture):
        part = Incomplete({"picture": picture, "count": jnp.array([jnp.nan])}, jax.tree.map(jnp.asarray, seen))
        z = jnp.asarray(NODES, jnp.float32)[:, None]
        return jax.vmap(lambda z: observed_log_prob(model, params, part, z))(z)

    found = np.exp(np.float64(jax.jit(jax.vmap(of_picture))(x["picture"][::COUNTS]))) @ WEIGHTS
    np.testing.assert_allclose(found, whole, rtol=1e-3)
    batch = Incomplete(
        jax.tree.map(lambda leaf: jnp.asarray(leaf[:4]), x),
        jax.tree.map(lambda m: jnp.broadcast_to(m, (4, *m.shape)), seen),
    )
    value, metrics = incomplete_loss(model, samples=3)(params, jax.random.split(KEY, 4), batch, 0)
    assert np.isfinite(value)
    assert float(metrics["observed"]) == pytest.approx(5 / 6)
    with pytest.raises(ValueError, match="expected booleans"):
        observed_log_weight(model, params, KEY, Incomplete(one(), {"picture": np.ones((5, 1), bool)}))


@pytest.mark.slow
def test_draws_and_reconstructions_have_the_parts():
    model, params = ready()
    drawn = generation.draw(model, params, KEY, 2000, batch_size=1000)
    assert jax.tree.map(np.shape, drawn) == {"picture": (2000, 5, 1), "count": (2000, 1)}
    x, p = every(), np.exp(evidence(model, params, every()))
    for name, leaf in x.items():
        expected = (p[:, None] * leaf.reshape(len(leaf), -1)).sum(0)
        np.testing.assert_allclose(drawn[name].reshape(2000, -1).mean(0), expected, atol=0.15)
    some = jax.tree.map(lambda leaf: leaf[:3], x)
    assert jax.tree.map(np.shape, generation.reconstructions(model, params, some)) == {
        "picture": (3, 5, 1), "count": (3, 1),
    }  # fmt: skip
    assert generation.interpolate(model, params, some, some, 4)["count"].shape == (3, 4, 1)
    unit = model.to_unit(jax.tree.map(jnp.asarray, some))
    np.testing.assert_array_equal(unit["picture"], some["picture"])  # each part by its own rule
    np.testing.assert_allclose(unit["count"], poisson().to_unit(jnp.asarray(some["count"])))


@pytest.mark.slow
def test_it_trains_by_the_same_step_and_its_model_can_be_kept_by_a_compiled_program():
    model, params = ready()
    assert hash(model.event_shape) == hash(Shapes(SHAPES))
    x = jax.tree.map(lambda leaf: leaf[:96], every())
    before = jaxvae.per_example(model, params, KEY, x)["elbo"].mean()
    optimizer = optax.adam(1e-2)
    state = jaxvae.init_state(model, optimizer, KEY, one())
    steps = jaxvae.compile_steps(
        jaxvae.bound_loss(model), optimizer, as_it_is, batch_size=32, steps_per_call=20, mode="jit"
    )
    *_, report = jaxvae.train(steps, state, x, 60)
    assert jaxvae.per_example(model, report.state.params, KEY, x)["elbo"].mean() > before + 0.5


@pytest.mark.slow
def test_learned_parameters_of_parts_have_their_own_names():
    model = two_parts(observation={"picture": jaxvae.normal("learned"), "count": jaxvae.normal("learned")})
    params = jax.jit(model.init)(KEY, one())
    assert set(params["observation"]) == {"picture", "count"}
    assert np.isfinite(model.terms(params, KEY, one()).log_weight)


BAD = {
    "a part missing": (lambda x: {"picture": x["picture"]}, r"x has the parts \['picture'\].*\['count', 'picture'\]"),
    "one array": (lambda x: x["picture"], "x has no parts"),
    "another shape": (lambda x: x | {"count": x["count"][:, 0]}, r"x\['count'\] has shape \(960,\)"),
    "a count below 0": (lambda x: x | {"count": x["count"] - 5}, r"x\['count'\]"),
    "unequal lengths": (lambda x: x | {"count": x["count"][:5]}, "has 960 examples and .* has 5|has 5 examples"),
    "no examples": (lambda x: jax.tree.map(lambda leaf: leaf[:0], x), "empty"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_batch_that_is_none_is_named_by_its_part(name):
    change, words = BAD[name]
    with pytest.raises(ValueError, match=words):
        check_batch(two_parts(), change(every()))


def test_names_that_do_not_fit_are_refused_when_the_model_is_made():
    with pytest.raises(ValueError, match="two dicts of the same names"):
        two_parts(observation={"picture": jaxvae.bernoulli()})
    with pytest.raises(ValueError, match="two dicts of the same names"):
        two_parts(observation=jaxvae.bernoulli())
    with pytest.raises(TypeError, match="observation model for each name"):
        two_parts(observation={"picture": jaxvae.bernoulli(), "count": "poisson"})
    model = jaxvae.vae(
        jaxvae.MLPEncoder(1, (6,)), jaxvae.MLPDecoder((5, 1), hidden=(4,)), event_shape=SHAPES, latent_dim=1,
        observation={"picture": jaxvae.bernoulli(), "count": poisson()},
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"decoder returned \(5, 1\), expected \{'count': \(1,\)"):
        model.terms(model.init(KEY, one()), KEY, one())


def test_any_conditional_over_parts_may_be_the_decoder_of_a_model():
    model, params = ready()
    parts = model.posterior, model.prior, model.likelihood
    observation = {"picture": jaxvae.bernoulli(), "count": poisson()}
    same = latent_variable_model(*parts, event_shape=SHAPES, latent_dim=1, observation=observation)
    np.testing.assert_array_equal(same.terms(params, KEY, one()).log_weight, model.terms(params, KEY, one()).log_weight)
