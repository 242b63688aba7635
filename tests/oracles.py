"""Second opinions in 100-digit arithmetic, written from the definitions and not from the library's formulas.

Each oracle takes one element in the argument order of the function it judges. Derivatives are central differences,
which at this precision are exact to some forty digits and know nothing of any closed form.
"""

import functools
from collections.abc import Callable, Sequence
from itertools import product
from typing import NamedTuple

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
from mpmath import mpf

# Digits are judged in the programs that a user gets; conftest.py has the other tests compile faster ones.
user_jit = functools.partial(jax.jit, compiler_options={"xla_cpu_use_fusion_emitters": True})
DIGITS = 100
STEP = mpf(10) ** -25
TINY = float(np.finfo(np.float32).tiny)  # below it float32 has no normal numbers, and a compiler may flush to 0


def normal_log_prob(x, mean, log_var):
    variance = mpmath.exp(log_var)
    return -mpmath.log(2 * mpmath.pi * variance) / 2 - (x - mean) ** 2 / (2 * variance)


def normal_kl_standard(mean, log_var):
    return normal_kl(mean, log_var, mpf(0), mpf(0))


def normal_kl(mean_q, log_var_q, mean_p, log_var_p):
    """log(s_p / s_q) + (s_q^2 + (m_q - m_p)^2) / (2 s_p^2) - 1/2, the form in standard deviations."""
    s_q, s_p = mpmath.exp(log_var_q / 2), mpmath.exp(log_var_p / 2)
    return mpmath.log(s_p / s_q) + (s_q**2 + (mean_q - mean_p) ** 2) / (2 * s_p**2) - mpf(1) / 2


def bernoulli_log_prob(x, logits):
    return x * logits - mpmath.log(1 + mpmath.exp(logits))


def continuous_bernoulli_log_prob(x, logits):
    """exp(x l) over its own integral on [0, 1], (exp(l) - 1) / l."""
    integral = (mpmath.exp(logits) - 1) / logits if logits else mpf(1)
    return x * logits - mpmath.log(integral)


def categorical_log_prob(x, *logits):
    return mpmath.log(mpmath.exp(logits[int(x)]) / mpmath.fsum(mpmath.exp(l) for l in logits))


def laplace_log_prob(x, mean, log_scale):
    scale = mpmath.exp(log_scale)
    return mpmath.log(mpmath.exp(-abs(x - mean) / scale) / (2 * scale))


def poisson_log_prob(x, log_rate):
    return x * log_rate - mpmath.exp(log_rate) - mpmath.loggamma(x + 1)


def negative_binomial_log_prob(x, log_mean, log_concentration):
    """Every way to have x failures before the r-th success, r any positive number."""
    mean, r = mpmath.exp(log_mean), mpmath.exp(log_concentration)
    ways = mpmath.loggamma(x + r) - mpmath.loggamma(r) - mpmath.loggamma(x + 1)
    return ways - r * mpmath.log1p(mean / r) + x * mpmath.log(mean / (r + mean))


def zero_inflated_negative_binomial_log_prob(x, log_mean, log_concentration, zero_logits):
    counted = mpmath.exp(
        negative_binomial_log_prob(x, log_mean, log_concentration) - mpmath.log1p(mpmath.exp(zero_logits))
    )
    return mpmath.log(counted + (0 if x else 1 / (1 + mpmath.exp(-zero_logits))))


def discretized_logistic_prob(x, mean, log_scale, levels=256):
    """The logistic cumulative distribution across the bin, on the side of the mean where it is small."""
    scale, width = mpmath.exp(log_scale), mpf(2) / (levels - 1)
    upper = mpmath.inf if x == levels - 1 else (x * width - 1 + width / 2 - mean) / scale
    lower = -mpmath.inf if x == 0 else (x * width - 1 - width / 2 - mean) / scale
    if lower > 0:
        lower, upper = -upper, -lower
    return _logistic_cumulative(upper) - _logistic_cumulative(lower)


def _logistic_cumulative(t):
    return 1 / (1 + mpmath.exp(-t)) if t > 0 else mpmath.exp(t) / (1 + mpmath.exp(t))


def discretized_logistic_log_prob(x, mean, log_scale, levels=256):
    return mpmath.log(discretized_logistic_prob(x, mean, log_scale, levels))


def logistic_mixture_log_prob(x, *rest, levels=256):
    """`rest` is logits, means and log-scales, one after another."""
    m = len(rest) // 3
    weights = [mpmath.exp(l) for l in rest[:m]]
    parts = [
        w * discretized_logistic_prob(x, mean, log_scale, levels)
        for w, mean, log_scale in zip(weights, rest[m : 2 * m], rest[2 * m :], strict=True)
    ]
    return mpmath.log(mpmath.fsum(parts) / mpmath.fsum(weights))


def log_mean_exp(*x):
    return mpmath.log(mpmath.fsum(mpmath.exp(v) for v in x) / len(x))


class Truth(NamedTuple):
    """The exact value [N], its gradient [N, A], and how an error in the last digit of the inputs would grow in each."""

    value: np.ndarray
    gradient: np.ndarray
    value_condition: np.ndarray
    gradient_condition: np.ndarray


def truth(oracle: Callable, points: np.ndarray, active: Sequence[int], condition: bool = True) -> Truth:
    """Evaluates an oracle and its derivatives in the `active` arguments at float32 points [N, A]."""
    rows = []
    with mpmath.workdps(DIGITS):
        for point in points:
            at = [mpf(float(v)) for v in point]

            def moved(*moves, at=at):
                there = list(at)
                for index, step in moves:
                    there[index] += step
                return oracle(*there)

            value = oracle(*at)
            gradient = [(moved((i, STEP)) - moved((i, -STEP))) / (2 * STEP) for i in active]
            grown = mpmath.fsum(abs(at[i] * g) for i, g in zip(active, gradient, strict=True))
            rows.append([value, gradient, grown / abs(value) if value else mpf(0)])
            rows[-1].append([
                mpmath.fsum(
                    abs(at[j] * (moved((i, STEP), (j, STEP)) - moved((i, STEP), (j, -STEP))
                                 - moved((i, -STEP), (j, STEP)) + moved((i, -STEP), (j, -STEP))) / (4 * STEP**2))
                    for j in active
                ) / abs(g) if g and condition else mpf(0)
                for i, g in zip(active, gradient, strict=True)
            ])  # fmt: skip
    columns = zip(*rows, strict=True)
    return Truth(*(np.array(column, dtype=object).astype(np.float64) for column in columns))


def grid(*axes: Sequence[float]) -> np.ndarray:
    """Every combination of the axes, rounded to float32, [N, A]."""
    return np.array(list(product(*axes)), dtype=np.float32)


def assert_agrees(
    function: Callable, oracle: Callable, points: np.ndarray, active: Sequence[int], absolute: float = TINY
) -> tuple[np.ndarray, np.ndarray]:
    """Asserts that value and gradients agree with the oracle at float32 points [N, A]; returns both.

    The value is right to 1e-5, or to `absolute`. A gradient is right to 1e-6 times one plus its condition number:
    1e-5 where it is well conditioned, and no worse than the last digit of the inputs explains elsewhere. Infinity is
    right only above half the largest float.
    """
    exact = truth(oracle, points, active)
    arrays = [jnp.asarray(column) for column in points.T]
    value, slopes = user_jit(jax.vmap(jax.value_and_grad(function, argnums=tuple(active))))(*arrays)
    value, gradient = np.float64(value), np.stack([np.float64(slope) for slope in slopes], axis=-1)
    agree("value", value, exact.value, np.maximum(1e-5 * np.abs(exact.value), absolute), points)
    allowed = 1e-6 * (1.0 + exact.gradient_condition) * np.abs(exact.gradient) + 1e-30
    for column, index in enumerate(active):
        name = f"gradient in argument {index}"
        agree(name, gradient[:, column], exact.gradient[:, column], allowed[:, column], points)
    return value, gradient


def agree(what: str, found: np.ndarray, expected: np.ndarray, allowed: np.ndarray, points: np.ndarray) -> None:
    """Fails with the worst point where |found - expected| > allowed, or where a number is NaN or wrongly infinite."""
    huge = np.abs(expected) > float(np.finfo(np.float32).max) / 2
    error = np.abs(np.where(np.isinf(found) & huge, expected, found) - expected)
    wrong = ~(error <= allowed)
    if wrong.any():
        worst = np.argmax(np.where(np.isnan(error), np.inf, np.where(wrong, error / (allowed + 1e-300), 0.0)))
        raise AssertionError(
            f"{what} is wrong at {wrong.sum()} of {len(points)} points; worst at {points[worst].tolist()}: "
            f"{found[worst]}, expected {expected[worst]} within {allowed[worst]:.3g}"
        )
