"""Gradient estimators against the true gradient, which comes from quadrature or from a finite sum, and never from them.

The small model has one latent and two pixels; the expectation of a bound of two samples is a sum over a grid of
Gauss-Hermite points in float64, and so is its gradient.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from exact import discrete, discrete_bound

from jaxvae.models.exact.linear import LinearDecoder, LinearEncoder
from jaxvae.models.observations.continuous import normal
from jaxvae.models.posteriors.gaussian import gaussian_posterior
from jaxvae.models.records import Conditional
from jaxvae.models.variational import vae
from jaxvae.objectives.bounds import elbo, iwae_bound
from jaxvae.objectives.estimators import (
    doubly_reparameterized,
    of_pairs,
    piwae,
    score_function,
    sticking_the_landing,
)
from jaxvae.objectives.importance import ciwae_bound, miwae_bound
from jaxvae.objectives.renyi import renyi_bound
from jaxvae.training.losses.bound import bound_loss

pytestmark = pytest.mark.quick_compile

X = np.float32([0.9, -0.4])
KEY = jax.random.key


def small(prior=None):
    """z ~ N(0, 1), x | z ~ N(w z + b, 0.6^2 I): a vae() whose encoder and decoder are one line each."""
    decoder = LinearDecoder(jnp.array([[0.8], [-0.5]]), jnp.array([0.1, 0.2]))
    model = vae(LinearEncoder(1), decoder, event_shape=(2,), latent_dim=1, observation=normal(std=0.6), prior=prior)
    params = jax.jit(model.init)(KEY(0), X)
    off = {"weights": jnp.array([[0.3, -0.1]]), "bias": jnp.array([-0.2]), "log_var": jnp.array([-0.4])}
    return model, params | {"encoder": off}


def log_densities(params, z, shared):
    """(log p(x | z), log p(z) - log q(z | x)) from the definitions, for z of any shape, in float64."""

    def log_normal(value, mean, variance):
        return -0.5 * (jnp.log(2 * jnp.pi * variance) + (value - mean) ** 2 / variance)

    mean, variance = posterior(params, np.float64(X))
    decoder = params["decoder"]
    log_likelihood = sum(
        log_normal(float(X[i]), decoder["weights"][i, 0] * z + decoder["bias"][i], 0.36) for i in range(2)
    )
    prior = posterior(params, params["pseudo"]) if shared else (0.0, 1.0)
    return log_likelihood, log_normal(z, *prior) - log_normal(z, mean, variance)


def posterior(params, x):
    encoder = params["encoder"]
    return encoder["weights"][0] @ x + encoder["bias"][0], jnp.exp(encoder["log_var"][0])


def expected(params, bound, samples, points=40, shared=False):
    """E[bound] of `samples` independent z ~ q, a sum over points^samples nodes of Gauss and Hermite."""
    nodes, masses = np.polynomial.hermite_e.hermegauss(points)
    grid = np.stack(np.meshgrid(*[nodes] * samples, indexing="ij"), -1).reshape(-1, samples)
    mass = np.prod(np.stack(np.meshgrid(*[masses] * samples, indexing="ij"), -1).reshape(-1, samples), axis=1)
    mean, variance = posterior(params, np.float64(X))
    pairs = log_densities(params, mean + jnp.sqrt(variance) * grid, shared)
    return jax.vmap(of_pairs(bound))(*pairs) @ (mass / mass.sum())


def true_gradient(params, bound, samples, **options):
    with jax.enable_x64(True):
        params = jax.tree.map(lambda a: jnp.asarray(np.float64(a)), params)
        return jax.tree.map(
            np.asarray, jax.jit(jax.grad(partial(expected, bound=bound, samples=samples, **options)))(params)
        )


def draws(model, params, bound, samples, estimator, count=100_000, seed=0, **options):
    """(mean, standard error) of `count` independent estimates of the bound's gradient, and of its value."""
    loss = bound_loss(model, bound, samples=samples, estimator=estimator, **options)

    def one(key):
        value, slope = jax.value_and_grad(lambda p: -loss(p, key[None], X[None], jnp.int32(0))[0])(params)
        return value, slope

    @jax.jit
    def moments(key):
        found = jax.vmap(one)(jax.random.split(key, count))
        return jax.tree.map(lambda a: (a.mean(0), a.std(0) / jnp.sqrt(count)), found)

    return moments(KEY(seed))


def scores(found, truth):
    """How many standard errors each number of the gradient is off, as one vector (0 where both are exactly 0)."""
    off = jax.tree.map(
        lambda true, pair: (np.float64(pair[0]) - true) / np.maximum(np.float64(pair[1]), 1e-7), truth, found,
        is_leaf=lambda leaf: isinstance(leaf, tuple),
    )  # fmt: skip
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(off)])


CASES = {
    "pathwise, elbo": (elbo, 2, None),
    "pathwise, iwae": (iwae_bound, 2, None),
    "landing, elbo": (elbo, 2, sticking_the_landing),
    "landing, beta": (partial(elbo, beta=2.5), 2, sticking_the_landing),
    "doubly, elbo": (elbo, 2, doubly_reparameterized),
    "doubly, beta": (partial(elbo, beta=2.5), 2, doubly_reparameterized),
    "doubly, iwae": (iwae_bound, 2, doubly_reparameterized),
    "doubly, iwae of 3": (iwae_bound, 3, doubly_reparameterized),
    "doubly, miwae": (partial(miwae_bound, groups=2), 2, doubly_reparameterized),
    "doubly, ciwae": (partial(ciwae_bound, beta=0.3), 2, doubly_reparameterized),
    "doubly, renyi": (partial(renyi_bound, alpha=0.5), 2, doubly_reparameterized),
    "score, elbo": (elbo, 2, score_function),
    "score, elbo of 1": (elbo, 1, score_function),
    "score, beta": (partial(elbo, beta=2.5), 2, score_function),
    "score, iwae": (iwae_bound, 3, score_function),
    "score, renyi": (partial(renyi_bound, alpha=-2.0), 2, score_function),
}


QUICK = ("pathwise, iwae", "landing, elbo", "doubly, iwae", "score, iwae")


@pytest.mark.rows(full=["pathwise, iwae", "score, iwae"], slow=["landing, elbo"])
@pytest.mark.parametrize(
    "case", [case if case in QUICK else pytest.param(case, marks=pytest.mark.full) for case in CASES]
)
def test_the_mean_estimate_is_the_true_gradient_of_encoder_and_decoder(case):
    bound, samples, estimator = CASES[case]
    model, params = small()
    truth = true_gradient(params, bound, samples)
    _, found = draws(model, params, bound, samples, estimator)
    assert abs(scores(found, truth)).max() < 4


def tucker_gone_wrong(bound, log_likelihood, log_ratio):
    """The normalised weight where its square belongs."""
    right = doubly_reparameterized(bound, log_likelihood, log_ratio)
    return right._replace(path=right.model)


def without_the_others(bound, log_likelihood, log_ratio):
    """A baseline that looks at its own sample."""
    right = score_function(bound, log_likelihood, log_ratio)
    return right._replace(score=jnp.full_like(log_ratio, right.score.mean()))


@pytest.mark.parametrize("planted", [tucker_gone_wrong, pytest.param(without_the_others, marks=pytest.mark.full)])
def test_a_planted_mistake_is_caught(planted):
    model, params = small()
    truth = true_gradient(params, iwae_bound, 2)
    _, found = draws(model, params, iwae_bound, 2, planted)
    off = {name: abs(scores(found[name], truth[name])).max() for name in truth}
    assert off["encoder"] > 8
    assert off["decoder"] < 4


def test_the_last_digits_of_the_quadrature_do_not_depend_on_its_points():
    _, params = small()
    few, many = (true_gradient(params, iwae_bound, 2, points=points) for points in (40, 60))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4), few, many)


@pytest.mark.slow
def test_piwae_trains_the_encoder_by_groups_and_the_decoder_by_all():
    model, params = small()
    truth = {
        "encoder": true_gradient(params, partial(miwae_bound, groups=2), 2)["encoder"],
        "decoder": true_gradient(params, iwae_bound, 2)["decoder"],
    }
    value, found = draws(model, params, iwae_bound, 2, piwae(groups=2))
    assert abs(scores(found, truth)).max() < 4
    other = true_gradient(params, iwae_bound, 2)["encoder"]
    assert abs(scores(found["encoder"], other)).max() > 8
    same, _ = draws(model, params, iwae_bound, 2, None)
    assert float(value[0]) == pytest.approx(float(same[0]), rel=1e-5)  # the value is the bound of all samples


def vamp():
    """p(z) = q(z | pseudo): a prior that reads the encoder's parameters beside one input of its own."""
    aggregate = gaussian_posterior(LinearEncoder(1), 1)
    return Conditional(
        lambda key, context: {"pseudo": jnp.array([0.5, 0.2])},
        lambda params, key, context: aggregate.sample(params, key, params["pseudo"]),
        lambda params, z, context: aggregate.log_prob(params, z, params["pseudo"]),
        lambda params, context: aggregate.mean(params, params["pseudo"]),
    )


@pytest.mark.parametrize(
    ("bound", "estimator"),
    [
        (iwae_bound, doubly_reparameterized),
        pytest.param(elbo, sticking_the_landing, marks=pytest.mark.full),
        pytest.param(iwae_bound, score_function, marks=pytest.mark.full),
    ],
)
def test_a_prior_that_shares_the_encoder_gets_its_part_of_the_gradient(bound, estimator):
    model, params = small(vamp())
    assert "pseudo" in params
    truth = true_gradient(params, bound, 2, shared=True)
    _, found = draws(model, params, bound, 2, estimator)
    assert abs(scores(found, truth)).max() < 4


@pytest.mark.slow
def test_the_score_function_serves_a_latent_that_cannot_be_differentiated():
    model = discrete()
    x = jnp.array([1.0, 0.0, 1.0])
    params = jax.jit(model.init)(KEY(3), x)
    loss = bound_loss(model, iwae_bound, samples=2, estimator=score_function)
    count = 20_000

    @jax.jit
    def moments(key):
        one = jax.grad(lambda params, key: -loss(params, key[None], x[None], jnp.int32(0))[0])
        found = jax.vmap(one, (None, 0))(params, jax.random.split(key, count))
        return jax.tree.map(lambda a: (a.mean(0), a.std(0) / jnp.sqrt(count)), found)

    found = moments(KEY(0))
    params = jax.tree.map(np.float64, params)
    places = [
        ("prior", (0,)),
        ("prior", (7,)),
        ("decoder", (2, 1)),
        ("decoder", (9, 0)),
        ("encoder", (5, 1)),
        ("encoder", (5, 8)),
    ]
    for name, index in places:

        def moved(step, name=name, index=index):
            there = {key: value.copy() for key, value in params.items()}
            there[name][index] += step
            return discrete_bound(there, x, samples=2)

        truth = (moved(1e-4) - moved(-1e-4)) / 2e-4
        mean, error = (float(part[index]) for part in found[name])
        assert abs(truth) > 1e-5
        assert abs(mean - truth) < 4 * error


@pytest.mark.parametrize("samples", [7, pytest.param(1000, marks=pytest.mark.full)])
def test_the_importance_weighted_gradient_is_the_normalised_weight_form(samples):
    """VAE-08: autodiff of the bound against sum_k w_k grad log w_k, each log-weight differentiated by itself."""
    model, params = small()
    keys = jax.random.split(KEY(5), samples)

    def log_weights(params):
        return jax.vmap(model.terms, (None, 0, None))(params, keys, X).log_weight

    def of_the_bound(params):
        return iwae_bound(jax.vmap(model.terms, (None, 0, None))(params, keys, X))

    weights = np.asarray(jax.jit(lambda p: jax.nn.softmax(log_weights(p)))(params), np.float64)
    by_hand = jax.tree.map(
        lambda rows: np.tensordot(np.float64(weights), np.float64(rows), 1), jax.jit(jax.jacrev(log_weights))(params)
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5),
        jax.jit(jax.grad(of_the_bound))(params),
        by_hand,
    )


def signal_to_noise(samples, estimator, count=200):
    """Mean over the encoder's parameters of |mean| / standard deviation of the gradient."""
    model, params = small()
    loss = bound_loss(model, iwae_bound, samples=samples, estimator=estimator, chunk=samples)

    @jax.jit
    def slopes(key):
        def one(key):
            return jax.grad(lambda p: -loss(p, key[None], X[None], jnp.int32(0))[0])(params)["encoder"]

        return jax.lax.map(one, jax.random.split(key, count), batch_size=50)

    found = np.concatenate([np.reshape(leaf, (count, -1)) for leaf in jax.tree.leaves(slopes(KEY(9)))], axis=1)
    return np.mean(abs(found.mean(0)) / found.std(0))


@pytest.mark.full
def test_the_doubly_reparameterised_encoder_signal_grows_with_samples_and_the_pathwise_one_drowns():
    few, many = (signal_to_noise(samples, doubly_reparameterized) for samples in (1, 1000))
    assert many > 5 * few
    assert signal_to_noise(1000, None) < signal_to_noise(1, None)
