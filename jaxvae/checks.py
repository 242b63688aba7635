"""Checks at the Python boundary: what was passed, what was expected, how to mend it.

Shapes and dtypes are static, so they are checked always, inside `jit` too, at no cost. Values are checked
only where an array is concrete (called outside `jit`, `grad` and `vmap`); inside a compiled training step
the finite guard of `jaxvae.training` does that work.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array
LAST_SEED = 2**32 - 1


def as_float(name: str, value: Any) -> Array:
    """Returns `value` as a float32 or float64 array; half precision is widened, integers are refused.

    Sums over thousands of pixels lose all accuracy in half precision, so every density computes in float32 at
    least. Integers are refused because they are nearly always raw 0..255 pixels that nobody scaled.
    """
    array = as_array(name, value)
    if array.dtype == jnp.bool_ or isinstance(value, int):
        return array.astype(jnp.float32)
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise TypeError(
            f"{name} has dtype {getattr(value, 'dtype', array.dtype)}, expected a float array. "
            f"For raw 0..255 pixels pass {name} / 255.0; for other integers {name}.astype(jnp.float32)."
        )
    return array.astype(jnp.float32) if array.dtype.itemsize < 4 else array


def as_numbers(name: str, value: Any) -> Any:
    """Returns what has a dtype and a shape as it is, and a NumPy array of anything else that makes an array of numbers.

    Raises:
        TypeError: naming what does not.
    """
    if isinstance(value, jax.Array):
        return value
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):  # rows of different lengths
        array = np.asarray(None)
    if not (jnp.issubdtype(array.dtype, jnp.number) or array.dtype == np.bool_):
        raise TypeError(f"{name} is {value!r} ({type(value).__name__}), expected an array of numbers.")
    return array


def as_array(name: str, value: Any) -> Array:
    """Returns `value` as an array; raises an error naming it where that cannot be done without changing a number."""
    if isinstance(value, jax.Array):
        return value
    fits(name, as_numbers(name, value))
    return jnp.asarray(value)


def fits(name: str, value: Any) -> None:
    """Raises `ValueError` for an integer of a NumPy array that JAX would turn into another one, of 32 bits."""
    on_host, kept = isinstance(value, np.ndarray | np.generic), jax.dtypes.canonicalize_dtype(value.dtype)
    if on_host and jnp.issubdtype(kept, jnp.integer) and kept != value.dtype:
        limits = jnp.iinfo(kept)
        in_range(name, value, int(limits.min), int(limits.max), f"JAX would keep them as {kept}; or pass floats.")


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
    """Raises `ValueError` if a concrete array has a NaN or an element outside [low, high]."""
    if not is_concrete(value) or value.size == 0:
        return
    array = np.asarray(value)
    bad = ~((array >= low) & (array <= high))
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        numbers = array[array == array]
        seen = f"{numbers.min()} to {numbers.max()}" if numbers.size else "NaN only"
        raise ValueError(
            f"{name} has the value {array[index]} at index {index} (range seen {seen}), "
            f"expected values in [{low:g}, {high:g}]. {fix}"
        )


def not_nan(**arrays: Array) -> None:
    """Raises `ValueError` naming the first NaN of a concrete array; skips traced arrays."""
    for name, array in arrays.items():
        in_range(name, array, -np.inf, np.inf, "Find its source with jax_debug_nans.")


def shown(value: Any) -> str:
    """What was passed, in a few words of one line.

    Example:
        >>> shown(3), shown(np.zeros((2, 3)))
        ('3 (int)', 'an array of shape (2, 3) (ndarray)')
    """
    kind = type(value).__name__
    if getattr(value, "shape", None) is not None and getattr(value, "dtype", None) is not None:
        return f"an array of shape {value.shape} ({kind})"
    text = " ".join(repr(value).split())
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({kind})"


def as_key(name: str, key: Any) -> Array:
    """Returns one random key, of the new style or the old; raises `TypeError` for anything else, such as a seed."""
    dtype, shape = getattr(key, "dtype", None), getattr(key, "shape", None)
    if dtype is not None and (
        (jnp.issubdtype(dtype, jax.dtypes.prng_key) and shape == ())
        or (dtype == jnp.uint32 and shape is not None and len(shape) == 1)
    ):
        return key
    found = shown(key) if dtype is None else f"of dtype {dtype} and shape {shape}"
    if isinstance(key, int | np.integer) and not isinstance(key, bool):
        fix = f"Pass jax.random.key({key})."
    elif dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key):
        fix = "Pass one of the keys, or use jax.vmap."
    else:
        fix = "Make one: jax.random.key(0)."
    raise TypeError(f"{name} is {found}, expected one JAX random key. {fix}")


def as_function(name: str, value: Any, such_as: str) -> Any:
    """Returns what can be called; raises `TypeError` naming it for anything else."""
    if not callable(value):
        raise TypeError(f"{name} is {shown(value)}, expected a function such as {such_as}.")
    return value


def positive_integer(name: str, value: Any, at_least: int = 1) -> int:
    """Returns `value` if it is an integer of at least `at_least`; else raises an error that names it."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        kind = type(value).__name__
        raise TypeError(f"{name} is {value!r} ({kind}), expected an integer of at least {at_least}.")
    if value < at_least:
        raise ValueError(f"{name} is {value}, expected an integer of at least {at_least}.")
    return int(value)


def as_seed(name: str, value: Any) -> int:
    """Returns a seed, an integer from 0 to 2**32 - 1: JAX would draw for a larger one what it draws for a smaller.

    Example:
        >>> as_seed("seed", 2**32)
        Traceback (most recent call last):
        ValueError: seed is 4294967296, expected an integer from 0 to 4294967295.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        kind = type(value).__name__
        raise TypeError(f"{name} is {value!r} ({kind}), expected an integer from 0 to {LAST_SEED}.")
    if not 0 <= value <= LAST_SEED:
        raise ValueError(f"{name} is {value}, expected an integer from 0 to {LAST_SEED}.")
    return int(value)


def divides(name: str, value: int, total: int, of: str) -> None:
    """Raises `ValueError` unless `value` divides a total of what `of` names."""
    if total % value:
        raise ValueError(f"{name} is {value}, expected a divisor of the {total} {of}, for groups of equal size.")


def finite_number(
    name: str, value: Any, low: float = 0.0, high: float = np.inf, *, above: bool = False, below: bool = False
) -> None:
    """Raises `ValueError` unless a concrete number is finite and in [low, high]; `above` and `below` exclude an end."""
    if not is_concrete(value):
        return
    if isinstance(value, bool) or np.ndim(value) != 0 or not _is_real(np.asarray(value).dtype):
        raise TypeError(f"{name} is {value!r} ({type(value).__name__}), expected a number.")
    bound = f"{'above' if above else 'of at least'} {low:g}"
    bound += f" and {'below' if below else 'at most'} {high:g}" if high < np.inf else ""
    inside = (value > low if above else value >= low) and (value < high if below else value <= high)
    if not (inside and np.isfinite(value)):
        raise ValueError(f"{name} is {value}, expected a finite number {bound}.")


def _is_real(dtype: Any) -> bool:
    return bool(jnp.issubdtype(dtype, jnp.integer) or jnp.issubdtype(dtype, jnp.floating))


def one_process(what: str) -> None:
    """Raises `NotImplementedError` in a job of several processes, each of which would do its own work unseen."""
    if jax.process_count() > 1:
        raise NotImplementedError(
            f"this job has {jax.process_count()} processes (jax.distributed), expected one: {what} in several is not "
            f"supported. Start one process; it uses all devices of its machine. `jaxvae train --distributed` trains in "
            f"several."
        )


def refuse_state(params: Any, path: str = "") -> None:
    """Raises `ValueError` where a network keeps more than parameters, such as the running averages of batch statistics.

    Flax Linen puts every kind of variables in a collection of its own, the parameters under "params". Here all that a
    network returns is trained: an optimizer would move the averages against a gradient that they do not have.

    Example:
        >>> refuse_state({"encoder": {"params": {}, "batch_stats": {}}})  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ValueError: the network 'encoder' keeps state beside its parameters: batch_stats. Use layers without it, ...
    """
    if not isinstance(params, Mapping):
        return
    state = sorted(str(name) for name in params if name == "batch_stats" or ("params" in params and name != "params"))
    if state:
        raise ValueError(
            f"the network {path!r} keeps state beside its parameters: {', '.join(state)}. Use layers without it, such "
            f"as GroupNorm or LayerNorm in place of BatchNorm."
        )
    if "params" not in params:
        for name, below in params.items():
            refuse_state(below, f"{path}/{name}" if path else str(name))
