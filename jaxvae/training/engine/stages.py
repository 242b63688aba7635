"""The learning rate in stages that Burda and others prescribe."""

import jax
import jax.numpy as jnp
import optax

from jaxvae.checks import finite_number, positive_integer

STAGES = 8


def burda_epochs(stages: int = STAGES) -> int:
    """Epochs in the first stages of `burda_schedule`: 1 + 3 + 9 + ... = (3^stages - 1) / 2.

    Example:
        >>> burda_epochs(), burda_epochs(3)
        (3280, 13)
    """
    return (3 ** positive_integer("stages", stages) - 1) // 2


def burda_stages(epochs: int) -> int:
    """How many stages a run of so many epochs has; the last may be cut short.

    Example:
        >>> burda_stages(3280), burda_stages(13), burda_stages(14)
        (8, 3, 4)
    """
    stages = 1
    while burda_epochs(stages) < positive_integer("epochs", epochs):
        stages += 1
    return stages


def burda_schedule(steps_per_epoch: int, stages: int = STAGES, rate: float = 1e-3) -> optax.Schedule:
    """Stage i = 1, 2, ... lasts 3^(i-1) epochs at rate * 10^(-(i-1)/(stages-1)), rounded as in the paper.

    The rates are `rate / 10` times 10^(1-(i-1)/(stages-1)) rounded to one decimal: for 8 stages 10, 7.2, 5.2, 3.7, 2.7,
    1.9, 1.4 and 1. With fewer stages it falls by the same factor of ten, faster.

    Args:
        steps_per_epoch: steps in an epoch.
        stages: how many of them; `burda_epochs(stages)` epochs in all. After the last, its rate stays.
        rate: the rate of the first stage.

    Source: Burda, Grosse and Salakhutdinov, 2016, arXiv 1509.00519.

    Example:
        >>> schedule = burda_schedule(steps_per_epoch=100)
        >>> [round(float(schedule(step)) * 1e4, 1) for step in (0, 99, 100, 400, 327_900)]
        [10.0, 10.0, 7.2, 5.2, 1.0]
    """
    steps_per_epoch, stages = positive_integer("steps_per_epoch", steps_per_epoch), positive_integer("stages", stages)
    finite_number("rate", rate, above=True)
    rates = [rate / 10 * round(10 ** (1 - i / max(1, stages - 1)), 1) for i in range(stages)]
    ends = [steps_per_epoch * burda_epochs(i + 1) for i in range(stages - 1)]

    def schedule(step: jax.Array) -> jax.Array:
        stage = jnp.searchsorted(jnp.array(ends, jnp.int32), step, side="right") if ends else 0
        return jnp.array(rates, jnp.float32)[stage]

    return schedule
