"""Whole numbers: pixel levels and counts, looked at before JAX makes 32 bits of 64."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.checks import as_numbers, in_range, is_concrete

Array = jax.Array


def as_levels(name: str, value: Any, levels: int) -> Array:
    """Returns whole numbers 0..levels-1 as int32, or as floats where they came as floats (a NaN stays a NaN).

    Raises `ValueError` on a concrete array that holds anything else.
    """
    last = levels - 1
    array = _as_whole(
        name,
        value,
        last,
        f"0..{last}",
        "Pass the raw pixels, or set the number of levels they have.",
        f"Pass the raw pixels, or jnp.round(x * {last}) for x in [0, 1].",
    )
    return array if jnp.issubdtype(array.dtype, jnp.floating) else array.astype(jnp.int32)


def as_counts(name: str, value: Any) -> Array:
    """Returns counts as float32 or float64, a NaN as a NaN; raises an error naming the first that is no count.

    Counts above 2^24 (2^53 where they are float64 and stay so) are refused: floats leave gaps from there on.
    """
    value = as_numbers(name, value)
    wide = jax.dtypes.canonicalize_dtype(value.dtype) == jnp.float64
    array = _as_whole(
        name,
        value,
        2**53 if wide else 2**24,
        "of at least 0",
        "Pass the raw counts, not scaled ones.",
        "Pass the raw counts; a density over scaled or dequantised ones is `normal`.",
    )
    return array if jnp.issubdtype(array.dtype, jnp.floating) else array.astype(jnp.float32)


def _as_whole(name: str, value: Any, last: int, expected: str, range_fix: str, whole_fix: str) -> Array:
    """Whole numbers 0..last, integers or floats of 32 bits at least."""
    given = as_numbers(name, value)
    if jnp.issubdtype(given.dtype, jnp.complexfloating):
        raise TypeError(f"{name} has dtype {given.dtype}, expected whole numbers {expected}.")
    floating = jnp.issubdtype(given.dtype, jnp.floating)
    if floating and given.dtype.itemsize < 4:
        value = given = given.astype(jnp.float32)
    in_range(name, given, 0, last, range_fix)
    if floating and is_concrete(given) and (off := np.asarray(given) % 1 != 0).any():
        index = tuple(int(i) for i in np.argwhere(off)[0])
        seen = np.asarray(given)[index]
        raise ValueError(
            f"{name} has the value {seen} at index {index}, expected whole numbers {expected}. {whole_fix}"
        )
    return jnp.asarray(value)
