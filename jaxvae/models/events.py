"""From one example to what an encoder sees, with the checks that every model makes."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxvae.checks import positive_integer
from jaxvae.models.observations.continuous import bernoulli
from jaxvae.models.records import Observation

Array = jax.Array


class Event(NamedTuple):
    """The shape of one example, its observation model, and `to_input`: x -> what an encoder sees, in [0, 1]."""

    shape: tuple[int, ...]
    observation: Observation
    to_input: Callable[[Array], Array]


def describe_event(event_shape: Any, likelihood: Observation | None) -> Event:
    """Checks the shape and the observation model (by default `bernoulli()`) that a model is built with.

    Raises:
        ValueError, TypeError: for an impossible shape or observation model; `to_input` for an x of another shape, or
            outside the support.

    Example:
        >>> describe_event((2, 2, 1), None).to_input(jnp.ones((2, 2, 1))).shape
        (2, 2, 1)
    """
    if not isinstance(event_shape, tuple | list) or not event_shape:
        raise TypeError(f"event_shape is {event_shape!r}, expected a tuple such as (28, 28, 1), channels last.")
    shape = tuple(positive_integer("event_shape", size) for size in event_shape)
    observation = bernoulli() if likelihood is None else likelihood
    if not isinstance(observation, Observation):
        raise TypeError(f"likelihood is {likelihood!r}, expected an observation model. Call one, such as bernoulli().")

    def to_input(x: Array) -> Array:
        if jnp.shape(x) != shape:
            raise ValueError(
                f"x has shape {jnp.shape(x)}, expected one example of shape {shape}. A batch has shape "
                f"(B, {', '.join(map(str, shape))}) and goes through jax.vmap or a training loss."
            )
        observation.check(x, "x")
        return observation.to_unit(x)

    return Event(shape, observation, to_input)
