"""A GAN of classes: the best critic and both players' gradients of a discrete world, in closed form."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import SHAPE, Linear, images

from jaxvae.evaluation.latents.generation import prior_means
from jaxvae.models.contexts import Labelled
from jaxvae.models.players.critic import with_critic
from jaxvae.models.players.generator import gan
from jaxvae.networks.conditional import with_context
from jaxvae.networks.discriminator import ConvCritic, MLPCritic, projection_critic
from jaxvae.objectives.adversarial import minimax, non_saturating, relativistic, wasserstein
from jaxvae.training.losses.adversarial_images import gan_loss
from jaxvae.training.losses.critic import loss_of_critic

pytestmark = pytest.mark.quick_compile

KEY = jax.random.key(0)
quick_jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


class Plain(NamedTuple):
    """The features of x are x, and its logit w x."""

    def init(self, key, x):
        return jax.random.normal(key, (x.size,))

    def apply(self, weights, x):
        return weights @ x.reshape(-1), x.reshape(-1)


# How often each of three points is drawn of two classes, in tenths: of data and by the generator.
P, Q = np.array([[1, 4, 5], [6, 2, 2]]), np.array([[3, 3, 4], [2, 5, 3]])


def world(counts):
    pairs = [(j, i) for i, row in enumerate(counts) for j, n in enumerate(row) for _ in range(n)]
    points, labels = np.array(pairs).T
    return Labelled(jnp.eye(3)[points], jnp.eye(2)[labels])


def test_the_best_projection_is_the_log_ratio_of_each_class_and_gives_its_divergence():
    """At V_c = log p(x | c) / q(x | c) the critic's slope is 0 and its loss log 4 - 2 JSD, a mean over the classes."""
    p, q = P / 10, Q / 10
    critic, keys = projection_critic(Plain()), jax.random.split(KEY, 20)

    def loss(variables):
        return loss_of_critic(critic, {"critic": variables}, keys, None, world(P), world(Q), minimax(), 0.0, "critic")

    best = {"network": jnp.zeros(3), "embedding": jnp.float32(np.log(p / q))}
    loss = quick_jit(jax.value_and_grad(loss))
    value, slope = loss(best)
    middle = (p + q) / 2
    divergence = 0.5 * (p * np.log(p / middle) + q * np.log(q / middle)).sum(1)
    assert float(value) == pytest.approx(np.log(4) - 2 * divergence.mean(), rel=1e-6)
    for leaf in jax.tree.leaves(slope):
        np.testing.assert_allclose(leaf, 0, atol=1e-6)
    # Told nothing of the class it does worse: the divergence of the mixtures over classes.
    blind = {"network": jnp.float32(np.log(p.sum(0) / q.sum(0))), "embedding": jnp.zeros((2, 3))}
    assert float(loss(blind)[0]) > float(value) + 0.1


class Shift(NamedTuple):
    """A generator of three numbers by hand: outputs U^T c + z."""

    def init(self, key, z, c):
        return jax.random.normal(key, (c.size, 3))

    def apply(self, table, z, c):
        return (c @ table + z).reshape(1, 1, 3)


def test_both_players_gradients_are_the_closed_forms_and_the_label_is_in_both():
    """Of the non-saturating game, in float64 by the chain rule, at any players."""
    critic = projection_critic(Plain())
    model = with_critic(gan(Shift(), event_shape=(1, 1, 3), latent_dim=3, context=2), critic, sees="example")
    labels = np.array([0, 1, 1, 0])
    x = np.float32(np.random.default_rng(0).uniform(size=(4, 1, 1, 3)))
    params = jax.jit(model.init)(KEY, Labelled(jnp.asarray(x[0]), jnp.int32(0)))
    grasped = model.prior._replace(sample=lambda p, k, c: (jnp.float32([0.1, -0.2, 0.3]), jnp.zeros(())))
    loss = gan_loss(model._replace(prior=grasped), critic, adversarial_loss=non_saturating())
    keys, batch = jax.random.split(KEY, 4), Labelled(jnp.asarray(x), jnp.asarray(labels))
    slope = quick_jit(jax.grad(loss, has_aux=True))(params, keys, batch, 0)[0]

    table, weights, embedding = (
        np.float64(a) for a in (params["decoder"], params["critic"]["network"], params["critic"]["embedding"])
    )
    c, sigmoid = np.eye(2)[labels], lambda t: 1 / (1 + np.exp(-t))
    fake, real = sigmoid(c @ table + np.array([0.1, -0.2, 0.3])), np.float64(x.reshape(4, 3))
    direction = weights + c @ embedding  # the critic's slope in x, [4, 3]
    seen = {name: (direction * value).sum(1) for name, value in (("real", real), ("fake", fake))}
    of_generator = -sigmoid(-seen["fake"])[:, None] / 4 * direction * fake * (1 - fake)
    np.testing.assert_allclose(slope["decoder"], c.T @ of_generator, rtol=1e-4, atol=1e-7)
    of_critic = (sigmoid(seen["fake"])[:, None] * fake - sigmoid(-seen["real"])[:, None] * real) / 4
    np.testing.assert_allclose(slope["critic"]["network"], of_critic.sum(0), rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(slope["critic"]["embedding"], c.T @ of_critic, rtol=1e-4, atol=1e-7)
    assert all(np.abs(leaf).min() > 1e-4 for leaf in (slope["decoder"], slope["critic"]["embedding"]))


def told(critic=None, generator=None, classes=3):
    critic = projection_critic(MLPCritic((8,))) if critic is None else critic
    generator = with_context(Linear(16, SHAPE)) if generator is None else generator
    return with_critic(gan(generator, event_shape=SHAPE, latent_dim=2, context=classes), critic, sees="example"), critic


def batch(count=6):
    return Labelled(jnp.float32(images(count) > 100), jnp.arange(count) % 3)


GAMES = {"relativistic": relativistic, "wasserstein": wasserstein}


@pytest.mark.slow
@pytest.mark.parametrize("game", GAMES)
def test_slopes_are_of_the_picture_beside_its_label_and_labels_change_draws(game):
    """A penalty of the slope is felt by the part of the critic that is told the class, V, as by the rest."""
    options = {"zero_centred_penalty_weight": 1e4} if game == "relativistic" else {"gradient_penalty_weight": 1e4}
    model, critic = told()
    params = quick_jit(model.init)(KEY, jax.tree.map(lambda a: a[0], batch()))
    loss = gan_loss(model, critic, adversarial_loss=GAMES[game](), **options)
    keys = jax.random.split(KEY, 6)
    slope, metrics = quick_jit(jax.grad(loss, has_aux=True))(params, keys, batch(), 0)
    assert np.abs(slope["critic"]["embedding"]).max() > 1
    assert float(metrics["loss"]) == pytest.approx(float(metrics["generator_loss"] + metrics["critic_loss"]), rel=1e-5)
    other = quick_jit(loss)(params, keys, batch()._replace(context=(jnp.arange(6) + 1) % 3), 0)[1]
    assert float(other["critic_loss"]) != pytest.approx(float(metrics["critic_loss"]), rel=1e-3)
    three, four = (prior_means(model, params, KEY, 2, context=label) for label in (0, 1))
    assert np.abs(three - four).max() > 1e-3


def init_of(**parts):
    model, _ = told(**parts)
    return model.init(KEY, jax.tree.map(lambda a: a[0], batch()))


class Silent(MLPCritic):
    def __call__(self, x):
        return super().__call__(x)[0]


BAD = {
    "no labels": (lambda: loss_at(batch().value), ValueError, ["without a context", "Labelled(value, context)"]),
    "no labels to begin with": (
        lambda: told()[0].init(KEY, batch().value[0]), ValueError, ["without a context", "labels"],
    ),
    "a label too large": (
        lambda: loss_at(batch()._replace(context=jnp.full(6, 3))), ValueError, ["label 3 at index", "0 to 2"],
    ),
    "a critic told nothing": (
        lambda: init_of(critic=MLPCritic((8,))), TypeError, ["does not take a context", "projection_critic(network)"],
    ),
    "a generator told nothing": (
        lambda: init_of(generator=Linear(16, SHAPE)), TypeError, ["does not take a context", "with_context(network)"],
    ),
    "no features": (lambda: init_of(critic=projection_critic(Silent((8,)))), ValueError, ["(logit, features)"]),
    "a class": (lambda: projection_critic(ConvCritic), TypeError, ["expected an object with .init and .apply"]),
}  # fmt: skip


def loss_at(x):
    model, critic = told()
    params = jax.eval_shape(model.init, KEY, jax.tree.map(lambda a: a[0], batch()))
    return gan_loss(model, critic)(params, jax.random.split(KEY, 6), x, 0)


@pytest.mark.rows(every=3)
@pytest.mark.parametrize("name", BAD)
def test_bad_inputs_of_a_gan_of_classes_are_answered(name):
    call, error, words = BAD[name]
    with pytest.raises(error) as caught:
        call()
    for word in words:
        assert word in str(caught.value)
