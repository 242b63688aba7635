"""CycleGAN: the three parts of its loss and all players' gradients written out by hand, in float64."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.models.players.cycle import cycle_gan
from jaxvae.networks.deterministic import MLPDeterministicEncoder, Reshaped
from jaxvae.networks.discriminator import MLPCritic
from jaxvae.training.losses.unpaired import cycle_gan_loss

pytestmark = pytest.mark.quick_compile

KEY, SHAPE = jax.random.key(0), (1, 3, 1)
quick_jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


class Shift(NamedTuple):
    """x + t, three numbers."""

    def init(self, key, x):
        return jax.random.normal(key, x.shape)

    def apply(self, table, x):
        return x + table


class Plane(NamedTuple):
    """The logit w x."""

    def init(self, key, x):
        return jax.random.normal(key, x.shape)

    def apply(self, weights, x):
        return jnp.sum(weights * x)


def batch(count=4):
    draw = np.random.default_rng(0)
    return {name: jnp.float32(draw.uniform(size=(count, *SHAPE))) for name in "ab"}


def test_the_loss_is_the_papers_and_every_players_gradient_is_its_own():
    """Values in float64 by NumPy; slopes by differences of the part that each player minimises, and of no other."""
    players = cycle_gan(Shift(), Shift(), critics=(Plane(), Plane()), event_shape=SHAPE)
    params = players.model.init(KEY, {"a": jnp.zeros(SHAPE), "b": jnp.zeros(SHAPE)})
    loss = cycle_gan_loss(players, cycle_weight=7.0, identity_weight=3.0, zero_centred_penalty_weight=0.5)
    x, keys = batch(), jax.random.split(KEY, 4)
    slope, metrics = quick_jit(jax.grad(loss, has_aux=True))(params, keys, x, 0)
    a, b = (np.float64(x[name]) for name in "ab")

    def parts(p):
        sigmoid = lambda t: 1 / (1 + np.exp(-t))  # noqa: E731
        forth, back = (lambda v, n=n: sigmoid(v + p[n]) for n in ("forth", "back"))
        judge = {n: lambda v, n=n: (p[f"critic_{n}"] * v).sum((1, 2, 3)) for n in "ab"}
        generator = 0.5 * ((judge["b"](forth(a)) - 1) ** 2).mean() + 0.5 * ((judge["a"](back(b)) - 1) ** 2).mean()
        critic = sum(
            0.5 * ((judge[n](real) - 1) ** 2).mean()
            + 0.5 * (judge[n](fake) ** 2).mean()
            + 0.5 * (p[f"critic_{n}"] ** 2).sum()
            for n, real, fake in (("a", a, back(b)), ("b", b, forth(a)))
        )  # of a plane the slope is w everywhere: 0.5 (1/2 w^2 + 1/2 w^2)
        cycle = np.abs(back(forth(a)) - a).mean() + np.abs(forth(back(b)) - b).mean()
        still = np.abs(forth(b) - b).mean() + np.abs(back(a) - a).mean()
        return {"generator_loss": generator, "critic_loss": critic, "cycle_loss": cycle, "identity_loss": still}

    exact = {name: np.float64(value) for name, value in params.items()}
    found = parts(exact)
    for name, value in found.items():
        assert float(metrics[name]) == pytest.approx(value, rel=1e-5)
    weights = {"generator_loss": 1.0, "critic_loss": 1.0, "cycle_loss": 7.0, "identity_loss": 3.0}
    assert float(metrics["loss"]) == pytest.approx(sum(weights[n] * v for n, v in found.items()), rel=1e-5)

    def minimised(player, p):
        own = parts(p)
        return (
            own["critic_loss"]
            if "critic" in player
            else sum(w * own[n] for n, w in weights.items() if n != "critic_loss")
        )

    for player, value in exact.items():
        for index in np.ndindex(value.shape):
            ends = []
            for step in (1e-6, -1e-6):
                moved = {n: v.copy() for n, v in exact.items()}
                moved[player][index] += step
                ends.append(minimised(player, moved))
            assert float(slope[player][index]) == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-3, abs=1e-5)


def mlp(shape=SHAPE):
    return Reshaped(MLPDeterministicEncoder(3, (4,)), shape)


def made(**options):
    given = {"critics": (MLPCritic((4,)), MLPCritic((4,))), "event_shape": SHAPE} | options
    return cycle_gan(given.pop("forth", mlp()), mlp(), **given)


def at(x, players=None):
    players = made() if players is None else players
    params = jax.eval_shape(players.model.init, KEY, x)
    return jax.eval_shape(cycle_gan_loss(players), params, jax.random.split(KEY, 4), x, 0)


BAD = {
    "other shapes": (
        lambda: made(event_shape={"a": (8, 8, 1), "b": (4, 4, 1)}), ValueError, ["other shapes", "one shape for both"],
    ),
    "a batch of other shapes": (
        lambda: at(batch() | {"b": jnp.zeros((4, 2, 3, 1))}), ValueError, ["(4, 2, 3, 1)", "(B, 1, 3, 1)"],
    ),
    "as many of each": (lambda: at(batch() | {"b": batch(3)["b"]}), ValueError, ["4 examples", "has 3"]),
    "one set": (lambda: at({"a": batch()["a"]}), ValueError, ["b"]),
    "what it returns": (lambda: at(batch(), made(forth=mlp((3, 1, 1)))), ValueError, ["forth returned (3, 1, 1)"]),
    "critics": (lambda: made(critics=MLPCritic()), TypeError, ["expected two networks"]),
    "a class": (lambda: made(forth=MLPCritic), TypeError, ["forth is"]),
    "players": (lambda: cycle_gan_loss(made().model), TypeError, ["what cycle_gan(...) returns"]),
    "weight": (lambda: cycle_gan_loss(made(), cycle_weight=-1.0), ValueError, ["cycle_weight is -1.0"]),
    "terms": (lambda: made().model.terms({}, KEY, batch()), ValueError, ["use its forth and back"]),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_inputs_of_a_cycle_are_answered(name):
    call, error, words = BAD[name]
    with pytest.raises(error) as caught:
        call()
    for word in words:
        assert word in str(caught.value)
