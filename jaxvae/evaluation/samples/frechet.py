"""The Frechet distance of features: how far apart two Gaussians are that were fitted to two sets of them."""

import numpy as np

from jaxvae.evaluation.statistics import Jackknife, as_pair, jackknife


def gaussian_distance(mean_a: np.ndarray, cov_a: np.ndarray, mean_b: np.ndarray, cov_b: np.ndarray) -> float:
    r"""The squared 2-Wasserstein (Frechet) distance of N(mean_a, cov_a) and N(mean_b, cov_b).

    |mean_a - mean_b|^2 + tr(A) + tr(B) - 2 tr((A^{1/2} B A^{1/2})^{1/2})

    The last trace is the sum of the singular values of A^{1/2} B^{1/2}: symmetric roots only, so that no square root of
    a general matrix can fail, and covariances may be singular.

    Args:
        mean_a, mean_b: [F].
        cov_a, cov_b: [F, F], symmetric, without negative eigenvalues beyond rounding.

    Returns:
        At least 0, in squared units of the features; float64.

    Raises:
        ValueError: for other shapes, numbers that are not finite, or what is no covariance.

    Source: Dowson and Landau, 1982, The Frechet distance between multivariate normal distributions; as a score of
        samples: Heusel et al., 2017, arXiv 1706.08500. (It is squared, and no earth mover's distance, which is the
        1-Wasserstein one.)

    Example:
        >>> eye = np.eye(2)
        >>> round(gaussian_distance(np.zeros(2), eye, np.array([3.0, 4.0]), 4 * eye), 6)  # 25 + 2 (2 - 1)^2
        27.0
    """
    means = [np.asarray(mean, np.float64) for mean in (mean_a, mean_b)]
    shape = means[0].shape
    if len(shape) != 1 or means[1].shape != shape or not all(np.isfinite(mean).all() for mean in means):
        raise ValueError(f"the means have shapes {shape} and {means[1].shape}, expected two of shape (F,), finite.")
    covs = [np.asarray(cov, np.float64) for cov in (cov_a, cov_b)]
    roots = [_root(name, cov, shape[0]) for name, cov in zip(("cov_a", "cov_b"), covs, strict=True)]
    overlap = np.linalg.svd(roots[0] @ roots[1], compute_uv=False).sum()
    traces = np.trace(covs[0]) + np.trace(covs[1])
    return float(max(np.square(means[0] - means[1]).sum() + traces - 2 * overlap, 0.0))


def _root(name: str, cov: np.ndarray, size: int) -> np.ndarray:
    """The symmetric square root; directions without variance have exactly none, so that rounding adds no overlap."""
    if cov.shape != (size, size) or not np.isfinite(cov).all():
        raise ValueError(f"{name} has shape {cov.shape}, expected ({size}, {size}) finite numbers.")
    values, vectors = np.linalg.eigh((cov + cov.T) / 2)
    rounding = size * np.finfo(np.float64).eps * max(abs(values[0]), abs(values[-1]))
    if values[0] < -1e3 * rounding or not np.allclose(cov, cov.T, rtol=1e-6, atol=1e3 * rounding):
        raise ValueError(f"{name} is no covariance: its lowest eigenvalue is {values[0]}, or it is not symmetric.")
    return (vectors * np.sqrt(np.where(values > rounding, values, 0.0))) @ vectors.T


def frechet_distance(generated: np.ndarray, reference: np.ndarray) -> float:
    """The distance of the Gaussians fitted to two sets of features, `gaussian_distance` of their moments.

    It is biased upwards, by c / N with a c of its own for every generator, and strongly so for fewer samples than some
    tens of features: 2,000 samples of a 2048-dimensional network cannot be compared with 50,000, and two generators
    at one N may change places at another. `frechet_estimate` says how large that bias is.

    Args:
        generated: [N, F] features.
        reference: [M, F] features of data.

    Source: Heusel et al., 2017, arXiv 1706.08500; the bias: Chong and Forsyth, 2020, arXiv 1911.07023.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(100, 3))
        >>> round(frechet_distance(x + np.array([2.0, 0.0, 0.0]), x), 6)
        4.0
    """
    a, b = as_pair(generated, reference)
    covs = [np.atleast_2d(np.cov(part.T)) for part in (a, b)]
    return gaussian_distance(a.mean(0), covs[0], b.mean(0), covs[1])


def frechet_estimate(generated: np.ndarray, reference: np.ndarray, *, blocks: int = 10) -> Jackknife:
    """The same with its standard error and its bias of order 1/N, by leaving out one block after the other.

    The bias is that of independent draws. Sets with equal shares of each class lie nearer to each other than such draws
    do, so that the bias of a floor can exceed its value.

    Args:
        generated: [N, F]; reference: [M, F]; in any order.
        blocks: how many.

    Returns:
        `Jackknife`: value is `frechet_distance`; value - bias is nearer to what infinitely many samples would give.

    Source: Chong and Forsyth, 2020, arXiv 1911.07023, who extrapolate to 1/N = 0; here the jackknife does.

    Example:
        >>> x, y = np.random.default_rng(0).normal(size=(2, 500, 3))
        >>> found = frechet_estimate(x, y)
        >>> found.bias > 0, abs(found.value - found.bias) < 4 * found.standard_error
        (True, True)
    """
    return jackknife(frechet_distance, *as_pair(generated, reference), blocks=blocks)
