"""What adversarial losses share: frozen parameters, the critic's outputs for a batch, and its loss."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.models.contexts import Labelled, count_examples
from jaxvae.models.players.critic import critic_outputs
from jaxvae.models.records import Key, Network, Params
from jaxvae.objectives.adversarial import (
    AdversarialLoss,
    gradient_penalty,
    non_saturating,
    zero_centred_penalty,
)
from jaxvae.randomness import with_keys
from jaxvae.traced import surely
from jaxvae.training.losses.whole_batch import shared_keys

Array = jax.Array


def freeze(params: Params, name: str) -> Params:
    """The parameters, constant in those of that name; raises `ValueError` where there are none."""
    if name not in params:
        raise ValueError(
            f"the parameters are {', '.join(sorted(params))}, without {name!r}. Build the model with "
            f"with_critic(model, network, name={name!r}) before its parameters are made."
        )
    return {**params, name: jax.lax.stop_gradient(params[name])}


def logits(network: Network, params: Params, keys: Key, x: Any, name: str) -> Array:
    """The critic's logits [N] of inputs [N, ...]; the keys [B], of which each row in turn has one, are its draws'."""

    def logit(key: Key, one: Any) -> Array:
        return critic_outputs(network, with_keys(params, key), one, name)[0]

    return jax.vmap(logit)(in_turn(keys, count_examples(x)), x)


def value_of(x: Any) -> Array:
    """What a critic is shown, without the context that it may be told beside."""
    return x.value if isinstance(x, Labelled) else x


def beside(x: Any, value: Array) -> Any:
    """Another value beside the context of x, if it has one."""
    return x._replace(value=value) if isinstance(x, Labelled) else value


def in_turn(keys: Array, size: int) -> Array:
    """Keys, or logits, [size]: as many as there are, and then the first again."""
    return keys if keys.shape[0] == size else keys[jnp.arange(size) % keys.shape[0]]


def features(network: Network, params: Params, keys: Key, x: Array, name: str) -> Array:
    """The critic's features [B, F] of inputs [B, ...]; raises `ValueError` where it has none."""

    def one(key: Key, example: Array) -> Array:
        found = critic_outputs(network, with_keys(params, key), example, name)[1]
        if found is None:
            raise ValueError(
                "the critic returned a logit alone, expected (logit, features): its features measure the error. "
                "Return a hidden layer beside the logit, as MLPCritic and ConvCritic do."
            )
        return found.reshape(-1)

    return jax.vmap(one)(keys, x)


def loss_of_critic(
    network: Network,
    params: Params,
    keys: Key,
    key: Key | None,
    real: Any,
    fake: Any,
    adversarial_loss: AdversarialLoss,
    gradient_penalty_weight: float,
    name: str,
    zero_centred_penalty_weight: float = 0.0,
) -> Array:
    """[] what the critic minimises, constant in all other parameters; the key is consumed.

    Args:
        network: the critic.
        params: of the model and the critic.
        keys: [B] of the examples, for a critic that draws; they are not consumed.
        key: of the points where the slope is taken, the same on all devices; None will do where it is not.
        real: [B, ...] examples, codes or draws; or `Labelled` of them and what the critic is told, of fake as well.
        fake: [B, ...] what was generated.
        adversarial_loss: which of them.
        gradient_penalty_weight: of `gradient_penalty`; 0 leaves it out.
        name: of the critic's parameters.
        zero_centred_penalty_weight: of `zero_centred_penalty` at real and at generated examples; 0 leaves it out.
    """
    real, fake = jax.lax.stop_gradient((real, fake))
    seen = [logits(network, params, keys, x, name) for x in (real, fake)]
    if adversarial_loss.pairs:
        seen[0] = in_turn(seen[0], seen[1].shape[0])
    loss = adversarial_loss.critic(*seen)

    def critic(own: Key, x: Any) -> Callable[[Array], Array]:
        """The logit of a value beside the context of x."""
        return lambda value: critic_outputs(network, with_keys(params, own), beside(x, value), name)[0]

    if not surely(zero_centred_penalty_weight == 0):

        def steep(own: Key, x: Any) -> Array:
            return zero_centred_penalty(critic(own, x), value_of(x))

        steepness = sum(jax.vmap(steep)(in_turn(keys, count_examples(x)), x).mean() for x in (real, fake))
        loss += zero_centred_penalty_weight * steepness
    if key is None or surely(gradient_penalty_weight == 0):
        return loss

    def slope(own: Key, key: Key, a: Any, b: Array) -> Array:
        return gradient_penalty(critic(own, a), key, value_of(a), b)

    slopes = jax.vmap(slope)(keys, shared_keys(key, count_examples(real)), real, value_of(fake))
    return loss + gradient_penalty_weight * jnp.mean(slopes)


def loss_of_generator(
    network: Network, frozen: Params, keys: Key, real: Any, fake: Any, adversarial_loss: AdversarialLoss, name: str
) -> Array:
    """[] what the generator minimises: `frozen` are the parameters, constant in the critic's, see `loss_of_critic`."""
    seen = logits(network, frozen, keys, fake, name)
    if not adversarial_loss.pairs:
        return adversarial_loss.generator(seen)
    rivals = logits(network, frozen, keys, jax.lax.stop_gradient(real), name)
    return adversarial_loss.generator(seen, in_turn(rivals, seen.shape[0]))


def as_adversarial_loss(adversarial_loss: Any) -> AdversarialLoss:
    """The loss, `non_saturating()` for None; raises `TypeError` for anything else."""
    found = non_saturating() if adversarial_loss is None else adversarial_loss
    if not isinstance(found, AdversarialLoss):
        raise TypeError(f"adversarial_loss is {found!r}, expected an AdversarialLoss. Call one, such as hinge().")
    return found
