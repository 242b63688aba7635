"""The networks of a deep hierarchy of pictures: a pyramid up from x, residual groups down, and the last way to x."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxvae.checks import positive_integer
from jaxvae.networks.activations import activation_named
from jaxvae.networks.convolution import Conv, ConvTranspose
from jaxvae.networks.rows import Dense
from jaxvae.networks.trunks import from_bias

Array = jax.Array
ZEROS = nn.initializers.zeros
BOUND = 8.0  # of log-variances and their ratios, softly: beyond it nothing is gained, and much is lost


class Look(NamedTuple):
    """What all blocks of a pyramid have in common.

    Attributes:
        activation: its name. native: as `conv` has it.
        scale: of the weights that end a block or put a code into the stream, 1 / sqrt(groups).
        narrow: the channels of a block over those within it.
    """

    activation: str = "silu"
    native: bool | None = None
    scale: float = 1.0
    narrow: int = 4


def bottleneck(x: Array, width: int, look: Look, last: Any) -> Array:
    """Two 3x3 convolutions of few channels between two products that change the channels; [H, W, C] -> [H, W, width].

    Where H and W are 1 or 2 the convolutions see one pixel each: a wider kernel would mostly see the padding.

    Source: Child, 2021, arXiv 2011.10650, figure 3.
    """
    act, inner = activation_named(look.activation), max(1, x.shape[-1] // look.narrow)
    kernel = 3 if min(x.shape[:2]) > 2 else 1
    h = Dense(inner)(act(x))
    for _ in range(2):
        h = Conv(inner, kernel, 1, look.native)(act(h))
    return Dense(width, kernel_init=last)(act(h))


class Block(nn.Module):
    """h + bottleneck(h), nearly h where training starts."""

    look: Look

    @nn.compact
    def __call__(self, h: Array, _: None = None) -> tuple[Array, None]:
        return h + bottleneck(h, h.shape[-1], self.look, _scaled(self.look)), None


def blocks(count: int, look: Look, h: Array) -> Array:
    """`count` blocks in one loop, each with weights of its own; in a compact module."""
    if not count:
        return h
    loop: Any = nn.scan(Block, variable_axes={"params": 0}, split_rngs={"params": True}, length=count)
    return loop(look)(h, None)[0]


class PyramidEncoder(nn.Module):
    """x [H, W, C] -> what is seen at each resolution, the finest first: [H / f_1, W / f_1, features[0]], and so on."""

    features: tuple[int, ...]
    factors: tuple[int, ...]
    blocks: int = 1
    look: Look = Look()

    @nn.compact
    def __call__(self, x: Array) -> tuple[Array, ...]:
        seen, h, act = [], x, activation_named(self.look.activation)
        for level, (width, factor) in enumerate(zip(self.features, self.factors, strict=True)):
            h = Conv(width, _kernel_of(factor, h.shape), factor, self.look.native)(act(h) if level else h)
            h = blocks(self.blocks, self.look, h)
            seen.append(h)
        return tuple(seen)


class Start(nn.Module):
    """(stream above,) -> stream [H, W, D] by a transposed convolution; a learned picture is added, or is all there is.

    Pixels that were only made several would have to find out where they are: of one pixel, all would say the same.
    """

    shape: tuple[int, int, int]
    look: Look = Look()

    @nn.compact
    def __call__(self, *above: Array) -> Array:
        picture = self.param("picture", nn.initializers.normal(0.01 if above else 0.5), self.shape, jnp.float32)
        if not above:
            return picture
        (h,) = above
        factor = self.shape[0] // h.shape[0]
        # Of each kernel's k^2 positions, (k / factor)^2 fall on a pixel: so the stream keeps its size on the way down.
        start = nn.initializers.variance_scaling(factor**2, "fan_in", "truncated_normal", in_axis=-1, out_axis=-2)
        layer = ConvTranspose(self.shape[2], _kernel_of(factor, self.shape), factor, self.look.native, start)
        return layer(h) + picture


class GroupPrior(nn.Module):
    """h -> (mean, log_var, change): N(0, 1) and no change where training starts."""

    latent_dim: int
    look: Look = Look()

    @nn.compact
    def __call__(self, h: Array) -> tuple[Array, Array, Array]:
        sizes = [self.latent_dim, self.latent_dim, h.shape[-1]]
        mean, log_var, change = jax.lax.split(bottleneck(h, sum(sizes), self.look, ZEROS), sizes, 2)
        return mean, _softly_bounded(log_var), change


class GroupPosterior(nn.Module):
    """(h, a) -> (shift, log_ratio), both 0 where training starts: the posterior is the prior."""

    latent_dim: int
    look: Look = Look()

    @nn.compact
    def __call__(self, h: Array, a: Array) -> tuple[Array, Array]:
        both = jnp.concatenate([h, a], -1)
        look = self.look._replace(narrow=2 * self.look.narrow)
        shift, log_ratio = jnp.split(bottleneck(both, 2 * self.latent_dim, look, ZEROS), 2, -1)
        return shift, _softly_bounded(log_ratio)


class GroupMerge(nn.Module):
    """(h, z) -> h with the code put in, through a residual block."""

    look: Look = Look()

    @nn.compact
    def __call__(self, h: Array, z: Array) -> Array:
        h = h + Dense(h.shape[-1], kernel_init=_scaled(self.look))(z)
        return Block(self.look)(h)[0]


class PyramidDecoder(nn.Module):
    """h [H / f, W / f, D] -> outputs [H, W, C * channels], unconstrained, by one transposed convolution from 0.

    Its kernels are twice as wide as their distance, so that every output pixel is seen as often as any other.
    """

    event_shape: tuple[int, ...]
    factor: int
    channels: int = 1
    look: Look = Look()
    output_bias: tuple[float, ...] | None = None

    @nn.compact
    def __call__(self, h: Array) -> Array:
        act, outputs = activation_named(self.look.activation), self.event_shape[-1] * self.channels
        kernel = _kernel_of(self.factor, self.event_shape)
        return from_bias(ConvTranspose(outputs, kernel, self.factor, self.look.native, ZEROS)(act(h)), self)


def pyramid(
    event_shape: tuple[int, ...],
    *,
    groups: tuple[int, ...],
    features: tuple[int, ...],
    factors: tuple[int, ...],
    latent_dim: int,
    channels: int = 1,
    blocks: int = 1,
    activation: str = "silu",
    output_bias: tuple[float, ...] | None = None,
    native: bool | None = None,
) -> tuple[PyramidEncoder, list[tuple[Any, ...]], PyramidDecoder]:
    """The encoder, the levels and the decoder of `top_down_vae` for pictures; of each level the fields of a `Level`.

    Args:
        event_shape: (H, W, C).
        groups: of latents at each resolution, the finest first.
        features: channels of each resolution.
        factors: by how much the sides of each resolution are smaller than those of the one before, the first than x.
        latent_dim: latents of each pixel of a group.
        channels: outputs for each channel of x, as the observation model asks.
        blocks: of the encoder at each resolution.
        output_bias: where the last picture starts.

    Raises:
        ValueError: for lists of unlike lengths, or sides that are no multiples of all factors.

    Source: Child, 2021, arXiv 2011.10650, without its weights' exact scales; no norms, so no example sees another.

    Example:
        >>> encoder, levels, decoder = pyramid((8, 8, 1), groups=(2, 1), features=(4, 4), factors=(2, 4), latent_dim=2)
        >>> x = jnp.zeros((8, 8, 1))
        >>> [seen.shape for seen in encoder.apply(encoder.init(jax.random.key(0), x), x)]
        [(4, 4, 4), (1, 1, 4)]
    """
    options = {"groups": groups, "features": features, "factors": factors}
    if len({len(option) for option in options.values()}) > 1 or not groups:
        raise ValueError(f"{options}, expected as many numbers in each: one for each resolution.")
    for name, numbers in {**options, "latent_dim": (latent_dim,)}.items():
        for number in numbers:
            positive_integer(name, number)
    whole = math.prod(factors)
    if len(event_shape) != 3 or any(side % whole for side in event_shape[:2]):
        raise ValueError(
            f"event_shape is {event_shape}, expected (H, W, C) with sides that are multiples of {whole}, the product "
            f"of factors {factors}."
        )
    look, levels, shrunk = Look(activation, native, 1.0 / math.sqrt(sum(groups))), [], 1
    for count, width, factor in zip(groups, features, factors, strict=True):
        shrunk *= factor
        start = Start((event_shape[0] // shrunk, event_shape[1] // shrunk, width), look)
        levels.append((count, start, GroupPrior(latent_dim, look), GroupPosterior(latent_dim, look), GroupMerge(look)))
    encoder = PyramidEncoder(features, factors, blocks, look)
    return encoder, levels, PyramidDecoder(event_shape, factors[0], channels, look, output_bias)


def _kernel_of(factor: int, shape: tuple[int, ...]) -> int:
    """The side of the kernels that shrink a picture: twice the stride, 3 of stride 1; of a whole picture its side.

    Example:
        >>> _kernel_of(4, (28, 28, 1)), _kernel_of(7, (7, 7, 64)), _kernel_of(1, (7, 7, 64))
        (8, 7, 3)
    """
    return factor if factor == max(shape[:2]) else max(3, 2 * factor)


def _scaled(look: Look) -> nn.initializers.Initializer:
    """LeCun's normal weights times look.scale."""
    return nn.initializers.variance_scaling(look.scale**2, "fan_in", "truncated_normal")


def _softly_bounded(x: Array) -> Array:
    """BOUND tanh(x / BOUND): x where it is small, never beyond BOUND."""
    return BOUND * jnp.tanh(x / BOUND)
