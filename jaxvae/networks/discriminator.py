"""Critics: networks that say how real one example, or one code, looks, and those that are told its class."""

import math
from typing import Any, NamedTuple

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

    H and W must be multiples of 2 to the number of layers, unless with `pad`, see `ConvEncoder`. There is no
    normalisation over a batch, which a gradient penalty could not bear and one example has not.

    Example:
        >>> critic, x = ConvCritic(features=(4, 8)), jax.numpy.zeros((8, 8, 1))
        >>> logit, features = critic.apply(critic.init(jax.random.key(0), x), x)
        >>> logit.shape, features.shape
        ((), (32,))
    """

    features: tuple[int, ...] = (32, 64)
    dense: int = 256
    activation: str = "leaky_relu"
    kernel_size: int | tuple[int, ...] = 3
    pad: bool = False

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


class ProjectionCritic(NamedTuple):
    """A critic of (x, context) made from a critic of x alone, see `projection_critic`.

    Example:
        >>> critic = ProjectionCritic(MLPCritic((4,)))
        >>> sorted(critic.init(jax.random.key(0), jax.numpy.ones(3), jax.numpy.ones(2)))
        ['embedding', 'network']
    """

    network: Any

    def init(self, key: Array, x: Array, context: Array) -> Any:
        """Variables: {"network": the network's, "embedding": V [context.size, F]}."""
        key_network, key_embedding = jax.random.split(key)
        variables = self.network.init(key_network, x)
        features = jax.eval_shape(self._outputs, variables, x)[1].size
        table = jax.random.normal(key_embedding, (context.size, features)) / math.sqrt(features)
        return {"network": variables, "embedding": table}

    def apply(self, variables: Any, x: Array, context: Array) -> tuple[Array, Array]:
        """(logit [], features [F]) of x under that context."""
        logit, features = self._outputs(variables["network"], x)
        asked = context.reshape(-1).astype(features.dtype) @ variables["embedding"]
        return logit + asked @ features.reshape(-1), features

    def _outputs(self, variables: Any, x: Array) -> tuple[Array, Array]:
        outputs = self.network.apply(variables, x)
        if not isinstance(outputs, tuple):
            raise ValueError(
                "the critic returned a logit alone, expected (logit, features): the class is compared with its "
                "features. Return a hidden layer beside the logit, as MLPCritic and ConvCritic do."
            )
        return outputs


def projection_critic(network: Any) -> ProjectionCritic:
    """A critic of (x, context) from any critic of x: how real x looks, and how much it looks like its class.

    logit(x, c) = psi(f(x)) + <V^T c, f(x)>,  psi(f(x)) the network's logit, f(x) its features

    The best logit, log p(x | c) / q(x | c), is log p(x) / q(x) + log p(c | x) / q(c | x), and of both posteriors a
    softmax of features the second part is linear in them. V starts as normal numbers of variance 1 / F.

    Args:
        network: `.apply(variables, x)` -> (logit [], features [F]), such as `MLPCritic` or `ConvCritic`.

    Raises:
        TypeError: for what has no `init` and `apply`; ValueError later, for a network that emits no features.

    Source: Miyato and Koyama, 2018, arXiv 1802.05637, equation 3.

    Example:
        >>> critic, x = projection_critic(MLPCritic((8,))), jax.numpy.ones((4, 4, 1))
        >>> c = jax.nn.one_hot(3, 10)
        >>> variables = critic.init(jax.random.key(0), x, c)
        >>> critic.apply(variables, x, c)[0].shape, variables["embedding"].shape
        ((), (10, 8))
    """
    if isinstance(network, type) or not (hasattr(network, "init") and hasattr(network, "apply")):
        raise TypeError(f"network is {network!r}, expected an object with .init and .apply, such as MLPCritic().")
    return ProjectionCritic(network)
