"""Growth with the steps: how far a game of progressive growing has come, kept with the parameters."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxvae.checks import positive_integer
from jaxvae.training.engine.optimizers import as_optimizer

Array = jax.Array
NAME = "growth"


class GrowthState(NamedTuple):
    """Of `growing_optimizer`: the state of the optimizer within, and the steps that it has taken."""

    inner: Any
    taken: Array


def growth_at(step: Any, phase_steps: int, stages: int) -> Array:
    """The growth after so many steps: a stage for a phase, then the next fades in for a phase, and so on.

    0 for `phase_steps`, rising to 1 for as many, 1 for as many, ..., and stages - 1 from then on.

    Example:
        >>> [float(growth_at(step, 10, 3)) for step in (0, 10, 15, 20, 30, 35, 40, 1000)]
        [0.0, 0.0, 0.5, 1.0, 1.0, 1.5, 2.0, 2.0]
    """
    phase, within = jnp.divmod(jnp.asarray(step, jnp.int32), phase_steps)
    fading = jnp.where(phase % 2 == 1, within / jnp.float32(phase_steps), 0.0)
    return jnp.minimum((phase // 2 + fading).astype(jnp.float32), stages - 1)


def growing_optimizer(
    optimizer: optax.GradientTransformation, phase_steps: int, stages: int
) -> optax.GradientTransformation:
    """The optimizer, which also moves every number called "growth" in the parameters as `growth_at` says.

    The growth is a function of the steps taken and lies with the parameters, so that a run goes on to the bit within a
    stage or across two. A step that is skipped does not count.

    Args:
        optimizer: of all other parameters.
        phase_steps: steps in which a stage is trained alone, and in which one fades in.
        stages: how many there are; the last is there after (2 stages - 2) phase_steps.

    Raises:
        ValueError, TypeError: for numbers that are no positive integers, or what is no Optax transformation.

    Source: Karras, Aila, Laine and Lehtinen, 2018, arXiv 1710.10196.

    Example:
        >>> optimizer = growing_optimizer(optax.sgd(1.0), 2, 2)
        >>> params, state = {"growth": jnp.zeros(()), "w": jnp.zeros(())}, None
        >>> state = optimizer.init(params)
        >>> for _ in range(3):
        ...     updates, state = optimizer.update({"growth": 9.0, "w": 1.0}, state, params)
        ...     params = optax.apply_updates(params, updates)
        >>> float(params["growth"]), float(params["w"])
        (0.5, -3.0)
    """
    as_optimizer(optimizer)
    phase_steps, stages = positive_integer("phase_steps", phase_steps), positive_integer("stages", stages)

    def init(params: Any) -> GrowthState:
        return GrowthState(optimizer.init(params), jnp.zeros((), jnp.int32))

    def update(gradient: Any, state: GrowthState, params: Any = None) -> tuple[Any, GrowthState]:
        updates, inner = optimizer.update(gradient, state.inner, params)
        taken = state.taken + 1
        now = growth_at(taken, phase_steps, stages)

        def moved(path: Any, change: Any, value: Any) -> Any:
            return now - value if getattr(path[-1], "key", None) == NAME else change

        return jax.tree_util.tree_map_with_path(moved, updates, params), GrowthState(inner, taken)

    return optax.GradientTransformation(init, update)
