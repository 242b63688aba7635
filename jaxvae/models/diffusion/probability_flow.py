"""The probability flow: an ordinary differential equation with the diffusion's marginals, which has an exact density.

    dz / dgamma = sigma / 2 (noise(z, gamma) - sigma z),   d log p(z) / dgamma = -div(dz / dgamma)

Song, Sohl-Dickstein, Kingma, Kumar, Ermon and Poole, 2021, arXiv 2011.13456, written in gamma, which is even where
noise is.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.checks import positive_integer
from jaxvae.math.normal import normal_log_prob
from jaxvae.models.diffusion.process import Process
from jaxvae.models.diffusion.schedules import noise_scale
from jaxvae.models.records import Key, Params

Array = jax.Array


def flow_velocity(process: Process, params: Params, z: Array, gamma: Array, context: Any = None) -> Array:
    """dz / dgamma of the probability flow."""
    sigma = noise_scale(gamma)
    return 0.5 * sigma * (process.noise(params, z, gamma, context) - sigma * z)


def flow_draw(process: Process, params: Params, z: Array, *, context: Any = None, steps: int = 50) -> Array:
    """z_0 of z_1, by `steps` of Runge-Kutta's fourth order, even in gamma."""
    first, last = process.ends(params)
    return runge_kutta(lambda z, gamma: flow_velocity(process, params, z, gamma, context), z, last, first, steps)


def flow_log_prob(
    process: Process,
    params: Params,
    z: Array,
    *,
    context: Any = None,
    steps: int = 50,
    key: Key | None = None,
) -> Array:
    """log p(z_0) [] of the probability flow, nats.

    log p(z_0) = log N(z_1; 0, I) + integral of div(dz / dgamma) dgamma

    Args:
        process: of `process_of(model)`.
        params: of the model.
        z: z_0, one example; of data about x = alpha_0 x + sigma_0 noise.
        context: what networks see of it.
        steps: of Runge-Kutta; its error falls as their fourth power.
        key: None computes the divergence exactly, at as many passes as z has numbers; a key estimates it by one
            random direction (Hutchinson), for which the result is right on average only. It is consumed.

    Returns:
        [] exact for the flow up to the steps. The flow of a trained network is another model than the diffusion: their
        densities agree where the network is the best possible one.

    Source: Song et al., 2021, arXiv 2011.13456; the estimate: Grathwohl et al., 2019, arXiv 1810.01367.

    Example:
        >>> from jaxvae.models.diffusion import diffusion_model, process_of
        >>> class White:  # the best network for N(0, I), which noise leaves as it is
        ...     def init(self, key, z, gamma, context):
        ...         return {}
        ...     def apply(self, variables, z, gamma, context):
        ...         return noise_scale(gamma) * z
        >>> model = diffusion_model(White(), event_shape=(2,), prediction="noise")
        >>> round(float(flow_log_prob(process_of(model), {"denoiser": {}}, jnp.zeros(2), steps=4)), 4)  # -log(2 pi)
        -1.8379
    """
    steps = positive_integer("steps", steps)
    probe = None if key is None else jax.random.rademacher(key, z.shape, z.dtype)

    def field(state: tuple[Array, Array], gamma: Array) -> tuple[Array, Array]:
        def velocity(z: Array) -> Array:
            return flow_velocity(process, params, z, gamma, context)

        if probe is not None:
            value, change = jax.jvp(velocity, (state[0],), (probe,))
            return value, jnp.sum(probe * change)
        jacobian = jax.jacfwd(lambda v: velocity(v.reshape(z.shape)).reshape(-1))(state[0].reshape(-1))
        return velocity(state[0]), jnp.trace(jacobian)

    end, volume = runge_kutta(field, (z, jnp.zeros((), z.dtype)), *process.ends(params), steps)
    return normal_log_prob(end, jnp.zeros_like(end), jnp.zeros_like(end)) + volume


def runge_kutta(field: Callable[[Any, Array], Any], state: Any, start: Array, stop: Array, steps: int) -> Any:
    """The state at `stop` of d state / du = field(state, u), by the classical method of order four.

    Example:
        >>> round(float(runge_kutta(lambda y, u: y, jnp.float32(1.0), jnp.float32(0.0), jnp.float32(1.0), 20)), 5)
        2.71828
    """
    width = (stop - start) / steps

    def moved(state: Any, change: Any, by: Any) -> Any:
        return jax.tree.map(lambda a, b: a + by * b, state, change)

    def one(step: Array, state: Any) -> Any:
        u = start + step * width
        a = field(state, u)
        b = field(moved(state, a, width / 2), u + width / 2)
        c = field(moved(state, b, width / 2), u + width / 2)
        d = field(moved(state, c, width), u + width)
        slope = jax.tree.map(lambda a, b, c, d: (a + 2 * b + 2 * c + d) / 6, a, b, c, d)
        return moved(state, slope, width)

    return jax.lax.fori_loop(0, steps, one, state)
