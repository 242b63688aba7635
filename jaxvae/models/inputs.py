"""What every model asks of its examples: an event shape, an observation model, one example at a time."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.models.events import check_event
from jaxvae.models.observations.continuous import bernoulli
from jaxvae.models.observations.parts import joint
from jaxvae.models.records import Observation

Array = jax.Array


def as_observation(observation: Any) -> Observation:
    """The observation model, `bernoulli()` for None, `joint` of a dict; raises `TypeError` for anything else.

    Example:
        >>> as_observation(None).name
        'bernoulli'
    """
    found = bernoulli() if observation is None else observation
    if isinstance(found, Mapping):
        return joint(found)
    if not isinstance(found, Observation):
        raise TypeError(
            f"observation is {observation!r}, expected an observation model. Call one, such as bernoulli()."
        )
    return found


def network_input(observation: Observation, event_shape: Any) -> Callable[[Array], Array]:
    """to_input(x) -> what an encoder sees of one example x; raises for another shape, dtype or support.

    Example:
        >>> network_input(as_observation(None), (2, 1))(jnp.ones((2, 1))).shape
        (2, 1)
    """
    check = example_check(observation, event_shape)

    def to_input(x: Array) -> Array:
        check(x)
        return observation.to_unit(x)

    return to_input


def example_check(observation: Observation, event_shape: Any) -> Callable[[Array], None]:
    """check(x), which raises unless x is one example of that shape that the observation model can score.

    Example:
        >>> example_check(as_observation(None), (2, 1))(jnp.ones((2, 1)))
    """

    given = None if observation.parts is None else sorted(observation.parts)
    if given != (sorted(event_shape) if isinstance(event_shape, Mapping) else None):
        raise ValueError(
            f"observation is {observation.name!r} and event_shape {event_shape!r}, expected an observation model for "
            f"each part: two dicts of the same names, or one model and one shape."
        )

    def check(x: Any) -> None:
        check_event("x", x, event_shape, batch=False)
        observation.check(x, "x")

    return check


def shapes_of(x: Any) -> Any:
    """The shape of an array, or the tree of the shapes of several, for messages.

    Example:
        >>> shapes_of(jnp.zeros((2, 3))), shapes_of({"a": jnp.zeros(2)})
        ((2, 3), {'a': (2,)})
    """
    return jax.tree.map(jnp.shape, x)
