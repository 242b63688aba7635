"""The moving average of the parameters: it follows them, and forgets where they started."""

import jax
import jax.numpy as jnp

from jaxvae.models.records import Params

Array = jax.Array


def decay_at(decay: float, step: Array) -> Array:
    r"""How much of the old average the step keeps: min(decay, (1 + t) / (10 + t)), for t steps before it.

    A constant decay d keeps d^n of the initial parameters after n steps: 98 % after 220 steps at 0.9999. Here they
    weigh 9! n! / (n + 9)!, 1e-16 after 220 steps, and the average is over about the last tenth of the steps until that
    tenth is as long as the memory of the decay, 1 / (1 - d) steps. Dividing by 1 - d^n forgets the start, too, but
    weighs all steps alike in a run shorter than the memory: the digits after 20 epochs have a -ELBO of 178.4 nats so,
    and of 169.4 here.

    It is a function of the step alone, so that a state needs no counter and an interrupted run goes on to the bit.
    Skipped steps count in t and leave parameters and average where they are.

    Args:
        decay: in (0, 1).
        step: [] the steps taken before.

    Source: the option num_updates of TensorFlow's ExponentialMovingAverage, 2015.

    Example:
        >>> [round(float(decay_at(0.9, jnp.int32(step))), 2) for step in (0, 10, 100)]
        [0.1, 0.55, 0.9]
    """
    return jnp.minimum(decay, (1.0 + step) / (10.0 + step))


def follow(average: Params | None, params: Params, decay: float | None, step: Array) -> Params | None:
    """The average after a step to `params`, None without a decay; each leaf keeps its dtype.

    Raises:
        ValueError: for a decay without an average, or an average that nothing would move.

    Example:
        >>> round(float(follow(jnp.float32(0.0), jnp.float32(1.0), 0.999, jnp.int32(0))), 4)
        0.9
    """
    if decay is None and average is None:
        return None
    if decay is None or average is None:
        raise ValueError(
            f"the state {'has no' if average is None else 'has a'} moving average of the parameters, and the step has "
            f"ema={decay}. Give both: init_state(..., ema=True) and ema=0.999, or neither."
        )
    new = 1.0 - decay_at(decay, step)
    return jax.tree.map(lambda old, value: (old + new * (value - old)).astype(old.dtype), average, params)
