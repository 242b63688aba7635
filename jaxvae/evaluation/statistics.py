"""Standard errors: of a mean, of a share and, by the jackknife, of any function of samples; features checked once."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jaxvae.checks import in_range, positive_integer
from jaxvae.evaluation.written import Written, written

LARGEST = 1e30  # of a number that is squared and summed, by compiled code in single precision too
SMALLEST = 1e-88  # a spread below 1e-12 of it is lost when it is squared


class Estimate(NamedTuple):
    """A mean, its standard error (NaN where there is none), and the number of examples it is over.

    Example:
        >>> print(Estimate(97.314, 0.23, 100), Estimate(0.5, 0.0, 1), sep=", ")
        97.31 ± 0.23, 0.5
    """

    mean: float
    standard_error: float
    examples: int

    def __str__(self) -> str:
        return self.text()

    def text(self, digits: int | None = None, unit: str = "", *, evidence: str | None = None) -> Written:
        """Mean and error with so many decimals, by default as many as show one or two digits of the error.

        Unit and evidence, as in `Written`, are not printed, but kept for results.json.
        """
        error = self.standard_error if self.standard_error >= 0 else None
        return written(self._text(digits), self.mean, error, unit=unit, evidence=evidence)

    def percent(self, digits: int | None = 1) -> Written:
        """A share as a percentage, without its sign.

        Example:
            >>> print(Estimate(0.951, 0.004, 1000).percent(), Estimate(0.951, 0.004, 1000).percent().unit)
            95.1 ± 0.4 %
        """
        return Estimate(100 * self.mean, 100 * self.standard_error, self.examples).text(digits, unit="%")

    def _text(self, digits: int | None) -> str:
        if not (np.isfinite(self.standard_error) and (self.standard_error > 0 or digits is not None)):
            return f"{self.mean:.4g}" if digits is None else f"{self.mean:.{digits}f}"
        if digits is None:
            digits = int(np.clip(np.ceil(-np.log10(self.standard_error / 3)), 0, 9))
        return f"{self.mean:.{digits}f} ± {self.standard_error:.{digits}f}"


def mean_and_error(values: Any) -> Estimate:
    """The mean of values [N] and its standard error s / sqrt(N), in float64; of paired differences too.

    Example:
        >>> mean_and_error([1.0, 3.0]), mean_and_error([1.0, -np.inf]).standard_error
        (Estimate(mean=2.0, standard_error=1.0, examples=2), nan)
    """
    array = np.asarray(values, np.float64)
    with np.errstate(invalid="ignore"):  # the spread about an infinite mean is no number, and NumPy need not warn of it
        error = array.std(ddof=1) / np.sqrt(len(array)) if len(array) > 1 else np.nan
    return Estimate(float(array.mean()), float(error), len(array))


class Jackknife(NamedTuple):
    """What `jackknife` finds.

    Attributes:
        value: the function of all samples, as it is, bias and all.
        standard_error: of the value.
        bias: the part of it that falls as 1/N; value - bias is the estimate freed of it.
    """

    value: float
    standard_error: float
    bias: float


def jackknife(function: Callable[..., float], *samples: np.ndarray, blocks: int = 10) -> Jackknife:
    r"""Leaves out one of B blocks after the other, of every array at once: theta_(b), with mean m.

    standard error = sqrt((B - 1) / B sum_b (theta_(b) - m)^2),  bias = (B - 1) (m - theta)

    The standard error is of fresh samples of the same size, and errs upwards for smooth functions; it is itself known
    to about 1 / sqrt(2 (B - 1)), 24 % for 10 blocks.

    Args:
        function: (*samples) -> a number.
        *samples: arrays [N, ...] of independent samples; they may differ in length.
        blocks: B.

    Raises:
        ValueError, TypeError: if there are fewer than two blocks, or an array has fewer than two samples a block.

    Source: Efron and Stein, 1981, The jackknife estimate of variance; Quenouille, 1956, Notes on bias in estimation.

    Example:
        >>> found = jackknife(lambda x: x.var(), np.array([1.0, 2.0, 3.0, 4.0]), blocks=2)
        >>> found.value, found.standard_error < 2
        (1.25, True)
    """
    blocks = positive_integer("blocks", blocks, 2)
    fewest = min(map(len, samples))
    if fewest < 2 * blocks:
        raise ValueError(
            f"there are {fewest} samples for {blocks} blocks, expected at least {2 * blocks}. Draw more, or take fewer "
            f"blocks."
        )
    value = float(function(*samples))
    parts = [in_blocks(len(part), blocks) for part in samples]
    left = [[part != block for part in parts] for block in range(blocks)]
    found = [function(*(part[kept] for part, kept in zip(samples, row, strict=True))) for row in left]
    return from_replicates(value, np.array(found, np.float64))


def in_blocks(count: int, blocks: int) -> np.ndarray:
    """The block of each sample, [count] integers: equal shares in a fixed random order, so that no order does harm.

    Contiguous blocks would be of one class each where samples are sorted by class, strides where they take turns.

    Example:
        >>> np.bincount(in_blocks(7, 3)).tolist()
        [3, 2, 2]
    """
    return np.random.default_rng(0).permutation(count) % blocks


def from_replicates(value: float, replicates: np.ndarray) -> Jackknife:
    """The same from theta and theta_(b) [B], for functions that can leave out a block without starting afresh.

    Example:
        >>> from_replicates(1.25, np.array([1.0, 1.0])).standard_error
        0.0
    """
    blocks, mean = len(replicates), replicates.mean()
    error = np.sqrt((blocks - 1) / blocks * np.square(replicates - mean).sum())
    return Jackknife(float(value), float(error), float((blocks - 1) * (mean - value)))


def share_error(true: np.ndarray | float, count: np.ndarray | float) -> np.ndarray:
    r"""The standard error of a share after Agresti and Coull: sqrt(p (1 - p) / (n + 4)), p = (true + 2) / (n + 4).

    Two cases more of either kind. The textbook's sqrt(p (1 - p) / n) is exactly 0 where all n answers are right, as if
    nothing were left to doubt; here it is 0.055 for 20 of 20, so that 0.89 is two standard errors away.

    Args:
        true: how many of the cases are. count: n, how many there are; arrays of one shape, or numbers.

    Source: Agresti and Coull, 1998, doi 10.1080/00031305.1998.10480550.

    Example:
        >>> share_error(np.array([20, 50]), np.array([20, 100])).round(3).tolist()
        [0.056, 0.049]
    """
    p = (np.asarray(true) + 2) / (np.asarray(count) + 4)
    return np.sqrt(p * (1 - p) / (np.asarray(count) + 4))


def as_features(name: str, features: np.ndarray, at_least: int = 2) -> np.ndarray:
    """Features [N, F] as float64; raises `ValueError` for another shape, too few rows, or numbers that are not finite.

    Example:
        >>> as_features("generated", np.zeros((3, 2), np.float32)).dtype
        dtype('float64')
    """
    array = np.asarray(features)
    if array.ndim != 2 or array.shape[1] == 0 or len(array) < at_least:
        raise ValueError(
            f"{name} has shape {array.shape}, expected features (N, F) of at least {at_least} examples. Images go "
            f"through features first, such as pixel_features()."
        )
    array = array.astype(np.float64)
    check_magnitude(name, array)
    return array


def check_magnitude(name: str, array: Any) -> None:
    """Raises `ValueError` naming a number that is not finite, or so large that compiled code would overflow on it."""
    in_range(name, array, -LARGEST, LARGEST, "What is not finite, or so large, comes from a model that has diverged.")


def varying(table: np.ndarray) -> np.ndarray:
    """Which columns [F] of a table [N, F] are not the same number in every row, up to rounding.

    The spread is max - min, exactly 0 for a constant. A standard deviation is not: that of 300 times 0.1 is 5e-16, for
    the mean is rounded. Hand the table over in the dtype it was computed in: what float32 gives for a constant may
    differ from row to row by 8 units in the last place, a float64 by 1e-12 of the number.

    Example:
        >>> varying(np.array([[0.1, 1.0, 0.0], [0.1 + 1e-16, 1.5, 1e-300]])).tolist()
        [False, True, False]
        >>> varying(np.array([[0.1], [0.1 + 1e-8]])).tolist(), varying(np.float32([[0.1], [0.1 + 1e-8]])).tolist()
        ([True], [False])
    """
    table = np.asarray(table)
    rounding = 8 * float(np.finfo(table.dtype).eps) if table.dtype.kind == "f" else 0.0
    exact = table.astype(np.float64)
    with np.errstate(over="ignore"):  # a spread of inf is one
        spread = np.ptp(exact, axis=0)
    return np.asarray(spread > max(rounding, 1e-12) * np.maximum(np.abs(exact).max(axis=0), SMALLEST))


def as_pair(generated: np.ndarray, reference: np.ndarray, at_least: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Two sets of features of the same width, see `as_features`; raises `ValueError` if the widths differ.

    Example:
        >>> len(as_pair(np.zeros((3, 2)), np.zeros((5, 2)))[1])
        5
    """
    a, b = as_features("generated", generated, at_least), as_features("reference", reference, at_least)
    if a.shape[1] != b.shape[1]:
        raise ValueError(
            f"generated has {a.shape[1]} features and reference {b.shape[1]}, expected the same features of both."
        )
    return a, b
