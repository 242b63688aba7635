"""Games of a generator and a critic, by name."""

import functools
from typing import TYPE_CHECKING, Any

from jaxvae.runs.choices.adversarial.critics import CRITIC, IGNORED, USUAL_CRITIC, image_critic
from jaxvae.runs.choices.records import Given, Kind, Options

if TYPE_CHECKING:
    from jaxvae.models.records import Model, Observation

GAME = (*CRITIC, "model.weight", "model.game", "model.critic_steps")
UNMEASURED = (*IGNORED, "validation_fraction", "patience")  # nothing is measured that could choose an epoch


def _gan(config: Options, given: Given, observation: "Observation", *, told: bool = False) -> "Model":
    from jaxvae.models.players.critic import with_critic
    from jaxvae.models.players.generator import gan
    from jaxvae.networks.conditional import with_context
    from jaxvae.runs.choices.networks import build_decoder

    means = _means_alone(observation)
    decoder = build_decoder(config, given, means)
    network: Any = with_context(decoder) if told else decoder
    model = gan(
        network,
        event_shape=given.event_shape,
        latent_dim=config.latent_dim,
        observation=means,
        context=given.known_classes() if told else None,
    )
    return with_critic(model, _gan_critic(config, model), sees="example")


def _gan_critic(config: Options, model: "Model") -> Any:
    """A critic that is told what the generator is."""
    from jaxvae.networks.discriminator import projection_critic

    critic = image_critic(config)
    return critic if model.context is None else projection_critic(critic)


def _means_alone(observation: "Observation") -> "Observation":
    """Of whole numbers 0 .. L - 1 the mean (L - 1) sigmoid(output): a GAN reads no more, and the sum over all levels
    that is the mean of a likelihood would be eight tenths of the time of its training."""
    import jax

    if observation.levels is None:
        return observation
    top = observation.levels - 1
    return observation._replace(channels=1, init=dict, mean=lambda params, outputs: top * jax.nn.sigmoid(outputs))


def _gan_loss(config: Options, model: "Model") -> Any:
    return _game_of(config.model, model, _gan_critic(config.model, model))


def _game_of(config: Options, model: "Model", critic: Any, **more: Any) -> Any:
    """Wasserstein's critic has a slope of 1, all others a small one where the examples are."""
    from jaxvae.objectives import adversarial
    from jaxvae.training.losses.adversarial_images import gan_loss

    penalty = "gradient_penalty_weight" if config.game == "wasserstein" else "zero_centred_penalty_weight"
    weight: Any = {penalty: config.weight}
    return gan_loss(model, critic, adversarial_loss=getattr(adversarial, config.game)(), **weight, **more)


def _slope_weight(config: Options) -> float:
    """Residual players collapse with the weight 0.1 of the others: their critic is steeper where it starts."""
    if config.game == "wasserstein":
        return 10.0
    return 1.0 if config.network == "resnet" or config.kind == "progressive_gan" else 0.1


def _progressive(config: Options, given: Given, observation: "Observation") -> "Model":
    from jaxvae.models.players.critic import with_critic
    from jaxvae.models.players.generator import gan
    from jaxvae.networks.residual.progressive import GrowingDecoder
    from jaxvae.networks.residual.stage_players import growing
    from jaxvae.runs.choices.networks import check_halves

    means = _means_alone(observation)
    shape, sizes = given.event_shape, (config.features, config.dense, config.blocks)
    check_halves(config.features[1:], shape)
    generator: Any = growing(GrowingDecoder(shape, means.channels, *sizes))
    model = gan(
        generator,
        event_shape=shape,
        latent_dim=config.latent_dim,
        observation=means,
    )
    return with_critic(model, _growing_critic(config), sees="example")


def _growing_critic(config: Options) -> Any:
    from jaxvae.networks.residual.progressive import GrowingCritic
    from jaxvae.networks.residual.stage_players import growing

    return growing(GrowingCritic(config.features, config.dense, config.blocks))


def _progressive_loss(config: Options, model: "Model") -> Any:
    critic = _growing_critic(config.model)
    return _game_of(config.model, model, critic, shown=critic.shown, penalty_scale=critic.pixel)


def _progressive_optimizer(config: Options, make: Any) -> Any:
    from jaxvae.training.engine.growth import growing_optimizer

    return growing_optimizer(_gan_optimizer(config, make), config.model.grow_steps, len(config.model.features))


def _gan_optimizer(config: Options, make: Any) -> Any:
    from jaxvae.training.engine.optimizers import every_nth_step, optimizer_by_part

    return optimizer_by_part(
        {"critic": make(config.model.critic_rate)}, every_nth_step(make(), config.model.critic_steps)
    )


# Adam without a memory of the gradients before, which were those of another game.
USUAL: dict[str, Any] = {"model.weight": _slope_weight, "optim.b1": 0.0}

GAMES: dict[str, Kind] = {
    "gan": Kind(
        "A generative adversarial network (GAN)",
        _gan,
        GAME,
        UNMEASURED,
        loss=_gan_loss,
        optimizer=_gan_optimizer,
        usual={**USUAL_CRITIC, **USUAL},
    ),
    "class_gan": Kind(
        "A GAN whose players are both told the class",
        functools.partial(_gan, told=True),
        GAME,
        UNMEASURED,
        labels="all",
        loss=_gan_loss,
        optimizer=_gan_optimizer,
        usual={**USUAL_CRITIC, **USUAL},
    ),
    "progressive_gan": Kind(
        "A GAN of pictures that grows from coarse to fine",
        _progressive,
        ("model.critic_rate", "model.weight", "model.game", "model.critic_steps", "model.grow_steps", "model.blocks"),
        (*UNMEASURED, *("model." + name for name in ("network", "hidden", "activation", "dropout", "output_bias"))),
        pictures=True,
        loss=_progressive_loss,
        optimizer=_progressive_optimizer,
        usual=USUAL,
    ),
}
