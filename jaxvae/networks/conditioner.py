"""The networks of a flow's layers, which start at zero, and of the noise that fills the gaps between levels."""

import math

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxvae.checks import positive_integer
from jaxvae.networks.activations import activation_named
from jaxvae.networks.convolution import Conv
from jaxvae.networks.rows import Dense
from jaxvae.networks.shapes import fitting
from jaxvae.networks.trunks import check_fields, mlp_trunk

Array = jax.Array


class ConditionerMLP(nn.Module):
    """h [N] -> [size] through hidden layers; the last layer starts at 0, so that a flow starts as the identity.

    Example:
        >>> network = ConditionerMLP(4, hidden=(16,))
        >>> x = jax.numpy.ones(3)
        >>> network.apply(network.init(jax.random.key(0), x), x).tolist()
        [0.0, 0.0, 0.0, 0.0]
    """

    size: int
    hidden: tuple[int, ...] = (64, 64)
    activation: str = "silu"

    def __post_init__(self) -> None:
        check_fields(self)
        super().__post_init__()

    @nn.compact
    def __call__(self, h: Array) -> Array:
        with fitting("h", h):
            last = Dense(self.size, kernel_init=nn.initializers.zeros)
            return last(mlp_trunk(h, self))


class ConditionerConv(nn.Module):
    """h [H, W, C] -> [H, W, size] through residual blocks at one resolution; the last layer starts at 0.

    h = conv3(h), then `blocks` times h = h + conv1(act(conv3(act(h)))), then conv3(act(h))

    Example:
        >>> network = ConditionerConv(4, features=8)
        >>> x = jax.numpy.ones((4, 6, 2))
        >>> network.apply(network.init(jax.random.key(0), x), x).shape
        (4, 6, 4)
    """

    size: int
    features: int = 32
    blocks: int = 1
    activation: str = "silu"

    def __post_init__(self) -> None:
        for name, least in (("size", 1), ("features", 1), ("blocks", 0)):
            positive_integer(name, getattr(self, name), least)
        activation_named(self.activation)
        super().__post_init__()

    @nn.compact
    def __call__(self, h: Array) -> Array:
        act, zeros = activation_named(self.activation), nn.initializers.zeros
        with fitting("h", h):
            h = Conv(self.features, 3, 1)(h)
            for _ in range(self.blocks):
                h = h + Conv(self.features, 1, 1)(act(Conv(self.features, 3, 1)(act(h))))
            return Conv(self.size, 3, 1, kernel_init=zeros)(act(h))


# The standard deviation of a normal r with which sigmoid(r) is nearest to uniform: the least KL(q || uniform), 0.0095
# nats of each pixel, by quadrature.
NEAR_UNIFORM = 1.749


class NoiseEncoder(nn.Module):
    """x [H, W, C] on [0, 1] -> (mean [H W C], log_var [H W C]) of r, whose sigmoid is the noise u of each pixel.

    Residual convolutions see the pixels around. It starts at the same nearly uniform noise for every picture: mean 0
    and standard deviation 1.749, which costs 0.0095 nats a pixel.

    Args:
        features: channels of the convolutions.
        blocks: residual blocks.

    Source: Ho, Chen, Srinivas, Duan and Abbeel, 2019, arXiv 1902.00275 (there a conditional flow, here one Gaussian
        before the sigmoid for each pixel).

    Example:
        >>> encoder = NoiseEncoder(features=4)
        >>> x = jnp.zeros((4, 4, 3))
        >>> mean, log_var = encoder.apply(encoder.init(jax.random.key(0), x), x)
        >>> mean.shape, float(jnp.abs(mean).max()), round(float(jnp.exp(0.5 * log_var[0])), 3)
        ((48,), 0.0, 1.749)
    """

    features: int = 16
    blocks: int = 1

    def __post_init__(self) -> None:
        positive_integer("features", self.features)
        positive_integer("blocks", self.blocks, 0)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array) -> tuple[Array, Array]:
        with fitting("x", x):
            outputs = ConditionerConv(2 * x.shape[-1], self.features, self.blocks)(2.0 * x - 1.0)
        mean, log_var = jnp.split(outputs, 2, axis=-1)
        return mean.ravel(), log_var.ravel() + 2.0 * math.log(NEAR_UNIFORM)
