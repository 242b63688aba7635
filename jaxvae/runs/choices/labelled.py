"""Kinds of model that are told the class of an example, by name."""

from typing import TYPE_CHECKING

from jaxvae.runs.choices.posteriors import POSTERIORS
from jaxvae.runs.choices.records import PARTS, Given, Kind, Options

if TYPE_CHECKING:
    from jaxvae.models.records import Model, Observation


def _conditional(config: Options, given: Given, observation: "Observation") -> "Model":
    from jaxvae.models.conditional import conditional_vae
    from jaxvae.networks.conditional import with_context
    from jaxvae.runs.choices.networks import build_decoder, build_encoder

    return conditional_vae(
        with_context(build_encoder(config), channels=config.network != "mlp"),
        with_context(build_decoder(config, given, observation)),
        event_shape=given.event_shape,
        latent_dim=config.latent_dim,
        context=given.known_classes(),
        observation=observation,
        posterior=POSTERIORS[config.posterior].make(config),
    )


def _semi_supervised(config: Options, given: Given, observation: "Observation") -> "Model":
    from jaxvae.models.semi_supervised import semi_supervised_vae
    from jaxvae.networks.conditional import with_context
    from jaxvae.runs.choices.networks import build_code_encoder, build_decoder, build_encoder

    classes = given.known_classes()
    return semi_supervised_vae(
        with_context(build_encoder(config), channels=config.network != "mlp"),
        with_context(build_decoder(config, given, observation)),
        build_code_encoder(config, classes),
        event_shape=given.event_shape,
        latent_dim=config.latent_dim,
        classes=classes,
        alpha=config.weight,
        observation=observation,
    )


LABELLED: dict[str, Kind] = {
    "conditional": Kind(
        "A conditional variational autoencoder, told the class",
        _conditional,
        ignores=("model.prior", "sampler.kind"),
        labels="all",
    ),
    "semi_supervised": Kind(
        "A semi-supervised VAE (M2), told some of the classes",
        _semi_supervised,
        ("model.labelled", "model.weight"),
        (*PARTS, "objective.bound", "objective.estimator"),  # the classifier learns from the ELBO alone
        labels="some",
        # Kingma's: 0.1 times the examples over those with a label.
        usual={"model.weight": lambda model: 0.1 / model.labelled},
    ),
}
