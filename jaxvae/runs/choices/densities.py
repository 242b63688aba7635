"""Kinds of model that draw pixel after pixel, by name: most without latents, which score a picture exactly."""

from typing import TYPE_CHECKING, Any

from jaxvae.runs.choices.posteriors import POSTERIORS
from jaxvae.runs.choices.priors import PRIORS
from jaxvae.runs.choices.records import BOUND, PARTS, Given, Kind, Options

if TYPE_CHECKING:
    from jaxvae.models.records import Model, Observation

# There is no code, and nothing but the likelihood to maximise.
IGNORED = (*PARTS, *BOUND, "model.network", "model.latent_dim", "model.output_bias", "model.dropout")


def _density(network: Any, given: Given, observation: "Observation", classes: int | None = None) -> "Model":
    from jaxvae.models.densities import autoregressive, density_model

    p = autoregressive(network, observation)
    return density_model(p, observation, event_shape=given.event_shape, context=classes)


def _pixel_cnn_network(config: Options, given: Given, observation: "Observation") -> Any:
    from jaxvae.networks.causal import gated_pixel_cnn

    sizes = {"features": config.pixel_features, "layers": config.pixel_layers, "hidden": 2 * config.pixel_features}
    return gated_pixel_cnn(given.event_shape, observation.channels, **sizes)


def _pixel_cnn(config: Options, given: Given, observation: "Observation") -> "Model":
    return _density(_pixel_cnn_network(config, given, observation), given, observation)


def _class_pixel_cnn(config: Options, given: Given, observation: "Observation") -> "Model":
    return _density(_pixel_cnn_network(config, given, observation), given, observation, given.known_classes())


def _transformer(config: Options, given: Given, observation: "Observation") -> "Model":
    from jaxvae.networks.causal import causal_transformer

    sizes = {"width": config.width, "layers": config.pixel_layers, "heads": config.heads}
    return _density(causal_transformer(given.event_shape, observation.channels, **sizes), given, observation)


def _wavenet(config: Options, given: Given, observation: "Observation") -> "Model":
    from jaxvae.networks.causal import wavenet

    sizes = {"features": config.pixel_features, "layers": config.pixel_layers, "hidden": 2 * config.pixel_features}
    return _density(wavenet(given.event_shape, observation.channels, **sizes), given, observation)


def _made(config: Options, given: Given, observation: "Observation") -> "Model":
    from jaxvae.networks.causal import masked_network

    options = {"hidden": config.hidden, "activation": config.activation}
    return _density(masked_network(given.event_shape, observation.channels, **options), given, observation)


def _pixel_vae(config: Options, given: Given, observation: "Observation") -> "Model":
    """The decoder's map of each pixel, 4 numbers, is what the PixelCNN is told of the code."""
    from jaxvae.models.densities import autoregressive
    from jaxvae.models.variational import vae
    from jaxvae.runs.choices.networks import build_decoder, build_encoder

    (height, width, _), encoder = given.event_shape, build_encoder(config)
    flat = given._replace(event_shape=(height, width, 1), bias=None)
    told = build_decoder(config, flat, observation._replace(channels=4))
    return vae(
        encoder,
        autoregressive(_pixel_cnn_network(config, given, observation), observation, told=told),
        event_shape=given.event_shape,
        latent_dim=config.latent_dim,
        observation=observation,
        prior=PRIORS[config.prior].make(config, given, encoder),
        posterior=POSTERIORS[config.posterior].make(config),
    )


PIXELS = ("model.pixel_features", "model.pixel_layers")

DENSITIES: dict[str, Kind] = {
    "pixel_cnn": Kind(
        "A gated PixelCNN: each pixel told those before it",
        _pixel_cnn,
        PIXELS,
        (*IGNORED, "model.hidden", "model.activation"),
        pictures=True,
    ),
    "class_pixel_cnn": Kind(
        "A gated PixelCNN, told the class",
        _class_pixel_cnn,
        PIXELS,
        (*IGNORED, "model.hidden", "model.activation"),
        labels="all",
        pictures=True,
    ),
    "transformer": Kind(
        "A causal Transformer over pixels",
        _transformer,
        ("model.pixel_layers", "model.width", "model.heads"),
        (*IGNORED, "model.hidden", "model.activation"),
    ),
    "wavenet": Kind(
        "WaveNet: dilated convolutions over the elements in order",
        _wavenet,
        PIXELS,
        (*IGNORED, "model.hidden", "model.activation"),
    ),
    "pixel_vae": Kind(
        "A VAE whose decoder draws pixel after pixel (PixelVAE)",
        _pixel_vae,
        PIXELS,
        ("model.output_bias",),
        pictures=True,
    ),
    "made": Kind("A masked autoencoder for density estimation (MADE)", _made, ignores=IGNORED),
}
