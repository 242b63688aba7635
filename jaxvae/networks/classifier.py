"""A classifier network: the logits of classes, given one example of any shape."""

import jax
from flax import linen as nn

from jaxvae.checks import positive_integer
from jaxvae.networks.activations import activation_named
from jaxvae.networks.mlp import check_sizes, hidden_layers
from jaxvae.networks.rows import Dense
from jaxvae.networks.shapes import fitting

Array = jax.Array


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

    def __post_init__(self) -> None:
        positive_integer("classes", self.classes)
        check_sizes("hidden", self.hidden)
        activation_named(self.activation)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array) -> Array:
        with fitting("x", x):
            return Dense(self.classes)(hidden_layers(x.reshape(-1), self.hidden, self.activation))
