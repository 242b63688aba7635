"""Kinds with an objective of their own that a critic joins, by name."""

from typing import TYPE_CHECKING, Any

from jaxvae.runs.choices.adversarial.critics import (
    CRITIC,
    IGNORED,
    USUAL_CRITIC,
    code_critic,
    image_critic,
    own_rates,
)
from jaxvae.runs.choices.autoencoders import build_autoencoder
from jaxvae.runs.choices.records import Given, Kind, Options
from jaxvae.runs.choices.variational import VARIATIONAL

if TYPE_CHECKING:
    from jaxvae.models.records import Model, Observation


def _factor(config: Options, given: Given, observation: "Observation") -> "Model":
    from jaxvae.models.players.critic import with_critic

    return with_critic(VARIATIONAL["vae"].make(config, given, observation), code_critic(config))


def _factor_loss(config: Options, model: "Model") -> Any:
    from jaxvae.training.losses.adversarial_codes import factor_vae_loss

    return factor_vae_loss(model, code_critic(config.model), gamma=config.model.weight)


def _adversarial(config: Options, given: Given, observation: "Observation") -> "Model":
    from jaxvae.models.autoencoders.deterministic import autoencoder
    from jaxvae.models.players.critic import with_critic
    from jaxvae.models.priors.standard import standard_normal

    prior = standard_normal(config.latent_dim)
    return with_critic(build_autoencoder(autoencoder, config, given, observation, prior=prior), code_critic(config))


def _adversarial_loss(config: Options, model: "Model") -> Any:
    from jaxvae.training.losses.adversarial_codes import adversarial_autoencoder_loss

    return adversarial_autoencoder_loss(model, code_critic(config.model), weight=config.model.weight)


def _vae_gan(config: Options, given: Given, observation: "Observation") -> "Model":
    from jaxvae.models.players.critic import with_critic

    return with_critic(VARIATIONAL["vae"].make(config, given, observation), image_critic(config), sees="example")


def _vae_gan_loss(config: Options, model: "Model") -> Any:
    from jaxvae.training.losses.adversarial_images import vae_gan_loss

    return vae_gan_loss(model, image_critic(config.model), gamma=config.model.weight)


JOINED: dict[str, Kind] = {
    "factor": Kind(
        "A VAE with independent latents (FactorVAE)",
        _factor,
        (*CRITIC, "model.weight"),
        IGNORED,
        loss=_factor_loss,
        optimizer=own_rates,
        usual={**USUAL_CRITIC, "model.weight": 10.0},
    ),
    "adversarial": Kind(
        "An adversarial autoencoder",
        _adversarial,
        (*CRITIC, "model.weight"),
        IGNORED,
        loss=_adversarial_loss,
        optimizer=own_rates,
        usual={**USUAL_CRITIC, "model.weight": 5.0},  # with 1 the codes lie elsewhere than the prior
    ),
    "vae_gan": Kind(
        "A variational autoencoder and a critic of images (VAE-GAN)",
        _vae_gan,
        (*CRITIC, "model.weight"),
        IGNORED,
        loss=_vae_gan_loss,
        optimizer=own_rates,
        # As many nats as its features lie apart: those of 128 units leave the code nothing to win against its KL.
        usual={"model.critic_hidden": (1024,), "model.weight": 1.0},
    ),
}
