"""Codes of many latents in a plane to look at: PCA, t-SNE, and how much of their neighbourhoods is left there."""

from typing import Any, Literal, NamedTuple

import jax
import numpy as np

from jaxvae.checks import as_seed, finite_number, positive_integer
from jaxvae.evaluation.statistics import check_magnitude, varying

Codes = jax.Array | np.ndarray


class Projection(NamedTuple):
    """Codes in a plane.

    Attributes:
        points: float32 [N, 2].
        method: "pca" or "tsne".
        variance_shares: [2], of the total along each axis, or None for t-SNE, whose axes mean nothing.
    """

    points: np.ndarray
    method: str
    variance_shares: np.ndarray | None


def project(codes: Codes, method: Literal["pca", "tsne"] = "pca", **options: Any) -> Projection:
    """Codes [N, Z] in a plane, by the method of that name; options as `pca` and `tsne` take them.

    Raises:
        ValueError: for an unknown method, or as `pca` and `tsne`.

    Example:
        >>> project(np.random.default_rng(0).normal(size=(10, 5)), "pca").points.shape
        (10, 2)
    """
    if method not in (methods := {"pca": pca, "tsne": tsne}):
        raise ValueError(f"method is {method!r}, expected {' or '.join(map(repr, methods))}.")
    return methods[method](codes, **options)


def pca(codes: Codes) -> Projection:
    """The two directions of largest variance: the codes less their mean, times the first two eigenvectors.

    Each axis points where its largest weight is positive, so that the picture does not depend on the solver.

    Args:
        codes: [N, Z], N >= 3, Z >= 2.

    Source: Pearson, 1901, On lines and planes of closest fit.

    Example:
        >>> line = np.linspace(-1, 1, 5)[:, None] * np.array([[3.0, 4.0, 0.0]])
        >>> [round(float(share), 6) for share in pca(line).variance_shares]
        [1.0, 0.0]
    """
    points = _checked(codes)
    centred = points - points.mean(axis=0, keepdims=True)
    _, scales, axes = np.linalg.svd(centred, full_matrices=False)
    weights = axes[:2] * np.sign(axes[np.arange(2), np.abs(axes[:2]).argmax(axis=1)])[:, None]
    variance = np.square(scales)
    shares = variance[:2] / max(variance.sum(), np.finfo(np.float64).tiny)  # constant codes have none to share
    return Projection((centred @ weights.T).astype(np.float32), "pca", shares)


def tsne(codes: Codes, *, perplexity: float = 30.0, seed: int = 0) -> Projection:
    """Neighbours stay neighbours; distances between clusters, their sizes and the axes mean nothing.

    Args:
        codes: [N, Z], N >= 4; some thousands take a minute.
        perplexity: about how many neighbours each code has; for few codes at most (N - 1) / 3 is taken.
        seed: of the solver; the start is the PCA, scaled.

    Raises:
        ValueError: for another shape, codes that are not finite or all the same, or a perplexity that is not positive.

    Source: van der Maaten and Hinton, 2008, Visualizing data using t-SNE; the start from PCA: Kobak and Berens, 2019,
    doi 10.1038/s41467-019-13056-x.

    Example:
        >>> tsne(np.random.default_rng(0).normal(size=(12, 5))).points.shape
        (12, 2)
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    points = _checked(codes, least=4)
    finite_number("perplexity", perplexity, above=True)
    seed = as_seed("seed", seed)
    perplexity = min(perplexity, (len(points) - 1) / 3)
    if not varying(points).any():
        raise ValueError(
            f"the {len(points)} codes are all the same, expected some spread: there are no neighbourhoods to draw. If "
            f"they are those of a trained model, its posterior has collapsed."
        )
    scale = points.std(axis=0).max()
    if not 1e-3 < scale < 1e3:  # compiled code ends the process where squares of distances leave its range
        points = (points - points.mean(axis=0)) / scale
    embed = TSNE(2, perplexity=perplexity, init="pca", learning_rate="auto", random_state=seed)
    with threadpool_limits(1):  # one thread sums in one order, and many wait for each other where cores are busy
        return Projection(np.asarray(embed.fit_transform(points), np.float32), "tsne", None)


def neighbour_agreement(points: Codes, labels: Codes, neighbours: int = 5) -> np.ndarray:
    """For each point the share of its nearest neighbours, itself left out, that have its label: [N].

    The mean over points, of the codes and of their projection, tells what the plane has kept. By chance it is the sum
    of the squared class shares, about 0.1 for ten equal classes.

    Args:
        points: [N, D].
        labels: [N].
        neighbours: how many, below N.

    Raises:
        ValueError: for other shapes, points that are not finite, or too many neighbours.

    Example:
        >>> neighbour_agreement(np.array([[0.0], [0.1], [5.0]]), np.array([1, 1, 2]), neighbours=1).tolist()
        [1.0, 1.0, 0.0]
    """
    from sklearn.neighbors import NearestNeighbors

    points, labels = _checked(points, least=2, width=1), np.asarray(labels)
    if labels.shape != (len(points),):
        raise ValueError(f"labels has shape {labels.shape}, expected ({len(points)},), one for each point.")
    if positive_integer("neighbours", neighbours) >= len(points):
        raise ValueError(f"neighbours is {neighbours}, expected fewer than the {len(points)} points.")
    index = NearestNeighbors(n_neighbors=neighbours).fit(points).kneighbors(return_distance=False)
    return (labels[index] == labels[:, None]).mean(axis=1)


def _checked(codes: Codes, least: int = 3, width: int = 2) -> np.ndarray:
    points = np.asarray(codes, np.float64)
    if points.ndim != 2 or len(points) < least or points.shape[1] < width:
        raise ValueError(
            f"codes has shape {points.shape}, expected (N, Z) with at least {least} codes of at least {width} latents."
        )
    check_magnitude("codes", points)
    return points
