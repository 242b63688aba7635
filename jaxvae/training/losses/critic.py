"""What losses of two players share: one player held, the critic's outputs for a batch, and its loss."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.models.players.critic import critic_outputs
from jaxvae.models.records import Key, Network, Params
from jaxvae.objectives.adversarial import Game, gradient_penalty, non_saturating

Array = jax.Array


def held(params: Params, name: str) -> Params:
    """The parameters, constant in those of that name; raises `ValueError` where there are none."""
    if name not in params:
        raise ValueError(
            f"the parameters are {', '.join(sorted(params))}, without {name!r}. Build the model with "
            f"with_critic(model, network, name={name!r}) before its parameters are made."
        )
    return {**params, name: jax.lax.stop_gradient(params[name])}


def logits(network: Network, params: Params, x: Array, name: str) -> Array:
    """The critic's logits [B] of inputs [B, ...]."""
    return jax.vmap(lambda one: critic_outputs(network, params, one, name)[0])(x)


def features(network: Network, params: Params, x: Array, name: str) -> Array:
    """The critic's features [B, F] of inputs [B, ...]; raises `ValueError` where it has none."""

    def one(example: Array) -> Array:
        found = critic_outputs(network, params, example, name)[1]
        if found is None:
            raise ValueError(
                "the critic returned a logit alone, expected (logit, features): its features measure the error. "
                "Return a hidden layer beside the logit, as MLPCritic and ConvCritic do."
            )
        return found.reshape(-1)

    return jax.vmap(one)(x)


def critic_loss(
    network: Network,
    params: Params,
    key: Key | None,
    real: Array,
    fake: Array,
    game: Game,
    slope_weight: float,
    name: str,
) -> Array:
    """[] what the critic minimises, constant in all other parameters; the key is consumed.

    Args:
        network: the critic.
        params: of both players.
        key: of the points where the slope is taken; None will do where it is not.
        real: [B, ...] examples, codes or draws.
        fake: [B, ...] what the other player made.
        game: names the loss.
        slope_weight: of `gradient_penalty`; 0 leaves it out.
        name: of the critic's parameters.
    """
    real, fake = jax.lax.stop_gradient((real, fake))
    loss = game.critic(logits(network, params, real, name), logits(network, params, fake, name))
    if key is None or not slope_weight:
        return loss

    def slope(key: Key, a: Array, b: Array) -> Array:
        return gradient_penalty(lambda x: critic_outputs(network, params, x, name)[0], key, a, b)

    return loss + slope_weight * jnp.mean(jax.vmap(slope)(jax.random.split(key, real.shape[0]), real, fake))


def check_game(game: Any) -> Game:
    """The game, `non_saturating()` for None; raises `TypeError` for anything else."""
    rules = non_saturating() if game is None else game
    if not isinstance(rules, Game):
        raise TypeError(f"game is {game!r}, expected a Game. Call one, such as hinge().")
    return rules
