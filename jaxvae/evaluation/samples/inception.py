"""The Inception Score: whether a classifier is sure of each sample, and sees every class."""

import numpy as np

from jaxvae.checks import positive_integer
from jaxvae.evaluation.statistics import Estimate, in_blocks


def inception_score(probabilities: np.ndarray, *, splits: int = 10) -> Estimate:
    r"""exp(mean_x KL(p(y | x) || p(y))), p(y) the mean of p(y | x): between 1 and the number of classes C.

    The mean over random splits of the samples, with its standard error (papers often print the standard deviation,
    which is sqrt(splits) times that). A split of few samples has a p(y) of its own, which lowers the score: some
    hundreds in each are few.

    It looks at no data: a generator of one perfect image of each class has the best score there is. Compare it with
    the score of held-out data, not with C.

    Args:
        probabilities: [N, C] p(y | x) of a classifier, rows that sum to 1.
        splits: how many.

    Returns:
        `Estimate` with the number of samples.

    Raises:
        ValueError, TypeError: for another shape, rows that are no distributions, or fewer samples than splits.

    Source: Salimans et al., 2016, arXiv 1606.03498; what it does not see: Barratt and Sharma, 2018, arXiv 1801.01973.

    Example:
        >>> inception_score(np.eye(4)[np.arange(80) % 4], splits=1).mean
        4.0
    """
    splits = positive_integer("splits", splits)
    p = np.asarray(probabilities, np.float64)
    if p.ndim != 2 or p.shape[1] < 2:
        raise ValueError(f"probabilities have shape {p.shape}, expected (N, C), a row for each sample.")
    if len(p) < splits:
        raise ValueError(f"there are {len(p)} samples for {splits} splits, expected at least as many.")
    if not ((p >= 0).all() and np.allclose(p.sum(1), 1, atol=1e-4)):
        raise ValueError("the rows of probabilities do not sum to 1. Pass the softmax of a classifier, no logits.")
    scores = [_score(p[in_blocks(len(p), splits) == split]) for split in range(splits)]
    error = np.std(scores, ddof=1) / np.sqrt(splits) if splits > 1 else np.nan
    return Estimate(float(np.mean(scores)), float(error), len(p))


def _score(p: np.ndarray) -> float:
    """exp(H(p(y)) - mean_x H(p(y | x))), with 0 log 0 = 0."""
    return float(np.exp(_entropy(p.mean(0)) - _entropy(p).mean()))


def _entropy(p: np.ndarray) -> np.ndarray:
    return -np.sum(p * np.log(np.where(p > 0, p, 1.0)), axis=-1)
