"""Arrays of numbers out of whatever holds some, and what to say of the rest."""

from collections.abc import Mapping
from typing import Any

import numpy as np

Array = np.ndarray


def as_numbers(what: str, value: Any) -> Array:
    """An array as NumPy knows it; bfloat16 and its smaller relatives, which are no numbers to NumPy, are widened."""
    if isinstance(value, Mapping):
        raise ValueError(f"{what} are a {type(value).__name__}, expected one array. Pass kind='tree' for several.")
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:  # a ragged list, an array of another library
        raise ValueError(f"{what} cannot be made one array ({error}); give all of them the same shape.") from error
    return widened(array)


def widened(array: Array) -> Array:
    """float32 of bfloat16 and of floats of 8 bits and less; any other array as it is.

    Example:
        >>> import jax.numpy as jnp
        >>> widened(np.asarray(jnp.ones(2, jnp.bfloat16))).dtype.name
        'float32'
    """
    narrow = array.dtype.kind == "V" and array.dtype.name.startswith(("bfloat", "float"))
    return array.astype(np.float32) if narrow else array


def check_range(what: str, array: Array, low: float, high: float, fix: str) -> None:
    """Raises `ValueError` for a NaN or a value outside [low, high], by its index."""
    bad = ~((array >= low) & (array <= high))
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"{what} have the value {array[index]} at index {index}, expected {low:.10g} to {high:.10g}. {fix}"
        )


def raw_bytes(array: Array) -> str:
    """What to say of a dtype that only knows its size, "" of any other."""
    unnamed = array.dtype.kind == "V" and array.dtype.names is None
    return " numpy.save keeps no bfloat16: save it as float32." if unnamed else ""
