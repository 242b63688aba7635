"""Networks that draw random numbers while they train, such as those with dropout."""

import inspect
from typing import Any, NamedTuple

import jax

from jaxvae.randomness import DECLARED, KEY

Array = jax.Array
SWITCHES = {"train": True, "training": True, "is_training": True, "deterministic": False}  # their values in training


class WithRngs(NamedTuple):
    """A network whose random streams are fed while it trains, see `with_rngs`."""

    network: Any
    names: tuple[str, ...]
    switch: str

    def init(self, key: Array, *inputs: Array) -> Any:
        """Variables under the name that `randomness.py` looks for."""
        return {DECLARED: self.network.init(key, *inputs, **{self.switch: not SWITCHES[self.switch]})}

    def apply(self, variables: Any, *inputs: Array) -> Any:
        """What the network makes of its inputs: with draws where a loss has put a key in, without elsewhere."""
        key, training = variables.get(KEY), SWITCHES[self.switch]
        if key is None:
            return self.network.apply(variables[DECLARED], *inputs, **{self.switch: not training})
        rngs = dict(zip(self.names, jax.random.split(key, len(self.names)), strict=True))
        return self.network.apply(variables[DECLARED], *inputs, rngs=rngs, **{self.switch: training})

    def with_outputs(self, latent_dim: int, outputs: int) -> "WithRngs":
        """The same of the network for a posterior that reads so many numbers, if it can be asked."""
        ask = getattr(self.network, "with_outputs", None)
        return self if ask is None else self._replace(network=ask(latent_dim, outputs))


def with_dropout(network: Any, rate: float = 0.0, *, blocks: float = 0.0) -> WithRngs:
    """A network of the library with dropout while it trains, and without it everywhere else.

    Each number that a hidden layer of an MLP, or a layer of `dense` of other networks, makes is 0 with the probability
    `rate`, and else divided by 1 - rate, which keeps its mean. `blocks` is the same of each number that the last
    convolution of a residual block reads. In training every example of every step has a mask of its own, see
    `with_rngs`.

    Args:
        network: such as `MLPEncoder(2)`: one with a field `dropout`.
        rate: the share that is dropped, at least 0 and below 1.
        blocks: the share within residual blocks, of a network with a field `block_dropout`: `ResNetEncoder` and its
            like, `UNet`.

    Raises:
        TypeError: for a network without such a field, such as one of your own: see `with_rngs`.
        ValueError: for another rate.

    Source: Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, 2014, Dropout, JMLR 15; in residual blocks:
    Zagoruyko and Komodakis, 2016, arXiv 1605.07146.

    Example:
        >>> from jaxvae.networks.mlp import MLPEncoder
        >>> encoder = with_dropout(MLPEncoder(2, hidden=(8,)), 0.1)
        >>> encoder.network.dropout
        0.1
    """
    rates = ({"block_dropout": blocks} if blocks else {}) | ({"dropout": rate} if rate or not blocks else {})
    missing = [field for field in rates if isinstance(network, type) or not hasattr(network, field)]
    if missing:
        example = "MLPEncoder(2)" if "dropout" in missing else "ResNetEncoder(2)"
        raise TypeError(
            f"network is {network!r}, expected an encoder or a decoder of the library with a field {missing[0]}, such "
            f"as {example}. A module of your own has nn.Dropout in it: with_rngs(MyEncoder(2), 'dropout')."
        )
    return with_rngs(network.clone(**rates), "dropout")


def with_rngs(network: Any, *names: str) -> WithRngs:
    """A Linen module that draws from the named streams while it trains: `with_rngs(MyEncoder(2), "dropout")`.

    In training every example of every step has keys of its own, for each network others. Everywhere else the module is
    called in its other mode, which must not draw.

    Args:
        network: a Linen module whose `__call__` takes one of the arguments `train`, `training`, `is_training` (True in
            training) or `deterministic` (False in training), and hands it to its layers.
        *names: of the streams, as in `self.make_rng(name)`; that of `nn.Dropout` is "dropout".

    Returns:
        A network as models take it; its variables have one more level, {"stochastic": {"params": ...}}.

    Raises:
        ValueError, TypeError: for a network without such an argument or with several, no name, or names that are no
            text.

    Source: Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, 2014, Dropout, JMLR 15.

    Example:
        >>> from flax import linen as nn
        >>> class Decoder(nn.Module):
        ...     @nn.compact
        ...     def __call__(self, z, train=False):
        ...         hidden = nn.Dropout(0.1, deterministic=not train)(nn.relu(nn.Dense(8)(z)))
        ...         return nn.Dense(4)(hidden)
        >>> decoder = with_rngs(Decoder(), "dropout")
        >>> variables = decoder.init(jax.random.key(0), jax.numpy.ones(2))
        >>> decoder.apply(variables, jax.numpy.ones(2)).shape
        (4,)
    """
    if not names or not all(isinstance(name, str) for name in names):
        raise TypeError(f"names are {names!r}, expected the names of random streams, as in with_rngs(net, 'dropout').")
    if isinstance(network, type) or not (hasattr(network, "init") and hasattr(network, "apply")):
        raise TypeError(f"network is {network!r}, expected a Linen module, such as MyEncoder(2).")
    taken = inspect.signature(network.__call__).parameters if callable(network) else {}
    switches = [name for name in SWITCHES if name in taken]
    if len(switches) != 1:
        raise ValueError(
            f"the call of {type(network).__name__} takes {', '.join(taken) or 'nothing'}, expected just one of the "
            f"arguments {', '.join(SWITCHES)}, by which evaluation turns its draws off. Write, for instance, "
            f"def __call__(self, x, train=False), and nn.Dropout(0.1, deterministic=not train) within."
        )
    return WithRngs(network, names, switches[0])
