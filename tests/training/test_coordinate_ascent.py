"""The two turns of EM against the closed forms of probabilistic PCA, and against the exact evidence."""

import exact
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.evaluation.annealing.annealed import ancestral_sample
from jaxvae.evaluation.exact.grid import grid_posterior
from jaxvae.evaluation.exact.parts import evidence_parts, gaussian_on_grid
from jaxvae.models.exact.linear import linear_gaussian_log_evidence
from jaxvae.models.exact.linear_encoder import linear_gaussian_elbo
from jaxvae.models.exact.pixels import four_by_four
from jaxvae.models.records import DiagNormal
from jaxvae.training.search.coordinate_ascent import e_step, m_step, quadrature_elbo

pytestmark = pytest.mark.quick_compile


def linear(latents, orthogonal=False):
    """(model, params, x [20, 6], noise) of a linear-Gaussian model and draws of it."""
    model, truth = exact.linear(latents=latents, orthogonal=orthogonal)
    params = jax.jit(model.init)(jax.random.key(0), jnp.float32(truth.x))
    x, _ = ancestral_sample(model, params, jax.random.key(1), 20)
    return model, params, x, truth.noise


@pytest.mark.slow
@pytest.mark.parametrize("latents", [1, 2])
def test_the_quadrature_elbo_is_the_closed_form(latents):
    model, params, x, noise = linear(latents)
    rng = np.random.default_rng(0)
    encoder = {
        "weights": jnp.float32(0.3 * rng.normal(size=(latents, 6))),
        "bias": jnp.float32(rng.normal(size=latents)),
        "log_var": jnp.float32(rng.normal(size=latents)),
    }
    q = DiagNormal(x @ encoder["weights"].T + encoder["bias"][None], jnp.tile(encoder["log_var"], (20, 1)))
    expected = [float(linear_gaussian_elbo(params | {"encoder": encoder}, one, noise=noise)) for one in x]
    np.testing.assert_allclose(quadrature_elbo(model, params, x, q), expected, rtol=2e-5)


@pytest.mark.rows(slow=["1"], full=["2"])
@pytest.mark.parametrize("latents", [1, 2])
def test_the_e_step_reaches_the_evidence_where_the_posterior_is_a_diagonal_gaussian(latents):
    model, params, x, noise = linear(latents, orthogonal=True)
    start = DiagNormal(np.ones((20, latents)), np.zeros((20, latents)))
    q = e_step(model, params, x, start)
    evidence = [float(linear_gaussian_log_evidence(params["decoder"], one, noise=noise)) for one in x]
    np.testing.assert_allclose(quadrature_elbo(model, params, x, q), evidence, atol=2e-3)


@pytest.mark.rows(slow=["2"])
@pytest.mark.parametrize("latents", [1, 2])
def test_the_m_step_is_the_regression_of_probabilistic_pca(latents):
    """Weights and bias solve least squares of x on (E[z], 1), with Var[z] added to the second moments of z."""
    model, params, x, _ = linear(latents)
    rng = np.random.default_rng(0)
    mean, log_var = rng.normal(size=(20, latents)), rng.normal(-1, 0.5, (20, latents))
    q = DiagNormal(mean, log_var)
    found = m_step(model, params, x, q)
    design = np.c_[mean, np.ones(20)]
    moments = design.T @ design + np.diag([*np.exp(log_var).sum(0), 0])
    expected = np.linalg.solve(moments, design.T @ np.float64(x))
    np.testing.assert_allclose(found["decoder"]["weights"], expected[:latents].T, atol=5e-3)
    np.testing.assert_allclose(found["decoder"]["bias"], expected[latents], atol=5e-3)
    jax.tree.map(np.testing.assert_array_equal, found["encoder"], params["encoder"])


@pytest.mark.full
def test_turn_by_turn_the_elbo_never_falls_and_the_decoder_finds_the_truth():
    truth = four_by_four(noise=0.4)
    blank = jnp.zeros((4, 4, 1))
    x, _ = ancestral_sample(truth, truth.init(jax.random.key(0), blank), jax.random.key(1), 60)
    model = four_by_four(radius=0.6, width=1.4, noise=0.4)
    params = jax.jit(model.init)(jax.random.key(0), blank)
    grid = grid_posterior(model, params, np.asarray(x), points=601)
    q = DiagNormal(grid.axes[0][grid.density.argmax(1)][:, None], np.full((60, 1), -2.0))
    elbos = []
    for _ in range(6):
        q = e_step(model, params, x, q)
        elbos.append(float(quadrature_elbo(model, params, x, q).mean()))
        params = m_step(model, params, x, q)
        elbos.append(float(quadrature_elbo(model, params, x, q).mean()))
    assert np.diff(elbos).min() > -1e-4
    assert elbos[-1] > elbos[0] + 0.2
    assert float(params["decoder"]["radius"]) == pytest.approx(1.2, abs=0.1)
    assert float(np.exp(params["decoder"]["log_width"])) == pytest.approx(0.8, abs=0.08)
    # The bound that was climbed is the one that the grid measures.
    grid = grid_posterior(model, params, np.asarray(x), points=601)
    parts = evidence_parts(grid, gaussian_on_grid(grid.axes, q))
    assert parts.elbo.mean() == pytest.approx(elbos[-1], abs=2e-3)
    assert (parts.gap >= 0).all()


def wrong_calls():
    model, params, x, _ = linear(1)
    q = DiagNormal(np.zeros((20, 1)), np.zeros((20, 1)))
    return {
        "q of fewer": ("q has mean", lambda: e_step(model, params, x, DiagNormal(*(part[:3] for part in q)))),
        "q of three": ("Z of 1 or 2", lambda: quadrature_elbo(model, params, x, DiagNormal(*np.zeros((2, 20, 3))))),
        "nodes": ("nodes is 0", lambda: quadrature_elbo(model, params, x, q, nodes=0)),
        "steps": ("steps is 0", lambda: e_step(model, params, x, q, steps=0)),
        "one example": ("x has shape", lambda: quadrature_elbo(model, params, x[0], q)),
        "part": ("part is 'prior'", lambda: m_step(model, params, x, q, part="prior")),
    }


@pytest.mark.rows(every=2)
@pytest.mark.rows(slow=["part"])
@pytest.mark.parametrize("name", wrong_calls())
def test_wrong_input_is_named(name):
    words, call = wrong_calls()[name]
    with pytest.raises(ValueError, match=words):
        call()
