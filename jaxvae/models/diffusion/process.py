"""A diffusion's parts, of which bound, samplers and probability flow are made."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxvae.models.diffusion.predictions import level_log_likelihoods
from jaxvae.models.diffusion.schedules import NoiseSchedule, noise_scale, signal_scale
from jaxvae.models.records import Key, Observation, Params

Array = jax.Array


class Process(NamedTuple):
    """What a diffusion is made of, for one example.

    Attributes:
        schedule: gamma(t).
        noise: (params, z, gamma [], context) -> the noise that the network sees in z; the context is what networks see
            of it, or None.
        scaled: x -> the numbers that noise is added to, about [-1, 1].
        outputs: (z_0, gamma [] at t = 0) -> the outputs of the observation model that p(x | z_0) is.
        observation: that model.
        event_shape: the shape of x, z and the noise.
    """

    schedule: NoiseSchedule
    noise: Callable[[Params, Array, Array, Any], Array]
    scaled: Callable[[Array], Array]
    outputs: Callable[[Array, Array], Array]
    observation: Observation
    event_shape: tuple[int, ...]

    def ends(self, params: Params) -> tuple[Array, Array]:
        """gamma at t = 0 and at t = 1."""
        return self.schedule.gamma(params, jnp.float32(0.0)), self.schedule.gamma(params, jnp.float32(1.0))

    def decoded(self, params: Params, key: Key, z: Array) -> Array:
        """x ~ p(x | z_0); the key is consumed."""
        return self.observation.sample(params, key, self.outputs(z, self.ends(params)[0]))


def diffused(x: Array, noise: Array, gamma: Array) -> Array:
    """z = alpha x + sigma noise.

    Example:
        >>> diffused(jnp.ones(2), jnp.zeros(2), jnp.float32(-100.0)).tolist()
        [1.0, 1.0]
    """
    return signal_scale(gamma) * x + noise_scale(gamma) * noise


def reading(observation: Observation) -> tuple[Callable[[Array], Array], Callable[[Array, Array], Array]]:
    """How x becomes numbers about [-1, 1], and z_0 the outputs of the observation model of x.

    Discrete x: p(x | z_0) is the chance of each level by the noise at t = 0 alone, as in VDM; of `categorical` a
    softmax over its levels, of `bernoulli` one over two. Of `normal`, fixed or learned: N(z_0 / alpha_0, std^2), and x
    is left as it is.

    Raises:
        ValueError: for another observation model, or one whose decoder would emit the width.
    """
    name, levels = observation.name, observation.channels
    if name == "normal" and levels == 1:
        return (lambda x: x), lambda z, gamma: z / signal_scale(gamma)
    if name == "bernoulli":
        return _symmetric(observation), lambda z, gamma: 2.0 * z * jnp.exp(-gamma) / signal_scale(gamma)
    if name == "categorical":
        return _symmetric(observation), lambda z, gamma: level_log_likelihoods(z, gamma, levels).reshape(
            *z.shape[:-1], -1
        )
    raise ValueError(
        f"observation is {name!r} of {levels} number(s) for an element, expected bernoulli(), categorical(levels), "
        f"or normal of a fixed or learned std: what z_0 says of x, no decoder emits."
    )


def _symmetric(observation: Observation) -> Callable[[Array], Array]:
    return lambda x: 2.0 * observation.to_unit(x) - 1.0
