"""What rounding loses of a flow's density, and that a run says it."""

import jax
import numpy as np
import pytest

from jaxvae.evaluation.bounds import density_error
from jaxvae.flows.couplings import real_nvp
from jaxvae.models.priors.flow import flow_prior
from jaxvae.models.variational import vae
from jaxvae.networks.conditioner import ConditionerMLP
from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
from jaxvae.runs.configs.config import ModelConfig
from jaxvae.runs.summary import rounded

PRIOR = flow_prior(real_nvp(4, lambda size: ConditionerMLP(size, (32,)), layers=4), 4)


def moved(noise):
    """The parameters at the start, all moved by a normal number."""
    leaves, tree = jax.tree.flatten(PRIOR.init(jax.random.key(0), None))
    rng = np.random.default_rng(0)
    return jax.tree.unflatten(tree, [leaf + noise * rng.normal(size=leaf.shape).astype(np.float32) for leaf in leaves])


@pytest.mark.slow
def test_a_gentle_flow_has_its_density_in_both_directions_and_a_wild_one_has_not():
    gentle, wild = (density_error(PRIOR, moved(noise), jax.random.key(0), samples=200) for noise in (0.03, 0.5))
    assert gentle.shape == (200,)
    assert gentle.max() < 1e-3
    assert wild.mean() > 0.1


@pytest.mark.slow
@pytest.mark.rows(slow=["0.5-words1"])
@pytest.mark.parametrize(("noise", "words"), [(0.03, []), (0.5, ["has lost its digits", "--optim.lr"])])
def test_a_run_says_that_the_density_of_its_prior_is_lost(noise, words):
    model = vae(MLPEncoder(4, (4,)), MLPDecoder((2, 2, 1)), event_shape=(2, 2, 1), latent_dim=4, prior=PRIOR)
    lines = []
    found = rounded(ModelConfig(prior="real_nvp"), model, moved(noise), jax.random.key(0), lines.append)
    assert (found["prior_density_error"]["nats"] > 0.1) == bool(words)
    assert all(word in "".join(lines) for word in words)
    assert bool(lines) == bool(words)
    assert rounded(ModelConfig(), model, {}, jax.random.key(0), lines.append) == {}
