"""Encoders and decoders, by name, and as a config sizes them."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from jaxvae.runs.choices.records import Given, Networks, Options, Size

if TYPE_CHECKING:
    from jaxvae.models.records import Network, Observation
    from jaxvae.networks.published.disentangling import Stack

OF_THEIR_OWN = ("model.features", "model.dense")
NETWORKS: dict[str, Networks] = {
    "mlp": Networks("MLP"),
    "conv": Networks("convolutions"),
    "resnet": Networks("residual blocks", ("model.blocks", "model.attention", "model.size", "model.block_dropout")),
    "burgess": Networks("the convolutions of Burgess et al.", ignores=OF_THEIR_OWN),
    "locatello": Networks("the convolutions of Locatello et al.", ignores=OF_THEIR_OWN),
}
CHOSEN = ("model.features", "model.blocks")
SIZES: dict[str, Size] = {
    "own": Size(),
    "small": Size(16, 1, ignores=CHOSEN),
    "base": Size(32, 2, ignores=CHOSEN),
    "large": Size(64, 3, ignores=CHOSEN),
}
RESOLUTIONS, COARSEST = 4, 4  # of a network sized by name at most so many, and so many pixels to a side at least


def sized(config: Options, shape: tuple[int, ...]) -> Options:
    """The config with the features and the blocks that model.size chooses for pictures of a shape.

    Sides are halved while they are even and no fewer than 4 pixels are left, at most four times: 28 make 14 and 7.

    Raises:
        ValueError: for sides that cannot be halved once.

    Example:
        >>> from jaxvae.runs.configs.model import ModelConfig
        >>> found = sized(ModelConfig(network="resnet", size="base"), (32, 32, 3))
        >>> found.features, found.blocks
        ((32, 64, 128), 2)
    """
    if config.size == "own":
        return config
    size, sides = SIZES[config.size], list(shape[:2])
    features: list[int] = []
    while len(features) < RESOLUTIONS and all(side % 2 == 0 and side >= 2 * COARSEST for side in sides):
        features.append(size.width * 2 ** len(features))
        sides = [side // 2 for side in sides]
    if not features:
        raise ValueError(
            f"model.size is {config.size!r}, a residual network that halves the sides of a picture, but the pictures "
            f"have {shape[0]} x {shape[1]} pixels, expected even sides of at least {2 * COARSEST}. Set --model.network "
            f"mlp, or bring pictures in files to another size, --data.size 32 32."
        )
    return replace(config, size="own", features=tuple(features), blocks=size.blocks)


def build_encoder(config: Options) -> "Network":
    """The encoder of a posterior, which asks it for as many numbers as it reads."""
    if config.network == "resnet":
        from jaxvae.networks.residual.resnet import ResNetEncoder

        return dropped(config, ResNetEncoder(config.latent_dim, *_residual(config)))
    if config.network == "mlp":
        from jaxvae.networks.mlp import MLPEncoder

        return dropped(config, MLPEncoder(config.latent_dim, config.hidden, activation=config.activation))
    from jaxvae.networks.conv import ConvEncoder  # seldom needed, so not at every start

    return dropped(config, ConvEncoder(config.latent_dim, activation=config.activation, **stack_of(config).down()))


def build_code_encoder(config: Options, size: int) -> "Network":
    """An encoder that emits one array [size] and no distribution: a code, or logits."""
    if config.network == "resnet":
        from jaxvae.networks.residual.resnet import ResNetDeterministicEncoder

        return dropped(config, ResNetDeterministicEncoder(size, *_residual(config)))
    from jaxvae.networks.deterministic import ConvDeterministicEncoder, MLPDeterministicEncoder

    if config.network == "mlp":
        return dropped(config, MLPDeterministicEncoder(size, config.hidden, config.activation))
    return dropped(config, ConvDeterministicEncoder(size, activation=config.activation, **stack_of(config).down()))


def build_decoder(config: Options, given: Given, observation: "Observation") -> "Network":
    """The encoder's mirror image."""
    shape, channels = given.event_shape, observation.channels
    if config.network == "mlp":
        from jaxvae.networks.mlp import MLPDecoder

        return dropped(config, MLPDecoder(shape, channels, config.hidden[::-1], config.activation, given.bias))
    options: Any = {"activation": config.activation, "output_bias": given.bias}
    if config.network == "resnet":
        from jaxvae.networks.residual.resnet import ResNetDecoder

        check_halves(config.features, shape)
        return dropped(config, ResNetDecoder(shape, channels, *_residual(config)[:-1], **options))
    from jaxvae.networks.conv import ConvDecoder

    stack = stack_of(config)
    (_check_reaches if stack.pad else check_halves)(stack.features, shape)
    return dropped(config, ConvDecoder(shape, channels, **stack.up(), **options))


def dropped(config: Options, network: "Network") -> "Network":
    """The network with the dropout that a config asks for."""
    from jaxvae.networks.rngs import with_dropout

    rates = (config.dropout, config.block_dropout)
    return with_dropout(network, rates[0], blocks=rates[1]) if any(rates) else network


def stack_of(config: Options) -> "Stack":
    """The convolutions that a config names, or sizes.

    Example:
        >>> from jaxvae.runs.configs.model import ModelConfig
        >>> stack_of(ModelConfig(network="conv", features=(4, 8))).features
        (4, 8)
    """
    from jaxvae.networks.published.disentangling import STACKS, Stack

    return STACKS.get(config.network) or Stack(config.features, (config.dense,))


def _residual(config: Options) -> tuple[tuple[int, ...], int, int, bool, str]:
    return config.features, config.dense, config.blocks, config.attention, config.activation


def _check_reaches(features: tuple[int, ...], shape: tuple[int, ...]) -> None:
    """Raises `ValueError` for pictures with sides shorter than a pixel of the coarsest resolution, naming the sizes."""
    least = 2 ** len(features)
    if min(shape[:2]) >= least:
        return
    near = " ".join(str(-(-side // least) * least) for side in shape[:2])
    raise ValueError(
        f"the pictures have {shape[0]} x {shape[1]} pixels, but the {len(features)} convolutions of stride 2 want 64 x "
        f"64, and no side shorter than {least}. Set --model.network conv, which has --model.features, or bring "
        f"pictures in files to another size, --data.size {near}."
    )


def check_halves(features: tuple[int, ...], shape: tuple[int, ...]) -> None:
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
