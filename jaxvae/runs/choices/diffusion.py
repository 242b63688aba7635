"""Kinds of model that take noise off step by step, by name."""

import functools
from typing import TYPE_CHECKING, Any

from jaxvae.runs.choices.flows import OWN
from jaxvae.runs.choices.records import BOUND, PARTS, Given, Kind, Options, Protocol

if TYPE_CHECKING:
    from jaxvae.models.records import Model, Observation

HIDDEN = 0.1  # the share of labels that are hidden, so that draws can be guided
SCORED: tuple[Protocol, ...] = ("dynamic", "threshold", "levels", "standardize")
READS = (
    "model.prediction", "model.noise_schedule", "model.noise_start", "model.noise_stop", "model.time_steps",
    "model.draw_steps",
)  # fmt: skip
TAKEN = ("model.hidden", "model.activation", "model.network")
IGNORED = tuple(name for name in OWN if name not in TAKEN)


def _observation(config: Options, given: Given) -> "Observation":
    """p(x | z_0): what the noise at the start says of x; no network has a part in it."""
    import math

    from jaxvae.models.observations.continuous import bernoulli, normal
    from jaxvae.models.observations.discrete import categorical

    if given.protocol == "levels":
        return categorical(given.levels)
    if given.protocol == "standardize":
        return normal("learned", std=0.01 + math.exp(config.noise_start / 2), floor=1e-3)
    return bernoulli()


def _network(config: Options, given: Given, channels: int) -> Any:
    from jaxvae.networks.denoisers import MLPDenoiser, UNet
    from jaxvae.runs.choices.networks import dropped

    if config.network not in ("mlp", "conv", "resnet"):
        raise ValueError(
            f"model.network is {config.network!r}, an encoder and a decoder, but model.kind {config.kind!r} has one "
            f"network from picture to picture. Set --model.network conv, a U-Net of --model.features, or mlp."
        )
    if config.network != "mlp":
        blocks = {"blocks": config.blocks, "attention": config.attention}
        sizes = (config.features, config.dense)
        return dropped(config, UNet(given.event_shape, channels, *sizes, activation=config.activation, **blocks))
    return MLPDenoiser(given.event_shape, channels, config.hidden, config.activation)


def _schedule(config: Options) -> Any:
    from jaxvae.models.diffusion import cosine_schedule, learned_schedule, linear_schedule

    schedules = {"linear": linear_schedule, "cosine": cosine_schedule, "learned": learned_schedule}
    return schedules[config.noise_schedule](config.noise_start, config.noise_stop)


def _diffusion(config: Options, given: Given, _: "Observation", *, told: bool = False) -> "Model":
    from jaxvae.models.contexts import class_labels
    from jaxvae.models.diffusion import diffusion_model

    observation = _observation(config, given)
    channels = 1
    if config.prediction == "levels" and given.protocol != "standardize":
        channels = given.levels if given.protocol == "levels" else 2
    return diffusion_model(
        _network(config, given, channels),
        observation,
        _schedule(config),
        event_shape=given.event_shape,
        prediction=config.prediction,
        steps=config.time_steps,
        context=class_labels(given.known_classes(), unknown=True) if told else None,
        draw_steps=config.draw_steps,
    )


def _loss(config: Options, model: "Model", *, hide_labels: float = 0.0) -> Any:
    from jaxvae.training.losses.even_times import even_times_loss

    return even_times_loss(model, hide_labels=hide_labels)


def _diffusion_prior(config: Options, given: Given, observation: "Observation") -> "Model":
    import math

    from jaxvae.models.diffusion import diffusion_model, latent_diffusion
    from jaxvae.models.observations.continuous import normal
    from jaxvae.networks.denoisers import MLPDenoiser
    from jaxvae.runs.choices.variational import VARIATIONAL

    codes = diffusion_model(
        MLPDenoiser((config.latent_dim,), 1, config.flow_hidden),
        normal("learned", std=0.01 + math.exp(config.noise_start / 2), floor=1e-3),
        _schedule(config),
        event_shape=(config.latent_dim,),
        prediction=config.prediction,
        steps=config.time_steps,
        draw_steps=config.draw_steps,
    )
    return latent_diffusion(VARIATIONAL["vae"].make(config, given, observation), codes)


DIFFUSION: dict[str, Kind] = {
    "diffusion": Kind(
        "A diffusion, the infinitely deep VAE (VDM)",
        _diffusion,
        READS,
        IGNORED,
        protocols=SCORED,
        loss=_loss,
    ),
    "class_diffusion": Kind(
        "A diffusion, told the class, whose draws can be guided",
        functools.partial(_diffusion, told=True),
        READS,
        IGNORED,
        protocols=SCORED,
        labels="all",
        loss=functools.partial(_loss, hide_labels=HIDDEN),
    ),
    "diffusion_prior": Kind(
        "A VAE whose codes come from a diffusion (latent diffusion)",
        _diffusion_prior,
        (*READS, "model.flow_hidden"),
        (*PARTS, *BOUND),
        loss=_loss,
    ),
}
