"""What a model says of log p(x): exact densities, weights, bounds and none, each measured as what it is."""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from exact import linear
from small import SHAPE, images, small_vae

import jaxvae
from jaxvae.evaluation.anomaly.scores import anomaly_scores
from jaxvae.evaluation.bounds.importance import sample_weights
from jaxvae.evaluation.bounds.report import evaluate
from jaxvae.evaluation.latents import generation
from jaxvae.evaluation.measured import Setting
from jaxvae.models.densities.density import density_model
from jaxvae.models.posteriors.gaussian import gaussian_posterior
from jaxvae.objectives.importance import ciwae_bound, miwae_bound
from jaxvae.objectives.rates import free_bits_bound

pytestmark = pytest.mark.quick_compile

KEY = jax.random.key(0)
POINTS = np.random.default_rng(0).normal(size=(60, 2)) @ np.array([[1.0, 0.4], [0.0, 0.5]]) + np.array([2.0, -1.0])
POINTS = POINTS.astype(np.float32).astype(np.float64)
X = POINTS[:7].astype(np.float32)


def by_mixture():
    from scipy.stats import multivariate_normal
    from sklearn.mixture import GaussianMixture

    found = GaussianMixture(2, reg_covar=1e-6, random_state=0, max_iter=200).fit(POINTS)
    parts = [w * multivariate_normal(m, c).pdf(X) for w, m, c in zip(*_parameters(found), strict=True)]
    return jaxvae.evaluation.fitted_priors.fit_gaussian_mixture(POINTS, 2), np.log(np.sum(parts, axis=0))


def _parameters(found):
    return found.weights_, found.means_, found.covariances_


def by_kernels():
    scale = POINTS.std(0)
    apart = (X[:, None] - POINTS[None]) / scale / 0.4
    kernels = np.exp(-0.5 * np.square(apart).sum(-1)) / (2 * math.pi * 0.4**2 * scale.prod())
    return jaxvae.evaluation.fitted_priors.fit_kde(POINTS, bandwidth=0.4), np.log(kernels.mean(1))


def by_flow():
    scale = 3.0
    log_p = -0.5 * np.square(X / scale).sum(1) - math.log(2 * math.pi) - 2 * math.log(scale)
    return jaxvae.priors.transformed(jaxvae.priors.standard_normal(2), jaxvae.flows.affine(2, scale=scale), 2), log_p


DENSITIES = {"mixture": by_mixture, "kernels": by_kernels, "flow": by_flow}


@pytest.mark.parametrize("name", DENSITIES)
def test_a_density_is_evaluated_exactly_and_samples_mean_nothing(name):
    p, expected = DENSITIES[name]()
    model = density_model(p, event_shape=(2,))
    params = jax.jit(model.init)(KEY, X[0])
    one, ten = (jaxvae.per_example(model, params, KEY, X, samples=samples) for samples in (1, (2, 10)))
    assert set(one) == set(ten) == {"log_p"}
    np.testing.assert_array_equal(one["log_p"], ten["log_p"])
    np.testing.assert_allclose(one["log_p"], expected, rtol=1e-5, atol=1e-5)

    row, bits = evaluate(model, params, X, Setting("points", 7, 7, "as they are", 0, "c0ffee"), bin_width=0.5)
    assert row.name == "-log p"
    assert row.estimate.mean == pytest.approx(-expected.mean(), rel=1e-5)
    assert "exact, one pass" in str(row)
    assert "bound" not in str(row)
    assert bits.estimate.mean == pytest.approx(-(expected.mean() / 2 + math.log(0.5)) / math.log(2), rel=1e-4)


def test_a_density_is_trained_by_the_same_step_and_never_collapses():
    model = density_model(jaxvae.priors.flow_prior(jaxvae.flows.affine(2), 2), event_shape=(2,))
    params, history = jaxvae.fit(
        model, POINTS.astype(np.float32), epochs=200, batch_size=60, optimizer=jaxvae.make_optimizer("adam", 0.05),
        progress=False,
    )  # fmt: skip
    np.testing.assert_allclose(params["prior"]["shift"], POINTS.mean(0), atol=0.02)
    best = -np.log(POINTS.std(0)).sum() - 1 - math.log(2 * math.pi)  # the likeliest independent Gaussians
    assert history[-1]["elbo"] == pytest.approx(best, abs=0.01)
    assert history[0]["elbo"] < best - 1
    assert history[-1]["kl"] == 0


def test_a_density_is_drawn_and_told_its_class():
    p, _ = by_kernels()
    model = density_model(p, event_shape=(2,))
    drawn = generation.draw(model, {}, KEY, 4000, batch_size=1000)
    np.testing.assert_allclose(drawn.mean(0), POINTS.mean(0), atol=0.05)
    np.testing.assert_allclose(drawn.std(0), POINTS.std(0) * math.sqrt(1 + 0.4**2), rtol=0.05)
    np.testing.assert_array_equal(drawn[:7], generation.draw(model, {}, KEY, 7, batch_size=3))
    with pytest.raises(ValueError, match=r"does not draw through latents.*Use draw"):
        generation.prior_means(model, {}, KEY, 3)

    conditional = density_model(gaussian_posterior(Means(), 1, name="density"), event_shape=(1,), context=3)
    x = jaxvae.Labelled(np.zeros((3, 1), np.float32), np.arange(3))
    params = conditional.init(KEY, jax.tree.map(lambda leaf: leaf[0], x))
    found = jaxvae.per_example(conditional, params, KEY, x)["log_p"]
    np.testing.assert_allclose(found, [-0.5 * math.log(2 * math.pi) - 0.5 * m**2 for m in (1, 2, 3)], rtol=1e-6)
    assert generation.draw(conditional, params, KEY, 500, context=2).mean() == pytest.approx(3, abs=0.2)


class Means(NamedTuple):
    """A network of a class: the Gaussian with mean 1, 2 or 3."""

    def init(self, key, c):
        return {"means": jnp.array([1.0, 2.0, 3.0])}

    def apply(self, variables, c):
        return (variables["means"] @ c)[None], jnp.zeros(1)


def loosened(evidence="bound"):
    """A linear-Gaussian model of which no more is claimed than a bound."""
    model, truth = linear()
    model = model._replace(evidence=evidence)
    x = np.stack([truth.x, -truth.x]).astype(np.float32)
    return model, model.init(KEY, x[0]), x, truth


@pytest.mark.slow
def test_a_bound_is_a_mean_with_its_monte_carlo_error_and_never_a_log_mean_exp():
    model, params, x, truth = loosened()
    found = jaxvae.per_example(model, params, KEY, x, samples=(8, 400))
    assert set(found) == {"elbo", "log_likelihood", "kl", "kl_per_latent", "monte_carlo_error"}
    weights, _, _ = sample_weights(model, params, jax.random.fold_in(KEY, 0), x[0], samples=400, chunk=50)
    np.testing.assert_allclose(found["elbo"][0], np.float64(weights).mean(), rtol=1e-5)
    np.testing.assert_allclose(found["monte_carlo_error"][0], np.float64(weights).std(ddof=1) / 20, rtol=1e-4)
    exact = jaxvae.models.exact.linear_gaussian_elbo(params, x[0], noise=truth.noise)
    assert abs(found["elbo"][0] - exact) < 4 * found["monte_carlo_error"][0]

    rows = {row.name: row for row in evaluate(model, params, x, Setting("x", 2, 2, "", 0, "c0ffee"), samples=400)}
    assert list(rows) == ["-ELBO", "Monte Carlo error", "rate", "distortion"]
    assert "bound, K = 400" in str(rows["-ELBO"])
    assert "importance" not in str(rows["-ELBO"])
    again = jaxvae.per_example(model, params, KEY, x, samples=400)["monte_carlo_error"]
    assert rows["Monte Carlo error"].estimate.mean == pytest.approx(math.sqrt(np.square(again).sum()) / 2, rel=1e-4)
    scores = anomaly_scores(model, params, KEY, x, codecs=None, training=x)
    assert set(scores) == {"negative_elbo", "reconstruction", "kl", "squared_error", "typicality"}


WEIGHED = {
    "iwae_bound": (jaxvae.iwae_bound, {}),
    "iwae_bound of 5": (jaxvae.iwae_bound, {"samples": 5}),
    "vr_max_bound": (jaxvae.objectives.vr_max_bound, {"samples": 5}),
    "renyi_bound": (jaxvae.objectives.renyi_bound, {"alpha": 0.5}),
    "miwae_bound": (functools.partial(miwae_bound, groups=2), {"samples": 6}),
    "ciwae_bound": (ciwae_bound, {"beta": jaxvae.training.kl_warmup(10)}),
    "own": (lambda terms: jaxvae.log_mean_exp(terms.log_weight, axis=0), {}),
}


@pytest.mark.rows(every=3)
@pytest.mark.parametrize("evidence", ["bound", "none"])
@pytest.mark.parametrize("name", WEIGHED)
def test_a_bound_that_averages_weights_is_refused_by_name_where_they_do_not_average_to_p(name, evidence):
    model, (bound, options) = loosened(evidence)[0], WEIGHED[name]
    with pytest.raises(ValueError, match=r"the bound .* needs weights of mean p\(x\), but the evidence") as caught:
        jaxvae.bound_loss(model, bound, **options)
    assert (name.split()[0] if name != "own" else "lambda") in str(caught.value)
    assert "per_example" in str(caught.value)


@pytest.mark.slow
def test_what_is_at_most_the_mean_of_the_log_weights_stays_allowed():
    model, params, x, _ = loosened()
    for bound, options in (
        (jaxvae.elbo, {"beta": 0.5}),
        (free_bits_bound, {"free_nats": 0.1}),
        (ciwae_bound, {"beta": 1.0}),
    ):
        value, _ = jaxvae.bound_loss(model, bound, samples=3, **options)(params, jax.random.split(KEY, 2), x, 0)
        assert np.isfinite(value)


REFUSED = {
    "annealing": lambda model, params, x: jaxvae.evaluation.annealing.annealed_bounds(model, params, KEY, x),
    "an estimator": lambda model, params, x: jaxvae.bound_loss(
        model, estimator=jaxvae.objectives.doubly_reparameterized
    ),
    "gaps": lambda model, params, x: jaxvae.evaluation.local.inference_gaps(model, params, KEY, x),
}


@pytest.mark.parametrize("evidence", ["exact", "bound", "none"])
@pytest.mark.parametrize("name", REFUSED)
def test_what_needs_weights_is_refused_by_name_and_says_what_works(name, evidence):
    model, params, x, _ = loosened(evidence)
    with pytest.raises(ValueError, match=rf"needs weights of mean p\(x\).*'{evidence}'.* per_example"):
        REFUSED[name](model, params, x)


def test_models_say_what_they_are():
    networks = jaxvae.MLPDeterministicEncoder(6, ()), jaxvae.MLPDecoder(SHAPE, hidden=())
    sizes = {"event_shape": SHAPE}
    categorical = functools.partial(jaxvae.categorical_vae, *networks, variables=2, classes=3, **sizes)
    generator = jaxvae.gan(networks[1], latent_dim=2, **sizes)
    found = {
        "vae": small_vae(),
        "categorical": categorical(),
        "relaxed": categorical(relaxed=True),
        "vq": jaxvae.vq_vae(*networks, code_shape=(6,), codes=4, **sizes),
        "autoencoder": jaxvae.autoencoder(*networks, latent_dim=6, **sizes),
        "gan": generator,
        "density": density_model(jaxvae.priors.standard_normal(2), event_shape=(2,)),
    }
    assert {name: model.evidence for name, model in found.items()} == {
        "vae": "weights", "categorical": "weights", "relaxed": "none", "vq": "bound", "autoencoder": "none",
        "gan": "none", "density": "exact",
    }  # fmt: skip
    x = (images(3) > 100).astype(np.float32)
    params = jax.jit(generator.init)(KEY, x[0])
    with pytest.raises(ValueError, match="no likelihood"):
        jaxvae.per_example(generator, params, KEY, x)
    drawn = generation.draw(generator, params, KEY, 3)
    np.testing.assert_array_equal(drawn, generation.prior_means(generator, params, KEY, 3))  # a point mass, no noise
    assert generation.manifold(generator, params, count=2).shape == (2, 2, *SHAPE)
    with pytest.raises(ValueError, match="no prior"):
        generation.draw(found["autoencoder"], found["autoencoder"].init(KEY, x[0]), KEY, 3)
    with pytest.raises(ValueError, match="prior"):
        jaxvae.with_prior(found["density"], jaxvae.priors.standard_normal(2))


def test_a_model_with_a_draw_of_its_own_is_asked_for_it_with_its_context():
    def own(params, key, context):
        return jnp.full((2,), 0.0 if context is None else context.astype(jnp.float32))

    model, params, _, _ = loosened("weights")
    model = model._replace(draw=own)
    np.testing.assert_array_equal(generation.draw(model, params, KEY, 3), np.zeros((3, 2)))
    for refused in (generation.prior_means, generation.prior_samples, jaxvae.evaluation.annealing.ancestral_sample):
        with pytest.raises(ValueError, match="Use draw"):
            refused(model, params, KEY, 3)
    told = model._replace(context=jaxvae.models.class_labels(4))
    np.testing.assert_array_equal(generation.draw(told, params, KEY, 3, context=2), np.full((3, 2), 2.0))
