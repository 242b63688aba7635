"""Kinds of autoencoder whose code is no distribution, by name."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jaxvae.runs.choices.records import BOUND, PARTS, Given, Kind, Options

if TYPE_CHECKING:
    from jaxvae.models.records import Model, Observation

IGNORED = (*PARTS, *BOUND)  # there is no posterior


def build_autoencoder(
    make: "Callable[..., Model]", config: Options, given: Given, observation: "Observation", **options: Any
) -> "Model":
    """An autoencoder by the constructor `make`, which is given its networks and sizes.

    Example:
        >>> from jaxvae.models.autoencoders.deterministic import autoencoder
        >>> from jaxvae.models.observations.continuous import bernoulli
        >>> from jaxvae.runs.configs.config import ModelConfig
        >>> build_autoencoder(autoencoder, ModelConfig(latent_dim=2), Given((8, 8, 1)), bernoulli()).event_shape
        (8, 8, 1)
    """
    from jaxvae.runs.choices.networks import build_code_encoder, build_decoder

    return make(
        build_code_encoder(config, config.latent_dim),
        build_decoder(config, given, observation),
        event_shape=given.event_shape,
        latent_dim=config.latent_dim,
        observation=observation,
        **options,
    )


def _plain(config: Options, given: Given, observation: "Observation") -> "Model":
    from jaxvae.models.autoencoders.deterministic import autoencoder

    return build_autoencoder(autoencoder, config, given, observation)


def _denoising(config: Options, given: Given, observation: "Observation") -> "Model":
    from jaxvae.models.autoencoders import denoising

    corruptions = {
        "masking": denoising.masking,
        "gaussian": denoising.gaussian_noise,
        "salt_and_pepper": denoising.salt_and_pepper,
    }
    corruption = corruptions[config.corruption](config.noise)
    return build_autoencoder(denoising.denoising_autoencoder, config, given, observation, corruption=corruption)


def _sparse(config: Options, given: Given, observation: "Observation") -> "Model":
    from jaxvae.models.autoencoders.regularized import sparse_autoencoder

    return build_autoencoder(sparse_autoencoder, config, given, observation, weight=config.weight)


def _contractive(config: Options, given: Given, observation: "Observation") -> "Model":
    from jaxvae.models.autoencoders.regularized import contractive_autoencoder

    return build_autoencoder(contractive_autoencoder, config, given, observation, weight=config.weight)


def _rae(config: Options, given: Given, observation: "Observation") -> "Model":
    from jaxvae.models.autoencoders.regularized import regularized_autoencoder

    return build_autoencoder(
        regularized_autoencoder,
        config,
        given,
        observation,
        code_weight=config.weight,
        decoder_penalty=config.decoder_penalty,
        decoder_weight=config.decoder_weight,
    )


def _wasserstein(config: Options, given: Given, observation: "Observation") -> "Model":
    from jaxvae.models.autoencoders.deterministic import autoencoder
    from jaxvae.models.priors.standard import standard_normal

    return build_autoencoder(autoencoder, config, given, observation, prior=standard_normal(config.latent_dim))


def _wasserstein_loss(config: Options, model: "Model") -> Any:
    from jaxvae.training.losses.bound import bound_loss
    from jaxvae.training.losses.penalties import mmd_penalty

    return bound_loss(model, batch_penalty=mmd_penalty(model, config.model.weight))


AUTOENCODERS: dict[str, Kind] = {
    "autoencoder": Kind("A deterministic autoencoder", _plain, ignores=IGNORED),
    "denoising": Kind("A denoising autoencoder", _denoising, ("model.corruption", "model.noise"), IGNORED),
    "sparse": Kind("A sparse autoencoder", _sparse, ("model.weight",), IGNORED, usual={"model.weight": 1.0}),
    "contractive": Kind(
        "A contractive autoencoder", _contractive, ("model.weight",), IGNORED, usual={"model.weight": 0.1}
    ),
    "rae": Kind(
        "A regularised autoencoder (RAE)",
        _rae,
        ("model.weight", "model.decoder_penalty", "model.decoder_weight"),
        IGNORED,
        usual={"model.weight": 1.0},
    ),
    "wasserstein": Kind(
        "A Wasserstein autoencoder (MMD)",
        _wasserstein,
        ("model.weight",),
        IGNORED,
        loss=_wasserstein_loss,
        usual={"model.weight": 100.0},
    ),
}
