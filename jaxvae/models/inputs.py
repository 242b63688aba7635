"""What every model asks of its examples: an event shape, an observation model, one example at a time."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.checks import positive_integer
from jaxvae.models.observations.continuous import bernoulli
from jaxvae.models.records import Observation

Array = jax.Array


def as_shape(name: str, shape: Any) -> tuple[int, ...]:
    """The shape as a tuple; raises `TypeError` or `ValueError`, naming it, unless it has positive sizes.

    Example:
        >>> as_shape("event_shape", [28, 28, 1])
        (28, 28, 1)
    """
    if not isinstance(shape, tuple | list) or not shape:
        raise TypeError(f"{name} is {shape!r}, expected a tuple such as (28, 28, 1), channels last.")
    return tuple(positive_integer(name, size) for size in shape)


def as_observation(observation: Any) -> Observation:
    """The observation model, `bernoulli()` for None; raises `TypeError` for anything else.

    Example:
        >>> as_observation(None).name
        'bernoulli'
    """
    found = bernoulli() if observation is None else observation
    if not isinstance(found, Observation):
        raise TypeError(
            f"observation is {observation!r}, expected an observation model. Call one, such as bernoulli()."
        )
    return found


def network_input(observation: Observation, event_shape: tuple[int, ...]) -> Callable[[Array], Array]:
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


def example_check(observation: Observation, event_shape: tuple[int, ...]) -> Callable[[Array], None]:
    """check(x), which raises unless x is one example of that shape that the observation model can score.

    Example:
        >>> example_check(as_observation(None), (2, 1))(jnp.ones((2, 1)))
    """

    def check(x: Array) -> None:
        if jnp.shape(x) != event_shape:
            raise ValueError(
                f"x has shape {jnp.shape(x)}, expected one example of shape {event_shape}. A batch has shape "
                f"(B, {', '.join(map(str, event_shape))}) and goes through jax.vmap or a training loss."
            )
        observation.check(x, "x")

    return check


def shapes_of(x: Any) -> Any:
    """The shape of an array, or the tree of the shapes of several, for messages.

    Example:
        >>> shapes_of(jnp.zeros((2, 3))), shapes_of({"a": jnp.zeros(2)})
        ((2, 3), {'a': (2,)})
    """
    return jax.tree.map(jnp.shape, x)
