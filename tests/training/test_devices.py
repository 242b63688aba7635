"""One device equals two: every loss of the room, its value and the step of plain gradient descent that it gives."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from small import LATENTS, SHAPE, Encoder, Linear, images, small_vae
from test_adversarial import LOSSES as GAMES
from test_adversarial import Critic

from jaxvae.data.protocols import as_it_is
from jaxvae.models.contexts import Labelled
from jaxvae.models.diffusion.bound import diffusion_model
from jaxvae.models.incomplete import Incomplete
from jaxvae.models.players.critic import with_critic
from jaxvae.models.players.cycle import cycle_gan
from jaxvae.models.players.generator import gan
from jaxvae.models.variational import vae
from jaxvae.models.vq import vq_vae
from jaxvae.networks.conditional import with_context
from jaxvae.networks.denoisers import MLPDenoiser
from jaxvae.networks.deterministic import MLPClassifier
from jaxvae.networks.discriminator import projection_critic
from jaxvae.networks.rngs import with_rngs
from jaxvae.objectives import estimators
from jaxvae.objectives.bounds import elbo, iwae_bound
from jaxvae.objectives.rates import balanced_bound, capacity_bound, free_bits_bound
from jaxvae.training import losses
from jaxvae.training.engine.state import TrainState, init_state
from jaxvae.training.engine.step import make_step
from jaxvae.training.losses.batch import batch_terms
from jaxvae.training.losses.whole_batch import gathered, own_rows, shared_key, shared_keys, spread_over

pytestmark = pytest.mark.quick_compile

B, CLASSES = 8, MLPClassifier(2, (4,))


def of_vae(build, batch=lambda x: x, model=small_vae):
    """(model, loss, batch of raw examples)."""
    made = model()
    return made, build(made), batch(jnp.float32(images(B) > 100))


def of_game(name):
    model, sees, build = GAMES[name]
    return of_vae(lambda m: build(m, Critic()), model=lambda: with_critic(model(), Critic(), sees=sees))


class Dropped(nn.Module):
    """A layer with dropout: a decoder, or a critic with features."""

    critic: bool = False

    @nn.compact
    def __call__(self, x, train=False):
        hidden = nn.Dropout(0.5, deterministic=not train)(nn.tanh(nn.Dense(8)(x.reshape(-1))))
        out = nn.Dense(1 if self.critic else 16)(hidden)
        return (out[0], hidden) if self.critic else out.reshape(SHAPE)


def with_dropout(name):
    _, sees, build = GAMES[name]
    critic, encoder, decoder = with_rngs(Dropped(True), "dropout"), Encoder(), with_rngs(Dropped(), "dropout")

    def model():
        plain = vae(encoder, decoder, event_shape=SHAPE, latent_dim=LATENTS)
        return with_critic(plain, critic, sees=sees)

    return of_vae(lambda m: build(m, critic), model=model)


def classified():
    return with_critic(small_vae(), CLASSES, name="classifier")


def quantised():
    return vq_vae(Linear(2, (2,)), Linear(16, SHAPE), event_shape=SHAPE, code_shape=(2,), codes=4)


def own_loss(model):
    """A user's own, of the spread of the batch's codes around random directions that the batch shares."""

    def loss(params, keys, batch, step):
        terms = batch_terms(model, params, keys, batch)
        z, key = gathered(terms.z[:, 0]), shared_key(keys)
        directions = jax.random.normal(key, (LATENTS, 4))
        value = jnp.var(z @ directions, axis=0).sum() - terms.log_weight.mean()
        return value, {"loss": value}

    return loss


PLAYERS = cycle_gan(Linear(16, SHAPE), Linear(16, SHAPE), critics=(Critic(), Critic()), event_shape=SHAPE)
TOLD_CRITIC = projection_critic(Critic())
outliers = jnp.float32(images(3, seed=9) > 100)
# name of the constructor, and which of its kinds: what to train
TABLE = {
    "bound_loss": lambda: of_vae(losses.bound_loss),
    "bound_loss, iwae": lambda: of_vae(lambda m: losses.bound_loss(m, iwae_bound, samples=3)),
    "bound_loss, estimator": lambda: of_vae(
        lambda m: losses.bound_loss(m, iwae_bound, samples=3, estimator=estimators.doubly_reparameterized)
    ),
    "batch_bound_loss, free bits": lambda: of_vae(
        lambda m: losses.batch_bound_loss(m, free_bits_bound, free_nats=0.3, samples=2)
    ),
    "batch_bound_loss, capacity": lambda: of_vae(
        lambda m: losses.batch_bound_loss(m, capacity_bound, capacity=3.4, gamma=3.0)
    ),
    "batch_bound_loss, balanced": lambda: of_vae(lambda m: losses.batch_bound_loss(m, balanced_bound)),
    "mmd_penalty": lambda: of_vae(
        lambda m: losses.bound_loss(m, elbo, samples=2, batch_penalty=losses.mmd_penalty(m, 10.0))
    ),
    "mmd_penalty, batch": lambda: of_vae(
        lambda m: losses.batch_bound_loss(m, free_bits_bound, free_nats=0.3, batch_penalty=losses.mmd_penalty(m, 9.0))
    ),
    "dip_vae_penalty, I": lambda: of_vae(
        lambda m: losses.bound_loss(m, batch_penalty=losses.dip_vae_penalty(kind="I"))
    ),
    "dip_vae_penalty, II": lambda: of_vae(lambda m: losses.bound_loss(m, batch_penalty=losses.dip_vae_penalty())),
    "tc_vae_loss": lambda: of_vae(lambda m: losses.tc_vae_loss(m, 100, samples=2)),
    "factor_vae_loss": lambda: of_game("factor vae"),
    "adversarial_autoencoder_loss": lambda: of_game("aae"),
    "adversarial_autoencoder_loss, wasserstein": lambda: of_game("aae, wasserstein"),
    "gan_loss": lambda: of_game("gan"),
    "gan_loss, told the class": lambda: of_vae(
        lambda m: losses.gan_loss(m, TOLD_CRITIC, zero_centred_penalty_weight=0.3),
        lambda x: Labelled(x, jnp.arange(B) % 2),
        lambda: with_critic(
            gan(with_context(Linear(16, SHAPE)), event_shape=SHAPE, latent_dim=2, context=2),
            TOLD_CRITIC,
            sees="example",
        ),
    ),
    "gan_loss, wasserstein": lambda: of_game("gan, wasserstein"),
    "vae_gan_loss": lambda: of_game("vae-gan"),
    "cycle_gan_loss": lambda: of_vae(
        lambda m: losses.cycle_gan_loss(PLAYERS, zero_centred_penalty_weight=0.3),
        lambda x: {"a": x, "b": 1.0 - x},
        lambda: PLAYERS.model,
    ),
    "vq_loss": lambda: of_vae(losses.vq_loss, model=quantised),
    "incomplete_loss": lambda: of_vae(
        lambda m: losses.incomplete_loss(m, samples=2),
        lambda x: Incomplete(x, jax.random.bernoulli(jax.random.key(1), 0.6, x.shape)),
    ),
    "outlier_exposure_loss": lambda: of_vae(lambda m: losses.outlier_exposure_loss(m, outliers, margin=5.0)),
    "supervised_loss": lambda: of_vae(
        lambda m: losses.supervised_loss(m, CLASSES), lambda x: Labelled(x, jnp.arange(B) % 2), classified
    ),
    "schedule_loss": lambda: of_vae(
        lambda m: losses.schedule_loss(
            lambda w: losses.bound_loss(m, batch_penalty=losses.mmd_penalty(m, w)), w=lambda step: 5.0 + step
        )
    ),
    "micro_batches": lambda: of_vae(
        lambda m: losses.micro_batches(losses.bound_loss(m, batch_penalty=losses.mmd_penalty(m, 10.0)), 2)
    ),
    "micro_batches, a piece a device": lambda: of_vae(
        lambda m: losses.micro_batches(losses.bound_loss(m, batch_penalty=losses.mmd_penalty(m, 10.0)), 4)
    ),
    "micro_batches, one piece": lambda: of_vae(
        lambda m: losses.micro_batches(losses.bound_loss(m, batch_penalty=losses.mmd_penalty(m, 10.0)), 8)
    ),
    "own": lambda: of_vae(own_loss),
    "even_times_loss": lambda: of_vae(
        losses.even_times_loss, model=lambda: diffusion_model(MLPDenoiser(SHAPE, hidden=(8,)), event_shape=SHAPE)
    ),
    "factor_vae_loss, dropout": lambda: with_dropout("factor vae"),
    "adversarial_autoencoder_loss, dropout": lambda: with_dropout("aae, wasserstein"),
    "vae_gan_loss, dropout": lambda: with_dropout("vae-gan"),
}


def first(model, batch):
    """An example of the batch, as the model sees it: with its label where it takes one."""
    if isinstance(batch, Labelled | Incomplete) and model.context is None:
        return batch.value[0]
    return jax.tree.map(lambda leaf: leaf[0], batch)


@pytest.mark.rows(every_slow=8)
@pytest.mark.rows(quick=["bound_loss"])
@pytest.mark.parametrize("name", TABLE)
def test_every_loss_is_the_same_on_one_device_and_on_two(name):
    model, loss, batch = TABLE[name]()
    example = first(model, batch)
    optimizer = optax.sgd(1e-2)
    params = jax.jit(model.init)(jax.random.key(0), example)
    start = TrainState(jnp.int32(3), params, optimizer.init(params), jax.random.key(7), None)
    one, expected = jax.jit(make_step(loss, optimizer, as_it_is))(start, batch)
    halves = jax.tree.map(lambda leaf: leaf.reshape(2, -1, *leaf.shape[1:]), batch)
    shared = make_step(loss, optimizer, as_it_is, axis_name="device")
    two, found = jax.pmap(shared, "device", in_axes=(None, 0), out_axes=None)(start, halves)
    assert expected["skipped"] == 0
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6), expected, found)
    moved = [jax.tree.map(jnp.subtract, end.params, params) for end in (one, two)]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), *moved)
    assert optax.tree.norm(moved[0]) > 1e-3


@pytest.mark.rows(quick=["bound_loss", "mmd_penalty", "gan_loss"])
@pytest.mark.parametrize("name", TABLE)
def test_every_loss_may_be_swept_over_seeds_in_one_program(name):
    model, loss, batch = TABLE[name]()
    example = first(model, batch)
    optimizer = optax.sgd(1e-2)
    step = make_step(loss, optimizer, as_it_is)

    def one(seed):
        return step(init_state(model, optimizer, jax.random.key(seed), example), batch)[1]["loss"]

    assert jax.eval_shape(jax.vmap(one), jnp.arange(3)).shape == (3,)


def test_no_loss_of_the_room_is_left_out():
    named = {name for name in losses.__all__ if name.endswith(("_loss", "_penalty")) or name == "micro_batches"}
    assert {name for name in named if not name.startswith("as_")} == {name.split(",")[0] for name in TABLE} - {"own"}


def test_what_a_batch_shares_is_one_on_all_devices_and_another_at_every_step():
    keys = jax.random.split(jax.random.key(0), 6)

    def shares(keys, rows):
        with spread_over("device"):
            key = shared_key(keys)
            return (
                jax.random.key_data(key),
                jax.random.key_data(shared_keys(key, 3)),
                own_rows(rows),
                own_rows(rows[:5]),
            )

    key, each, rows, odd = jax.pmap(shares, "device", in_axes=(0, None))(keys.reshape(2, 3), jnp.arange(6))
    alone = shared_key(keys)
    np.testing.assert_array_equal(key[0], jax.random.key_data(alone))
    np.testing.assert_array_equal(key[1], key[0])
    np.testing.assert_array_equal(each.reshape(6, -1), jax.random.key_data(shared_keys(alone, 6)))
    assert rows.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert odd.tolist() == [[0, 1, 2, 3, 4]] * 2  # five rows cannot be shared by two: each has them all
    assert (jax.random.key_data(shared_key(keys[1:])) != jax.random.key_data(alone)).any()
