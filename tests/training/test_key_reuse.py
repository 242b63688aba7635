"""No key is used twice: JAX's own checker is silent about training, annealing, searching and imputing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import SHAPE, images, small_vae

import jaxvae
from jaxvae.evaluation.annealing.annealed import ancestral_sample, annealed_bounds
from jaxvae.evaluation.bounds.imputation import impute
from jaxvae.evaluation.local.bounds import local_bounds
from jaxvae.objectives.bounds import elbo, iwae_bound
from jaxvae.objectives.estimators import doubly_reparameterized, score_function, sticking_the_landing
from jaxvae.training.losses.accumulation import micro_batches
from jaxvae.training.losses.bound import bound_loss
from jaxvae.training.losses.samples import CHUNK

pytestmark = pytest.mark.quick_compile

MANY = CHUNK + 3  # more samples than go through a model at once
LOSSES = {
    "elbo": lambda model: bound_loss(model, elbo),
    "iwae": lambda model: bound_loss(model, iwae_bound, samples=3),
    "iwae of many samples": lambda model: bound_loss(model, iwae_bound, samples=MANY),
    "path gradient": lambda model: bound_loss(model, elbo, samples=2, estimator=sticking_the_landing),
    "score function": lambda model: bound_loss(model, iwae_bound, samples=3, estimator=score_function),
    "dreg of many samples": lambda model: bound_loss(model, iwae_bound, samples=MANY, estimator=doubly_reparameterized),
    "micro-batches": lambda model: micro_batches(bound_loss(model, elbo), 4),
}


@pytest.fixture(autouse=True)
def _checker():
    with jax.debug_key_reuse(True):
        yield


def test_the_checker_is_on():
    key = jax.random.key(0)
    jax.random.normal(key)
    with pytest.raises(jax.errors.KeyReuseError):
        jax.random.normal(key)


@pytest.mark.rows(every_slow=3)
@pytest.mark.rows(quick=["micro-batches"])
@pytest.mark.parametrize("name", LOSSES)
def test_training_uses_no_key_twice(name):
    model = small_vae()
    jaxvae.fit(model, images(), protocol="dynamic", loss=LOSSES[name](model), epochs=1, batch_size=8, progress=False)


@pytest.fixture(name="trained")
def _trained():
    model = small_vae()
    x = jnp.asarray(np.stack([np.asarray(image) for image in images()[:3]]) > 127, jnp.float32)
    return model, model.init(jax.random.key(0), x[0]), x


@pytest.mark.slow
def test_annealing_both_ways_uses_no_key_twice(trained):
    model, params, _ = trained
    x, z = ancestral_sample(model, params, jax.random.key(1), 3)
    annealed_bounds(model, params, jax.random.key(2), x, z, temperatures=4, chains=2, leapfrog_steps=2)


@pytest.mark.slow
def test_the_search_for_the_best_posterior_uses_no_key_twice(trained):
    model, params, x = trained
    local_bounds(model, params, jax.random.key(1), x, samples=25, steps=3)


@pytest.mark.slow
def test_imputation_uses_no_key_twice(trained):
    model, params, x = trained
    impute(model, params, jax.random.key(1), x, np.arange(16).reshape(SHAPE) < 8, samples=4, draws=2)
