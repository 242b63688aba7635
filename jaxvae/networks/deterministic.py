"""Networks that emit one array: a code, or logits; and networks that see their input through a function first."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
from flax import linen as nn

from jaxvae.networks.rows import Dense
from jaxvae.networks.shapes import fitting
from jaxvae.networks.trunks import check_fields, conv_trunk, dense_trunk, mlp_trunk

Array = jax.Array


class MLPDeterministicEncoder(nn.Module):
    """x [...] -> code [latent_dim], unconstrained, through hidden layers of the given widths (none: a linear map).

    Example:
        >>> encoder, x = MLPDeterministicEncoder(latent_dim=2, hidden=()), jax.numpy.zeros((8, 8, 1))
        >>> encoder.apply(encoder.init(jax.random.key(0), x), x).shape
        (2,)
    """

    latent_dim: int
    hidden: tuple[int, ...] = (400,)
    activation: str = "relu"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        with fitting("x", x):
            h = mlp_trunk(x, self, train)
            return Dense(self.latent_dim)(h)


class ConvDeterministicEncoder(nn.Module):
    """x [H, W, C] -> code [latent_dim]: the layers of `ConvEncoder`, without a variance.

    Example:
        >>> encoder, x = ConvDeterministicEncoder(latent_dim=2, features=(4, 8), dense=16), jax.numpy.zeros((8, 8, 1))
        >>> encoder.apply(encoder.init(jax.random.key(0), x), x).shape
        (2,)
    """

    latent_dim: int
    features: tuple[int, ...] = (32, 64)
    dense: int | tuple[int, ...] = 256
    activation: str = "relu"
    kernel_size: int | tuple[int, ...] = 3
    pad: bool = False
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        with fitting("x", x):
            h = dense_trunk(conv_trunk(x, self).reshape(-1), self, train)
            return Dense(self.latent_dim)(h)


class MLPClassifier(nn.Module):
    """x [...] -> logits [classes] through hidden layers of the given widths.

    Example:
        >>> classifier = MLPClassifier(classes=10, hidden=(16,))
        >>> x = jax.numpy.zeros((8, 8, 1))
        >>> classifier.apply(classifier.init(jax.random.key(0), x), x).shape
        (10,)
    """

    classes: int
    hidden: tuple[int, ...] = (400,)
    activation: str = "relu"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        with fitting("x", x):
            return Dense(self.classes)(mlp_trunk(x, self, train))


class MappedInput(NamedTuple):
    """A network that sees function(input); it has the network's parameters and no others.

    A decoder that reads a grid of vectors as one vector, or a code of logits as activations between 0 and 1:

    Example:
        >>> from jaxvae.networks.mlp import MLPDecoder
        >>> decoder = MappedInput(MLPDecoder((8, 8, 1)), jax.numpy.ravel)
        >>> z = jax.numpy.zeros((2, 2, 3))
        >>> decoder.apply(decoder.init(jax.random.key(0), z), z).shape
        (8, 8, 1)
    """

    network: Any
    function: Callable[[Array], Array]

    def init(self, key: Array, /, *inputs: Array) -> Any:
        """(key, inputs) -> the network's variables."""
        return self.network.init(key, *map(self.function, inputs))

    def apply(self, variables: Any, /, *inputs: Array) -> Any:
        """(variables, inputs) -> the network's output."""
        return self.network.apply(variables, *map(self.function, inputs))

    def with_outputs(self, latent_dim: int, outputs: int) -> "MappedInput":
        """The same of the network for a posterior that reads so many numbers, if it can be asked."""
        ask = getattr(self.network, "with_outputs", None)
        return self if ask is None else self._replace(network=ask(latent_dim, outputs))


class Reshaped(NamedTuple):
    """A network whose output is given another shape, such as a code as a grid of vectors.

    Example:
        >>> encoder, x = Reshaped(MLPDeterministicEncoder(6, ()), (2, 3)), jax.numpy.zeros((8, 8, 1))
        >>> encoder.apply(encoder.init(jax.random.key(0), x), x).shape
        (2, 3)
    """

    network: Any
    shape: tuple[int, ...]

    def init(self, key: Array, /, *inputs: Array) -> Any:
        """(key, inputs) -> the network's variables."""
        return self.network.init(key, *inputs)

    def apply(self, variables: Any, /, *inputs: Array) -> Array:
        """(variables, inputs) -> the network's output, reshaped."""
        return self.network.apply(variables, *inputs).reshape(self.shape)


class ByName(NamedTuple):
    """z -> {name: network(z)}: a decoder of examples with parts; its variables are the networks', by name.

    Example:
        >>> from jaxvae.networks.mlp import MLPDecoder
        >>> decoder = ByName({"picture": MLPDecoder((5, 1)), "count": MLPDecoder((1,))})
        >>> z = jax.numpy.zeros(2)
        >>> jax.tree.map(jax.numpy.shape, decoder.apply(decoder.init(jax.random.key(0), z), z))
        {'count': (1,), 'picture': (5, 1)}
    """

    networks: Mapping[str, Any]

    def init(self, key: Array, /, *inputs: Any) -> Any:
        """Variables by name."""
        keys = jax.random.split(key, len(self.networks))
        return {name: self.networks[name].init(k, *inputs) for name, k in zip(sorted(self.networks), keys, strict=True)}

    def apply(self, variables: Any, /, *inputs: Any) -> Any:
        """Outputs by name."""
        return {name: network.apply(variables[name], *inputs) for name, network in self.networks.items()}
