"""A GAN of residual networks: shapes, a gradient for every number, no example that sees another, and a small game."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import images, moved

import jaxvae
from jaxvae.networks.residual.critic import ResNetCritic
from jaxvae.runs.builders.from_config import build_model, build_recipe
from jaxvae.runs.configs.config import Config, ModelConfig, OptimConfig
from jaxvae.training.losses.adversarial_images import gan_loss

pytestmark = pytest.mark.quick_compile

KEY = jax.random.key(0)
GAN = ModelConfig("gan", network="resnet", features=(16,), dense=8, latent_dim=3)


@pytest.mark.parametrize(("shape", "features"), [((28, 28, 1), (4, 8)), ((32, 32, 3), (4, 4, 8)), ((8, 8, 3), (4,))])
def test_a_critic_takes_pictures_of_any_size_and_starts_without_its_blocks(shape, features):
    critic = ResNetCritic(features, dense=8)
    variables = jax.eval_shape(critic.init, KEY, jnp.zeros(shape))
    logit, seen = jax.eval_shape(critic.apply, variables, jnp.zeros(shape))
    assert logit.shape == ()
    assert seen.size == shape[0] * shape[1] // 4 ** len(features) * features[-1]
    with pytest.raises(ValueError, match="need sides that are multiples of 8"):
        jax.eval_shape(ResNetCritic((4, 4, 4)).init, KEY, jnp.zeros((28, 28, 1)))


@pytest.mark.slow
def test_a_game_of_residual_networks_has_a_gradient_for_every_number():
    """Away from the start, where a block's last layer is 0 and hides the one before."""
    model = build_model(GAN, (4, 4, 3), protocol="grey")
    params = moved(jax.jit(model.init)(KEY, jnp.zeros((4, 4, 3))), 0.1)
    loss = gan_loss(model, ResNetCritic((16,), 8), zero_centred_penalty_weight=1.0)
    x = jax.random.uniform(KEY, (4, 4, 4, 3))
    gradient = jax.jit(jax.grad(lambda params: loss(params, jax.random.split(KEY, 4), x, 0)[0]))(params)
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        if "Dense_1" in str(path) and "critic" in str(path) and leaf.shape == (1,):
            continue  # the bias of a logit: a game of pairs looks at differences alone
        assert np.abs(leaf).max() > 0, jax.tree_util.keystr(path)


@pytest.mark.full
def test_a_small_game_of_residual_networks_runs():
    config = Config(model=GAN, optim=OptimConfig(lr=1e-3), batch_size=10, epochs=2)
    model = build_model(GAN, (4, 4, 1), protocol="grey")
    recipe = build_recipe(config, model, 4)
    params, history = jaxvae.fit(
        model, images(40), protocol="grey", loss=recipe.loss, optimizer=recipe.optimizer, epochs=2, batch_size=10,
        progress=False,
    )  # fmt: skip
    start = jax.eval_shape(model.init, KEY, jnp.zeros((4, 4, 1)))
    assert np.isfinite([record["loss"] for record in history]).all()
    assert jax.tree.structure(params) == jax.tree.structure(start)
