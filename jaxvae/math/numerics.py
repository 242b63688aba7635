"""Primitives that keep their digits where the textbook expression loses them, each with its own derivative.

Every rule is a `custom_jvp`, so that forward mode, reverse mode and higher derivatives all work. An
expression that is exact in value may still cancel in its derivative (`expm1(x) - x` does), hence the rules.
"""

import math

import jax
import jax.numpy as jnp

from jaxvae.arguments import arguments
from jaxvae.roles import floats

Array = jax.Array


@arguments(x=floats())
def log_mean_exp(x: Array, axis: int | tuple[int, ...] | None = None) -> Array:
    r"""Logarithm of the mean of exponentials: log (1/N) sum_n exp(x_n), without overflow.

    Args:
        x: [...] logarithms, for instance importance weights in nats.
        axis: the axes to average over; all of them by default.

    Returns:
        x without the averaged axes, nats. If all of x is -inf the result is -inf and its gradient 0; a NaN
        in x stays a NaN in the result.

    Raises:
        ValueError: if there is nothing to average.

    Source: Burda, Grosse and Salakhutdinov, 2016, arXiv 1509.00519, for its use in a bound.

    Example:
        >>> import jax.numpy as jnp
        >>> float(log_mean_exp(jnp.array([-1000.0, -1000.0])))
        -1000.0
    """
    count = _averaged(x.shape, axis)
    highest = jnp.max(x, axis=axis, keepdims=True, initial=-jnp.inf)
    # Infinities are not subtracted (inf - inf is NaN), and a NaN reaches the sum by itself.
    shift = jax.lax.stop_gradient(jnp.where(jnp.isfinite(highest), highest, 0.0))
    total = jnp.sum(jnp.exp(x - shift), axis=axis)
    empty = total == 0
    result = jnp.log(jnp.where(empty, 1.0, total)) - math.log(count) + shift.reshape(total.shape)
    return jnp.where(empty, -jnp.inf, result)


def _averaged(shape: tuple[int, ...], axis: int | tuple[int, ...] | None) -> int:
    """How many numbers are averaged over axes of a shape, at least one."""
    axes = range(len(shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    if not all(isinstance(each, int) and -len(shape) <= each < len(shape) for each in axes):
        raise ValueError(f"axis is {axis!r}, expected an axis of x, whose shape is {shape}, or None for all.")
    count = math.prod(shape[each] for each in axes)
    if count == 0:
        raise ValueError(
            f"x has shape {shape} and nothing to average over axis={axis}, expected at least one element. "
            f"Draw at least one sample."
        )
    return count


def log_softmax(logits: Array) -> Array:
    """Log-probabilities over the last axis, right to the last digits even where a probability is nearly 1.

    log p_j = (l_j - l_max) - log1p(sum over the others of exp(l - l_max)). The usual form takes the
    logarithm of a sum that is rounded to 1, and its gradient 1 - p is then exactly 0. Logits of -inf are
    probabilities of 0.
    """
    index = jnp.argmax(logits, axis=-1)
    top = jax.nn.one_hot(index, logits.shape[-1], dtype=bool)
    peak = jnp.sum(jnp.where(top, logits, 0.0), axis=-1, keepdims=True)
    shifted = jnp.where(top, 0.0, logits - peak)
    others = jnp.sum(jnp.where(top, 0.0, jnp.exp(shifted)), axis=-1, keepdims=True)
    return shifted - jnp.log1p(others)


def flat(*arrays: Array) -> tuple[Array, ...]:
    """The arrays as vectors, scalars with one element.

    A sum over an event does not ask for its shape, but compiled code does: elementwise work on pictures whose last
    axis is a single channel was measured 1.4 times slower than on vectors.
    """
    return tuple(array.ravel() for array in arrays)


def inverse_scale(log_scale: Array) -> Array:
    """exp(-log_scale), held below overflow so that 0 * inf never makes a NaN of a residual of 0."""
    return jnp.exp(jnp.minimum(-log_scale, math.log(float(jnp.finfo(log_scale.dtype).max)) - 8.0))


@jax.custom_jvp
def expm1_minus(x: Array) -> Array:
    """expm1(x) - x, never negative; a series near 0, where the difference has no right digit."""
    series = jnp.ones_like(x)
    for n in range(17, 2, -1):
        series = 1.0 + x / n * series
    return jnp.where(jnp.abs(x) < 0.5, 0.5 * x * x * series, jnp.expm1(x) - x)


@expm1_minus.defjvp
def _expm1_minus_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (dx,) = primals, tangents
    return expm1_minus(x), jnp.expm1(x) * dx


@jax.custom_jvp
def log_x_over_tanh(x: Array) -> Array:
    """log(x / tanh(x / 2)), even in x, log 2 at 0."""
    a = jnp.abs(x)
    safe = jnp.where(a < 1e-4, 1.0, a)
    return jnp.where(a < 1e-4, math.log(2.0) + a * a / 12.0, jnp.log(safe / jnp.tanh(safe / 2.0)))


@log_x_over_tanh.defjvp
def _log_x_over_tanh_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (dx,) = primals, tangents
    return log_x_over_tanh(x), _reciprocal_minus_csch(x) * dx


def _reciprocal_minus_csch(x: Array) -> Array:
    """1/x - 1/sinh(x) = (sinh(x) - x) / (x sinh(x)), both by their series where they cancel."""
    small = jnp.abs(x) < 1.0
    square = jnp.where(small, x * x, 0.0)
    above = jnp.ones_like(x)  # (sinh(x) - x) / (x^3 / 6); sinh(x) / x is 1 + x^2 / 6 of it
    for n in range(18, 2, -2):
        above = 1.0 + square / (n * (n + 1)) * above
    a = jnp.where(small, 1.0, jnp.abs(x))
    large = 1.0 / a + 2.0 * jnp.exp(-a) / jnp.expm1(-2.0 * a)
    return jnp.where(small, x / 6.0 * above / (1.0 + square / 6.0 * above), jnp.sign(x) * large)


@jax.custom_jvp
def log1mexp_of_exp(u: Array) -> Array:
    """log(1 - exp(-exp(u))): the logarithm of 1 - exp(-t) from u = log t, so that no t is too small."""
    t = jnp.exp(u)
    low = u - t / 2.0 + t * t / 24.0
    high = jnp.log1p(-jnp.exp(-jnp.maximum(t, 0.5)))
    middle = jnp.log(-jnp.expm1(-jnp.clip(t, 1e-3, 1.0)))
    return jnp.where(t < 1e-3, low, jnp.where(t < 0.6, middle, high))


@log1mexp_of_exp.defjvp
def _log1mexp_of_exp_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (u,), (du,) = primals, tangents
    return log1mexp_of_exp(u), x_over_expm1(jnp.exp(u)) * du


def x_over_expm1(x: Array) -> Array:
    """x / (exp(x) - 1) for x >= 0: 1 at 0, 0 at infinity."""
    zero = x < 1e-30
    safe = jnp.where(zero, 1.0, jnp.minimum(x, 600.0))
    return jnp.where(zero, 1.0, safe / jnp.expm1(safe))
