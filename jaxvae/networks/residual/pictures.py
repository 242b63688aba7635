"""A decoder that is told a picture: what is left of the one that it shall restore."""

import math

import jax
from flax import linen as nn

from jaxvae.networks.activations import activation_named
from jaxvae.networks.convolution import Conv, ConvTranspose
from jaxvae.networks.residual.blocks import GroupNorm, down, up
from jaxvae.networks.rows import Dense
from jaxvae.networks.shapes import check_latent, fitting
from jaxvae.networks.trunks import check_fields

Array = jax.Array


class PictureDecoder(nn.Module):
    """(z [Z], picture [H, W, D]) -> outputs [H, W, C * channels], unconstrained: a U-Net of the picture, moved by z.

    The picture is halved by a convolution of stride 2 for each of `features`, with `blocks` residual blocks at each
    resolution but the first; z is added where it is coarsest, as a picture of its own, and each resolution on the way
    up sees that of the way down beside it. What the picture shows needs no latents, and z says what it leaves open:
    colours of a grey picture, edges of a coarse one. It is the decoder of a `conditional_vae` with
    `context=(H, W, D)`.

    Source: Ronneberger et al., 2015, arXiv 1505.04597; told a latent: Kohl et al., 2018, arXiv 1806.05034 (there z
    joins at full resolution).

    Example:
        >>> decoder, z = PictureDecoder((8, 8, 3), features=(4, 8)), jax.numpy.zeros(2)
        >>> grey = jax.numpy.zeros((8, 8, 1))
        >>> decoder.apply(decoder.init(jax.random.key(0), z, grey), z, grey).shape
        (8, 8, 3)
    """

    event_shape: tuple[int, ...]
    channels: int = 1
    features: tuple[int, ...] = (32, 64, 128)
    dense: int = 256
    blocks: int = 1
    activation: str = "silu"
    native: bool | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        super().__post_init__()

    @nn.compact
    def __call__(self, z: Array, picture: Array) -> Array:
        check_latent(z)
        if picture.ndim != 3 or picture.shape[:2] != tuple(self.event_shape[:2]):
            raise ValueError(
                f"the picture has shape {picture.shape}, expected (H, W, D) with the sides of {self.event_shape}: a "
                f"smaller one must be brought to that size."
            )
        act, outputs = activation_named(self.activation), self.event_shape[2] * self.channels
        with fitting("z", z):
            h, kept = picture, []
            for level in range(len(self.features)):
                h = down(h, level, self, stem=level == 0)
                kept.append(h)
            h = h + Dense(math.prod(h.shape))(act(Dense(self.dense)(z))).reshape(h.shape)
            for level in reversed(range(len(self.features))):
                h = up(jax.numpy.concatenate([h, kept.pop()], -1), level, self)
            h = ConvTranspose(self.features[0], 4, 2, self.native)(act(GroupNorm()(h)))
            h = act(h + Conv(self.features[0], 3, 1, self.native)(picture))
            return Conv(outputs, 3, 1, self.native, nn.initializers.zeros)(h)
