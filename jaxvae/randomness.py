"""Networks that draw while they train, as dropout does: how their random keys reach them.

A network that declares it (`jaxvae.networks.with_rngs`) keeps its variables under the name "stochastic". A loss puts a
key beside that name, in the parameters that its models then see: there the network draws. Without a key it does not:
evaluation, which knows nothing of this, is deterministic. Keys come and go inside a loss; no optimizer or checkpoint
ever sees one, and parameters without such a network pass through as they are.

The losses of the library give every example of every step keys of its own, and every network of an example another
one. For losses of your own the engine has put in keys of the step, which the examples of the batch share, unless the
loss says better: `model.terms(with_keys(params, key), key, x)`, with `jaxvae.training.losses.with_keys`.
"""

import zlib
from collections.abc import Callable, Mapping
from typing import Any

import jax

Key = jax.Array
Params = dict[str, Any]

DECLARED, KEY = "stochastic", "key"
NETWORKS = 2**31 - 4  # folded into an example's key, beside the numbers of `training.engine.streams`


def draws(params: Any) -> bool:
    """Whether any network of these parameters declares that it draws."""
    return isinstance(params, Mapping) and (DECLARED in params or any(draws(below) for below in params.values()))


def with_keys(params: Params, key: Key) -> Params:
    """The parameters in which every network that declares it finds a random key of its own, made from this one.

    The key is folded, not consumed: what else it is used for is independent.

    Example:
        >>> params = {"encoder": {"stochastic": {"w": 1.0}}, "decoder": {"w": 2.0}}
        >>> found = with_keys(params, jax.random.key(0))
        >>> sorted(found["encoder"]), found["decoder"]
        (['key', 'stochastic'], {'w': 2.0})
    """

    def fresh(path: str, key_before: Key | None) -> Key:
        return jax.random.fold_in(jax.random.fold_in(key, NETWORKS), zlib.crc32(path.encode()))

    return _mapped(params, fresh, "")


def without_keys(params: Params) -> Params:
    """The parameters alone, as a gradient is taken of them.

    Example:
        >>> params = {"critic": {"stochastic": {"w": 1.0}}}
        >>> without_keys(with_keys(params, jax.random.key(0))) == params
        True
    """
    return _mapped(params, lambda path, key: None, "")


def _mapped(node: Any, key_of: Callable[[str, Key | None], Key | None], path: str) -> Any:
    """The tree with the key of every declared network replaced; None takes it out."""
    if not draws(node):
        return node
    if DECLARED in node:
        key = key_of(path, node.get(KEY))
        return {DECLARED: node[DECLARED]} if key is None else {DECLARED: node[DECLARED], KEY: key}
    return {name: _mapped(below, key_of, f"{path}/{name}") for name, below in node.items()}


def applied(network: Any, variables: Any, *inputs: Any) -> Any:
    """network.apply(variables, *inputs); one that draws and was not declared is named, with the remedy.

    Raises:
        ValueError: for a Linen module that asks for random numbers nobody gives it, or that has dropout and was not
            declared, so that it would never be asked to drop anything.
    """
    for field, called in (("dropout", ""), ("block_dropout", "blocks=")):
        rate, name = getattr(network, field, 0), type(network).__name__
        if isinstance(rate, float) and rate:
            raise ValueError(
                f"{name} has {field}={rate:g}, which nothing would feed. Pass jaxvae.networks.with_dropout("
                f"{name}(...), {called}{rate:g}); for a module of your own with_rngs({name}(...), 'dropout')."
            )
    try:
        return network.apply(variables, *inputs)
    except Exception as error:
        if type(error).__name__ != "InvalidRngError":  # of Flax, which is known in networks/ alone
            raise
        reason, name = str(error).split(" (http")[0], type(network).__name__
        raise ValueError(
            f"{name} draws random numbers: {reason}. Declare it, so that it draws where it trains and nowhere else: "
            f"jaxvae.networks.with_rngs({name}(...), 'dropout')."
        ) from error
