"""Progressive growing: a generator and a critic of all resolutions, of which a number says how many are in use.

growth g in [0, stages - 1]; stage s = ceil(g) is the finest resolution that is seen, and its weight is
alpha = g - s + 1: at a whole number it is seen alone, between two it fades in over the one before.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxvae.networks.activations import activation_named
from jaxvae.networks.residual.blocks import GroupNorm, opinion, plain_block, residual_block
from jaxvae.networks.rows import Dense
from jaxvae.networks.shapes import check_latent, fitting
from jaxvae.networks.trunks import check_fields, check_image_shape

Array = jax.Array


def halved(x: Array) -> Array:
    """[H, W, C] -> [H / 2, W / 2, C], means of four; of four equal numbers exactly that number.

    Example:
        >>> halved(jnp.arange(4.0).reshape(2, 2, 1)).tolist()
        [[[1.5]]]
    """
    x = 0.5 * (x[0::2] + x[1::2])  # two at a time: the sum of two equal numbers is exact, of three it is not
    return 0.5 * (x[:, 0::2] + x[:, 1::2])


def doubled(x: Array, times: int = 1) -> Array:
    """[H, W, C] -> [2^times H, 2^times W, C], each pixel repeated."""
    return x.repeat(2**times, 0).repeat(2**times, 1)


def faded(before: Array, here: Array, alpha: Any) -> Array:
    """(1 - alpha) before + alpha here: exactly one of them at 0 and at 1."""
    return (1 - alpha) * before + alpha * here


class _Look(NamedTuple):
    """What all blocks of a network have in common."""

    blocks: int
    activation: str
    native: bool | None


class GrowingDecoder(nn.Module):
    """z [Z] -> outputs [H, W, C * channels], unconstrained, that show the resolution of a stage.

    Stage 0 is the coarsest, of sides H / 2^(n - 1) for n `features`, which are listed as a `ResNetDecoder`'s, the
    widest last. Each stage doubles the sides, and has `blocks` residual blocks and a layer to pixels of its own. Called
    as (z, stage, alpha) it shows (1 - alpha) times the stage before, enlarged, and alpha times this one; (z) shows the
    last stage alone. `growing` makes players of it that know where they are.

    Source: Karras, Aila, Laine and Lehtinen, 2018, arXiv 1710.10196 (there two convolutions with a norm of each pixel
    in place of a residual block).

    Example:
        >>> decoder, z = GrowingDecoder((8, 8, 3), features=(4, 8), dense=16), jnp.zeros(2)
        >>> variables = decoder.init(jax.random.key(0), z)
        >>> coarse = decoder.apply(variables, z, 0)
        >>> coarse.shape, bool((coarse[::2, ::2] == coarse[1::2, 1::2]).all())
        ((8, 8, 3), True)
    """

    event_shape: tuple[int, ...]
    channels: int = 1
    features: tuple[int, ...] = (16, 32, 64)
    dense: int = 256
    blocks: int = 1
    activation: str = "leaky_relu"
    native: bool | None = None

    @property
    def halvings(self) -> int:
        """How often the sides of the picture are halved."""
        return len(self.features) - 1

    def __post_init__(self) -> None:
        check_fields(self)
        super().__post_init__()

    @nn.compact
    def __call__(self, z: Array, stage: int | None = None, alpha: Any = 1.0) -> Array:
        check_latent(z)
        act, last = activation_named(self.activation), self.halvings
        look = _Look(self.blocks, self.activation, self.native)
        stage = last if stage is None else stage
        start = (*(side // 2**last for side in self.event_shape[:2]), self.features[-1])
        with fitting("z", z):
            h = Dense(math.prod(start), name="start")(act(Dense(self.dense, name="dense")(z))).reshape(start)
            pictures = []
            for level in range(stage + 1):
                h = _Up(self.features[last - level], level > 0, look, name=f"stage_{level}")(h)
                if level >= stage - 1 or self.is_initializing():
                    seen = act(GroupNorm(name=f"norm_{level}")(h))
                    pictures.append(Dense(self.event_shape[2] * self.channels, name=f"pixels_{level}")(seen))
            found = faded(doubled(pictures[-2]), pictures[-1], alpha) if stage else pictures[-1]
            return doubled(found, last - stage)


class GrowingCritic(nn.Module):
    """x [H, W, C] -> (logit [], features [F]) by the resolution of a stage: the mirror image of `GrowingDecoder`.

    The picture is halved to the resolution of the stage, and read by a layer of its own; that of the stage before
    reads it halved once more, with the weight 1 - alpha. There is no norm, as in `ResNetCritic`.

    Example:
        >>> critic, x = GrowingCritic(features=(4, 8), dense=16), jnp.zeros((8, 8, 3))
        >>> logit, features = critic.apply(critic.init(jax.random.key(0), x), x, 1, 0.5)
        >>> logit.shape, features.shape
        ((), (128,))
    """

    features: tuple[int, ...] = (16, 32, 64)
    dense: int = 256
    blocks: int = 1
    activation: str = "leaky_relu"
    native: bool | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array, stage: int | None = None, alpha: Any = 1.0) -> tuple[Array, Array]:
        last = len(self.features) - 1
        look = _Look(self.blocks, self.activation, self.native)
        stage = last if stage is None else stage
        with fitting("x", x):
            check_image_shape("x", x.shape, last)
            read = [Dense(width, name=f"pixels_{level}") for level, width in enumerate(self.features[::-1])]
            if self.is_initializing():
                _ = [layer(jnp.zeros((1, 1, x.shape[2]))) for layer in read]
            for _ in range(last - stage):
                x = halved(x)
            h = read[stage](x)
            for level in range(stage, 0, -1):
                h = _Down(self.features[last - level + 1], look, name=f"stage_{level}")(h)
                if level == stage:
                    h = faded(read[stage - 1](halved(x)), h, alpha)
            h = _Down(self.features[-1], look, False, name="stage_0")(h)
            features = h.reshape(-1)
            return opinion(features, self, "dense", "logit"), features


class _Up(nn.Module):
    """A picture twice as large (or as large as it is), and residual blocks."""

    width: int
    larger: bool
    look: _Look

    @nn.compact
    def __call__(self, h: Array) -> Array:
        h = doubled(Dense(self.width)(h)) if self.larger else h
        for _ in range(self.look.blocks):
            h = residual_block(h, self.width, self.look)
        return h


class _Down(nn.Module):
    """Residual blocks without a norm, and a picture half as large (or as large as it is)."""

    width: int
    look: _Look
    smaller: bool = True

    @nn.compact
    def __call__(self, h: Array) -> Array:
        for _ in range(self.look.blocks):
            h = plain_block(h, h.shape[-1], self.look)
        return halved(Dense(self.width)(h)) if self.smaller else h
