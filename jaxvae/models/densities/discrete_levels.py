"""Whole numbers under a density of real ones: noise fills the gap between two levels, and is a latent."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.checks import positive_integer
from jaxvae.models.events import as_event_shape
from jaxvae.models.latent_variable import latent_variable_model
from jaxvae.models.meaning import need_real
from jaxvae.models.observations.discrete import categorical
from jaxvae.models.records import Conditional, Key, Model, Params

Array = jax.Array
ROUNDED = 1e-4  # of a level: how far float32 may carry a value out of its bin


def dequantized(p: Conditional, levels: int, *, event_shape: Any, noise: Conditional | None = None) -> Model:
    """P(x) = integral of p(v) over the bin of x, from below: v = (x + u) / levels, u ~ q(u | x) on [0, 1]^D.

    log P(x) >= E[log p(v) - D log levels - log q(u | x)]

    The noise is the code of a VAE whose decoder, 1 within the bin of x and 0 elsewhere, knows x from v: the
    importance-weighted bound tightens it for nothing, and -ELBO is all rate. Nats are those of the levels, so that they
    compare with those of any other model of the same levels.

    Args:
        p: a density of v [*event_shape], such as `transformed(...)`; what of its mass lies outside [0, 1]^D is lost to
            the levels, and a draw from there takes the nearest level.
        levels: L; x holds the whole numbers 0 to L - 1, as the protocol `levels` makes them.
        event_shape: of one example, D numbers.
        noise: q of r = logit(u) [D] (or of the event's shape) given x / (L - 1), such as
            `gaussian_posterior(MLPEncoder(D), D)`: variational dequantisation. None: u is uniform.

    Returns:
        A `Model` with the parameters of p and of the noise, whose evidence is "weights".

    Raises:
        ValueError, TypeError: for what is no `Conditional` over real numbers, or impossible levels or event_shape.

    Source: Theis et al., 2016, arXiv 1511.01844; noise that is learned: Ho et al., 2019, arXiv 1902.00275; tightened:
        Hoogeboom, Cohen and Tomczak, 2020, arXiv 2001.11235.

    Example:
        >>> from jaxvae.models.priors.standard import standard_normal
        >>> model = dequantized(standard_normal(1), 2, event_shape=(1,))
        >>> bounds = jax.vmap(lambda key: model.terms({}, key, jnp.ones(1)).log_weight)
        >>> weights = jnp.exp(bounds(jax.random.split(jax.random.key(0), 10_000)))
        >>> round(float(weights.mean()), 3)  # Phi(1) - Phi(1 / 2)
        0.15
    """
    for name, part in (("p", p), ("noise", noise)):
        if part is not None and not isinstance(part, Conditional):
            raise TypeError(f"{name} is {part!r}, expected a Conditional. Call one, such as transformed(...).")
    need_real(p, "noise between levels", "Whole numbers have a probability as they are: density_model(p, ...).")
    levels, shape = positive_integer("levels", levels, 2), as_event_shape(event_shape)
    size = math.prod(shape)
    posterior = _uniform(levels, size) if noise is None else _learned(noise, levels, shape)
    seen = categorical(levels)

    def log_prob(params: Params, x: Array, v: Array) -> Array:
        within = jnp.abs(levels * v - x - 0.5) <= 0.5 + ROUNDED
        return jnp.where(within.all(), 0.0, -jnp.inf).astype(v.dtype)

    def mean(params: Params, v: Array) -> Array:
        return jnp.clip(jnp.floor(levels * v), 0, levels - 1)

    def sample(params: Params, key: Key, v: Array) -> tuple[Array, Array]:
        return mean(params, v), jnp.zeros((), v.dtype)

    bins = Conditional(lambda key, v: {}, sample, log_prob, mean, support="integers")
    q, prior = (part._replace(support="bins") for part in (posterior, p))  # no chain crosses from level to level
    return latent_variable_model(q, prior, bins, event_shape=shape, latent_dim=size, observation=seen)


def _uniform(levels: int, size: int) -> Conditional:
    """v = (x + u) / levels with uniform u: the density is levels^D."""

    def log_prob(params: Params, v: Array, x: Array) -> Array:
        within = jnp.abs(levels * v - x - 0.5) <= 0.5 + ROUNDED
        return jnp.where(within.all(), size * math.log(levels), -jnp.inf).astype(v.dtype)

    def sample(params: Params, key: Key, x: Array) -> tuple[Array, Array]:
        v = (x + jax.random.uniform(key, x.shape, x.dtype)) / levels
        return v, jnp.full((), size * math.log(levels), v.dtype)

    return Conditional(lambda key, x: {}, sample, log_prob, lambda params, x: (x + 0.5) / levels)


def _learned(noise: Conditional, levels: int, shape: tuple[int, ...]) -> Conditional:
    """v = (x + sigmoid(r)) / levels with r from the noise."""
    size = math.prod(shape)

    def told(x: Array) -> Array:
        return x / (levels - 1)

    def squeezed(r: Array) -> Array:
        """log |du/dr| - log levels for each element, summed."""
        return (jax.nn.log_sigmoid(r) + jax.nn.log_sigmoid(-r)).sum() - size * math.log(levels)

    def sample(params: Params, key: Key, x: Array) -> tuple[Array, Array]:
        r, log_density = noise.sample(params, key, told(x))
        return (x + jax.nn.sigmoid(r).reshape(shape)) / levels, log_density - squeezed(r)

    def log_prob(params: Params, v: Array, x: Array) -> Array:
        u = levels * v - x
        inside = ((u > 0.0) & (u < 1.0)).all()
        r = jax.scipy.special.logit(jnp.where(inside, u, 0.5))
        like = jax.eval_shape(functools.partial(noise.mean, params), told(x))
        return jnp.where(inside, noise.log_prob(params, r.reshape(like.shape), told(x)) - squeezed(r), -jnp.inf)

    def mean(params: Params, x: Array) -> Array:
        return (x + jax.nn.sigmoid(noise.mean(params, told(x))).reshape(shape)) / levels

    return Conditional(lambda key, x: noise.init(key, told(x)), sample, log_prob, mean)
