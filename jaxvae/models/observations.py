"""Observation models: how the unconstrained numbers of a decoder become a distribution over x.

Each constructor returns an `Observation`; `jaxvae.models.likelihoods.decoder_likelihood` joins one with a network.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxvae.math.bernoulli import bernoulli_log_prob, continuous_bernoulli_log_prob
from jaxvae.math.checks import finite_number, in_range
from jaxvae.math.laplace import laplace_log_prob
from jaxvae.math.normal import normal_log_prob
from jaxvae.models.records import Key, Params

Array = jax.Array
UNIT_FIX = "Divide raw 0..255 pixels by 255, or choose the protocol 'grey' or 'dynamic'."


def identity(x: Array) -> Array:
    """x itself: the event already lies on [0, 1]."""
    return x


class Observation(NamedTuple):
    """p(x | decoder outputs) for one example x of any event shape [..., C].

    Attributes:
        name: the name of its constructor.
        channels: how many numbers per channel of x the decoder must emit: outputs are [..., C * channels].
        init: () -> parameters of its own, {} where it has none.
        log_prob: (params, x, outputs) -> [] nats, summed over the event.
        sample: (params, key, outputs) -> x; the key is consumed.
        mean: (params, outputs) -> E[x], in the units of x.
        to_unit: x -> [0, 1], what networks see and pictures show.
        check: (x) -> None; raises `ValueError` for values of a concrete x outside the support.
        discrete: whether log_prob is the logarithm of a probability, so that bits per dimension make sense.
    """

    name: str
    channels: int
    init: Callable[[], Params]
    log_prob: Callable[[Params, Array, Array], Array]
    sample: Callable[[Params, Key, Array], Array]
    mean: Callable[[Params, Array], Array]
    to_unit: Callable[[Array], Array]
    check: Callable[[Array], None]
    discrete: bool


def _check_unit(x: Array) -> None:
    in_range("x", x, 0.0, 1.0, UNIT_FIX)


def _check_finite(x: Array) -> None:
    limit = float(jnp.finfo(jnp.float32).max)
    in_range("x", x, -limit, limit, "Remove or impute the values that are not finite.")


def bernoulli() -> Observation:
    """Pixels in [0, 1] as independent Bernoulli probabilities, from logits; exact for binary x.

    For grey x this is a cross-entropy, no density (use `continuous_bernoulli`); it is what most published code trains.

    Example:
        >>> round(float(bernoulli().log_prob({}, jnp.ones((1, 1, 1)), jnp.zeros((1, 1, 1)))), 4)
        -0.6931
    """

    def log_prob(params: Params, x: Array, outputs: Array) -> Array:
        return bernoulli_log_prob(x, outputs)

    def sample(params: Params, key: Key, outputs: Array) -> Array:
        return jax.random.bernoulli(key, jax.nn.sigmoid(outputs)).astype(jnp.float32)

    def mean(params: Params, outputs: Array) -> Array:
        return jax.nn.sigmoid(outputs)

    return Observation("bernoulli", 1, dict, log_prob, sample, mean, identity, _check_unit, True)


def continuous_bernoulli() -> Observation:
    """Pixels in [0, 1] with the density proportional to p^x (1 - p)^(1 - x), from logits.

    Source: Loaiza-Ganem and Cunningham, 2019, arXiv 1907.06845.

    Example:
        >>> observation = continuous_bernoulli()
        >>> abs(float(observation.log_prob({}, jnp.full((1, 1, 1), 0.3), jnp.zeros((1, 1, 1))))) < 1e-6  # uniform
        True
    """

    def log_prob(params: Params, x: Array, outputs: Array) -> Array:
        return continuous_bernoulli_log_prob(x, outputs)

    def sample(params: Params, key: Key, outputs: Array) -> Array:
        # Inverse of F(x) = expm1(l x) / expm1(l); by symmetry solve for -|l|, where expm1 cannot overflow.
        u = jax.random.uniform(key, outputs.shape)
        small = jnp.abs(outputs) < 1e-3
        l = jnp.where(small, -1.0, -jnp.abs(outputs))
        x = jnp.where(small, u, jnp.log1p(u * jnp.expm1(l)) / l)
        return jnp.clip(jnp.where(outputs > 0, 1 - x, x), 0.0, 1.0)

    def mean(params: Params, outputs: Array) -> Array:
        # E[x] = 1 / (1 - exp(-l)) - 1 / l, which is 1/2 + l/12 near 0.
        small = jnp.abs(outputs) < 1e-1
        l = jnp.where(small, 1.0, outputs)
        series = 0.5 + outputs / 12 - outputs**3 / 720
        return jnp.where(small, series, -1 / jnp.expm1(-l) - 1 / l)

    return Observation("continuous_bernoulli", 1, dict, log_prob, sample, mean, identity, _check_unit, False)


def _scaled(
    name: str, scale: str, value: float, floor: float, log_prob: Callable[..., Array], noise: Callable[..., Array]
) -> Observation:
    """A location-scale family; the scale is fixed, one learned number, or emitted by the decoder for each pixel."""
    finite_number("scale value", value, above=True)
    finite_number("floor", floor, above=True)
    if scale not in ("fixed", "learned", "per_pixel"):
        raise ValueError(f"scale is {scale!r}, expected 'fixed', 'learned' or 'per_pixel'.")

    def split(params: Params, outputs: Array) -> tuple[Array, Array]:
        """Location and log-scale; a learned one is floored smoothly, since constant pixels would drive it to 0."""
        if scale == "fixed":
            return outputs, jnp.full_like(outputs, jnp.log(value))
        if scale == "learned":
            location, raw = outputs, jnp.broadcast_to(params["observation"]["log_scale"], outputs.shape)
        else:
            location, raw = jnp.split(outputs, 2, axis=-1)
        return location, jnp.log(floor) + jax.nn.softplus(raw - jnp.log(floor))

    def init() -> Params:
        return {"observation": {"log_scale": jnp.log(jnp.float32(value))}} if scale == "learned" else {}

    def density(params: Params, x: Array, outputs: Array) -> Array:
        location, log_scale = split(params, outputs)
        return log_prob(x, location, log_scale)

    def sample(params: Params, key: Key, outputs: Array) -> Array:
        location, log_scale = split(params, outputs)
        return location + jnp.exp(log_scale) * noise(key, location.shape)

    def mean(params: Params, outputs: Array) -> Array:
        return split(params, outputs)[0]

    channels = 2 if scale == "per_pixel" else 1
    return Observation(name, channels, init, density, sample, mean, identity, _check_finite, False)


def normal(scale: str = "fixed", std: float = 0.1, floor: float = 1 / 256) -> Observation:
    """x ~ N(outputs, std^2), a density over real x; pictures assume x on [0, 1].

    With a fixed std, -log p(x | z) is C |x - f(z)|^2 + const with C = 1 / (2 std^2). A learned std keeps its
    normalising term, so it settles where the bound is highest (Rybkin et al., 2021, arXiv 2006.13202).

    Args:
        scale: "fixed" std; "learned", one number; or "per_pixel", emitted by the decoder.
        std: the fixed or the initial standard deviation, in the units of x.
        floor: a learned or emitted std stays above this (default: one grey level); without it the density of a
            constant pixel grows without bound and training ends in NaN.

    Raises:
        ValueError: for an unknown scale, or a std or floor that is not positive.

    Example:
        >>> round(float(normal(std=1.0).log_prob({}, jnp.zeros((1, 1, 1)), jnp.zeros((1, 1, 1)))), 4)
        -0.9189
    """

    def log_prob(x: Array, mean: Array, log_std: Array) -> Array:
        return normal_log_prob(x, mean, 2 * log_std)

    return _scaled("normal", scale, std, floor, log_prob, jax.random.normal)


def laplace(scale: str = "fixed", width: float = 0.1, floor: float = 1 / 256) -> Observation:
    """x ~ Laplace(outputs, width): an absolute error, less blurred than `normal`; options as there.

    Example:
        >>> round(float(laplace(width=0.5).log_prob({}, jnp.zeros((1, 1, 1)), jnp.zeros((1, 1, 1)))), 4)
        0.0
    """
    return _scaled("laplace", scale, width, floor, laplace_log_prob, jax.random.laplace)
