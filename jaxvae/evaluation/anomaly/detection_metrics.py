"""What an anomaly score is worth: ROC and precision-recall of inliers against outliers, with confidence intervals.

Scores are arrays, higher is more anomalous; an outlier is a positive.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxvae.checks import as_seed, finite_number, positive_integer
from jaxvae.evaluation.anomaly.roc import Interval, auroc_interval, quantile
from jaxvae.evaluation.anomaly.scores import vector

Array = jax.Array
Scores = Array | np.ndarray
Statistic = Callable[[np.ndarray, np.ndarray], float]


class Curve(NamedTuple):
    """What calling every score of at least a threshold an outlier does, the highest threshold first.

    Attributes:
        threshold: [T] the distinct scores, descending.
        true_positive_rate: [T] the share of outliers that are caught, also called recall.
        false_positive_rate: [T] the share of inliers that are accused.
        precision: [T] the share of outliers among the accused.
    """

    threshold: np.ndarray
    true_positive_rate: np.ndarray
    false_positive_rate: np.ndarray
    precision: np.ndarray


def curve(inliers: Scores, outliers: Scores) -> Curve:
    """The points of the ROC curve and of the precision-recall curve, one for each distinct score.

    Args:
        inliers: [N] scores, higher is more anomalous. outliers: [M].

    Source: Davis and Goadrich, 2006, doi 10.1145/1143844.1143874.

    Example:
        >>> points = curve([1.0, 2.0], [2.0, 3.0])
        >>> points.true_positive_rate.tolist(), points.false_positive_rate.tolist()
        ([0.5, 1.0, 1.0], [0.0, 0.5, 1.0])
    """
    return _curve(vector("inliers", inliers), vector("outliers", outliers))


def _curve(inliers: np.ndarray, outliers: np.ndarray) -> Curve:
    scores = np.concatenate([inliers, outliers])
    order = np.argsort(-scores, kind="stable")
    scores = scores[order]
    last = np.flatnonzero(np.append(scores[1:] != scores[:-1], True))  # of each run of equal scores
    caught = np.cumsum(order >= len(inliers))[last]
    accused = last + 1
    true, false = caught / len(outliers), (accused - caught) / len(inliers)
    return Curve(scores[last], true, false, caught / accused)


def average_precision(inliers: Scores, outliers: Scores) -> float:
    r"""The area under the precision-recall curve, sum_t (R_t - R_{t-1}) P_t, without interpolation.

    By chance it is M / (N + M), the share of outliers, so it must be read beside that share.

    Source: Davis and Goadrich, 2006, doi 10.1145/1143844.1143874 (why not to interpolate).

    Example:
        >>> round(average_precision([1.0, 2.0], [2.0, 3.0]), 4)  # 1/2 of 1 and 1/2 of 2/3
        0.8333
    """
    points = curve(inliers, outliers)
    return float(np.sum(np.diff(points.true_positive_rate, prepend=0.0) * points.precision))


def false_positive_rate_at(inliers: Scores, outliers: Scores, true_positive_rate: float = 0.95) -> float:
    """The share of inliers accused at the highest threshold that catches at least this share of the outliers.

    Source: the "FPR95" of Hendrycks, Mazeika and Dietterich, 2019, arXiv 1812.04606.

    Example:
        >>> false_positive_rate_at([1.0, 2.0, 3.0, 4.0], [2.5, 3.5, 4.5, 5.5], 0.75)
        0.25
    """
    finite_number("true_positive_rate", true_positive_rate, high=1.0, above=True)
    points = curve(inliers, outliers)
    # A rate such as 0.95 is no exact float: 19 of 20 must count as reaching it.
    reached = points.true_positive_rate >= true_positive_rate - 1e-9
    return float(points.false_positive_rate[np.argmax(reached)])


def bootstrap_interval(
    statistic: Statistic,
    inliers: Scores,
    outliers: Scores,
    *,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Interval:
    """A percentile interval of statistic(inliers, outliers), each of the two drawn again with replacement.

    It is widened to hold the statistic itself, which may lie outside where all resamples are better. A statistic at the
    edge of its range in every resample, such as 1 where the scores separate, gets no width.

    Args:
        statistic: such as `average_precision`.
        inliers: [N] scores. outliers: [M].
        level: of confidence.
        resamples: how many.
        seed: of the draws.

    Source: Efron and Tibshirani, 1993, An introduction to the bootstrap, chapter 13.

    Example:
        >>> interval = bootstrap_interval(average_precision, [0.0, 1.0, 2.0], [1.5, 2.5, 3.5], resamples=50)
        >>> interval.low <= interval.value <= interval.high
        True
    """
    quantile(level)
    resamples = positive_integer("resamples", resamples)
    negatives, positives = vector("inliers", inliers), vector("outliers", outliers)
    rng = np.random.default_rng(as_seed("seed", seed))
    drawn = [
        statistic(rng.choice(negatives, len(negatives)), rng.choice(positives, len(positives)))
        for _ in range(resamples)
    ]
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    value = float(statistic(negatives, positives))
    return Interval(value, min(float(low), value), max(float(high), value))


class Detection(NamedTuple):
    """How well a score tells outliers from inliers; each with its interval."""

    auroc: Interval
    average_precision: Interval
    false_positive_rate: Interval


def detection(
    inliers: Scores, outliers: Scores, *, level: float = 0.95, resamples: int = 300, seed: int = 0
) -> Detection:
    """AUROC (interval by `auroc_interval`), average precision and the FPR at 95 % TPR (intervals by the bootstrap).

    Args:
        inliers: [N] scores, higher is more anomalous, N >= 2. outliers: [M], M >= 2.
        level, resamples, seed: of the intervals.

    Example:
        >>> found = detection([0.0, 1.0, 2.0, 3.0], [2.5, 3.5, 4.5, 5.5])
        >>> found.auroc.value, found.false_positive_rate.value
        (0.9375, 0.25)
    """
    options: dict[str, Any] = {"level": level, "resamples": resamples, "seed": seed}
    return Detection(
        auroc_interval(inliers, outliers, level),
        bootstrap_interval(average_precision, inliers, outliers, **options),
        bootstrap_interval(false_positive_rate_at, inliers, outliers, **options),
    )
