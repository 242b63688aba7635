r"""The columns of a run's table: from the user's units to x and back, and what log p(x) is in those units.

x_d = (value_d - mean_d) / std_d,  log p(values) = log p(x) - sum_d log std_d

Mean and std are those of the training rows, noted in the run's config, so that the run is measured, resumed and drawn
with the same ones for ever.
"""

import json
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxvae.data.dataset import Dataset
from jaxvae.evaluation.measured import Measured
from jaxvae.evaluation.statistics import Estimate
from jaxvae.runs.choices.records import Options
from jaxvae.runs.tables.scaling import standardization, standardized

ROOM, MOMENTS = 900_000, 60  # bytes: of columns in a config.json, of a mean and a std there
EXACT = 2**24  # the largest count whose float32 has no gap below
SHOWN, LOOKED_AT = 12, 10_000  # columns that a line names, rows that tell of heaps
DIGITS = 6  # of a std, and of a mean beside it: what is noted is what is used
OWN = "values in the table's own units"


class Columns(NamedTuple):
    """The columns of a table, or of counts.

    Attributes:
        names: [D].
        mean, std: [D] float64; None for counts, which are x as they are.
    """

    names: tuple[str, ...]
    mean: np.ndarray | None
    std: np.ndarray | None

    @property
    def log_scale(self) -> float:
        """Sum of log std: -log p of the values is -log p(x) plus this, in nats."""
        return 0.0 if self.std is None else float(np.log(self.std).sum())

    def to_x(self, values: np.ndarray, what: str = "the table") -> np.ndarray:
        """x of the values [N, D], float32, computed in float64.

        Raises:
            ValueError: naming row and column of a number that float32 does not hold.

        Example:
            >>> columns = Columns(("a",), np.array([10.0]), np.array([2.0]))
            >>> columns.to_x(np.array([[12.0]])), columns.to_values(np.array([[1.0]]))
            (array([[1.]], dtype=float32), array([[12.]]))
        """
        if self.mean is None or self.std is None:
            if values.max(initial=0) > EXACT:
                row, column = np.argwhere(values > EXACT)[0]
                raise ValueError(
                    f"{what} has the count {values[row, column]} in row {row}, column {self.names[column]!r}, expected "
                    f"at most {EXACT}, up to where float32 counts. Divide the column, or train on a table."
                )
            return values.astype(np.float32)
        return standardized(np.asarray(values, np.float64), self.mean, self.std, what, self.names)

    def to_values(self, x: Any) -> np.ndarray:
        """The values of x [..., D], float64; whole numbers as int64 where all counts are whole."""
        found = np.asarray(x, np.float64)
        if self.mean is None or self.std is None:
            return found.astype(np.int64) if (found == np.trunc(found)).all() else found
        return found * self.std + self.mean


def columns_of(data: Options) -> Columns | None:
    """The columns of a run by its `config.data`; None for images.

    Raises:
        ValueError: for the config of a table whose run has not noted them yet.

    Example:
        >>> from jaxvae.runs.configs.config import DataConfig
        >>> print(columns_of(DataConfig()))
        None
        >>> columns_of(DataConfig(kind="table", image_shape=(1,), mean=(2.0,), std=(0.5,))).names
        ('column_1',)
    """
    if data.kind == "images":
        return None
    if data.image_shape is None or (data.kind == "table" and None in (data.mean, data.std)):
        raise ValueError(
            "data.mean and data.std are None, which a run notes when it has its training rows: take the config of the "
            "run's folder."
        )
    names = data.columns or tuple(f"column_{i}" for i in range(1, data.image_shape[0] + 1))
    if data.kind == "counts":
        return Columns(names, None, None)
    return Columns(names, np.array(data.mean), np.array(data.std))


def noted(train: Dataset, before: Options) -> dict[str, Any]:
    """What a run notes of its training rows: {"columns", "mean", "std"}, those that there are.

    Args:
        train: all rows of the training split, those that are set apart for validation among them.
        before: the data of a config, whose mean and std are kept where they are of the same columns.

    Raises:
        ValueError: for rows of another shape, too many columns, or a table with a column that never varies: a density
            of a constant has no end.
    """
    shape = train.examples.shape
    if len(shape) != 2:
        raise ValueError(f"{train.source} has shape {shape}, expected [N, D].")
    room = sum(len(json.dumps(name)) + 10 for name in train.columns) + MOMENTS * shape[1] * (train.kind == "table")
    if room > ROOM:
        raise ValueError(
            f"{train.source} has {shape[1]:,} columns, which take {room:,} bytes of a config.json with their names, "
            f"expected at most {ROOM:,}. Take fewer columns, or shorter names."
        )
    found: dict[str, Any] = {"columns": train.columns or None}
    kept = before.std is not None and (before.columns, len(before.std)) == (found["columns"], shape[1])
    if train.kind == "counts" or kept:
        return found
    names = train.columns or tuple(f"column_{i}" for i in range(1, shape[1] + 1))
    mean, std, constant = standardization(train.examples, train.source, names)
    if constant.any():
        flat = [names[i] for i in np.flatnonzero(constant)]
        raise ValueError(
            f"{train.source} has the same number in every training row of {', '.join(map(repr, flat[:10]))}: a density "
            f"of a constant has no end, and it cannot be divided by its standard deviation 0. Leave the column out: "
            f"--data.drop {' '.join(flat[:10])}, of an array numpy.delete(array, {int(np.argmax(constant))}, axis=1)."
        )
    rounded = [float(f"{value:.{DIGITS}g}") for value in std]
    places = [DIGITS - math.floor(math.log10(value)) for value in rounded]
    means = tuple(round(float(value), place) for value, place in zip(mean, places, strict=True))
    return found | {"mean": means, "std": tuple(rounded)}


def describe_columns(columns: Columns, x: np.ndarray) -> str:
    """The columns in a line, and of a table those in which one number fills most rows: a density makes much of that.

    Example:
        >>> columns = Columns(("a", "b"), np.zeros(2), np.ones(2))
        >>> x = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 5.0]])
        >>> print(describe_columns(columns, x))  # doctest: +NORMALIZE_WHITESPACE
        2 columns: a, b. One number fills most rows of b: a density grows there until the smallest std of the likelihood
        stops it, so that its nats say little.
    """
    shown = ", ".join(columns.names[:SHOWN]) + (", ..." if len(columns.names) > SHOWN else "")
    words = f"{len(columns.names)} column{'s' if len(columns.names) > 1 else ''}: {shown}."
    if columns.std is None:
        return words
    shares = [np.unique(column, return_counts=True)[1].max() / len(column) for column in x[:LOOKED_AT].T]
    heaped = [name for name, share in zip(columns.names, shares, strict=True) if share > 0.5]
    if not heaped:
        return words
    return (
        f"{words} One number fills most rows of {', '.join(heaped)}: a density grows there until the smallest std of "
        f"the likelihood stops it, so that its nats say little."
    )


def in_own_units(rows: Sequence[Measured], columns: Columns | None) -> list[Measured]:
    """The rows of `evaluate`, each number of log p(x) followed by that of the table's own values."""
    if columns is None or columns.std is None:
        return list(rows)
    found = []
    for row in rows:
        found.append(row)
        if row.setting.evidence and row.unit == "nats":
            shifted = own_units(row.estimate, columns)
            found.append(row._replace(name=f"{row.name}, own units", estimate=shifted, setting=_own(row.setting)))
    return found


def own_units(estimate: Estimate, columns: Columns) -> Estimate:
    """Minus log p(x), or a bound on it, as that of the values.

    Example:
        >>> own_units(Estimate(3.0, 0.1, 10), Columns(("a",), np.zeros(1), np.array([math.e]))).mean
        4.0
    """
    return estimate._replace(mean=estimate.mean + columns.log_scale)


def _own(setting: Any) -> Any:
    return setting._replace(protocol=OWN)
