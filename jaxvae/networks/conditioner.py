"""The networks of a flow's layers, which start at zero."""

import jax
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
