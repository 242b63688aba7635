"""Training on incomplete examples: the bound against the exact evidence, and a model that learns from halves."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.stats import multivariate_normal
from small import SHAPE, grey, images, small_vae

from jaxvae.models.exact.linear import linear_gaussian
from jaxvae.models.exact.linear_encoder import linear_gaussian_encoder
from jaxvae.models.incomplete import Incomplete
from jaxvae.objectives.bounds import iwae_bound
from jaxvae.training.engine.loop import train
from jaxvae.training.engine.parallel import compile_steps
from jaxvae.training.engine.state import init_state
from jaxvae.training.losses.incomplete import incomplete_loss

pytestmark = pytest.mark.quick_compile


@pytest.mark.slow
def test_the_bound_climbs_to_the_exact_evidence_of_the_observed_part():
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(4, 2)).astype(np.float32)
    model = linear_gaussian(jnp.asarray(weights), noise=1.0)
    params = jax.jit(model.init)(
        jax.random.key(0), jnp.zeros(4)
    )  # its encoder is the prior, so that no weight is extreme
    x = (rng.normal(size=(50, 2)) @ weights.T + rng.normal(size=(50, 4))).astype(np.float32)
    masks = rng.uniform(size=(50, 4)) < 0.6
    cov = np.float64(weights) @ weights.T + np.eye(4)
    exact = [
        multivariate_normal(np.zeros(mask.sum()), cov[np.ix_(mask, mask)]).logpdf(row[mask]) if mask.any() else 0.0
        for row, mask in zip(x, masks, strict=True)
    ]
    batch = Incomplete(jnp.where(masks, x, jnp.nan), jnp.asarray(masks))
    bounds = []
    for samples in (1, 10, 20_000):
        loss = jax.jit(incomplete_loss(model, samples=samples))
        value, metrics = loss(params, jax.random.split(jax.random.key(1), 50), batch, 0)
        bounds.append(-float(value))
        assert metrics["observed"] == pytest.approx(masks.mean())
    assert bounds[0] < bounds[1] < bounds[2] + 0.02
    assert bounds[2] == pytest.approx(np.mean(exact), abs=0.02)


@pytest.mark.slow
def test_with_every_pixel_observed_it_is_the_importance_weighted_bound():
    weights = np.random.default_rng(1).normal(size=(4, 2)).astype(np.float32)
    model = linear_gaussian(jnp.asarray(weights), noise=1.0)
    params = jax.jit(model.init)(jax.random.key(0), jnp.zeros(4))
    params["encoder"] = linear_gaussian_encoder(params["decoder"], noise=1.0)
    x, key = jnp.array([1.0, -1.0, 0.5, 2.0]), jax.random.key(2)
    value, _ = incomplete_loss(model, samples=7)(params, key[None], Incomplete(x[None], jnp.ones((1, 4), bool)), 0)
    terms = jax.vmap(model.terms, (None, 0, None))(params, jax.random.split(key, 7), x)
    assert -float(value) == pytest.approx(float(iwae_bound(terms)), rel=1e-5)


@pytest.mark.full
def test_a_model_learns_from_halves_what_it_never_saw_whole():
    model, raw = small_vae(), images(400)
    masks = np.random.default_rng(2).uniform(size=raw.shape) < 0.5
    hidden = Incomplete(np.where(masks, raw, 0), masks)
    compiled = compile_steps(
        incomplete_loss(model, samples=5),
        optax.adam(1e-2),
        lambda key, example: Incomplete(grey(key, example.value), example.observed),
        batch_size=40,
        steps_per_call=100,
        mode="jit",
    )
    example = jnp.zeros(SHAPE)
    state = init_state(model, optax.adam(1e-2), jax.random.key(0), example)
    judge = jax.jit(incomplete_loss(model, samples=50))
    whole = Incomplete(np.float32(images(100, seed=5)) / 255, np.ones((100, *SHAPE), bool))
    keys = jax.random.split(jax.random.key(3), 100)
    before = float(judge(state.params, keys, whole, 0)[0])
    for report in train(compiled, state, hidden, 300):
        state = report.state
    assert float(judge(state.params, keys, whole, 0)[0]) < before - 2
