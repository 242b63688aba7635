"""Options of a model or a loss that follow the training step."""

from collections.abc import Callable

import jax

from jaxvae.models.records import Key, Params
from jaxvae.training.losses.bound import Loss, Metrics

Array = jax.Array


def schedule_loss(build: Callable[..., Loss], **schedules: Callable[[Array], Array]) -> Loss:
    """A loss built anew for each step from options that are functions of the step, traced into the one program.

    Args:
        build: (**options) -> loss, as in `lambda temperature: bound_loss(categorical_vae(...,
            temperature=temperature))`.
        **schedules: step -> [] for each option; Optax schedules are such functions.

    Returns:
        A loss with the metrics of `build`'s, and each option's value under its own name.

    Raises:
        TypeError: for no schedule, or one that is not a function.

    Example:
        >>> import jax.numpy as jnp
        >>> def build(weight):
        ...     return lambda params, keys, batch, step: (weight * batch.sum(), {})
        >>> loss = schedule_loss(build, weight=lambda step: 0.5**step)
        >>> value, metrics = loss({}, jax.random.split(jax.random.key(0), 2), jnp.ones(2), 1)
        >>> float(value), float(metrics["weight"])
        (1.0, 0.5)
    """
    for name, schedule in schedules.items():
        if not callable(schedule):
            raise TypeError(
                f"{name} is {schedule!r}, expected a function of the step. A number goes into build itself."
            )
    if not schedules:
        raise TypeError("no schedules given, expected at least one, such as temperature=lambda step: 0.9999**step.")

    def loss(params: Params, keys: Key, batch: Array, step: Array) -> tuple[Array, Metrics]:
        now = {name: jax.numpy.asarray(schedule(step), jax.numpy.float32) for name, schedule in schedules.items()}
        value, metrics = build(**now)(params, keys, batch, step)
        return value, {**metrics, **now}

    return loss
