"""Two translators between two sets of examples, and a critic of each set: the players of a CycleGAN."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxvae.models.events import as_event_shape
from jaxvae.models.inputs import as_observation
from jaxvae.models.meaning import absent
from jaxvae.models.observations.continuous import bernoulli
from jaxvae.models.players.critic import check_network
from jaxvae.models.records import Key, Model, Network, Params, as_network
from jaxvae.randomness import applied

Array = jax.Array
SETS = ("a", "b")


class Cycle(NamedTuple):
    """The players of a CycleGAN, see `cycle_gan`; each function is of one example and the whole parameter dict.

    Attributes:
        model: what trains and is saved: examples {"a": ..., "b": ...}, one of each set, that are no pair. Parameters
            are {"forth", "back", "critic_a", "critic_b"}; its evidence is "none".
        forth: (params, example of a) -> one of b, on [0, 1].
        back: (params, example of b) -> one of a, on [0, 1].
        critics: {"a": network, "b": network}; their parameters are "critic_a" and "critic_b".
    """

    model: Model
    forth: Callable[[Params, Array], Array]
    back: Callable[[Params, Array], Array]
    critics: Mapping[str, Network]


def cycle_gan(
    forth: Network,
    back: Network,
    *,
    critics: tuple[Network, Network],
    event_shape: Any,
) -> Cycle:
    """Translators from a set of examples to another and back, learned without pairs; train them by `cycle_gan_loss`.

    b' = sigmoid(forth(a)),  a' = sigmoid(back(b))

    Args:
        forth, back: `.apply(variables, x)` returns unconstrained numbers of the shape of x.
        critics: of the two sets, `.apply(variables, x)` -> logit [] or (logit, features).
        event_shape: the shape [..., C] of an example of either set; or {"a": ..., "b": ...}, which must be one.

    Raises:
        TypeError: for what is no network, and critics that are no two; ValueError for a shape for each set that is
            another one, and later for a translator that returns another shape.

    Source: Zhu, Park, Isola and Efros, 2017, arXiv 1703.10593.

    Example:
        >>> from jaxvae.networks.deterministic import MLPDeterministicEncoder, Reshaped
        >>> from jaxvae.networks.discriminator import MLPCritic
        >>> network = Reshaped(MLPDeterministicEncoder(4, (8,)), (2, 2, 1))
        >>> players = cycle_gan(network, network, critics=(MLPCritic((8,)), MLPCritic((8,))), event_shape=(2, 2, 1))
        >>> x = jnp.zeros((2, 2, 1))
        >>> params = players.model.init(jax.random.key(0), {"a": x, "b": x})
        >>> sorted(params), players.forth(params, x).shape
        (['back', 'critic_a', 'critic_b', 'forth'], (2, 2, 1))
    """
    if isinstance(event_shape, Mapping):
        found = {name: tuple(shape) for name, shape in event_shape.items()}
        if len(set(found.values())) != 1:
            raise ValueError(
                f"the two sets have examples of other shapes, {found}, expected one shape for both: what is translated "
                f"there and back is compared pixel by pixel. Resize one of them."
            )
        event_shape = next(iter(found.values()))
    for name, network in (("forth", forth), ("back", back)):
        as_network(name, network, "Reshaped(MLPDeterministicEncoder(784), (28, 28, 1))")
    if not isinstance(critics, tuple | list) or len(critics) != 2:
        raise TypeError(f"critics is {critics!r}, expected two networks: of the first set and of the second.")
    for network in critics:
        check_network(network)
    judges = dict(zip(SETS, critics, strict=True))
    shapes = as_event_shape(dict.fromkeys(SETS, event_shape))
    both = as_observation(dict.fromkeys(SETS, bernoulli()))

    def translator(name: str, network: Network, to: str) -> Callable[[Params, Array], Array]:
        def translate(params: Params, x: Array) -> Array:
            outputs = applied(network, params[name], x)
            if outputs.shape != shapes[to]:
                raise ValueError(
                    f"{name} returned {outputs.shape} for an example of shape {jnp.shape(x)}, expected {shapes[to]}, "
                    f"that of an example of {to}."
                )
            return jax.nn.sigmoid(outputs)

        return translate

    def init(key: Key, x: Any) -> Params:
        keys = jax.random.split(key, 4)
        blank = jnp.zeros(shapes["a"], jnp.float32)
        networks = {"forth": forth, "back": back, "critic_a": judges["a"], "critic_b": judges["b"]}
        return {name: network.init(k, blank) for k, (name, network) in zip(keys, networks.items(), strict=True)}

    nothing = absent("a CycleGAN translates and has neither likelihood nor codes: use its forth and back.")
    refuse: Any = nothing.mean
    model = Model(init, refuse, nothing, nothing, nothing, shapes, both.to_unit, both.check, evidence="none")
    return Cycle(model, translator("forth", forth, "b"), translator("back", back, "a"), judges)
