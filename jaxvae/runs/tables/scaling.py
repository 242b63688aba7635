"""The columns of a table on one scale, so that no unit rules the fit, and constants left alone."""

from collections.abc import Sequence

import numpy as np

from jaxvae.evaluation.statistics import varying


def standardization(
    X: np.ndarray, what: str = "X", names: Sequence[str] | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, standard deviation and whether it is constant, [D] each, of the columns of X [N, D].

    A constant column has the scale 1, and as its mean the constant to the bit.

    Args:
        X: the table.
        what, names: what messages call it and its columns, by default their numbers from 0.

    Raises:
        ValueError: naming the first column whose numbers are too large to be squared.

    Example:
        >>> mean, scale, constant = standardization(np.array([[0.1, 1.0], [0.1, 3.0]]))
        >>> mean.tolist(), scale.tolist(), constant.tolist()
        ([0.1, 2.0], [1.0, 1.0], [True, False])
    """
    with np.errstate(over="ignore"):
        mean, spread = X.mean(0, dtype=np.float64), X.std(0, dtype=np.float64)
    if not np.isfinite(spread).all():
        column = int(np.argmin(np.isfinite(spread)))
        raise ValueError(
            f"{what} has {X[np.abs(X[:, column]).argmax(), column]:g} in column {_name(names, column)}, whose square "
            f"is no float64: expected smaller numbers. Remove such rows, or take the column's logarithm."
        )
    constant = ~varying(X)
    return np.where(constant, X[0], mean), np.where(constant, 1.0, spread), constant


def standardized(
    X: np.ndarray, mean: np.ndarray, scale: np.ndarray, what: str = "X", names: Sequence[str] | None = None
) -> np.ndarray:
    """(X - mean) / scale as float32; raises `ValueError` naming the first number that float32 cannot hold.

    Example:
        >>> standardized(np.array([[1.0, 3.0]]), np.zeros(2), np.ones(2)).dtype
        dtype('float32')
    """
    with np.errstate(over="ignore"):
        rows = ((X - mean) / scale).astype(np.float32)
    if not np.isfinite(rows).all():
        row, column = np.argwhere(~np.isfinite(rows))[0]
        raise ValueError(
            f"{what} has {X[row, column]:g} in row {row}, column {_name(names, column)}, expected a number that "
            f"float32 holds after the mean {mean[column]:g} and scale {scale[column]:g} of the column. Remove it."
        )
    return rows


def _name(names: Sequence[str] | None, column: int) -> str:
    return str(column) if names is None else repr(names[column])
