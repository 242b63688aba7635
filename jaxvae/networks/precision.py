"""With how many bits the factors of the networks' products are taken."""

import contextlib
import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax

P = ParamSpec("P")
R = TypeVar("R")


def rounds() -> bool:
    """Whether float32 factors are rounded to bfloat16, as they are under `jax.default_matmul_precision("bfloat16")`.

    Of itself JAX then rounds on a TPU only. The library's dense layers, and its convolutions on a CPU, do so on every
    backend: tensor cores and the matrix units of recent CPUs take such factors several times as fast. Sums stay
    float32, and so do activations, weights and gradients.

    Example:
        >>> from jaxvae.networks.rows import dense_product
        >>> x, kernel = jax.numpy.float32([1 + 2**-9]), jax.numpy.eye(1)
        >>> with jax.default_matmul_precision("bfloat16"):
        ...     rounds(), dense_product(x, kernel).tolist(), dense_product(x, kernel).dtype.name
        (True, [1.0], 'float32')
    """
    return in_force() in ("bfloat16", "BF16_BF16_F32")


def in_force() -> str:
    """The precision that `jax.default_matmul_precision` asks for here, "default" where nothing does.

    Example:
        >>> with matmul_precision("float32"):
        ...     in_force()
        'float32'
    """
    config: Any = jax.config  # which declares its options at run time
    return config.jax_default_matmul_precision or "default"


def in_words() -> str:
    """What the setting of a number says of it: "bfloat16 factors", or nothing.

    Example:
        >>> in_words()
        ''
    """
    return "bfloat16 factors" if rounds() else ""


def matmul_precision(name: str) -> contextlib.AbstractContextManager[None]:
    """`jax.default_matmul_precision(name)`, where "default" leaves what JAX is set to.

    Example:
        >>> with matmul_precision("bfloat16"), matmul_precision("default"):
        ...     rounds()
        True
    """
    return contextlib.nullcontext() if name == "default" else jax.default_matmul_precision(name)


def at_precision(function: Callable[P, R], name: str) -> Callable[P, R]:
    """The same function, a loss for instance, traced under `matmul_precision(name)`; its gradient rounds alike.

    Example:
        >>> at_precision(rounds, "bfloat16")(), rounds()
        (True, False)
    """

    @functools.wraps(function)
    def traced(*args: P.args, **kwargs: P.kwargs) -> R:
        with matmul_precision(name):
            return function(*args, **kwargs)

    return traced
