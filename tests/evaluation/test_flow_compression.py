"""Flows as coders: bits against the bound, images that come back, and the parts of a local code against SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from small import moved

pytest.importorskip("constriction")

from jaxvae.evaluation.compression import compress, decompress
from jaxvae.evaluation.compression.grids import Grid, normal_masses
from jaxvae.evaluation.compression.local import CELL, window
from jaxvae.evaluation.compression.stack import Stack, random_words
from jaxvae.flows.autoregressive import autoregressive_flow, masked_autoregressive
from jaxvae.flows.couplings import real_nvp
from jaxvae.flows.events import from_logits, unflatten
from jaxvae.flows.records import chain
from jaxvae.models.densities import dequantized, flow_model
from jaxvae.models.given_context import given
from jaxvae.models.posteriors.gaussian import gaussian_posterior
from jaxvae.models.priors.flow import transformed
from jaxvae.models.priors.mixture import gaussian_mixture_prior
from jaxvae.networks.conditioner import ConditionerMLP
from jaxvae.networks.made import MADE
from jaxvae.networks.mlp import MLPEncoder

pytestmark = pytest.mark.quick_compile
SHAPE, SIZE, LEVELS = (2, 2, 1), 4, 3


def coupled():
    return real_nvp(SIZE, lambda size: ConditionerMLP(size, (4,), activation="tanh"), 2)


def masked():
    return autoregressive_flow(masked_autoregressive, SIZE, lambda size: MADE(SIZE, size, hidden=(8,)), layers=2)


def pixels(flow, base=None, noise=None):
    p = flow_model(chain(flow, unflatten(SHAPE), from_logits()), base, event_shape=SHAPE).likelihood
    return dequantized(p, LEVELS, event_shape=SHAPE, noise=noise)


def away(model):
    return moved(jax.jit(model.init)(jax.random.key(0), jnp.zeros(SHAPE)))


@pytest.mark.rows(slow=["couplings"], full=["masked"])
@pytest.mark.parametrize("flow", [pytest.param(coupled, id="couplings"), pytest.param(masked, id="masked")])
def test_images_come_back_bit_for_bit_at_the_rate_of_the_bound(flow):
    model = pixels(flow())
    params, key = away(model), jax.random.key(2)
    v = jax.vmap(lambda k: model.prior.sample(params, k, None)[0])(jax.random.split(key, 150))
    x = np.asarray(jax.vmap(lambda v: model.likelihood.mean(params, v))(v))
    stream = compress(model, params, x)
    np.testing.assert_array_equal(decompress(model, params, stream), x)
    weights = jax.jit(jax.vmap(jax.vmap(lambda k, x: model.terms(params, k, x).log_weight, (0, None))))(
        jax.random.split(key, (len(x), 200)), x
    )
    weights = np.asarray(weights, np.float64)
    found = 32 * (len(stream.words) - stream.initial) * np.log(2)
    assert found == pytest.approx(-weights.mean(1).sum(), abs=4 * np.sqrt(weights.var(1).sum()) + 30)
    assert np.sqrt(weights.var(1).sum()) < 0.1 * found


@pytest.mark.slow
def test_flows_that_are_no_coder_say_why():
    x = np.zeros((3, *SHAPE), np.float32)
    learned = pixels(coupled(), noise=gaussian_posterior(MLPEncoder(SIZE, (4,)), SIZE))
    params = jax.jit(learned.init)(jax.random.key(0), x[0])
    with pytest.raises(ValueError, match="noise between the levels of this flow is learned, expected uniform noise"):
        compress(learned, params, x)
    mixed = pixels(coupled(), base=gaussian_mixture_prior(3, SIZE))
    with pytest.raises(ValueError, match="base of this flow is no Gaussian"):
        compress(mixed, jax.jit(mixed.init)(jax.random.key(0), x[0]), x)
    real = flow_model(chain(coupled(), unflatten(SHAPE), from_logits()), event_shape=SHAPE)
    with pytest.raises(ValueError, match=r"flow are real numbers, expected levels.*'levels'"):
        compress(real, {}, x)
    model = pixels(coupled())
    with pytest.raises(ValueError, match=r"bits is 21, expected 8 .. 20"):
        compress(model, away(model), x, bits=21)


def test_masses_keep_their_digits_in_both_tails():
    borders = np.array([[-9.0, -8.5, -1.0, 2.0, 8.5, 9.0]])
    expected = [stats.norm.cdf(-8.5) - stats.norm.cdf(-9.0), *np.diff(stats.norm.cdf(borders[0, 1:4]))]
    expected += [stats.norm.cdf(-2.0) - stats.norm.cdf(-8.5), stats.norm.sf(8.5) - stats.norm.sf(9.0)]
    found = normal_masses(2.0 * borders + 1.0, np.ones(1), np.full(1, 2.0))
    np.testing.assert_allclose(found[0], expected, rtol=1e-10)


def test_a_cell_is_pushed_at_the_price_of_its_mass_and_a_window_draws_its_normal():
    grid, stack = Grid((4, 8, 8), lambda k: k / 256.0), Stack(random_words(30))
    k, mean = np.arange(0, 250, 5), np.full(50, 0.4)
    grid.push(stack, k, mean, np.full(50, 0.3))
    masses = np.diff(stats.norm.cdf(np.arange(257) / 256, 0.4, 0.3))
    price = -np.log2(masses / masses.sum())[k].sum()
    assert 32 * (len(stack.words()) - 30) == pytest.approx(price, abs=40)
    np.testing.assert_array_equal(grid.pop(stack, mean, np.full(50, 0.3)), k)
    stack, mean, std = Stack(random_words(8000)), 1.25, 1e-4
    cells = np.array([window(mean, std).pop(stack, mean, std) for _ in range(2000)])
    z = (cells + 0.5) * CELL - 16.0
    assert stats.kstest(z, stats.norm(mean, std).cdf).pvalue > 1e-3


def test_the_two_ways_of_a_flow_are_those_of_its_density():
    p = transformed(gaussian_mixture_prior(2, SIZE), coupled(), SIZE)
    part = given(p, lambda context: None)
    params = jax.tree.map(lambda a: a + 0.1, jax.jit(part.init)(jax.random.key(0), None))

    @jax.jit
    def both(v):
        u = part.flow.inverse(params, v, None)
        slopes = jax.jacfwd(lambda v: part.flow.inverse(params, v, None))(v)
        expected = part.flow.base.log_prob(params, u, None) + jnp.linalg.slogdet(slopes)[1]
        return part.flow.forward(params, u, None), part.log_prob(params, v, None), expected

    v = jax.random.normal(jax.random.key(1), (SIZE,))
    back, found, expected = both(v)
    np.testing.assert_allclose(back, v, atol=1e-5)
    assert float(found) == pytest.approx(float(expected), abs=1e-4)
