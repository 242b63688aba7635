"""Codes and factors as tables: checked once, factors as indices, and random rows that share a factor's value."""

from typing import NamedTuple

import numpy as np

from jaxvae.evaluation.statistics import check_magnitude, varying

Array = np.ndarray


class Tables(NamedTuple):
    """Codes and factors that belong together.

    Attributes:
        codes: float64 [N, Z].
        values: float64 [N, F] the factors as they came.
        levels: int64 [N, F] the same as 0, 1, ... in ascending order of the value.
        counts: how many values each of the F factors has, at least 2.
        varies: booleans [Z], which latents are not one number up to the rounding of the codes as they came.
    """

    codes: Array
    values: Array
    levels: Array
    counts: tuple[int, ...]
    varies: Array


def check_codes(codes: Array, name: str = "codes") -> Array:
    """Codes as float64 [N, Z]; raises `ValueError` for another shape, no numbers, or what is not finite."""
    return _table(name, codes, "Z")


def check_tables(codes: Array, factors: Array) -> Tables:
    """Codes [N, Z] and factors [N, F], checked.

    Raises:
        ValueError: for other shapes, different N, what is not finite, a factor with one value only, or one with a
            value of its own for nearly every example.

    Example:
        >>> tables = check_tables(np.zeros((4, 1)), np.array([[10, 3], [10, 5], [20, 3], [20, 5]]))
        >>> tables.levels.tolist(), tables.counts
        ([[0, 0], [0, 1], [1, 0], [1, 1]], (2, 2))
    """
    codes, values, varies = check_codes(codes), _table("factors", factors, "F"), varying(codes)
    if len(codes) != len(values):
        raise ValueError(f"codes has {len(codes)} rows and factors {len(values)}, expected one code for each example.")
    index = np.empty(values.shape, np.int64)
    counts = []
    for factor, column in enumerate(values.T):
        levels, index[:, factor] = np.unique(column, return_inverse=True)
        counts.append(len(levels))
        if len(levels) == 1:
            raise ValueError(
                f"factor {factor} is {levels[0]:g} in every example, expected at least two values. Leave that column "
                f"out: nothing can be learnt about a factor that does not vary."
            )
        if 2 * len(levels) > len(column):
            raise ValueError(
                f"factor {factor} has {len(levels)} values in {len(column)} examples, expected at least two examples "
                f"of each on average. Pass indices on a grid, or cut the factor into bins."
            )
    return Tables(codes, values, index, tuple(counts), varies)


def _table(name: str, array: Array, columns: str) -> Array:
    try:
        table = np.asarray(array, np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{name} is {array!r:.80}, expected an array of numbers [N, {columns}].") from None
    if table.ndim != 2 or table.size == 0:
        raise ValueError(f"{name} has shape {table.shape}, expected [N, {columns}], a row for each example.")
    check_magnitude(name, table)
    return table


def rows_sharing(rng: np.random.Generator, index: Array, sets: int, size: int) -> Array:
    """Row numbers [sets, size]: in each set all examples have one value of a factor, that of an example at random.

    Args:
        rng: gives the random numbers.
        index: int64 [N] the factor, as `Tables.levels` holds it.
        sets, size: how many sets of how many examples, drawn with replacement.

    Example:
        >>> index = np.array([0, 1, 0, 1, 1])
        >>> index[rows_sharing(np.random.default_rng(0), index, 2, 4)].std(axis=1).tolist()
        [0.0, 0.0]
    """
    order, counts = np.argsort(index, kind="stable"), np.bincount(index)
    starts = np.cumsum(counts) - counts
    shared = index[rng.integers(0, len(index), sets)]
    within = np.floor(rng.random((sets, size)) * counts[shared][:, None]).astype(np.int64)
    return order[starts[shared][:, None] + within]
