"""Pictures of 4x4 pixels driven by one number: a model so small that its posterior and evidence can be drawn.

    z ~ N(0, 1),  angle = 2 pi Phi(z),  x | z ~ N(spot at that angle on a circle, noise^2 I)

Phi, the cumulative distribution of a standard normal, makes every angle equally likely. Both ends of the line meet at
twelve o'clock, so a spot there has two explanations, and no Gaussian q fits its posterior.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxvae.checks import finite_number
from jaxvae.models.exact.linear import LinearEncoder
from jaxvae.models.observations.continuous import normal
from jaxvae.models.records import Key, Model, Network, Params
from jaxvae.models.variational import vae
from jaxvae.traced import log

Array = jax.Array

SIDE = 4  # pixels


class FourByFourDecoder(NamedTuple):
    """z [1] -> mean brightness [4, 4, 1] of a soft spot on a circle; fresh parameters are the given ones."""

    radius: float | Array
    width: float | Array

    def init(self, key: Key, /, *inputs: Array) -> Params:
        return {"radius": jnp.float32(self.radius), "log_width": jnp.float32(log(self.width))}

    def apply(self, variables: Any, /, *inputs: Array) -> Array:
        (z,) = inputs
        angle = 2.0 * math.pi * jax.scipy.stats.norm.cdf(z[0])
        middle, place = (SIDE - 1) / 2, jnp.arange(SIDE, dtype=z.dtype)
        rows = place - (middle - variables["radius"] * jnp.cos(angle))
        columns = place - (middle + variables["radius"] * jnp.sin(angle))
        squared = rows[:, None] ** 2 + columns[None, :] ** 2
        return jnp.exp(-0.5 * squared * jnp.exp(-2.0 * variables["log_width"]))[..., None]


def four_by_four(
    encoder: Network | None = None, *, radius: float = 1.2, width: float = 0.8, noise: float = 0.3
) -> Model:
    """A VAE of 4x4 pixels and one latent, whose true decoder has two parameters: a spot that walks round a circle.

    z ~ N(0, 1), x | z ~ N(f(z), noise^2 I); f(z) is a spot at the angle 2 pi Phi(z), clockwise from twelve o'clock.

    Args:
        encoder: of [4, 4, 1] pixels and one latent; by default a linear one, whose fresh q(z | x) is the prior.
        radius: of the circle, in pixels.
        width: standard deviation of the spot, in pixels.
        noise: standard deviation of every pixel, where the brightest has mean 1.

    Returns:
        A `Model`; its parameters are {"decoder": {"radius": [], "log_width": []}, "encoder": ...}.

    Example:
        >>> model = four_by_four()
        >>> params = model.init(jax.random.key(0), jnp.zeros((4, 4, 1)))
        >>> spot = model.likelihood.mean(params, jnp.zeros(1))[..., 0]  # six o'clock
        >>> [round(float(row.sum()), 2) for row in spot]
        [0.01, 0.21, 1.36, 1.85]
    """
    finite_number("radius", radius, above=True)
    finite_number("width", width, above=True)
    return vae(
        LinearEncoder(1) if encoder is None else encoder,
        FourByFourDecoder(radius, width),
        event_shape=(SIDE, SIDE, 1),
        latent_dim=1,
        observation=normal(std=noise),
    )
