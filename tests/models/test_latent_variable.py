"""Models of any three conditionals: an autoregressive decoder in every relative of the VAE, judged by enumeration."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from autoregressive import PICTURES, SHAPE, away, log_prob_by_hand, pixels
from small import Linear

import jaxvae
from jaxvae.evaluation.exact import grid_posterior
from jaxvae.evaluation.latents import generation
from jaxvae.models.given_context import given
from jaxvae.models.latent_variable import latent_variable_model

pytestmark = pytest.mark.quick_compile

KEY = jax.random.key(0)
BERNOULLI = jaxvae.bernoulli()
OPTIONS = {"event_shape": SHAPE, "observation": BERNOULLI}
encoder = functools.partial(jaxvae.MLPEncoder, hidden=(8,), activation="tanh")
decoder = Linear(3, SHAPE)


def evidence_by_quadrature(params):
    """log p(x) of each picture for one latent: Gauss-Hermite with 60 points, in float64."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()
    each = [[np.exp(log_prob_by_hand(params, x[:, 0], np.array([z]))) for z in nodes] for x in PICTURES]
    return np.log(np.array(each) @ weights)


def own_decoder():
    parts = jaxvae.posteriors.gaussian_posterior(encoder(1), 1), jaxvae.priors.standard_normal(1), pixels(1)
    return latent_variable_model(*parts, latent_dim=1, **OPTIONS)


@pytest.mark.slow
def test_any_conditional_may_be_the_decoder():
    model = own_decoder()
    params = away(model)
    truth = evidence_by_quadrature(params)
    assert np.exp(truth).sum() == pytest.approx(1, abs=1e-6)
    values = jaxvae.per_example(model, params, KEY, np.tile(PICTURES, (10, 1, 1)), samples=(1, 1000))
    bounds = {name: values[name].reshape(10, 8).mean(0) for name in ("elbo", "iwae_1000")}
    assert np.exp(bounds["elbo"]).sum() < 1
    assert np.exp(bounds["iwae_1000"]).sum() == pytest.approx(1, abs=0.01)
    np.testing.assert_allclose(bounds["iwae_1000"], truth, atol=0.03)
    grid = grid_posterior(model, params, PICTURES)
    np.testing.assert_allclose(grid.log_evidence, truth, atol=1e-4)
    drawn = generation.draw(model, params, KEY, 4000, batch_size=1000)
    shares = [(drawn == x).all((1, 2)).mean() for x in PICTURES]
    np.testing.assert_allclose(shares, np.exp(truth), atol=0.03)


def test_a_vae_takes_it_for_its_decoder_and_is_the_same_model():
    model, other = own_decoder(), jaxvae.vae(encoder(1), pixels(1), latent_dim=1, **OPTIONS)
    params = away(model)
    a, b = (each.terms(params, KEY, PICTURES[3]) for each in (model, other))
    jax.tree.map(np.testing.assert_array_equal, a, b)
    assert sorted(params) == ["encoder", "pixels"]


def relatives():
    """name -> (model, what its examples are): each with an autoregressive decoder."""
    pair = jaxvae.with_context(encoder(2)), given(pixels(4), lambda z: jnp.concatenate([z.value, z.context]))
    levels = [jaxvae.networks.MLPLevel(2, (8,)), jaxvae.networks.MLPLevel(1, (8,))], [encoder(2)]
    return {
        "conditional": jaxvae.conditional_vae(*pair, latent_dim=2, context=2, **OPTIONS),
        "ladder": jaxvae.ladder_vae(*levels, pixels(2), latent_dims=(2, 1), **OPTIONS),
    }


@pytest.mark.slow
@pytest.mark.rows(slow=["ladder"])
@pytest.mark.parametrize("name", ["conditional", "ladder"])
def test_relatives_of_the_vae_take_it_too(name):
    model = relatives()[name]
    params = away(model, scale=0.1)
    for label in (0, 1) if model.context is not None else (None,):
        x = np.tile(PICTURES, (10, 1, 1))
        x = x if label is None else jaxvae.Labelled(x, np.full(80, label))
        bound = jaxvae.per_example(model, params, KEY, x, samples=1000)["iwae"].reshape(10, 8).mean(0)
        assert 0.9 < np.exp(bound).sum() < 1.01


def test_parts_that_are_none_or_do_not_fit_are_refused_by_name():
    q, p, p_x = jaxvae.posteriors.gaussian_posterior(encoder(2), 2), jaxvae.priors.standard_normal(2), pixels(2)
    make = functools.partial(latent_variable_model, latent_dim=2, **OPTIONS)
    with pytest.raises(TypeError, match="likelihood is Linear"):
        make(q, p, decoder)
    with pytest.raises(TypeError, match="prior is None"):
        make(q, None, p_x)
    with pytest.raises(ValueError, match=r"posterior are on 'real'.*prior on 'sphere'"):
        make(q, jaxvae.priors.uniform_sphere(2), p_x)
    with pytest.raises(ValueError, match="latent_dim is 0"):
        latent_variable_model(q, p, p_x, latent_dim=0, **OPTIONS)
