"""Precision and recall, density and coverage: whether samples lie where the data are, and whether they fill it.

Each set of features has a manifold, the union of balls around its points that reach to their k-th nearest neighbour.
"""

from typing import NamedTuple

import numpy as np

from jaxvae.checks import positive_integer
from jaxvae.evaluation.statistics import Estimate, as_pair, share_error

ROWS = 1000  # of a matrix of distances at a time
ROUNDING = 1e-12  # of a squared distance, relative to the mean square of the points


class Manifolds(NamedTuple):
    """What `precision_recall` or `density_coverage` finds: the fidelity of samples, and how much of the data they fill.

    The standard errors are of fresh points that are judged (generated ones for precision and density, data for recall
    and coverage) with the other set held fixed.
    """

    fidelity: Estimate
    diversity: Estimate


def precision_recall(generated: np.ndarray, reference: np.ndarray, *, neighbours: int = 3) -> Manifolds:
    """Precision: the part of the samples on the data's manifold. Recall: the part of the data on the samples' manifold.

    One outlier among the data has a large ball, which many bad samples may enter: `density_coverage` minds it less.
    Both depend on the number of points; compare at equal N and M only.

    Args:
        generated: [N, F] features. reference: [M, F] features of data.
        neighbours: k, 3 in the paper.

    Returns:
        fidelity is the precision, diversity the recall, each between 0 and 1.

    Source: Kynkaanniemi et al., 2019, arXiv 1904.06991.

    Example:
        >>> line = np.arange(10.0)[:, None]
        >>> found = precision_recall(line[:5], line, neighbours=1)
        >>> found.fidelity.mean, found.diversity.mean
        (1.0, 0.6)
    """
    x, y = _points(generated, reference, neighbours)
    on_data, _ = _inside(x, y, radii(y, neighbours))
    on_samples, _ = _inside(y, x, radii(x, neighbours))
    return Manifolds(_share(on_data > 0), _share(on_samples > 0))


def density_coverage(generated: np.ndarray, reference: np.ndarray, *, neighbours: int = 5) -> Manifolds:
    """Density: balls of data that a sample lies in, over k. Coverage: the part of the data's balls that hold a sample.

    Of two sets from one distribution the density is 1 on average (it may be above) and the coverage is
    `expected_coverage`.

    Args:
        generated: [N, F] features. reference: [M, F] features of data.
        neighbours: k, 5 in the paper.

    Returns:
        fidelity is the density, diversity the coverage.

    Source: Naeem et al., 2020, arXiv 2002.09797.

    Example:
        >>> line = np.arange(10.0)[:, None]
        >>> found = density_coverage(line[:5], line, neighbours=1)
        >>> found.fidelity.mean, found.diversity.mean
        (2.8, 0.6)
    """
    x, y = _points(generated, reference, neighbours)
    balls, covered = _inside(x, y, radii(y, neighbours))
    density = balls / neighbours
    error = density.std(ddof=1) / np.sqrt(len(density)) if len(density) > 1 else np.nan
    return Manifolds(Estimate(float(density.mean()), float(error), len(density)), _share(covered))


def expected_coverage(samples: int, references: int, neighbours: int = 5) -> float:
    """The coverage of samples that have the data's own distribution: 1 - prod_{i=1..k} (M - i) / (N + M - i).

    Args:
        samples: N. references: M. neighbours: k.

    Source: Naeem et al., 2020, arXiv 2002.09797.

    Example:
        >>> round(expected_coverage(10000, 10000, 5), 3)
        0.969
    """
    n, m = positive_integer("samples", samples), positive_integer("references", references, 2)
    i = np.arange(1, positive_integer("neighbours", neighbours) + 1)
    return float(1 - np.prod((m - i) / (n + m - i)))


def radii(points: np.ndarray, neighbours: int) -> np.ndarray:
    """[N] squared distances to the k-th nearest other point.

    Example:
        >>> radii(np.array([[0.0], [1.0], [3.0]]), 1).tolist()
        [1.0, 1.0, 4.0]
    """
    found = []
    for start in range(0, len(points), ROWS):
        squared = squared_distances(points[start : start + ROWS], points)
        rows = np.arange(len(squared))
        squared[rows, start + rows] = np.inf  # a point is no neighbour of its own; its twins are
        found.append(np.partition(squared, neighbours - 1, axis=1)[:, neighbours - 1])
    return np.concatenate(found)


def squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """|a_i - b_j|^2 of every pair, [N, F] and [M, F] -> [N, M].

    Example:
        >>> squared_distances(np.zeros((1, 2)), np.array([[3.0, 4.0]])).tolist()
        [[25.0]]
    """
    squared = np.square(a).sum(1)[:, None] + np.square(b).sum(1)[None] - 2 * a @ b.T
    return np.maximum(squared, 0.0)


def _inside(points: np.ndarray, centres: np.ndarray, squared_radii: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """In how many of the balls each point lies [N], and which balls hold a point [M]; the edge belongs to the ball."""
    balls, held = [], np.zeros(len(centres), bool)
    squared_radii = squared_radii + ROUNDING * np.square(centres).sum(1).mean()  # equal pixels give equal distances
    for start in range(0, len(points), ROWS):
        inside = squared_distances(points[start : start + ROWS], centres) <= squared_radii[None]
        balls.append(inside.sum(1))
        held |= inside.any(0)
    return np.concatenate(balls), held


def _points(generated: np.ndarray, reference: np.ndarray, neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    """Both sets about the mean of the data, where squares cancel the least."""
    x, y = as_pair(generated, reference, at_least=positive_integer("neighbours", neighbours) + 1)
    return x - y.mean(0), y - y.mean(0)


def _share(yes: np.ndarray) -> Estimate:
    """The part that is true, with the standard error of a share."""
    return Estimate(float(yes.mean()), float(share_error(yes.sum(), len(yes))), len(yes))
