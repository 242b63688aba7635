"""A fully connected denoiser of one example, whatever its shape."""

import math

import jax
from flax import linen as nn

from jaxvae.networks.activations import activation_named
from jaxvae.networks.denoisers.told import conditioning
from jaxvae.networks.rows import Dense
from jaxvae.networks.shapes import fitting
from jaxvae.networks.trunks import check_fields

Array = jax.Array


class MLPDenoiser(nn.Module):
    """(z [..., C], gamma [], context or None) -> [..., C * channels], through layers that each see noise and context.

        h = act(W h + U told), added to the h before where both have one width

    The last layer starts at 0. `channels` is 1, or the number of levels for `prediction="levels"`.

    Example:
        >>> network, z, gamma = MLPDenoiser((8, 8, 1), hidden=(16, 16)), jax.numpy.zeros((8, 8, 1)), jax.numpy.zeros(())
        >>> network.apply(network.init(jax.random.key(0), z, gamma, None), z, gamma, None).shape
        (8, 8, 1)
    """

    event_shape: tuple[int, ...]
    channels: int = 1
    hidden: tuple[int, ...] = (256, 256)
    activation: str = "silu"

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.hidden:
            raise ValueError("hidden is (), expected the width of at least one layer.")
        super().__post_init__()

    @nn.compact
    def __call__(self, z: Array, gamma: Array, context: Array | None = None) -> Array:
        shape = (*self.event_shape[:-1], self.event_shape[-1] * self.channels)
        with fitting("z", z):
            told, h = conditioning(gamma, context, self.hidden[0]), z.reshape(-1)
            for width in self.hidden:
                new = activation_named(self.activation)(Dense(width)(h) + Dense(width, use_bias=False)(told))
                h = h + new if h.shape == new.shape else new
            return Dense(math.prod(shape), kernel_init=nn.initializers.zeros)(h).reshape(shape)
