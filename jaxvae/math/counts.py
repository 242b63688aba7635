"""What the densities of counts share: log x to the last digit, and the error of Stirling's formula."""

import math

import jax
import jax.numpy as jnp

Array = jax.Array
LOG_2_HIGH = 0.693145751953125  # the first bits of log 2, few enough that multiples up to 64 of it are exact
LOG_2_LOW = math.log(2) - LOG_2_HIGH
# B_2k / (2k (2k - 1)), the coefficients of Stirling's series in 1 / x, 1 / x^3, ...
STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400)


def minus_log(value: Array, x: Array) -> Array:
    """value - log(x) for x > 0, right to a few 1e-8 even where both are large and nearly the same.

    With x = 2^k m the multiple of log 2 is taken off in two parts, of which the first is exact, and only log m, at
    most 0.35 in size, is rounded.
    """
    mantissa, exponent = jnp.frexp(x)
    low = mantissa < math.sqrt(0.5)
    mantissa, exponent = jnp.where(low, 2 * mantissa, mantissa), (exponent - low).astype(x.dtype)
    return ((value - exponent * LOG_2_HIGH) - exponent * LOG_2_LOW) - jnp.log(mantissa)


def atanh_minus(square: Array) -> Array:
    """atanh(t) / t - 1 = t^2 / 3 + t^4 / 5 + ..., from t^2 of at most 1/9."""
    total = jnp.zeros_like(square)
    for n in range(35 if square.dtype.itemsize > 4 else 17, 1, -2):
        total = square * (1 / n + total)
    return total


def stirling_error(x: Array, log_x: Array) -> Array:
    """log Gamma(x + 1) - (x log x - x + 1/2 log(2 pi x)), positive and falling in x > 0; derivatives by autodiff.

    The error at x is the one at x + 1 and (x + 1/2) log(1 + 1/x) - 1 more, a series of positive terms; from 4 on
    (11 in float64) Stirling's series has all digits. Nothing is subtracted, so no digit is lost.
    """
    steps = 10 if x.dtype.itemsize > 4 else 3
    small = x < 1
    below = (jnp.where(small, x, 0.5) + 0.5) * jax.nn.softplus(-jnp.where(small, log_x, 0.0)) - 1
    above = _step(jnp.where(small, 1.0, x))
    total = jnp.where(small, below, above)
    for n in range(1, steps):
        total += _step(x + n)
    inverse = 1 / (x + steps)
    series = jnp.zeros_like(x)
    for coefficient in reversed(STIRLING):
        series = coefficient + inverse * inverse * series
    return total + inverse * series


def _step(x: Array) -> Array:
    """(x + 1/2) log(1 + 1/x) - 1 for x >= 1."""
    t = 1 / (2 * x + 1)  # squared after the division: x squared may overflow
    return atanh_minus(t * t)
