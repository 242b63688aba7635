"""Observation models: how the unconstrained numbers of a decoder become a distribution over x.

Each constructor returns an `Observation`; `jaxvae.models.decoder_likelihood` joins one with a network.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxvae import traced
from jaxvae.checks import as_float, finite_number, in_range, positive_integer
from jaxvae.math.bernoulli import bernoulli_log_prob, continuous_bernoulli_log_prob
from jaxvae.math.laplace import laplace_log_prob
from jaxvae.math.normal import normal_log_prob
from jaxvae.models.records import Key, Observation, Params

Array = jax.Array
UNIT_FIX = (
    "Divide raw 0..255 pixels by 255, or choose the protocol 'grey' or 'dynamic'; real numbers, as of a table, take "
    "another likelihood: observation=jaxvae.normal('learned')."
)


def identity(x: Array) -> Array:
    """x itself: the event already lies on [0, 1]."""
    return x


def _check_unit(x: Array, name: str = "x") -> None:
    _check_float(x, name)
    in_range(name, x, 0.0, 1.0, UNIT_FIX)


def _check_finite(x: Array, name: str = "x") -> None:
    _check_float(x, name)
    limit = float(jnp.finfo(jnp.float32).max)
    in_range(name, x, -limit, limit, "Remove or impute the values that are not finite.")


def _check_float(x: Array, name: str) -> None:
    """Refuses integers by their dtype, inside `jit` too: an encoder would take raw 0..255 pixels without a word."""
    if jnp.issubdtype(x.dtype, jnp.integer):
        as_float(name, x)


def bernoulli() -> Observation:
    """Pixels in [0, 1] as independent Bernoulli probabilities, from logits; exact for binary x.

    For grey x this is a cross-entropy, no density (use `continuous_bernoulli`); it is what most published code trains.

    Source: Kingma and Welling, 2013, arXiv 1312.6114, appendix C.1.

    Example:
        >>> round(float(bernoulli().log_prob({}, jnp.ones((1, 1, 1)), jnp.zeros((1, 1, 1)))), 4)
        -0.6931
    """

    def log_prob(params: Params, x: Array, outputs: Array) -> Array:
        return bernoulli_log_prob(x, outputs)

    def sample(params: Params, key: Key, outputs: Array) -> Array:
        return jax.random.bernoulli(key, jax.nn.sigmoid(outputs)).astype(outputs.dtype)

    def mean(params: Params, outputs: Array) -> Array:
        return jax.nn.sigmoid(outputs)

    return Observation("bernoulli", 1, dict, log_prob, sample, mean, identity, _check_unit, True, levels=2)


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
        u = jax.random.uniform(key, outputs.shape, outputs.dtype)
        zero = jnp.abs(outputs) < 1e-20
        l = jnp.where(zero, -1.0, -jnp.abs(outputs))
        x = jnp.where(zero, u, jnp.log1p(u * jnp.expm1(l)) / l)
        return jnp.clip(jnp.where(outputs > 0, 1 - x, x), 0.0, 1.0)

    def mean(params: Params, outputs: Array) -> Array:
        # E[x] = 1/a - 1/expm1(a) for l = -a; 1 minus that for l = a; 1/2 + l/12 - l^3/720 + l^5/30240 near 0.
        small = jnp.abs(outputs) < 0.5
        l = jnp.where(small, outputs, 0.0)
        a = jnp.where(small, 1.0, jnp.abs(outputs))
        below = 1 / a - 1 / jnp.expm1(jnp.minimum(a, 80.0))
        series = 0.5 + l / 12 - l**3 / 720 + l**5 / 30240
        return jnp.where(small, series, jnp.where(outputs < 0, below, 1 - below))

    return Observation("continuous_bernoulli", 1, dict, log_prob, sample, mean, identity, _check_unit, False)


def _scaled(
    name: str,
    variance_type: str,
    width: tuple[str, float],
    channels: int,
    floor: float,
    log_prob: Callable[..., Array],
    noise: Callable[..., Array],
) -> Observation:
    """A location-scale family; its width is fixed, learned (one number, or one for each channel), or emitted by the
    decoder for each pixel.

    A width that is not fixed is floor + exp(raw), since constant pixels would drive it to 0.
    """
    called, value = width
    finite_number(called, value, above=True)
    finite_number("floor", floor, above=True)
    positive_integer("channels", channels)
    if variance_type not in ("fixed", "learned", "per_channel", "per_pixel"):
        raise ValueError(
            f"variance_type is {variance_type!r}, expected 'fixed', 'learned', 'per_channel' or 'per_pixel'. "
            f"The variance that fits each example best gives no density; `marginal_normal` integrates over it instead."
        )
    if variance_type != "fixed" and traced.surely(value <= floor):
        raise ValueError(f"{called} is {value} to begin with, expected more than the floor {floor}. Lower the floor.")
    start = 0.0 if variance_type == "fixed" else traced.log(value - floor)

    def split(params: Params, outputs: Array) -> tuple[Array, Array]:
        """Location and log-width; outputs of 0 and fresh parameters give the width that was asked for."""
        if variance_type == "fixed":
            return outputs, jnp.full_like(outputs, traced.log(value))
        if variance_type in ("learned", "per_channel"):
            location, raw = outputs, jnp.broadcast_to(params["observation"]["log_scale"], outputs.shape)
        else:
            location, emitted = jnp.split(outputs, 2, axis=-1)
            raw = emitted + start
        return location, jnp.logaddexp(raw, traced.log(floor))

    def init() -> Params:
        if variance_type not in ("learned", "per_channel"):
            return {}
        shape = () if variance_type == "learned" else (channels,)
        return {"observation": {"log_scale": jnp.full(shape, start, jnp.float32)}}

    def density(params: Params, x: Array, outputs: Array) -> Array:
        location, log_scale = split(params, outputs)
        return log_prob(x, location, log_scale)

    def sample(params: Params, key: Key, outputs: Array) -> Array:
        location, log_scale = split(params, outputs)
        return location + jnp.exp(log_scale) * noise(key, location.shape, location.dtype)

    def mean(params: Params, outputs: Array) -> Array:
        return split(params, outputs)[0]

    outputs = 2 if variance_type == "per_pixel" else 1
    return Observation(name, outputs, init, density, sample, mean, identity, _check_finite, False)


def normal(variance_type: str = "fixed", std: float = 0.1, floor: float = 1 / 256, channels: int = 1) -> Observation:
    """x ~ N(outputs, std^2), a density over real x; pictures assume x on [0, 1].

    With a fixed std, -log p(x | z) is C |x - f(z)|^2 + const with C = 1 / (2 std^2). A learned std keeps its
    normalising term, so it settles where the bound is highest (Rybkin et al., 2021, arXiv 2006.13202).

    Args:
        variance_type: "fixed" std; "learned", one number; "per_channel", one for each colour or column; or "per_pixel",
            emitted by the decoder.
        std: the fixed or the initial standard deviation, in the units of x.
        floor: a learned or emitted std is floor + exp(raw) (default: one grey level); without it the density of a
            constant pixel grows without bound and training ends in NaN.
        channels: how many colours or columns there are, the last axis of x; "per_channel" alone reads it.

    Raises:
        ValueError: for an unknown variance_type, a std or floor that is not positive, or a std that starts below it.

    Example:
        >>> round(float(normal(std=1.0).log_prob({}, jnp.zeros((1, 1, 1)), jnp.zeros((1, 1, 1)))), 4)
        -0.9189
    """

    def log_prob(x: Array, mean: Array, log_std: Array) -> Array:
        return normal_log_prob(x, mean, 2 * log_std)

    return _scaled("normal", variance_type, ("std", std), channels, floor, log_prob, jax.random.normal)


def laplace(variance_type: str = "fixed", width: float = 0.1, floor: float = 1 / 256, channels: int = 1) -> Observation:
    """x ~ Laplace(outputs, width): an absolute error, less blurred than `normal`; options as there.

    Source: as a decoder it is the L1 loss of Isola et al., 2017, arXiv 1611.07004.

    Example:
        >>> round(float(laplace(width=0.1).log_prob({}, jnp.zeros((1, 1, 1)), jnp.zeros((1, 1, 1)))), 4)  # -log 0.2
        1.6094
    """
    return _scaled("laplace", variance_type, ("width", width), channels, floor, laplace_log_prob, jax.random.laplace)
