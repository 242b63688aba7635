"""What examples can be, and what each kind accepts: nothing is rescaled, wrapped or taken for another kind in silence.

images    uint8 [N, H, W, C], 0 black to 255 white
tokens    int32 [N, T, ...], symbols of an alphabet 0, 1, 2, ...
counts    int32 [N, D, ...], how often: 0, 1, 2, ...
table     float32 [N, D, ...], finite numbers, in rows of D columns; float64 where they came with that many digits
tree      a dict of such arrays, of equal N
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

import numpy as np

from jaxvae.data.arrays import as_numbers, check_range, raw_bytes
from jaxvae.data.pixels import as_pixels
from jaxvae.data.rows import stays, taken

Array = np.ndarray
Kind = Literal["images", "tokens", "counts", "table", "tree"]
LARGEST = 2**31 - 1  # what an int32 holds; the device's integers have no more bits
EXACT = 2**24  # up to here every integer is a float32
DOUBLE = 2**53  # and up to here a float64


def as_examples(value: Any, kind: Kind) -> Any:
    """The examples as the dtype of their kind; what has it already is shared with the caller, not copied.

    Raises:
        ValueError: for an unknown kind, and whatever does not fit the kind: what was found, and how to mend it.

    Example:
        >>> as_examples([[3, 1, 2]], "tokens")
        array([[3, 1, 2]], dtype=int32)
    """
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r:.40}, expected one of: {', '.join(get_args(Kind))}.")
    return KINDS[kind](kind, value)


def count_rows(examples: Any) -> int:
    """N, of an array or of the first of a tree."""
    while isinstance(examples, Mapping):
        examples = next(iter(examples.values()))
    return len(examples)


def take_rows(examples: Any, rows: Array) -> Any:
    """Some examples, of an array or of each in a tree; pixels of a large file stay in it, as `Rows`."""
    if isinstance(examples, Mapping):
        return {name: take_rows(part, rows) for name, part in examples.items()}
    return taken(examples, rows) if stays(examples) and examples.dtype == np.uint8 else examples[rows]


def _rows(what: str, value: Any, such_as: str) -> Array:
    array = as_numbers(what, value)
    if array.ndim < 2 or array.size == 0:
        raise ValueError(f"{what} have shape {array.shape}, expected {such_as}, at least one example of one number.")
    return array


def _tokens(what: str, value: Any) -> Array:
    array = _rows(what, value, "[N, T]")
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{what} have dtype {array.dtype}, expected integers. Pass {what}.astype(int) if they are.")
    return _int32(what, array, "Give padding a number of its own, such as the size of the alphabet.")


def _counts(what: str, value: Any) -> Array:
    array = _rows(what, value, "[N, D]")
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{what} have dtype {array.dtype}, expected whole numbers from 0 up.{raw_bytes(array)}")
    if array.dtype.kind == "f" and (broken := array != np.trunc(array)).any():
        index = tuple(int(i) for i in np.argwhere(broken)[0])
        raise ValueError(
            f"{what} have the value {array[index]} at index {index}, expected whole numbers. For numbers of any kind "
            f"pass kind='table'."
        )
    return _int32(what, array, "Counts start at 0; for differences and scores pass kind='table'.")


def _int32(what: str, array: Array, fix: str) -> Array:
    check_range(what, array, 0, LARGEST, fix)
    return array.astype(np.int32, copy=False)


def _table(what: str, value: Any) -> Array:
    array = _rows(what, value, "[N, D]")
    if array.dtype == np.float64:  # a column such as of times keeps its digits until somebody takes its mean away
        _in_float32(what, array)
        return array
    if array.dtype.kind in "iu" and (array > EXACT).any() | (array < -EXACT).any():
        check_range(what, array, -DOUBLE, DOUBLE, "A float64 would round it; pass floats if that may be.")
        return array.astype(np.float64)
    return _float32(what, array)


def _float32(what: str, array: Array) -> Array:
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{what} have dtype {array.dtype}, expected numbers.{raw_bytes(array)}")
    if array.dtype.kind in "iu":
        check_range(what, array, -EXACT, EXACT, "A float32 would round it; pass floats if that may be.")
    elif array.dtype.kind == "f":
        _in_float32(what, array)
    return array.astype(np.float32, copy=False)


def _in_float32(what: str, array: Array) -> None:
    limit = float(np.finfo(np.float32).max)
    check_range(what, array, -limit, limit, "Remove or impute what is not finite, and scale what is too large.")


def _tree(what: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not value or not all(isinstance(name, str) for name in value):
        raise ValueError(f"{what} is a {type(value).__name__}, expected a dict of arrays by name.")
    found = {name: _leaf(f"{what}[{name!r}]", part) for name, part in value.items()}
    counts = {name: count_rows(part) for name, part in found.items()}
    if len(set(counts.values())) > 1:
        raise ValueError(f"{what} has arrays of different lengths {counts}, expected as many examples of each.")
    return found


def _leaf(what: str, value: Any) -> Any:
    """An array of a tree: booleans and uint8 as they are, other integers int32, floats float32."""
    if isinstance(value, Mapping):
        return _tree(what, value)
    array = as_numbers(what, value)
    if array.ndim == 0 or array.size == 0:
        raise ValueError(f"{what} has shape {array.shape}, expected [N, ...] with at least one example.")
    if array.dtype in (np.bool_, np.uint8):
        return array
    if array.dtype.kind in "iu":
        check_range(what, array, -LARGEST - 1, LARGEST, "The device's integers have 32 bits.")
        return array.astype(np.int32, copy=False)
    return _float32(what, array)


KINDS: dict[str, Callable[[str, Any], Any]] = {
    "images": as_pixels,
    "tokens": _tokens,
    "counts": _counts,
    "table": _table,
    "tree": _tree,
}
