"""Class numbers: integers from 0 up, one for each example, and what to do where they are something else."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxvae.data.arrays import as_numbers

Array = np.ndarray
LARGEST = 2**31 - 1


def as_indices(what: str, value: Any, shape: tuple[int, ...]) -> Array:
    """Labels or factors as int64 of that shape.

    Raises:
        ValueError: for words, floats, one-hot rows, another shape or negative numbers, each with a remedy that works.

    Example:
        >>> as_indices("labels", [2, 0, 1], (3,))
        array([2, 0, 1])
    """
    array = as_numbers(what, value)
    if array.dtype.kind in "US" or (array.dtype == object and all(isinstance(word, str) for word in array.flat)):
        raise ValueError(
            f"{what} are words (dtype {array.dtype}), expected integers. Number them, over all splits together: names "
            f"= numpy.unique(all_words); {what} = numpy.searchsorted(names, words); class_names=names."
        )
    if array.shape != shape and len(shape) == 1:
        raise ValueError(f"{what} have shape {array.shape}, expected {shape}: one for each image.{remedy(what, array)}")
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{what} have dtype {array.dtype}, expected integers. Pass {what}.astype(int) if they are.")
    if array.shape != shape:
        wanted = "one row for each image and a column for each factor name"
        raise ValueError(f"{what} have shape {array.shape}, expected {shape}: {wanted}.")
    bad = (array < 0) | (array > LARGEST)
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"{what} have the value {array[first]} at index {first}, expected integers from 0 up to {LARGEST}."
        )
    return array.astype(np.int64)


def remedy(what: str, array: Array) -> str:
    """How to make labels [N] of a column, or of one-hot rows; "" where the shape says neither.

    Example:
        >>> remedy("labels", np.eye(3)), remedy("labels", np.zeros((5, 1)))
        (' For one-hot rows pass labels.argmax(1).', ' For a column pass labels[:, 0].')
    """
    if array.ndim != 2:
        return ""
    if array.shape[1] == 1:
        return f" For a column pass {what}[:, 0]."
    one_hot = array.dtype.kind in "biuf" and bool(np.isin(array, (0, 1)).all() and (array.sum(1) == 1).all())
    return f" For one-hot rows pass {what}.argmax(1)." if one_hot else ""


def as_class_names(names: Sequence[str], labels: Array | None) -> tuple[str, ...]:
    """The names of classes 0, 1, 2, ..., or () where there are none.

    Raises:
        ValueError: for one string, a name used twice, or a label beyond the last name.
    """
    if isinstance(names, str):
        raise ValueError(f"class_names are {names!r}, expected one name for each class, in the order of their numbers.")
    found = tuple(str(name) for name in names)
    if len(set(found)) < len(found):
        twice = sorted({name for name in found if found.count(name) > 1})
        raise ValueError(f"class_names hold {twice[0]!r} twice, expected one name for each class.")
    if found and labels is not None and labels.size and labels.max() >= len(found):
        raise ValueError(f"labels go up to {labels.max()}, but there are {len(found)} class_names, counted from 0.")
    return found
