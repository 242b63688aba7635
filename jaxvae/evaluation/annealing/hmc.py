"""Hamiltonian Monte Carlo: a move through the space of z that leaves a density invariant."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxvae.checks import positive_integer
from jaxvae.models.records import Key

Array = jax.Array
LogDensity = Callable[[Array], Array]


class Point(NamedTuple):
    """A place, with the log-density and its gradient there."""

    z: Array
    log_density: Array
    slope: Array


def point(log_density: LogDensity, z: Array) -> Point:
    """The place z [Z] of a log-density."""
    return Point(z, *jax.value_and_grad(log_density)(z))


def leapfrog(
    log_density: LogDensity, start: Point, momentum: Array, step_size: Array, steps: int
) -> tuple[Point, Array]:
    r"""`steps` leapfrog steps of the dynamics with energy -log density(z) + |momentum|^2 / 2.

    Each is half a step of the momentum, a step of z, and half a step of the momentum. The map keeps volumes, and with
    the momentum turned round it is its own inverse.

    Args:
        log_density: z [Z] -> [] nats, up to a constant.
        start: the `point` to start from.
        momentum: [Z].
        step_size: [].
        steps: at least 1.

    Returns:
        The point and the momentum [Z] at the end.

    Source: Neal, 2011, MCMC using Hamiltonian dynamics, arXiv 1206.1901, section 2.3.

    Example:
        >>> oscillator = lambda z: -0.5 * z @ z
        >>> end, _ = leapfrog(oscillator, point(oscillator, jnp.ones(1)), jnp.zeros(1), jnp.float32(0.01), 314)
        >>> round(float(end.z[0]), 2)  # half a turn
        -1.0
    """

    def step(_: Array, state: tuple[Point, Array]) -> tuple[Point, Array]:
        here, momentum = state
        momentum = momentum + 0.5 * step_size * here.slope
        there = point(log_density, here.z + step_size * momentum)
        return there, momentum + 0.5 * step_size * there.slope

    end: tuple[Point, Array] = jax.lax.fori_loop(0, steps, step, (start, momentum))
    return end


def hmc_step(
    key: Key, z: Array, log_density: LogDensity, step_size: Array | float, *, leapfrog_steps: int = 10
) -> tuple[Array, Array]:
    r"""One Hamiltonian Monte Carlo move: fresh momentum, leapfrog steps, and acceptance by Metropolis.

    The proposal is kept with probability min(1, exp(H(z, r) - H(z', r'))), H = -log density + |r|^2 / 2, so the move
    leaves the density invariant whatever the step size. A proposal whose energy is not finite is refused.

    Args:
        key: consumed.
        z: [Z].
        log_density: z [Z] -> [] nats, up to a constant, differentiable.
        step_size: [] of one leapfrog step, in the units of z.
        leapfrog_steps: leapfrog steps in a proposal.

    Returns:
        z [Z], and the probability [] with which the proposal was accepted.

    Source: Duane et al., 1987; Neal, 2011, arXiv 1206.1901.

    Example:
        >>> z, acceptance = hmc_step(jax.random.key(0), jnp.zeros(2), lambda z: -0.5 * z @ z, 0.1)
        >>> z.shape, bool(acceptance > 0.9)
        ((2,), True)
    """
    leapfrog_steps = positive_integer("leapfrog_steps", leapfrog_steps)
    key_momentum, key_accept = jax.random.split(key)
    momentum = jax.random.normal(key_momentum, z.shape, z.dtype)
    here = point(log_density, z)
    there, end = leapfrog(log_density, here, momentum, jnp.asarray(step_size, z.dtype), leapfrog_steps)
    gain = there.log_density - here.log_density - 0.5 * (end @ end - momentum @ momentum)
    acceptance = jnp.where(jnp.isnan(gain), 0.0, jnp.exp(jnp.minimum(gain, 0.0)))
    accepted = jax.random.uniform(key_accept, (), z.dtype) < acceptance
    return jnp.where(accepted, there.z, z), acceptance
