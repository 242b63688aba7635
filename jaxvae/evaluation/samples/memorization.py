"""Whether draws are copies: the nearest training image of each, and how often it is nearer than any test image."""

from typing import NamedTuple

import numpy as np

from jaxvae.evaluation.samples.manifolds import ROWS, squared_distances
from jaxvae.evaluation.statistics import Estimate, as_pair, share_error


class Nearest(NamedTuple):
    """Of each point the nearest of others.

    Attributes:
        which: [N] the position; the first of equally near ones.
        distance: [N] Euclidean, in units of the features.
    """

    which: np.ndarray
    distance: np.ndarray


def nearest(points: np.ndarray, others: np.ndarray) -> Nearest:
    """The nearest of others [M, F] to each of the points [N, F].

    Example:
        >>> found = nearest(np.array([[0.0], [4.0]]), np.array([[1.0], [7.0], [5.0]]))
        >>> found.which.tolist(), found.distance.tolist()
        ([0, 2], [1.0, 1.0])
    """
    x, y = as_pair(points, others, at_least=1)
    x, y = x - y.mean(0), y - y.mean(0)  # where squares cancel the least
    indices, found = [], []
    for start in range(0, len(x), ROWS):
        squared = squared_distances(x[start : start + ROWS], y)
        indices.append(squared.argmin(1))
        found.append(squared.min(1))
    return Nearest(np.concatenate(indices), np.sqrt(np.concatenate(found)))


class Copying(NamedTuple):
    """How often samples lie nearer to a training image than to any test image.

    Attributes:
        share: of the samples, half of those equally near; its standard error is that of fresh samples, with both sets
            of images held fixed.
        null: what it is on average where M training and T test images are dealt at random, M / (M + T), with the
            standard error of the share over such deals. It is the larger error of the two where a few images are the
            nearest of many samples, and that of the share where each has its own; a test needs no other.
    """

    share: Estimate
    null: Estimate

    @property
    def sigmas(self) -> float:
        """By how many standard errors of its null the share is above it; 0 where no sample could tell."""
        above = self.share.mean - self.null.mean
        return above / self.null.standard_error if above else 0.0


def nearer_to_training(samples: np.ndarray, training: np.ndarray, test: np.ndarray) -> Copying:
    r"""The share of samples whose nearest image is one of training and not of test, beside what chance would make it.

    Where training and test images come from one distribution and a sample knows neither, each of the M + T is equally
    likely to be its nearest: the share is M / (M + T), 1/2 for sets of equal size. More says that the sampler remembers
    its training images.

    Args:
        samples: [N, F] features of draws. training: [M, F] of what was trained on. test: [T, F] of what was not.

    Source: the share is the simplest of the tests of Meehan, Chaudhuri and Dasgupta, 2020, arXiv 2004.05675; the
        variance over deals is that of sampling without replacement (Cochran, 1977, theorem 2.2).

    Example:
        >>> x, y, z = np.random.default_rng(0).normal(size=(3, 200, 2))
        >>> nearer_to_training(x + 1e-3, x, y).share.mean > 0.95, abs(nearer_to_training(z, x, y).sigmas) < 3
        (True, True)
    """
    x, seen = as_pair(samples, training)
    _, unseen = as_pair(samples, test)
    to_seen, to_unseen = nearest(x, seen), nearest(x, unseen)
    nearer, equal = to_seen.distance < to_unseen.distance, to_seen.distance == to_unseen.distance
    mean = float((nearer + 0.5 * equal).mean())
    share = Estimate(mean, float(share_error(mean * len(x), len(x))), len(x))
    m, every = len(seen), len(seen) + len(unseen)
    owner = np.where(nearer, to_seen.which, m + to_unseen.which)
    own = np.bincount(owner[~equal], minlength=every) / len(x)  # who is equally near gets half in any deal
    variance = m * (every - m) / (every - 1) * own.var()
    return Copying(share, Estimate(m / every, float(np.sqrt(variance)), every))
