"""Critics: networks that say how real one example, or one code, looks."""

import jax
from flax import linen as nn

from jaxvae.networks.activations import activation_named
from jaxvae.networks.rows import Dense
from jaxvae.networks.shapes import fitting
from jaxvae.networks.trunks import check_fields, conv_trunk, mlp_trunk

Array = jax.Array


class MLPCritic(nn.Module):
    """x [...] -> (logit [], features [F]): hidden layers, of which the last is the features.

    Example:
        >>> critic, z = MLPCritic(hidden=(16, 8)), jax.numpy.zeros(2)
        >>> logit, features = critic.apply(critic.init(jax.random.key(0), z), z)
        >>> logit.shape, features.shape
        ((), (8,))
    """

    hidden: tuple[int, ...] = (400, 400)
    activation: str = "leaky_relu"

    def __post_init__(self) -> None:
        check_fields(self)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array) -> tuple[Array, Array]:
        with fitting("x", x):
            features = mlp_trunk(x, self)
            return Dense(1)(features)[0], features


class ConvCritic(nn.Module):
    """x [H, W, C] -> (logit [], features [F]): convolutions of stride 2, of which the last is the features.

    H and W must be multiples of 2 to the number of layers. There is no normalisation over a batch, which a gradient
    penalty could not bear and one example has not.

    Example:
        >>> critic, x = ConvCritic(features=(4, 8)), jax.numpy.zeros((8, 8, 1))
        >>> logit, features = critic.apply(critic.init(jax.random.key(0), x), x)
        >>> logit.shape, features.shape
        ((), (32,))
    """

    features: tuple[int, ...] = (32, 64)
    dense: int = 256
    activation: str = "leaky_relu"
    kernel_size: int = 3

    def __post_init__(self) -> None:
        check_fields(self)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array) -> tuple[Array, Array]:
        activation = activation_named(self.activation)
        with fitting("x", x):
            h = conv_trunk(x, self)
            features = h.reshape(-1)
            return Dense(1)(activation(Dense(self.dense)(features)))[0], features
