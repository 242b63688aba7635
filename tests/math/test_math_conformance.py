"""What every density and divergence owes its user, whatever its formula. The table is built from the public names."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import oracles
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mpmath import mpf
from oracles import user_jit

import jaxvae

# Densities of a whole vector are tested where they are used, as posteriors and priors.
VECTORS = ("low_rank_", "full_", "mixture_", "gaussian_mixture_")
NAMES = [n for n in jaxvae.math.__all__ if n.endswith("_log_prob") or n.startswith("normal_kl")]
NAMES = [n for n in NAMES if not n.startswith(VECTORS)]
CLASSES = 3

# What each argument may be: a real number, a logarithm, a value in [0, 1], a whole level, or CLASSES numbers a value.
ARGUMENTS = {
    "normal_log_prob": ("real", "real", "log"),
    "normal_kl_standard": ("real", "log"),
    "normal_kl": ("real", "log", "real", "log"),
    "bernoulli_log_prob": ("unit", "logit"),
    "continuous_bernoulli_log_prob": ("unit", "logit"),
    "categorical_log_prob": ("level", "logits"),
    "laplace_log_prob": ("real", "real", "log"),
    "poisson_log_prob": ("level", "log"),
    "negative_binomial_log_prob": ("level", "log", "log"),
    "zero_inflated_negative_binomial_log_prob": ("level", "log", "log", "logit"),
    "discretized_logistic_log_prob": ("level", "real", "log"),
    "logistic_mixture_log_prob": ("level", "logits", "reals", "logs"),
}
PLAIN = {"real", "log", "unit", "logit"}


class Case(NamedTuple):
    name: str
    function: Callable
    oracle: Callable
    kinds: tuple[str, ...]
    names: tuple[str, ...]

    def example(self, shape, seed=0):
        """Moderate float32 arguments for an event of this shape."""
        draw = np.random.default_rng(seed)
        make = {
            "real": lambda s: draw.normal(0, 1.5, s),
            "log": lambda s: draw.uniform(-2, 2, s),
            "unit": lambda s: draw.uniform(0, 1, s),
            "logit": lambda s: draw.normal(0, 4, s),
            "level": lambda s: draw.integers(0, CLASSES, s),
        }
        shapes = [(*shape, CLASSES) if kind.endswith("s") else shape for kind in self.kinds]
        return [np.float32(make[k.removesuffix("s")](s)) for k, s in zip(self.kinds, shapes, strict=True)]

    def active(self):
        """The arguments that can be differentiated."""
        return tuple(i for i, kind in enumerate(self.kinds) if kind != "level")

    def exact(self, arguments):
        """The oracle's sum over all elements of an event."""
        size = arguments[0].size
        rows = np.concatenate([np.float64(a).reshape(size, -1) for a in arguments], axis=1)
        with mpmath.workdps(40):
            return float(mpmath.fsum(self.oracle(*(mpf(float(v)) for v in row)) for row in rows))


def case(name):
    function = getattr(jaxvae.math, name)
    names = tuple(inspect.signature(function).parameters)[: len(ARGUMENTS[name])]
    return Case(name, function, getattr(oracles, name), ARGUMENTS[name], names)


CASES = [pytest.param(case(name), id=name) for name in ARGUMENTS]
every = pytest.mark.parametrize("case", CASES)


def test_every_public_density_is_in_the_table():
    assert sorted(NAMES) == sorted(ARGUMENTS), "a new density needs a row in ARGUMENTS and an oracle of its name"


@pytest.mark.slow
@pytest.mark.rows(
    slow=[
        "()-logistic_mixture_log_prob",
        "(1,)-zero_inflated_negative_binomial_log_prob",
        "(1,)-logistic_mixture_log_prob",
        "(7,)-zero_inflated_negative_binomial_log_prob",
        "(7,)-logistic_mixture_log_prob",
        "(3, 5, 1)-zero_inflated_negative_binomial_log_prob",
        "(3, 5, 1)-logistic_mixture_log_prob",
    ]
)
@every
@pytest.mark.parametrize("shape", [(), (1,), (7,), (3, 5, 1)], ids=str)
def test_sums_over_an_event_of_any_shape(case, shape):
    arguments = case.example(shape)
    found = user_jit(case.function)(*arguments)
    assert (found.shape, found.dtype) == ((), jnp.float32)
    assert float(found) == pytest.approx(case.exact(arguments), rel=1e-5, abs=1e-6)
    assert jax.eval_shape(case.function, *arguments) == jax.ShapeDtypeStruct((), jnp.float32)


@every
def test_an_empty_event_has_probability_one(case):
    assert float(user_jit(case.function)(*case.example((0,)))) == 0.0


@pytest.mark.slow
@pytest.mark.rows(
    slow=[
        "float16-negative_binomial_log_prob",
        "bfloat16-zero_inflated_negative_binomial_log_prob",
        "float16-logistic_mixture_log_prob",
        "bfloat16-negative_binomial_log_prob",
        "bfloat16-logistic_mixture_log_prob",
        "bfloat16-categorical_log_prob",
        "float16-zero_inflated_negative_binomial_log_prob",
    ]
)
@every
@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_half_precision_is_summed_in_single(case, dtype):
    arguments = [
        a if k == "level" else jnp.asarray(a, dtype) for a, k in zip(case.example((48,)), case.kinds, strict=True)
    ]
    tiled = [jnp.tile(a, (64,) + (1,) * (a.ndim - 1)) for a in arguments]
    found = user_jit(case.function)(*tiled)
    assert found.dtype == jnp.float32
    assert float(found) == pytest.approx(64 * case.exact(arguments), rel=2e-5)


@pytest.mark.rows(every=3)
@pytest.mark.rows(
    slow=["poisson_log_prob", "logistic_mixture_log_prob"],
    full=["negative_binomial_log_prob", "zero_inflated_negative_binomial_log_prob"],
)
@every
def test_double_precision_stays_double_and_single_single(case):
    arguments = case.example((5,))
    with jax.enable_x64(True):
        wide = [jnp.float64(a) for a in arguments]
        single = jax.eval_shape(case.function, *arguments)
        double, slopes = user_jit(jax.value_and_grad(case.function, argnums=case.active()))(*wide)
    assert (single.dtype, double.dtype) == (jnp.float32, jnp.float64)
    assert {slope.dtype for slope in slopes} == {np.dtype(np.float64)}
    assert float(double) == pytest.approx(case.exact(arguments), rel=1e-13)


@pytest.mark.rows(quick=["laplace_log_prob"])
@pytest.mark.rows(
    full=["logistic_mixture_log_prob", "negative_binomial_log_prob", "zero_inflated_negative_binomial_log_prob"]
)
@every
def test_the_same_under_every_transformation(case):
    batch = [np.stack(rows) for rows in zip(*(case.example((6,), seed) for seed in range(2)), strict=True)]
    function = jax.value_and_grad(case.function, argnums=case.active())
    one_by_one = [user_jit(function)(*(a[i] for a in batch)) for i in range(2)]
    stacked = {
        "jit": jax.tree.map(lambda *rows: np.stack(rows), *one_by_one),
        "no jit": [case.function(*(a[i] for a in batch)) for i in range(2)],
        "vmap": user_jit(jax.vmap(function))(*batch),
        "pmap": jax.pmap(function)(*batch),
        "scan": jax.lax.map(lambda row: function(*row), tuple(batch)),
    }
    for name, found in stacked.items():
        found = (np.stack(found),) if name == "no jit" else jax.tree.leaves(found)
        for a, b in zip(jax.tree.leaves(stacked["jit"]), found, strict=name != "no jit"):
            scale = np.abs(a).max()  # an ulp of what was summed, not of a sum that happens to be small
            assert np.abs(np.asarray(a) - np.asarray(b)).max() <= 4 * np.spacing(scale), name


@pytest.mark.rows(every=2)
@pytest.mark.rows(slow=["normal_kl", "continuous_bernoulli_log_prob", "categorical_log_prob"])
@pytest.mark.rows(
    full=["logistic_mixture_log_prob", "negative_binomial_log_prob", "zero_inflated_negative_binomial_log_prob"]
)
@every
def test_forward_mode_agrees_with_reverse_mode(case):
    arguments = case.example((6,))
    inert, moving = arguments[: case.active()[0]], arguments[case.active()[0] :]
    push = [np.cos(np.arange(a.size, dtype=np.float32)).reshape(a.shape) for a in moving]

    @user_jit
    def derivatives(*moving):
        function = partial(case.function, *inert)
        every = tuple(range(len(moving)))
        _, forward = jax.jvp(function, moving, tuple(push))
        slopes = jax.grad(function, argnums=every)(*moving)
        return forward, slopes, jax.hessian(function, argnums=every)(*moving)

    forward, slopes, hessian = derivatives(*moving)
    assert float(forward) == pytest.approx(sum(np.vdot(s, p) for s, p in zip(slopes, push, strict=True)), rel=1e-5)
    assert all(np.isfinite(block).all() for block in jax.tree.leaves(hessian))


@pytest.mark.rows(every=3)
@pytest.mark.rows(slow=["negative_binomial_log_prob", "zero_inflated_negative_binomial_log_prob"])
@every
def test_a_gradient_is_the_slope_of_the_value(case):
    arguments = [np.float64(a) for a in case.example((5,), seed=3)]
    with jax.enable_x64(True):
        compiled = user_jit(jax.value_and_grad(case.function, argnums=case.active()))
        _, slopes = compiled(*arguments)
        for index, slope in zip(case.active(), slopes, strict=True):
            push = np.cos(np.arange(slope.size)).reshape(slope.shape)

            def moved(step, index=index, push=push):
                return compiled(*(a + step * push if i == index else a for i, a in enumerate(arguments)))[0]

            central = float(moved(1e-6) - moved(-1e-6)) / 2e-6
            assert np.vdot(slope, push) == pytest.approx(central, rel=1e-6, abs=1e-8)


@pytest.mark.rows(every=3)
@pytest.mark.rows(
    slow=["poisson_log_prob", "discretized_logistic_log_prob"],
    full=["negative_binomial_log_prob", "zero_inflated_negative_binomial_log_prob"],
)
@every
def test_scalars_stand_for_constant_arrays(case):
    arguments = case.example((5,))
    for index, kind in enumerate(case.kinds):
        if index and kind in PLAIN:
            scalar = [0.25 if i == index else a for i, a in enumerate(arguments)]
            spread = [np.full_like(a, 0.25) if i == index else a for i, a in enumerate(arguments)]
            compiled = user_jit(case.function)
            assert float(compiled(*scalar)) == pytest.approx(float(compiled(*spread)), rel=1e-6)


@every
def test_shapes_that_would_broadcast_are_refused_by_name(case):
    arguments = case.example((4, 6))
    for index in range(1, len(arguments)):
        for wrong in ((4,), (4, 1), (6,), (6, 4), (1, 4, 6)):
            bad = [np.zeros(wrong, np.float32) if i == index else a for i, a in enumerate(arguments)]
            with pytest.raises(ValueError, match="has shape") as raised:
                case.function(*bad)
            assert str(raised.value).startswith(f"{case.names[index]} has shape {wrong}, expected (4, 6")
            assert "jax.vmap" in str(raised.value)
            with pytest.raises(ValueError, match="has shape"):
                user_jit(case.function)(*bad)


@pytest.mark.rows(every=3)
@pytest.mark.rows(slow=["zero_inflated_negative_binomial_log_prob", "logistic_mixture_log_prob"])
@every
def test_a_nan_is_named_outside_jit_and_kept_inside(case):
    arguments = case.example((4,))
    for index, name in enumerate(case.names):
        bad = [a.copy() for a in arguments]
        bad[index].flat[2] = np.nan
        with pytest.raises(ValueError, match=f"^{name} has the value nan at index \\(") as raised:
            case.function(*bad)
        assert "(2" in str(raised.value) or "(0, 2" in str(raised.value)
        assert np.isnan(user_jit(case.function)(*bad))


@every
def test_integers_are_refused_where_a_float_belongs(case):
    arguments = case.example((4,))
    for index, kind in enumerate(case.kinds):
        if kind != "level":
            bad = [np.int32(a) if i == index else a for i, a in enumerate(arguments)]
            with pytest.raises(TypeError, match=f"^{case.names[index]} has dtype int32, expected a float array"):
                case.function(*bad)


RANGES = {"real": 1e3, "log": 80.0, "logit": 1e4}


def numbers(kind):
    """Any float32 of the documented range, edges included."""
    if kind == "level":
        return st.integers(0, CLASSES - 1).map(float)
    if kind == "unit":
        return st.floats(0.0, 1.0, width=32, allow_subnormal=False)
    limit = RANGES[kind]
    return st.floats(-limit, limit, width=32, allow_subnormal=False)


def strategy(kinds):
    parts = []
    for kind in kinds:
        parts += [numbers(kind.removesuffix("s"))] * (CLASSES if kind.endswith("s") else 1)
    return st.tuples(*parts)


def excess_bits(case, compiled, point):
    """Wrong bits of the value beyond those that a wrong last bit of the inputs explains."""
    with mpmath.workdps(60):
        at = [mpf(v) for v in point]
        value = case.oracle(*at)
        active = [i for i in range(len(at)) if not (case.kinds[0] == "level" and i == 0)]
        step = mpf(10) ** -20
        spread = mpf(0)
        for i in active:
            up, down = list(at), list(at)
            up[i], down[i] = at[i] + step, at[i] - step
            spread += abs(at[i] * (case.oracle(*up) - case.oracle(*down)) / (2 * step))
        spread += abs(value)
        largest = float(np.finfo(np.float32).max)
        found, slopes = compiled(*(np.float32(v) for v in point))
        assert not np.isnan(found), point
        assert not any(np.isnan(slope) for slope in slopes), (point, slopes)
        if abs(value) > largest / 2:
            return 0.0
        assert np.isfinite(found), (point, found, value)
        error = abs(mpf(float(found)) - value)
        allowed = spread * mpf(2) ** -24 + mpf(1e-7)
        return float(mpmath.log(error / allowed + mpf(2) ** -30, 2))


def hypothesis_sweep(case, examples):
    wide = [n * (CLASSES if k.endswith("s") else 1) for n, k in ((1, kind) for kind in case.kinds)]
    count = sum(wide)

    def function(*scalars):
        arguments, start = [], 0
        for width, kind in zip(wide, case.kinds, strict=True):
            part = scalars[start : start + width]
            arguments.append(jnp.stack(part) if kind.endswith("s") else part[0])
            start += width
        return case.function(*arguments)

    first = 1 if case.kinds[0] == "level" else 0
    compiled = user_jit(jax.value_and_grad(function, argnums=tuple(range(first, count))))

    @settings(max_examples=examples, derandomize=True, deadline=None, database=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(strategy(case.kinds))
    def sweep(point):
        assert excess_bits(case, compiled, point) <= 5

    sweep()


@pytest.mark.rows(every=3)
@pytest.mark.rows(
    full=["150-logistic_mixture_log_prob", "150-zero_inflated_negative_binomial_log_prob"],
    slow=["150-negative_binomial_log_prob", "150-discretized_logistic_log_prob"],
)
@every
@pytest.mark.parametrize("examples", [150, pytest.param(10_000, marks=pytest.mark.full)])
def test_any_floats_in_range_lose_few_bits(case, examples):
    hypothesis_sweep(case, examples)


@pytest.mark.full
def test_numpyro_says_the_same():
    from numpyro import distributions as dist

    arguments = {name: [jnp.asarray(a) for a in case(name).example((9,), seed=5)] for name in ARGUMENTS}
    x, mean, log_var = arguments["normal_log_prob"]
    m_q, v_q, m_p, v_p = arguments["normal_kl"]
    pixels, logits = arguments["bernoulli_log_prob"]
    binary = jnp.round(pixels)
    levels, classes = arguments["categorical_log_prob"]
    at, centre, log_scale = arguments["laplace_log_prob"]
    q, p = dist.Normal(m_q, jnp.exp(v_q / 2)), dist.Normal(m_p, jnp.exp(v_p / 2))
    pairs = [
        (jaxvae.normal_log_prob(x, mean, log_var), dist.Normal(mean, jnp.exp(log_var / 2)).log_prob(x)),
        (jaxvae.normal_kl(m_q, v_q, m_p, v_p), dist.kl_divergence(q, p)),
        (jaxvae.normal_kl_standard(m_q, v_q), dist.kl_divergence(q, dist.Normal(jnp.zeros(9), jnp.ones(9)))),
        (jaxvae.bernoulli_log_prob(binary, logits), dist.BernoulliLogits(logits).log_prob(binary)),
        (
            jaxvae.math.categorical_log_prob(levels, classes),
            dist.CategoricalLogits(classes).log_prob(levels.astype(int)),
        ),
        (jaxvae.math.laplace_log_prob(at, centre, log_scale), dist.Laplace(centre, jnp.exp(log_scale)).log_prob(at)),
    ]
    for ours, theirs in pairs:
        assert float(ours) == pytest.approx(float(theirs.sum()), rel=1e-5)
