"""A mixture of whole pixels: it sums to 1 over all colours, a loop in float64 agrees, samples follow it."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles import user_jit
from scipy import special, stats

from jaxvae.models.observations.colours import coupled_logistic_mixture
from jaxvae.models.observations.discrete import logistic_mixture

pytestmark = pytest.mark.quick_compile
COMPONENTS = 2


def outputs_of(width, pixels=1, seed=0):
    return np.random.default_rng(seed).normal(size=(pixels, width * 4 * COMPONENTS)).astype(np.float32)


def colours(levels, width):
    return np.array(list(itertools.product(range(levels), repeat=width)), np.float32)


def oracle(x, outputs, levels):
    """log P of one pixel x [C] by a loop in float64, from the equation of the docstring."""
    width = len(x)
    logits, means, raw, last = np.float64(outputs).reshape(width, 4, COMPONENTS).transpose(1, 0, 2)
    values, total = 2 * np.float64(x) / (levels - 1) - 1, 0.0
    weights = special.softmax(logits.sum(0))
    for m in range(COMPONENTS):
        k = iter(np.tanh(last[:, m]))
        product = weights[m]
        for c in range(width):
            centre = means[c, m] + sum(next(k) * values[b] for b in range(c))
            log_scale = np.log(np.exp(raw[c, m]) + 2 / (levels - 1) / 9)
            scale = np.exp(log_scale if log_scale <= 0 else np.log(2) * log_scale / (log_scale + np.log(2)))
            upper = np.inf if x[c] == levels - 1 else values[c] + 1 / (levels - 1)
            lower = -np.inf if x[c] == 0 else values[c] - 1 / (levels - 1)
            product *= special.expit((upper - centre) / scale) - special.expit((lower - centre) / scale)
        total += product
    return np.log(total)


@pytest.mark.parametrize(("width", "levels"), [(1, 9), (2, 4), (3, 2), (3, 5)])
def test_all_colours_sum_to_one_and_each_is_that_of_the_equation(width, levels):
    observation, outputs, x = coupled_logistic_mixture(COMPONENTS, levels), outputs_of(width), colours(levels, width)
    log_p = np.float64(user_jit(jax.vmap(lambda c: observation.log_prob({}, c[None], outputs)))(x))
    assert np.exp(log_p).sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(log_p, [oracle(c, outputs[0], levels) for c in x], rtol=1e-4, atol=1e-4)


def test_it_is_the_equation_at_256_levels_and_pixels_add():
    observation, outputs = coupled_logistic_mixture(COMPONENTS), outputs_of(3, pixels=20, seed=1)
    x = np.random.default_rng(2).integers(0, 256, (20, 3)).astype(np.float32)
    expected = sum(oracle(c, row, 256) for c, row in zip(x, outputs, strict=True))
    found = user_jit(observation.log_prob)({}, x.reshape(4, 5, 3), outputs.reshape(4, 5, -1))
    assert float(found) == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_samples_and_means_are_those_of_the_probabilities():
    levels, draws = 4, 20_000
    observation, outputs, x = coupled_logistic_mixture(COMPONENTS, levels), outputs_of(3, seed=3), colours(levels, 3)
    probability = np.exp([oracle(c, outputs[0], levels) for c in x])

    @user_jit
    def experiment(key):
        keys = jax.random.split(key, draws)
        return jax.vmap(lambda k: observation.sample({}, k, outputs)[0])(keys), observation.mean({}, outputs)[0]

    drawn, mean = experiment(jax.random.key(0))
    counts = np.bincount(np.int64(drawn) @ [16, 4, 1], minlength=64)
    assert stats.chisquare(counts, draws * probability / probability.sum()).pvalue > 1e-3
    exact = probability @ x
    assert mean[0] == pytest.approx(exact[0], abs=1e-4)
    np.testing.assert_allclose(mean, exact, atol=0.02 * (levels - 1))
    assert np.cov(np.float64(drawn).T)[0, 1] != pytest.approx(0, abs=0.01)  # green sees red


@pytest.mark.slow
def test_grey_pixels_are_those_of_the_mixture_without_coupling_and_more_than_three_channels_are_refused():
    outputs = outputs_of(1, pixels=6)
    plain = outputs.reshape(6, 4, COMPONENTS)[:, :3].reshape(6, -1)
    x, ours, theirs = (
        np.float32([[0], [1], [2], [3], [4], [2]]),
        *(make(COMPONENTS, 5) for make in (coupled_logistic_mixture, logistic_mixture)),
    )
    assert float(user_jit(ours.log_prob)({}, x, outputs)) == pytest.approx(
        float(theirs.log_prob({}, x, plain)), rel=1e-5
    )
    np.testing.assert_allclose(user_jit(ours.mean)({}, outputs), theirs.mean({}, plain), rtol=1e-5)
    with pytest.raises(ValueError, match="4 channels, expected at most 3"):
        ours.log_prob({}, jnp.zeros((1, 1, 4)), jnp.zeros((1, 1, 4 * 4 * COMPONENTS)))
