"""Every derivative that is written by hand, against 100-digit arithmetic over the range that its users are promised.

A rule replaces what `jax.grad` would do. Its oracle is the plain formula, which knows nothing of the rule.
"""

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import oracles
import pytest
from mpmath import mpf

import jaxvae.math
from jaxvae.math import bernoulli, bessel, logistic, matrices, mixtures, negative_binomial, numerics, von_mises_fisher


class Rule(NamedTuple):
    """A function with a rule of its own, the formula it stands for, points [N, A], and the arguments that move."""

    function: Callable
    oracle: Callable
    points: np.ndarray
    active: Sequence[int]


def both_signs(*sizes):
    return np.float32([[sign * size] for sign in (-1, 1) for size in sizes])


def bessel_ratio(kappa, dim):
    return mpmath.besseli(mpf(dim) / 2, kappa, maxterms=10**6) / mpmath.besseli(mpf(dim) / 2 - 1, kappa, maxterms=10**6)


def cumulant(kappa, dim):
    v = mpf(dim) / 2 - 1
    return mpmath.loggamma(v + 1) - v * mpmath.log(kappa / 2) + mpmath.log(mpmath.besseli(v, kappa, maxterms=10**6))


def of_dims(function, oracle, dims=(2, 20)):
    """A function of (kappa, dim) as one of scalars, for several dims."""

    def pick(kappa, dim):
        return jnp.select([dim == d for d in dims], [function(kappa, d) for d in dims])

    return Rule(pick, lambda kappa, dim: oracle(kappa, int(dim)), oracles.grid([0.01, 1, 30, 1e3, 1e5], dims), [0])


def up_to_angle(angle, kappa):
    """The probability of a smaller angle in 5 dimensions, where t = cos(angle) has density exp(kappa t) (1 - t^2)."""

    def integral(t):
        return mpmath.exp(kappa * t) * ((1 - t * t) / kappa + 2 * t / kappa**2 - 2 / kappa**3)

    return (integral(mpf(1)) - integral(mpmath.cos(angle))) / (integral(mpf(1)) - integral(mpf(-1)))


def angle_of_its_rank(angle, kappa):
    """The angle that has, at kappa, the rank that `angle` has at the nearest float32 of kappa; to first order."""
    here = mpf(float(np.float32(float(kappa))))
    density = mpmath.diff(lambda a: up_to_angle(a, here), angle)
    return angle - (up_to_angle(angle, kappa) - up_to_angle(angle, here)) / density


def mixture_of_two(x, *rest):
    """log sum_k exp(w_k) N(x; m_k, exp(v_k)); `rest` is the w, the m and the v."""
    parts = zip(rest[:2], rest[2:4], rest[4:], strict=True)
    return mpmath.log(mpmath.fsum(mpmath.exp(w + oracles.normal_log_prob(x, m, v)) for w, m, v in parts))


def mixture_of_scalars(x, *rest):
    w, m, v = (jnp.stack(rest[i : i + 2]) for i in (0, 2, 4))
    return mixtures._gaussian_mixture(x[None], w, m[:, None], v[:, None])


def mixture_points():
    """Two components side by side, far from 0 in units of their width, and points between and beside them."""
    return np.float32(
        [
            (mean + z * np.exp(log_var / 2), -0.3, -1.4, mean, mean + np.exp(log_var / 2), log_var, log_var + 0.5)
            for log_var in (-80, -14, -10, -6, -1, 6, 80)
            for mean in (0, 3)
            for z in (-1, 0.4)
        ]
    )


def second_unknown(lower, first, second):
    matrix = jnp.zeros((2, 2)).at[1, 0].set(lower)
    return matrices.solve_unit_lower(matrix, jnp.stack([first, second]))[1]


COUNTS = [1, 7, 99_999, 1e6]
CONCENTRATIONS = np.log([1e-3, 1.1, 1e6])
EXTREMES = (1e-3, 0.5, 3, 30, 300, 1e4)
RULES = {
    # Points at which nothing cancels: the rules of the matrices are as right as their formulas.
    "matrices._solve": Rule(
        second_unknown,
        lambda lower, b, c: c - lower * b,
        oracles.grid([-3.0, -1e-6], [0.5, 1e4], [0.1, 7.0]),
        [0, 1, 2],
    ),
    "matrices.log_abs_det": Rule(
        lambda a, b, c, d: matrices.log_abs_det(jnp.stack([a, b, c, d]).reshape(2, 2)),
        lambda a, b, c, d: mpmath.log(a * d - b * c),
        oracles.grid([0.5, 2.0], [-1.5, -0.3], [0.4, 3.0], [0.7, 1.1]),
        [0, 1, 2, 3],
    ),
    "numerics.expm1_minus": Rule(
        numerics.expm1_minus, lambda x: mpmath.expm1(x) - x, both_signs(*np.geomspace(1e-8, 80, 20)), [0]
    ),
    "numerics.log_x_over_tanh": Rule(
        numerics.log_x_over_tanh,
        lambda x: mpmath.log(x / mpmath.tanh(x / 2)),
        both_signs(*np.geomspace(1e-7, 1e6, 20), 0.9999, 1.0001),
        [0],
    ),
    "numerics.log1mexp_of_exp": Rule(
        numerics.log1mexp_of_exp,
        lambda u: mpmath.log(-mpmath.expm1(-mpmath.exp(u))),
        np.float32(np.linspace(-80, 4.2, 20))[:, None],
        [0],
    ),
    "bernoulli._bernoulli": Rule(
        bernoulli._bernoulli, oracles.bernoulli_log_prob, oracles.grid([0, 0.3, 1], both_signs(*EXTREMES)[:, 0]), [0, 1]
    ),
    "bernoulli._residual": Rule(
        bernoulli._residual,
        lambda x, logits: x - 1 / (1 + mpmath.exp(-logits)),
        oracles.grid([0, 0.3, 1], both_signs(*EXTREMES[:-2])[:, 0]),
        [0, 1],
    ),
    "logistic._log_bin": Rule(
        partial(logistic._log_bin, 256),
        oracles.discretized_logistic_log_prob,
        oracles.grid([0, 1, 77, 255], [-1.2, -0.993, 0, 0.00392156], np.linspace(-80, 80, 9)),
        [1, 2],
    ),
    "negative_binomial._zero": Rule(
        negative_binomial._zero,
        partial(oracles.negative_binomial_log_prob, 0),
        oracles.grid([-10, -1, 0.2, 5, 14], CONCENTRATIONS),
        [0, 1],
    ),
    "negative_binomial._positive": Rule(
        negative_binomial._positive,
        oracles.negative_binomial_log_prob,
        np.float32([(x, np.log(x) + off, b) for x in COUNTS for off in (-4, -1e-3, 0.3, 4) for b in CONCENTRATIONS]),
        [1, 2],
    ),
    "bessel.log_cumulant": of_dims(bessel.log_cumulant, cumulant),
    "bessel.cumulant_defect": of_dims(bessel.cumulant_defect, lambda kappa, dim: kappa - cumulant(kappa, dim)),
    "bessel.mean_length": of_dims(bessel.mean_length, bessel_ratio),
    "bessel.mean_defect": of_dims(bessel.mean_defect, lambda kappa, dim: 1 - bessel_ratio(kappa, dim)),
    "von_mises_fisher._kl": of_dims(
        von_mises_fisher._kl, lambda kappa, dim: kappa * bessel_ratio(kappa, dim) - cumulant(kappa, dim)
    ),
    "von_mises_fisher._follow": Rule(
        lambda angle, kappa: von_mises_fisher._follow(angle, kappa, 5),
        angle_of_its_rank,
        np.float32([(c / np.sqrt(1 + kappa), kappa) for kappa in (0.1, 1, 10, 1e3, 1e5) for c in (0.3, 1, 2.5)]),
        [1],
    ),
    "mixtures._gaussian_mixture": Rule(mixture_of_scalars, mixture_of_two, mixture_points(), range(7)),
}


def test_every_rule_is_in_the_table():
    names = [module.name for module in pkgutil.iter_modules(jaxvae.math.__path__)]
    found = {
        f"{module}.{name}"
        for module in names
        for name, value in vars(importlib.import_module(f"jaxvae.math.{module}")).items()
        if isinstance(value, jax.custom_jvp) and value.__module__ == f"jaxvae.math.{module}"
    }
    assert found == set(RULES), "a derivative written by hand needs a row in RULES"


LONG = ("bessel.", "negative_binomial._positive", "von_mises_fisher.")
ROWS = [pytest.param(name, marks=[pytest.mark.slow] * name.startswith(LONG)) for name in RULES]


@pytest.mark.rows(every_slow=2)
@pytest.mark.rows(every=3)
@pytest.mark.parametrize("name", ROWS)
def test_a_rule_is_the_derivative_of_its_formula(name):
    rule = RULES[name]
    exact = oracles.truth(rule.oracle, rule.points, rule.active)
    columns = [jnp.asarray(column) for column in rule.points.T]
    slopes = oracles.user_jit(jax.vmap(jax.grad(rule.function, argnums=tuple(rule.active))))(*columns)
    for index, found, expected, condition in zip(
        rule.active, slopes, exact.gradient.T, exact.gradient_condition.T, strict=True
    ):
        allowed = (1e-5 + 1e-6 * condition) * np.abs(expected) + oracles.TINY
        oracles.agree(f"derivative in argument {index}", np.float64(found), expected, allowed, rule.points)
