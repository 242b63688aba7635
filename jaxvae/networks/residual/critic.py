"""A residual critic of one picture: no norm at all, so that a penalty on its slope means the slope."""

import jax
from flax import linen as nn

from jaxvae.networks.residual.blocks import down, opinion, plain_block
from jaxvae.networks.shapes import fitting
from jaxvae.networks.trunks import check_fields, check_image_shape

Array = jax.Array


class ResNetCritic(nn.Module):
    """x [H, W, C] -> (logit [], features [F]): convolutions of stride 2 with residual blocks after each but the first.

    H and W must be multiples of 2 to the number of `features`. Blocks have no norm, neither over a batch nor over
    channels: h + conv(act(conv(act(h)))), the last at 0 where training starts, so that it starts as its few other
    layers. The features are the coarsest picture, and `ResNetDecoder` is the generator that it plays against.

    Source: blocks that start at 0 in place of a norm: Zhang, Dauphin and Ma, 2019, arXiv 1901.09321; in a critic with
    penalised slopes: Huang et al., 2024, arXiv 2501.05441.

    Example:
        >>> critic, x = ResNetCritic(features=(4, 8), dense=16), jax.numpy.zeros((8, 8, 3))
        >>> logit, features = critic.apply(critic.init(jax.random.key(0), x), x)
        >>> logit.shape, features.shape
        ((), (32,))
    """

    features: tuple[int, ...] = (32, 64, 128)
    dense: int = 256
    blocks: int = 1
    activation: str = "leaky_relu"
    native: bool | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array) -> tuple[Array, Array]:
        with fitting("x", x):
            check_image_shape("x", x.shape, len(self.features))
            for level in range(len(self.features)):
                x = down(x, level, self, plain_block)
            features = x.reshape(-1)
            return opinion(features, self), features
