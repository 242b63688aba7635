"""The decorator that checks arguments: what it refuses and in which words, and that it leaves no trace in a program."""

import importlib
import inspect
import pkgutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxvae
import jaxvae.math
import jaxvae.objectives
from jaxvae.arguments import arguments
from jaxvae.checks import as_array
from jaxvae.roles import count, floats, integer, key, level, number, one_of, real, some, unit
from jaxvae.whole_numbers import as_counts, as_levels

pytestmark = pytest.mark.quick_compile

MODULES = [
    importlib.import_module(module.name)
    for package in (jaxvae.math, jaxvae.objectives)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
]
FORMULAS = {
    f"{module.__name__}.{name}": function
    for module in MODULES
    for name, function in vars(module).items()
    if inspect.isfunction(function) and hasattr(function, "__wrapped__") and function.__module__ == module.__name__
}


@pytest.mark.parametrize("name", FORMULAS)
def test_a_formula_keeps_its_signature_its_name_and_its_docstring(name):
    function = FORMULAS[name]
    assert inspect.signature(function) == inspect.signature(function.__wrapped__)
    assert (function.__doc__, function.__name__) == (function.__wrapped__.__doc__, function.__wrapped__.__name__)


X, K = jnp.full((3, 4), 0.5), jnp.zeros((3, 4, 5))
CALLS = {
    "normal_kl_standard": (X, X),
    "normal_kl": (X, X, X, jnp.float32(0)),
    "normal_log_prob": (X, X, X),
    "bernoulli_log_prob": (X, X),
    "laplace_log_prob": (X, X, X),
    "logistic_mixture_log_prob": (jnp.ones((3, 4), int), K, K, K),
    "log_mean_exp": (X,),
    "poisson_log_prob": (X, X),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_checks_leave_nothing_in_the_program(name):
    function = getattr(jaxvae.math, name)
    assert str(jax.make_jaxpr(function)(*CALLS[name])) == str(jax.make_jaxpr(function.__wrapped__)(*CALLS[name]))


def test_half_precision_is_widened_and_nothing_else_is_done():
    function = jaxvae.math.normal_kl_standard
    half = [jnp.zeros((3, 4), jnp.bfloat16)] * 2
    widened = jax.make_jaxpr(
        lambda mean, log_var: function.__wrapped__(mean.astype(jnp.float32), log_var.astype(jnp.float32))
    )
    assert str(jax.make_jaxpr(function)(*half)) == str(widened(*half))


@arguments(
    x=floats("[N >= 2, Z]", "one point a row"), scale=number(above=True), centre=real("[Z]"), kind=one_of(("a", "b"))
)
def example(x, scale=2.0, centre=None, *, kind="a"):
    """An example."""
    return x, scale, centre, kind


def test_arguments_may_come_by_place_by_name_or_not_at_all():
    x = np.zeros((2, 3), np.float16)
    for found in (example(x), example(x, 2.0, None), example(x=x, kind="a"), example(scale=2.0, x=x)):
        assert (found[0].dtype, *found[1:]) == (jnp.float32, 2.0, None, "a")
    assert example(x, centre=[0.0, 1.0, 2.0])[2].shape == (3,)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: example(), "missing 1 required positional argument: 'x'"),
        (lambda: example(X, x=X), "multiple values for argument 'x'"),
        (lambda: example(X, 1.0, None, "b"), "takes from 1 to 3 positional arguments but 4"),
        (lambda: example(X, colour=1), "unexpected keyword argument 'colour'"),
        (lambda: example(None), "x is None"),
        (lambda: example(X, None), "scale is None"),
        (lambda: example(X, centre=np.arange(4)), "centre has dtype int64, expected a float array"),
        (lambda: arguments(y=real())(lambda x: x), "has no argument y"),
    ],
)
def test_calls_that_cannot_be_end_in_a_type_error(call, words):
    with pytest.raises(TypeError, match=words):
        call()


@arguments(z=real("[..., D]"), codes=real("[K >= 1, D]"), same=real("[..., D]"))
def vectors(z, codes, same=None):
    return z


@arguments(x=unit("[...]"), logits=real("[..., M >= 1]"), mean=real(like="x"), number=real("[]"))
def pixels(x, logits, mean=0.0, number=0.0):
    return x


VMAP = "Each call takes one example; for a batch use jax.vmap."
SHAPES = [
    (lambda: example(X[:1]), "x has shape (1, 4), expected [N, Z] with N of at least 2: one point a row."),
    (lambda: example(X[0]), "x has shape (4,), expected [N, Z] with N of at least 2: one point a row."),
    (lambda: example(X, centre=X[0, :3]), f"centre has shape (3,), expected (4,), which is [Z]. {VMAP}"),
    (lambda: example(X, centre=X), f"centre has shape (3, 4), expected (4,), which is [Z]. {VMAP}"),
    (lambda: vectors(jnp.float32(0), X), f"z has shape (), expected [..., D]. {VMAP}"),
    (lambda: vectors(X, X[:, 1:]), f"codes has shape (3, 3), expected (3, 4), which is [K, D]. {VMAP}"),
    (lambda: vectors(X, X[:0]), f"codes has shape (0, 4), expected (0, 4), which is [K, D]. {VMAP}"),
    (lambda: vectors(X, X[0]), f"codes has shape (4,), expected [K, D] with K of at least 1. {VMAP}"),
    (lambda: vectors(K, K[0, :, 1:], K), f"codes has shape (4, 4), expected (4, 5), which is [K, D]. {VMAP}"),
    (lambda: vectors(K, K[0], K[0]), f"same has shape (4, 5), expected (3, 4, 5), which is [..., D]. {VMAP}"),
    (lambda: pixels(X, X), f"logits has shape (3, 4), expected (3, 4) (that of x) and one more axis [M]. {VMAP}"),
    (lambda: pixels(X, K, X[0]), f"mean has shape (4,), expected (3, 4), the shape of x (or a scalar). {VMAP}"),
    (lambda: pixels(X, K, number=X), f"number has shape (3, 4), expected (), which is []. {VMAP}"),
]


@pytest.mark.parametrize(("call", "message"), SHAPES)
def test_a_shape_is_told_in_numbers_where_they_are_known(call, message):
    with pytest.raises(ValueError, match="has shape") as raised:
        call()
    assert str(raised.value) == message


def test_types_and_shapes_are_looked_at_before_values_and_inside_jit_too():
    with pytest.raises(ValueError, match="logits has shape"):
        pixels(X + 1, X)
    with pytest.raises(ValueError, match="logits has shape"):
        jax.jit(pixels)(X, X)
    jax.jit(pixels)(X + 1, K)  # a value is the caller's own affair there


def test_other_roles():
    @arguments(
        key=key(), n=integer(2), m=integer("n"), x=level("[...]", below="n"), c=count(), many=some(number(), "(1.0,)")
    )
    def function(key, n, m, x, c, many):
        return n, m, x, c, many

    good = {"key": jax.random.key(0), "n": 3, "m": 3, "x": [0, 2], "c": [5.0, 0], "many": [1.0, 2]}
    n, m, x, c, many = function(**good)
    assert (n, m, x.dtype, c.dtype, many) == (3, 3, jnp.int32, jnp.float32, (1.0, 2))
    for bad, error, words in (
        ({"key": 0}, TypeError, "key is 0"),
        ({"n": 1}, ValueError, "n is 1, expected an integer of at least 2"),
        ({"m": 2}, ValueError, "m is 2, expected an integer of at least 3"),
        ({"x": [3]}, ValueError, r"x has the value 3 at index \(0,\).*\[0, 2\]"),
        ({"c": [0.5]}, ValueError, "c has the value 0.5"),
        ({"many": ()}, ValueError, r"many is \(\), expected a tuple of one or more such as \(1.0,\)"),
        ({"many": (1.0, -1.0)}, ValueError, "many is -1.0"),
    ):
        with pytest.raises(error, match=words):
            function(**good | bad)


WRAPPED = 2**32 + 5  # 5 in 32 bits
WIDE = [np.array([WRAPPED]), np.uint64([WRAPPED]), [WRAPPED], np.array([-(2**32) + 5]), np.float64([WRAPPED])]
ONE = jnp.zeros(1)
WHOLE = {
    "poisson": (lambda x: jaxvae.math.poisson_log_prob(x, ONE), r"\[0, 1.67772e\+07\]"),
    "negative binomial": (lambda x: jaxvae.math.negative_binomial_log_prob(x, ONE, ONE), r"\[0, 1.67772e\+07\]"),
    "categorical": (lambda x: jaxvae.math.categorical_log_prob(x, jnp.zeros((1, 9))), r"\[0, 8\]"),
    "logistic": (lambda x: jaxvae.math.discretized_logistic_log_prob(x, ONE, ONE), r"\[0, 255\]"),
    "levels": (lambda x: as_levels("x", x, 10), r"\[0, 9\]"),
    "counts": (lambda x: as_counts("x", x), r"\[0, 1.67772e\+07\]"),
}


@pytest.mark.parametrize("given", WIDE, ids=lambda given: f"{type(given).__name__} {given}")
@pytest.mark.parametrize("name", WHOLE)
def test_whole_numbers_of_64_bits_are_looked_at_before_they_wrap(name, given):
    function, words = WHOLE[name]
    with pytest.raises(ValueError, match=rf"x has the value .* at index \(0,\).*expected values in {words}"):
        function(given)


def test_no_count_is_rounded_to_another():
    for value in (2**24 + 1, float(2**24 + 1)):
        with pytest.raises(ValueError, match="x has the value 16777217"):
            as_counts("x", np.array([value]))
    assert float(as_counts("x", np.array([2**24]))[0]) == 2**24
    with jax.enable_x64(True):
        assert float(as_counts("x", np.array([2.0**53]))[0]) == 2**53
        with pytest.raises(ValueError, match="x has the value 16777217"):  # integers become float32 there too
            as_counts("x", np.array([2**24 + 1]))


def test_integers_that_would_wrap_are_no_arrays():
    with pytest.raises(ValueError, match=r"value has the value 4294967301 at index \(0,\).*int32"):
        jaxvae.math.straight_through(np.array([WRAPPED]), np.zeros(1))
    assert as_array("x", np.array([2**31 - 1])).tolist() == [2**31 - 1]
    with pytest.raises(ValueError, match="order is"):
        jaxvae.flows.permutation(np.array([2**32, 1]))
