"""Progressive growing: what is seen at which step, exactly; and a run that goes on within a stage and across two."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import SHAPE, grey, images, same_bits

from jaxvae.networks.discriminator import MLPCritic
from jaxvae.networks.residual.progressive import GrowingCritic, GrowingDecoder, doubled, halved
from jaxvae.networks.residual.stage_players import growing
from jaxvae.runs.builders.from_config import build_model, build_recipe
from jaxvae.runs.configs.config import Config, ModelConfig
from jaxvae.training.checkpoints.checkpoint import restore, save
from jaxvae.training.engine.growth import growth_at
from jaxvae.training.engine.loop import train
from jaxvae.training.engine.parallel import compile_steps
from jaxvae.training.engine.state import init_state
from jaxvae.training.losses.adversarial_images import gan_loss

pytestmark = pytest.mark.quick_compile

KEY = jax.random.key(0)
DECODER, CRITIC = GrowingDecoder((8, 8, 2), 1, (4, 4, 8), 8), GrowingCritic((4, 4, 8), 8)


def shaken(variables):
    """Away from the start, where a block's last layer is 0."""
    leaves, tree = jax.tree.flatten(variables)
    keys = jax.random.split(KEY, len(leaves))
    return tree.unflatten([leaf + 0.2 * jax.random.normal(k, leaf.shape) for k, leaf in zip(keys, leaves, strict=True)])


def rows(x):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(x)])


@pytest.mark.slow
@pytest.mark.parametrize(("network", "shape"), [(DECODER, (3,)), (CRITIC, (8, 8, 2))], ids=["generator", "critic"])
def test_a_stage_fades_in_from_exactly_the_one_before_to_exactly_itself(network, shape):
    x = jax.random.normal(KEY, shape)
    variables = shaken(network.init(KEY, x))
    player = growing(network)
    at = jax.jit(lambda growth: player.apply({"network": variables, "growth": growth}, x))
    plain = [rows(network.apply(variables, x, stage)) for stage in range(3)]
    assert np.abs(plain[2] - plain[1]).max() > 1e-3
    for stage in (1, 2):
        np.testing.assert_array_equal(rows(network.apply(variables, x, stage, 0.0)), plain[stage - 1])
        np.testing.assert_array_equal(rows(network.apply(variables, x, stage, 1.0)), plain[stage])
        np.testing.assert_allclose(rows(at(jnp.float32(stage))), plain[stage], rtol=1e-5, atol=1e-6)
    between = rows(network.apply(variables, x, 2, 0.25))
    np.testing.assert_allclose(rows(at(jnp.float32(1.25))), between, rtol=1e-5, atol=1e-6)
    if network is DECODER:  # in the outputs themselves; a critic blends what its layers see
        np.testing.assert_allclose(between, 0.75 * plain[1] + 0.25 * plain[2], rtol=1e-5, atol=1e-6)


def test_real_pictures_are_shown_as_coarse_as_the_drawn_ones():
    x = jax.random.uniform(KEY, (8, 8, 1))
    player = growing(CRITIC)
    seen = {g: np.asarray(player.shown({"growth": jnp.float32(g)}, x)) for g in (0.0, 0.5, 1.0, 2.0)}
    np.testing.assert_array_equal(seen[2.0], x)
    np.testing.assert_array_equal(seen[1.0], doubled(halved(x)))
    np.testing.assert_array_equal(seen[0.0], doubled(halved(halved(x)), 2))
    np.testing.assert_allclose(seen[0.5], 0.5 * seen[0.0] + 0.5 * seen[1.0], rtol=1e-6)
    np.testing.assert_array_equal(halved(jnp.asarray(doubled(x))), x)  # what was enlarged comes back to the bit


@pytest.mark.slow
def test_a_square_slope_by_the_whole_picture_is_that_by_the_picture_in_use_over_its_pixels():
    critic, x = GrowingCritic((2, 2), 4), jax.random.uniform(KEY, (4, 4, 1))
    variables = shaken(critic.init(KEY, x))

    @jax.jit
    def squares(x):
        whole = jax.grad(lambda x: critic.apply(variables, x, 0)[0])(x)
        small = jax.grad(lambda small: critic.apply(variables, doubled(small), 0)[0])(halved(x))
        return (whole**2).sum(), (small**2).sum()

    whole, small = squares(x)
    pixels = {g: float(growing(critic).pixel({"growth": jnp.float32(g)})) for g in (0.0, 0.5, 1.0)}
    assert float(small) == pytest.approx(pixels[0.0] * float(whole), rel=1e-4)
    assert pixels == {0.0: 4.0, 0.5: pytest.approx(2.0), 1.0: 1.0}


@pytest.mark.slow
def test_a_scaled_penalty_is_one_of_so_much_more_weight():
    kind = ModelConfig("gan", hidden=(4,), critic_hidden=(4,), latent_dim=2)
    model, critic = build_model(kind, SHAPE, protocol="grey"), MLPCritic((4,))
    params = model.init(KEY, jnp.zeros(SHAPE))
    asked = []

    def scale(variables):
        asked.append(variables)
        return jnp.float32(4.0)

    def value(weight, **more):
        loss = gan_loss(model, critic, zero_centred_penalty_weight=weight, **more)
        return float(jax.jit(lambda p: loss(p, jax.random.split(KEY, 5), x, 0)[0])(params))

    x = jax.random.uniform(KEY, (5, *SHAPE))
    assert value(0.5, penalty_scale=scale) == pytest.approx(value(2.0), rel=1e-6)
    assert value(2.0) != pytest.approx(value(0.5), rel=1e-6)
    assert jax.tree.structure(asked[0]) == jax.tree.structure(params["critic"])
    value(0.0, penalty_scale=scale)
    assert len(asked) == 1  # nothing to scale, and no slope is taken


def test_the_growth_is_a_function_of_the_step():
    found = [float(growth_at(step, 4, 3)) for step in range(0, 30)]
    assert found[:5] == [0.0] * 5
    assert found[4:9] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert found[8:13] == [1.0] * 5
    assert found[16:] == [2.0] * 14


def test_what_is_no_network_of_stages_is_refused():
    for network in (GrowingCritic, None, jax.nn.relu):
        with pytest.raises(TypeError, match="expected a network of stages, such as GrowingCritic"):
            growing(network)
    with pytest.raises(ValueError, match="need sides that are multiples of 4"):
        GrowingDecoder((6, 6, 1), features=(4, 4, 4))


@pytest.mark.full
def test_a_run_that_goes_on_within_a_fade_and_across_two_stages_is_the_unbroken_run_to_the_bit(tmp_path):
    kind = ModelConfig("progressive_gan", features=(4, 4), dense=8, latent_dim=2, grow_steps=3)
    model = build_model(kind, SHAPE, protocol="grey")
    recipe = build_recipe(Config(model=kind, batch_size=10, epochs=2), model, 5)
    state = init_state(model, recipe.optimizer, KEY, jnp.zeros(SHAPE))
    compiled = compile_steps(recipe.loss, recipe.optimizer, grey, batch_size=10, steps_per_call=20)
    whole = [report.state for report in train(compiled, state, images(), 8)][-1]
    found, stages = state, []
    for stop in (2, 5, 8):  # the first stage alone, within the fade, in the last stage
        found = [report.state for report in train(compiled, found, images(), stop)][-1]
        save(tmp_path / str(stop), found, step=stop)
        found = restore(tmp_path / str(stop), found)[0]
        stages.append(jax.tree.map(np.asarray, found.params))
    assert same_bits(found, whole)
    assert [float(params[name]["growth"]) for params in stages for name in ("decoder", "critic")] == pytest.approx(
        [0, 0, 2 / 3, 2 / 3, 1, 1]
    )
    finer = [params["decoder"]["network"]["params"]["pixels_1"]["kernel"] for params in (state.params, *stages)]
    np.testing.assert_array_equal(finer[0], finer[1])  # not in use, so without a gradient
    assert (finer[1] != finer[2]).any()
