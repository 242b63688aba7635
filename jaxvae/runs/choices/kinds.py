"""Kinds of model, by name."""

from typing import TYPE_CHECKING, Any

from jaxvae.runs.choices.posteriors import POSTERIORS
from jaxvae.runs.choices.priors import PRIORS
from jaxvae.runs.choices.records import Given, Kind

if TYPE_CHECKING:
    from jaxvae.models.records import Model, Observation
    from jaxvae.runs.configs.config import ModelConfig

PARTS = ("model.prior", "model.posterior", "sampler.kind", "objective.penalty")  # a kind may have its own
BOUND = ("objective.bound", "objective.samples", "objective.estimator", "objective.beta", "objective.warmup_epochs")
LAYERS = ("model.first_latents", "model.upper_hidden")


def _plain(config: "ModelConfig", given: Given, observation: "Observation") -> "Model":
    from jaxvae.models.variational import vae
    from jaxvae.runs.choices.networks import build_decoder, build_encoder

    encoder = build_encoder(config)
    return vae(
        encoder,
        build_decoder(config, given, observation),
        event_shape=given.event_shape,
        latent_dim=config.latent_dim,
        observation=observation,
        prior=PRIORS[config.prior].make(config, given, encoder),
        posterior=POSTERIORS[config.posterior].make(config),
    )


def _hierarchical(config: "ModelConfig", given: Given, observation: "Observation") -> "Model":
    from jaxvae.models.hierarchical import hierarchical_vae
    from jaxvae.networks.mlp import MLPEncoder

    return _layered(hierarchical_vae, MLPEncoder, config, given, observation)


def _ladder(config: "ModelConfig", given: Given, observation: "Observation") -> "Model":
    from jaxvae.models.ladder import ladder_vae
    from jaxvae.networks.hierarchical import MLPLevel

    return _layered(ladder_vae, MLPLevel, config, given, observation)


def _layered(make: Any, level: Any, config: "ModelConfig", given: Given, observation: "Observation") -> "Model":
    """x - hidden - first_latents - upper_hidden - latent_dim, and the same layers downwards."""
    from jaxvae.networks.mlp import MLPEncoder
    from jaxvae.runs.choices.networks import build_decoder

    first, top, upper = config.first_latents, config.latent_dim, config.upper_hidden
    down = [MLPEncoder(first, upper[::-1], config.activation)]
    up = [level(first, config.hidden, config.activation), level(top, upper, config.activation)]
    sizes: Any = {"event_shape": given.event_shape, "latent_dims": (first, top), "observation": observation}
    made: Model = make(up, down, build_decoder(config, given, observation), **sizes)
    return made


def _deterministic(config: "ModelConfig", given: Given, observation: "Observation") -> "Model":
    from jaxvae.models.autoencoders.deterministic import autoencoder
    from jaxvae.runs.choices.networks import build_code_encoder, build_decoder

    return autoencoder(
        build_code_encoder(config, config.latent_dim),
        build_decoder(config, given, observation),
        event_shape=given.event_shape,
        latent_dim=config.latent_dim,
        observation=observation,
    )


KINDS: dict[str, Kind] = {
    "vae": Kind("A variational autoencoder", _plain),
    "hierarchical": Kind(
        "A variational autoencoder with two layers of latents", _hierarchical, LAYERS, (*PARTS, "model.network")
    ),
    "ladder": Kind("A ladder variational autoencoder", _ladder, LAYERS, (*PARTS, "model.network")),
    "autoencoder": Kind("A deterministic autoencoder", _deterministic, ignores=(*PARTS, *BOUND)),
}
