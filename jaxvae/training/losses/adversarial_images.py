"""Adversarial losses over examples: GAN and VAE-GAN, generator and critic in one step, each with its own gradient."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.checks import finite_number
from jaxvae.math.normal import normal_log_prob
from jaxvae.models.contexts import Labelled, count_examples
from jaxvae.models.players.critic import check_network
from jaxvae.models.records import Key, Model, Network, Params, as_model, check_batch
from jaxvae.objectives.adversarial import AdversarialLoss
from jaxvae.randomness import with_keys, without_keys
from jaxvae.traced import surely
from jaxvae.training.losses.batch import batch_terms, codes, prior_draws, report
from jaxvae.training.losses.bound import Loss, Metrics
from jaxvae.training.losses.critic import (
    as_adversarial_loss,
    features,
    freeze,
    in_turn,
    loss_of_critic,
    loss_of_generator,
)
from jaxvae.training.losses.whole_batch import shared_key, shared_keys

Array = jax.Array
stop = jax.lax.stop_gradient


def gan_loss(
    model: Model,
    network: Network,
    *,
    adversarial_loss: AdversarialLoss | None = None,
    gradient_penalty_weight: float = 0.0,
    zero_centred_penalty_weight: float = 0.0,
    shown: Callable[[Params, Array], Array] | None = None,
    penalty_scale: Callable[[Params], Array] | None = None,
    name: str = "critic",
) -> Loss:
    r"""The loss of a GAN: the generator's and the critic's, over examples and decoded prior draws.

    Args:
        model: `with_critic(gan(...), network, sees="example")`; or any model, whose prior and decoder are trained. With
            a context (a conditional GAN) the draws have the labels of the batch, and both players are told them.
        network: the critic, `.apply(variables, x)` -> logit [] or (logit, features), of x as networks see it; with a
            context `.apply(variables, x, c)`, see `projection_critic`.
        adversarial_loss: by default `non_saturating()`.
        gradient_penalty_weight: of `gradient_penalty`, for `wasserstein()` (there 10); 0 leaves it out.
        zero_centred_penalty_weight: of `zero_centred_penalty` at real and at generated examples (R1 and R2), for all
            other losses; without it a generator tends to draw one thing only.
        shown: (the critic's variables, a real example) -> what the critic is shown of it, such as `Growing.shown`; by
            default the example.
        penalty_scale: (the critic's variables) -> [] by which the weight of `zero_centred_penalty` is multiplied, such
            as `Growing.pixel`; by default 1.
        name: of the critic's parameters.

    Returns:
        loss(params, keys [B], batch, step) -> (scalar, metrics): loss, generator_loss and critic_loss, of which loss is
        the sum. A falling loss says nothing of the pictures.

    Raises:
        ValueError, TypeError: for a weight that is negative or not finite, an adversarial_loss or network that is
            none; later, for parameters without a critic, for examples without the labels that a conditional model
            needs, or for a critic that is not told them.

    Source: Goodfellow et al., 2014, arXiv 1406.2661; told the class: Mirza and Osindero, 2014, arXiv 1411.1784.

    Example:
        >>> from jaxvae.models.players.critic import with_critic
        >>> from jaxvae.models.players.generator import gan
        >>> from jaxvae.networks.discriminator import MLPCritic
        >>> from jaxvae.networks.mlp import MLPDecoder
        >>> model, critic = gan(MLPDecoder((4, 4, 1)), event_shape=(4, 4, 1), latent_dim=2), MLPCritic()
        >>> loss = gan_loss(with_critic(model, critic, sees="example"), critic)
    """
    finite_number("gradient_penalty_weight", gradient_penalty_weight)
    finite_number("zero_centred_penalty_weight", zero_centred_penalty_weight)
    check_network(network)
    as_model("model", model)
    adversarial = as_adversarial_loss(adversarial_loss)

    def loss(params: Params, keys: Key, batch: Array, step: Array) -> tuple[Array, Metrics]:
        check_batch(model, batch)
        frozen, (x, told) = freeze(params, name), _as_seen(model, batch)
        if shown is not None:
            x = jax.vmap(shown, (None, 0))(without_keys(frozen)[name], x)
        key_draw, key_slope = jax.random.split(shared_key(keys))
        context = batch.context if isinstance(batch, Labelled) else None
        z = prior_draws(model.prior, params, shared_keys(key_draw, x.shape[0]), context)
        fake = _decode(model, params, keys, z if context is None else Labelled(z, context))
        real, drawn = (x, fake) if told is None else (Labelled(x, told), Labelled(fake, told))
        generator_loss = loss_of_generator(network, frozen, keys, real, drawn, adversarial, name)
        steep: Any = zero_centred_penalty_weight
        if penalty_scale is not None and not surely(steep == 0):
            steep = steep * penalty_scale(without_keys(frozen)[name])
        slopes = gradient_penalty_weight, name, steep
        critic_loss = loss_of_critic(network, params, keys, key_slope, real, drawn, adversarial, *slopes)
        value = generator_loss + critic_loss
        return value, {"loss": value, "generator_loss": generator_loss, "critic_loss": critic_loss}

    return loss


def vae_gan_loss(
    model: Model,
    network: Network,
    *,
    gamma: float = 1.0,
    adversarial_loss: AdversarialLoss | None = None,
    name: str = "critic",
) -> Loss:
    r"""VAE-GAN: the error of a reconstruction is measured in the critic's features, and the decoder is a generator too.

    With f the critic's features and L = -E log N(f(x); f(x'), I) for the reconstruction x':
    encoder: KL + L;  decoder: gamma L + the generator's loss;  critic: the critic's loss, real x against fakes,
    half of them reconstructions and half decoded draws of the prior.

    The paper adds the two kinds of fakes, so that fakes count twice; here they are averaged, and at the best critic the
    logit is log p(x) / q(x) for the mixture q of both.

    Args:
        model: `with_critic(model, network, sees="example")`.
        network: the critic, `.apply(variables, x)` -> (logit [], features [...]), of x as networks see it.
        gamma: weight of L in the decoder's loss, >= 0: content against style.
        adversarial_loss: by default `non_saturating()`; the paper's is `minimax()`.
        name: of the critic's parameters.

    Returns:
        loss(params, keys [B], batch, step) -> (scalar, metrics): those of `bound_loss` (log_likelihood and elbo are the
        model's own, of pixels) with feature_loss, generator_loss and critic_loss; loss is KL + feature_loss +
        generator_loss + critic_loss, a number to watch but not what each part minimises.

    Raises:
        ValueError, TypeError: for a gamma that is negative or not finite, or a network that is none; later, for
            parameters without a critic, or a critic without features.
        NotImplementedError: for a model with a context.

    Source: Larsen et al., 2016, arXiv 1512.09300, algorithm 1.

    Example:
        >>> from jaxvae.models.players.critic import with_critic
        >>> from jaxvae.models.variational import vae
        >>> from jaxvae.networks.discriminator import MLPCritic
        >>> from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
        >>> model, critic = vae(MLPEncoder(2), MLPDecoder((4, 4, 1)), event_shape=(4, 4, 1), latent_dim=2), MLPCritic()
        >>> loss = vae_gan_loss(with_critic(model, critic, sees="example"), critic, gamma=0.1)
    """
    finite_number("gamma", gamma)
    check_network(network)
    _unconditional(model)
    adversarial = as_adversarial_loss(adversarial_loss)

    def loss(params: Params, keys: Key, batch: Array, step: Array) -> tuple[Array, Metrics]:
        frozen = freeze(params, name)
        terms = batch_terms(model, params, keys, batch)
        z, x = codes(terms)[0], model.to_unit(batch)
        key_draw, key_slope = jax.random.split(shared_key(keys))
        # The decoder's gradient of the feature loss is scaled by gamma; the code's, and so the encoder's, is not.
        scaled = jax.tree.map(lambda leaf: stop(leaf) + gamma * (leaf - stop(leaf)), without_keys(params))
        rebuilt = _decode(model, scaled, keys, z)
        seen, rebuilt = (features(network, frozen, keys, image, name) for image in (x, rebuilt))
        apart = -jax.vmap(normal_log_prob)(seen, rebuilt, jnp.zeros_like(rebuilt)).mean()
        drawn = prior_draws(model.prior, params, shared_keys(key_draw, z.shape[0]))
        fakes = _decode(model, params, keys, stop(jnp.concatenate([z, drawn])))
        generator_loss = loss_of_generator(network, frozen, keys, x, fakes, adversarial, name)
        critic_loss = loss_of_critic(network, params, keys, key_slope, x, fakes, adversarial, 0.0, name)
        value = terms.penalty.mean() + terms.kl.mean((0, 1)).sum() + apart + generator_loss + critic_loss
        return value, report(terms, value, feature_loss=apart, generator_loss=generator_loss, critic_loss=critic_loss)

    return loss


def _as_seen(model: Model, batch: Any) -> tuple[Array, Array | None]:
    """Examples and contexts as networks see them; None for a model without a context."""
    if model.context is None:
        return model.to_unit(batch), None
    return model.to_unit(batch.value), jax.vmap(model.context.encode)(batch.context)


def _unconditional(model: Model) -> None:
    if as_model("model", model).context is not None:
        raise NotImplementedError(
            "the model takes a context, expected one without: the critic would not see it. Use condition(model, "
            "context) for a fixed one."
        )


def _decode(model: Model, params: Params, keys: Key, z: Any) -> Array:
    """Decoded means [N, ...] of codes [N, Z], or `Labelled` ones, as networks see examples; keys as in `logits`."""
    own = in_turn(keys, count_examples(z))
    means = jax.vmap(lambda key, z: model.likelihood.mean(with_keys(params, key), z))(own, z)
    return model.to_unit(means)
