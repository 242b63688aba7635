"""Functions of an option, which may be a traced number: of a constant in double precision, of a traced one by JAX.

Every numeric option of the library may be traced, so that `vmap` and one program serve all its values. A constant keeps
the digits it would lose as a float32, and programs that were compiled with it keep their bits.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.checks import is_concrete


def _either(exact: Callable[[Any], float], traced: Callable[[Any], jax.Array]) -> Callable[[Any], Any]:
    def function(number: Any) -> Any:
        return exact(number) if is_concrete(number) else traced(number)

    function.__doc__ = f"The {exact.__name__} of a number that may be traced."
    return function


log: Callable[[Any], Any] = _either(math.log, jnp.log)
log1p: Callable[[Any], Any] = _either(math.log1p, jnp.log1p)
sqrt: Callable[[Any], Any] = _either(math.sqrt, jnp.sqrt)
log_gamma: Callable[[Any], Any] = _either(math.lgamma, jax.scipy.special.gammaln)


def surely(condition: Any) -> bool:
    """Whether a condition on numbers holds for certain: False where one of them is traced.

    Example:
        >>> surely(1.0 < 2.0), bool(jax.jit(lambda x: jnp.array(surely(x < 2.0)))(1.0))
        (True, False)
    """
    return is_concrete(condition) and bool(condition)
