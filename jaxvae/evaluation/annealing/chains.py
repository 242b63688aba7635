"""Chains of moves between two densities through all temperatures between them, forwards and backwards."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.checks import positive_integer
from jaxvae.evaluation.annealing.hmc import LogDensity, hmc_step
from jaxvae.models.records import Key

Array = jax.Array
TARGET, FIRST_STEP, GAIN = 0.65, 0.1, 0.2  # acceptance aimed at, first step size, and how fast the pilot adapts it


class Path(NamedTuple):
    """Densities between log_start at temperature 0 and log_joint at 1, for one example; z is a vector [Z].

    log f_b(z) = (1 - b) log_start(z) + b log_joint(z)
    """

    log_start: LogDensity
    log_joint: LogDensity

    def at(self, temperature: Array) -> LogDensity:
        """log f at a temperature."""
        return lambda z: (1.0 - temperature) * self.log_start(z) + temperature * self.log_joint(z)


def sigmoid_schedule(temperatures: int, sharpness: float = 4.0) -> np.ndarray:
    """[T + 1] from 0 to 1, dense at both ends: (s(d (2t/T - 1)) - s(-d)) / (s(d) - s(-d)), s the sigmoid.

    Source: Grosse et al., 2015, arXiv 1511.02543; with d = 4 as Wu et al., 2017, arXiv 1611.04273.

    Example:
        >>> [round(float(b), 4) for b in sigmoid_schedule(4)]
        [0.0, 0.105, 0.5, 0.895, 1.0]
    """
    temperatures = positive_integer("temperatures", temperatures)
    curve = 1.0 / (1.0 + np.exp(-sharpness * np.linspace(-1.0, 1.0, temperatures + 1)))
    schedule: np.ndarray = ((curve - curve[0]) / (curve[-1] - curve[0])).astype(np.float32)
    return schedule


def forward(
    key: Key, z: Array, path: Path, schedule: Array, steps: Array | None, leapfrog_steps: int
) -> tuple[Array, Array, Array, Array]:
    """Chains from the start to the joint; with steps None it is a pilot that finds the step sizes.

    Args:
        key: consumed.
        z: [C, Z] exact samples of the start.
        path: the densities.
        schedule: [T + 1] temperatures.
        steps: [T] step sizes, or None.
        leapfrog_steps: of each move.

    Returns:
        z [C, Z] at the end; log-weights [C], whose exponentials have mean p(x) if the steps were given; the step sizes
        [T] and the acceptance [T].
    """

    def move(state: tuple[Array, Array, Array], at: tuple[Array, ...]) -> tuple[Any, tuple[Array, Array]]:
        z, log_weight, log_step = state
        turn, before, now, *given = at
        log_weight += (now - before) * jax.vmap(lambda z: path.log_joint(z) - path.log_start(z))(z)
        step = given[0] if given else jnp.exp(log_step)
        z, acceptance = _moves(jax.random.fold_in(key, turn), z, path.at(now), step, leapfrog_steps)
        return (z, log_weight, log_step + GAIN * (acceptance - TARGET)), (step, acceptance)

    turns = jnp.arange(len(schedule) - 1)
    given = () if steps is None else (steps,)
    start = z, jnp.zeros(len(z), z.dtype), jnp.log(jnp.asarray(FIRST_STEP, z.dtype))
    (z, log_weight, _), (steps, acceptance) = jax.lax.scan(move, start, (turns, schedule[:-1], schedule[1:], *given))
    return z, log_weight, steps, acceptance


def backward(key: Key, z: Array, path: Path, schedule: Array, steps: Array, leapfrog_steps: int) -> Array:
    """Chains from exact posterior samples z [C, Z] to the start; exponentials of the log-weights [C] have mean 1/p(x).

    The arguments are those of `forward`, whose moves it makes in the opposite order.
    """

    def move(state: tuple[Array, Array], at: tuple[Array, ...]) -> tuple[tuple[Array, Array], None]:
        z, log_weight = state
        turn, before, now, step = at
        z, _ = _moves(jax.random.fold_in(key, turn), z, path.at(now), step, leapfrog_steps)
        log_weight += (before - now) * jax.vmap(lambda z: path.log_joint(z) - path.log_start(z))(z)
        return (z, log_weight), None

    parts = (jnp.arange(len(schedule) - 1), schedule[:-1], schedule[1:], steps)
    (_, log_weight), _ = jax.lax.scan(move, (z, jnp.zeros(len(z), z.dtype)), parts, reverse=True)
    return log_weight


def _moves(key: Key, z: Array, log_density: LogDensity, step: Array, leapfrog_steps: int) -> tuple[Array, Array]:
    """One move of every chain; the mean acceptance."""
    move = functools.partial(hmc_step, log_density=log_density, step_size=step, leapfrog_steps=leapfrog_steps)
    z, acceptance = jax.vmap(lambda key, z: move(key, z))(jax.random.split(key, len(z)), z)
    return z, acceptance.mean()
