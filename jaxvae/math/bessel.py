"""The modified Bessel function of the von Mises-Fisher distribution, at any order and argument, without overflow.

K(kappa) = log E[exp(kappa t)] for t the first coordinate of a uniform point of the unit sphere in d dimensions, which
is log(Gamma(v + 1) (2 / kappa)^v I_v(kappa)) with v = d/2 - 1. Its slope is A(kappa) = I_{v+1}(kappa) / I_v(kappa), the
length of the mean of a von Mises-Fisher distribution. A high order comes from the expansion of Debye, which holds for
every argument at once; lower orders from it by a recurrence downwards, whose terms are all positive.

Source: NIST Digital Library of Mathematical Functions, 10.29.1 and 10.41.3.
"""

from fractions import Fraction
from functools import lru_cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

Array = jax.Array


class BesselParts(NamedTuple):
    """K, kappa - K, the slope A and kappa (1 - A), each without cancellation in its own range."""

    cumulant: Array
    defect: Array
    slope: Array
    shortfall: Array


@lru_cache
def debye(count: int) -> tuple[tuple[float, ...], ...]:
    """Coefficients of Debye's polynomials u_0..u_count by the power of t."""
    u = [Fraction(1)]
    found: list[tuple[float, ...]] = [(1.0,)]
    for _ in range(count):
        new = [Fraction(0)] * (len(u) + 3)
        for power, c in enumerate(u):
            new[power + 1] += c * (Fraction(power, 2) + Fraction(1, 8 * (power + 1)))
            new[power + 3] -= c * (Fraction(power, 2) + Fraction(5, 8 * (power + 3)))
        u = new
        found.append(tuple(map(float, u)))
    return tuple(found)


def bessel_parts(kappa: Array, dim: int) -> BesselParts:
    """`BesselParts` of a concentration [...] >= 0, for a sphere in `dim` >= 2 dimensions."""
    order = dim / 2 - 1
    least, count = (16, 6) if kappa.dtype.itemsize == 4 else (40, 12)
    steps = max(0, least - int(order))
    top = order + steps
    z = kappa / top
    w = jnp.hypot(1.0, z)
    above = z * (z / (1 + w))  # w - 1
    value, relative, change = _debye_sums(1 / w, top, count)
    change = jnp.log1p(-above / w * change)  # log of the sum at t over the one at t = 1, where kappa = 0
    steep = z / w / w / w * relative / value
    log_half = jnp.log1p(above / 2)
    cumulant = top * (above - log_half) - 0.5 * jnp.log1p(above) + change
    defect = top * ((above + z) / (w + z) + log_half) + 0.5 * jnp.log1p(above) - change
    slope = z / (1 + w) - z / w / (2 * top * w) - steep / top
    shortfall = kappa * (1 + 1 / (w + z)) / (1 + w) + (z / w) ** 2 / 2 + z * steep
    excess = z * steep - top / (w + z) - 1 / w / (2 * w)  # of the shortfall over top + 1/2, its limit
    for n in range(steps - 1, -1, -1):
        double = 2 * (order + n + 1)
        gained = jnp.log1p(kappa * slope / double)
        slope = kappa / (double + kappa * slope)
        shortfall = slope * (double - shortfall)
        excess = -(order + n + 0.5) * shortfall / jnp.maximum(kappa, 1.0) - slope * excess
        cumulant, defect = cumulant + gained, defect - gained
    # Down from a high order to a low one the shortfall itself, which falls by 1 a step, would lose its digits.
    return BesselParts(cumulant, defect, slope, jnp.where(kappa > dim, order + 0.5 + excess, shortfall))


def _debye_sums(t: Array, order: float, count: int) -> tuple[Array, Array, Array]:
    """S(t) = sum of u_k(t) / order^k, its derivative, and (S(t) - S(1)) / ((t - 1) S(1)) by the divided polynomial."""
    sums = [0.0] * (3 * count + 1)
    for k, u in enumerate(debye(count)):
        for power, c in enumerate(u):
            sums[power] += c / order**k
    value, slope, divided = jnp.zeros_like(t), jnp.zeros_like(t), jnp.zeros_like(t)
    for power in range(3 * count, -1, -1):
        value = value * t + sums[power]
        if power:
            slope = slope * t + power * sums[power]
            divided = divided * t + sum(sums[power:])
    return value, slope, divided / sum(sums)


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def log_cumulant(kappa: Array, dim: int) -> Array:
    """K(kappa), with A(kappa) as its derivative."""
    return bessel_parts(kappa, dim).cumulant


@log_cumulant.defjvp
def _log_cumulant_jvp(dim: int, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (kappa,), (change,) = primals, tangents
    return log_cumulant(kappa, dim), mean_length(kappa, dim) * change


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def cumulant_defect(kappa: Array, dim: int) -> Array:
    """kappa - K(kappa), with 1 - A(kappa) as its derivative; it does not cancel where both are large."""
    return bessel_parts(kappa, dim).defect


@cumulant_defect.defjvp
def _cumulant_defect_jvp(dim: int, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (kappa,), (change,) = primals, tangents
    return cumulant_defect(kappa, dim), mean_defect(kappa, dim) * change


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def mean_length(kappa: Array, dim: int) -> Array:
    """A(kappa) in [0, 1), the length of the mean."""
    return bessel_parts(kappa, dim).slope


@mean_length.defjvp
def _mean_length_jvp(dim: int, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (kappa,), (change,) = primals, tangents
    return mean_length(kappa, dim), mean_length_slope(kappa, dim) * change


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def mean_defect(kappa: Array, dim: int) -> Array:
    """1 - A(kappa), right to the last digits where A rounds to 1."""
    parts = bessel_parts(kappa, dim)
    return jnp.where(kappa < 1, 1 - parts.slope, parts.shortfall / jnp.maximum(kappa, 1.0))


@mean_defect.defjvp
def _mean_defect_jvp(dim: int, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (kappa,), (change,) = primals, tangents
    return mean_defect(kappa, dim), -mean_length_slope(kappa, dim) * change


def mean_length_slope(kappa: Array, dim: int) -> Array:
    """A'(kappa), the variance along the mean: from A up to kappa = d, and from 1 - A beyond, where A rounds to 1."""
    parts, change = jax.jvp(lambda k: bessel_parts(k, dim), (kappa,), (jnp.ones_like(kappa),))
    far = jnp.maximum(kappa, 1.0)
    return jnp.where(kappa < dim, change.slope, (parts.shortfall / far - change.shortfall) / far)
