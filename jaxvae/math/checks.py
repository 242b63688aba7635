"""Checks at the Python boundary: what was passed, what was expected, how to mend it.

Shapes and dtypes are static, so they are checked always, inside `jit` too, at no cost. Values are checked only where
an array is concrete (called outside `jit`, `grad` and `vmap`); inside a compiled training step the finite guard of
`jaxvae.training` does that work.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array
HALF = (jnp.bfloat16, jnp.float16)


def as_float(name: str, value: Any) -> Array:
    """Returns `value` as a float32 or float64 array; half precision is widened, integers are refused.

    Sums over thousands of pixels lose all accuracy in half precision, so every density computes in float32 at least.
    Integers are refused because they are nearly always raw 0..255 pixels that somebody forgot to scale.
    """
    array = jnp.asarray(value)
    if array.dtype == jnp.bool_ or array.dtype in HALF or isinstance(value, int):
        return array.astype(jnp.float32)
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise TypeError(
            f"{name} has dtype {array.dtype}, expected a float array. "
            f"For raw 0..255 pixels pass {name} / 255.0; for other integers {name}.astype(jnp.float32)."
        )
    return array


def same_shape(**arrays: Array) -> None:
    """Raises `ValueError` unless every array has the shape of the first one, or is a scalar.

    NumPy broadcasting would turn a mean [B, Z] and a log-variance [B] into a silent [B, B] sum.
    """
    (first, x), *rest = arrays.items()
    for name, array in rest:
        if array.shape not in (x.shape, ()):
            raise ValueError(
                f"{name} has shape {array.shape}, expected {x.shape}, the shape of {first} (or a scalar). "
                f"Each call takes one example; for a batch use jax.vmap."
            )


def is_concrete(value: Any) -> bool:
    """True where the numbers can be looked at: outside `jit`, `grad` and `vmap`."""
    return not isinstance(value, jax.core.Tracer)


def in_range(name: str, value: Array, low: float, high: float, fix: str) -> None:
    """Raises `ValueError` if a concrete array has an element outside [low, high] or a NaN; skips traced arrays."""
    if not is_concrete(value) or value.size == 0:
        return
    array = np.asarray(value)
    bad = ~((array >= low) & (array <= high))
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"{name} has the value {array[index]} at index {index} (range seen {np.nanmin(array)} to "
            f"{np.nanmax(array)}), expected values in [{low:g}, {high:g}]. {fix}"
        )


def not_nan(**arrays: Array) -> None:
    """Raises `ValueError` naming the first NaN of a concrete array; skips traced arrays."""
    for name, array in arrays.items():
        in_range(name, array, -np.inf, np.inf, "Find where the NaN comes from, for example with jax_debug_nans.")


def positive_integer(name: str, value: Any, at_least: int = 1) -> int:
    """Returns `value` if it is an integer of at least `at_least`; raises `TypeError` or `ValueError` naming it."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} is {value!r} ({type(value).__name__}), expected an integer of at least {at_least}.")
    if value < at_least:
        raise ValueError(f"{name} is {value}, expected an integer of at least {at_least}.")
    return int(value)


def finite_number(name: str, value: Any, low: float = 0.0, high: float = np.inf, *, above: bool = False) -> None:
    """Raises `ValueError` unless a concrete number is finite and in [low, high], or in (low, high] with `above`."""
    if not is_concrete(value):
        return
    if isinstance(value, bool | str) or value is None or np.ndim(value) != 0:
        raise TypeError(f"{name} is {value!r} ({type(value).__name__}), expected a number.")
    bound = f"{'above' if above else 'of at least'} {low:g}" + (f" and at most {high:g}" if high < np.inf else "")
    inside = np.isfinite(value) and (value > low if above else value >= low) and value <= high
    if not inside:
        raise ValueError(f"{name} is {value}, expected a finite number {bound}.")
