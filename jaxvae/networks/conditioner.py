"""The network of a flow's layers, which starts at zero."""

import jax
from flax import linen as nn

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
