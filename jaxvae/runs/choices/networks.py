"""Encoders and decoders as a config sizes them; imported by the constructors, when they are called."""

from jaxvae.models.records import Network, Observation
from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
from jaxvae.runs.choices.records import Given, Options


def build_encoder(config: Options) -> Network:
    """The encoder of a posterior, which asks it for as many numbers as it reads."""
    if config.network == "conv":
        from jaxvae.networks.conv import ConvEncoder  # seldom needed, so not at every start

        return ConvEncoder(config.latent_dim, config.features, config.dense, config.activation)
    return MLPEncoder(config.latent_dim, config.hidden, activation=config.activation)


def build_code_encoder(config: Options, size: int) -> Network:
    """An encoder that emits one array [size] and no distribution: a code, or logits."""
    from jaxvae.networks.deterministic import ConvDeterministicEncoder, MLPDeterministicEncoder

    if config.network == "conv":
        return ConvDeterministicEncoder(size, config.features, config.dense, config.activation)
    return MLPDeterministicEncoder(size, config.hidden, config.activation)


def build_decoder(config: Options, given: Given, observation: Observation) -> Network:
    """The encoder's mirror image."""
    shape, channels = given.event_shape, observation.channels
    if config.network == "conv":
        from jaxvae.networks.conv import ConvDecoder

        return ConvDecoder(shape, channels, config.features, config.dense, config.activation)
    return MLPDecoder(shape, channels, config.hidden[::-1], config.activation, given.bias)
