"""Encoders and decoders as a config sizes them; imported by the constructors, when they are called."""

from jaxvae.models.records import Network, Observation
from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
from jaxvae.runs.choices.records import Given, Options


def build_encoder(config: Options) -> Network:
    """The encoder of a posterior, which asks it for as many numbers as it reads."""
    if config.network == "conv":
        from jaxvae.networks.conv import ConvEncoder  # seldom needed, so not at every start

        return ConvEncoder(config.latent_dim, config.features, config.dense, config.activation)
    if config.network == "resnet":
        from jaxvae.networks.residual.resnet import ResNetEncoder

        return ResNetEncoder(config.latent_dim, *_residual(config))
    return MLPEncoder(config.latent_dim, config.hidden, activation=config.activation)


def build_code_encoder(config: Options, size: int) -> Network:
    """An encoder that emits one array [size] and no distribution: a code, or logits."""
    from jaxvae.networks.deterministic import ConvDeterministicEncoder, MLPDeterministicEncoder

    if config.network == "conv":
        return ConvDeterministicEncoder(size, config.features, config.dense, config.activation)
    if config.network == "resnet":
        from jaxvae.networks.residual.resnet import ResNetDeterministicEncoder

        return ResNetDeterministicEncoder(size, *_residual(config))
    return MLPDeterministicEncoder(size, config.hidden, config.activation)


def build_decoder(config: Options, given: Given, observation: Observation) -> Network:
    """The encoder's mirror image."""
    shape, channels = given.event_shape, observation.channels
    if config.network != "mlp":
        _check_sides(config.features, shape)
    if config.network == "conv":
        from jaxvae.networks.conv import ConvDecoder

        return ConvDecoder(shape, channels, config.features, config.dense, config.activation, output_bias=given.bias)
    if config.network == "resnet":
        from jaxvae.networks.residual.resnet import ResNetDecoder

        return ResNetDecoder(shape, channels, *_residual(config), output_bias=given.bias)
    return MLPDecoder(shape, channels, config.hidden[::-1], config.activation, given.bias)


def _residual(config: Options) -> tuple[tuple[int, ...], int, int, bool, str]:
    return config.features, config.dense, config.blocks, config.attention, config.activation


def _check_sides(features: tuple[int, ...], shape: tuple[int, ...]) -> None:
    """Raises `ValueError` where the pictures cannot be halved as often as there are features, naming the options."""
    sides, factor = shape[:2], 2 ** len(features)
    if not any(side % factor for side in sides):
        return
    most = next(n for n in range(len(features), -1, -1) if not any(side % 2**n for side in sides))
    near = " ".join(str(max(1, round(side / factor)) * factor) for side in sides)
    fewer = f"at most {most} numbers" if most > 1 else "1 number" if most else "--model.network mlp"
    shorter = f"--model.features {' '.join(map(str, features[:most]))} ({fewer})" if most else fewer
    raise ValueError(
        f"model.features is {features}, which halves the sides of a picture {len(features)} times, but the pictures "
        f"have {sides[0]} x {sides[1]} pixels, no multiples of {factor}. Set {shorter}, or bring pictures in files to "
        f"another size, --data.size {near}."
    )
