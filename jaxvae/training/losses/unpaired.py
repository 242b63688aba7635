"""The loss of a CycleGAN: two games, and examples that must come back."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.checks import finite_number, shown
from jaxvae.models.players.cycle import Cycle
from jaxvae.models.records import Key, Params, check_batch
from jaxvae.objectives.adversarial import AdversarialLoss, least_squares
from jaxvae.randomness import with_keys
from jaxvae.training.losses.bound import Loss, Metrics
from jaxvae.training.losses.critic import as_adversarial_loss, freeze, loss_of_critic, loss_of_generator

Array = jax.Array


def cycle_gan_loss(
    players: Cycle,
    *,
    cycle_weight: float = 10.0,
    identity_weight: float = 5.0,
    zero_centred_penalty_weight: float = 0.0,
    adversarial_loss: AdversarialLoss | None = None,
) -> Loss:
    r"""The loss of a CycleGAN: each translator against the critic of its target, and what is translated comes back.

    generators: L(forth, critic b) + L(back, critic a)
        + cycle_weight (|back(forth(a)) - a| + |forth(back(b)) - b|) + identity_weight (|forth(b) - b| + |back(a) - a|)

    |.| is a mean over pixels; all are means over the batch. The identity part holds a translator still where the
    example is of its target already. Which example of b stands beside which of a does not matter.

    Args:
        players: from `cycle_gan`.
        cycle_weight, identity_weight: >= 0; the paper's are 10 and half of that.
        zero_centred_penalty_weight: of `zero_centred_penalty` of both critics at real and at translated examples.
        adversarial_loss: by default `least_squares()`, the paper's.

    Returns:
        loss(params, keys [B], batch {"a": [B, ...], "b": [B, ...]}, step) -> (scalar, metrics): generator_loss,
        cycle_loss, identity_loss (without weights), critic_loss, and loss, the weighted sum of all.

    Raises:
        ValueError, TypeError: for a weight that is negative or not finite, or players that are none; later, for a
            batch of another shape, or values that are not on [0, 1].

    Source: Zhu, Park, Isola and Efros, 2017, arXiv 1703.10593, equations 1 to 3 and section 5.2.

    Example:
        >>> from jaxvae.models.players.cycle import cycle_gan
        >>> from jaxvae.networks.deterministic import MLPDeterministicEncoder, Reshaped
        >>> from jaxvae.networks.discriminator import MLPCritic
        >>> network = Reshaped(MLPDeterministicEncoder(4, (8,)), (2, 2, 1))
        >>> critics = MLPCritic((8,)), MLPCritic((8,))
        >>> loss = cycle_gan_loss(cycle_gan(network, network, critics=critics, event_shape=(2, 2, 1)))
    """
    if not isinstance(players, Cycle):
        raise TypeError(f"players is {shown(players)}, expected what cycle_gan(...) returns.")
    finite_number("cycle_weight", cycle_weight)
    finite_number("identity_weight", identity_weight)
    finite_number("zero_centred_penalty_weight", zero_centred_penalty_weight)
    game = least_squares() if adversarial_loss is None else as_adversarial_loss(adversarial_loss)
    model = players.model

    def loss(params: Params, keys: Key, batch: Any, step: Array) -> tuple[Array, Metrics]:
        check_batch(model, batch)
        frozen = freeze(freeze(params, "critic_a"), "critic_b")

        def over(translate: Callable[[Params, Array], Array], x: Array) -> Array:
            return jax.vmap(lambda key, one: translate(with_keys(params, key), one))(keys, x)

        drawn = {"a": over(players.back, batch["b"]), "b": over(players.forth, batch["a"])}
        generator_loss = critic_loss = cycle_loss = identity_loss = jnp.zeros(())
        for name, network in players.critics.items():
            real, fake, critic = batch[name], drawn[name], f"critic_{name}"
            to, other = (players.back, "b") if name == "a" else (players.forth, "a")
            generator_loss += loss_of_generator(network, frozen, keys, real, fake, game, critic)
            slopes = 0.0, critic, zero_centred_penalty_weight
            critic_loss += loss_of_critic(network, params, keys, None, real, fake, game, *slopes)
            cycle_loss += jnp.abs(over(to, drawn[other]) - real).mean()
            identity_loss += jnp.abs(over(to, real) - real).mean()
        value = generator_loss + critic_loss + cycle_weight * cycle_loss + identity_weight * identity_loss
        parts = {"generator_loss": generator_loss, "critic_loss": critic_loss}
        return value, {"loss": value, **parts, "cycle_loss": cycle_loss, "identity_loss": identity_loss}

    return loss
