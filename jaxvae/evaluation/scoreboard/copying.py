"""Whether draws are copies of training images: how often the nearest image is one that was trained on."""

import numpy as np

from jaxvae.evaluation.samples.manifolds import squared_distances
from jaxvae.evaluation.statistics import Estimate, as_features

ROWS = 500  # of a matrix of distances at a time


def copied_share(generated: np.ndarray, train: np.ndarray, test: np.ndarray) -> Estimate:
    r"""How much likelier than by chance the image nearest to a draw is a training image; 0 by chance, 1 always.

    1 - s (N + M) / M,  s the share of draws whose nearest image, of N training and M test images, is a test image

    A draw that knows nothing of the particular training images has its nearest image among all N + M alike, whatever
    it looks like, so that s is M / (N + M) on average. Draws nearer to test images make it negative. The standard error
    is that of fresh draws, the images held fixed; of equal distances each side has half.

    Args:
        generated: [K, F] draws. train: [N, F]. test: [M, F], from the same distribution as the training images.

    Raises:
        ValueError: for other shapes or numbers that are not finite.

    Source: after Meehan, Chaudhuri and Dasgupta, 2020, arXiv 2004.05675, who compare the distances themselves.

    Example:
        >>> train, test = np.array([[0.0], [1.0]]), np.array([[0.5], [1.5]])
        >>> copied_share(np.array([[0.01], [1.01]]), train, test).mean, copied_share(test, train, test).mean
        (1.0, -1.0)
    """
    x, a, b = (as_features(name, f) for name, f in (("generated", generated), ("train", train), ("test", test)))
    centre = b.mean(0)
    near = [_nearest(x - centre, images - centre) for images in (a, b)]
    of_test = np.where(near[1] < near[0], 1.0, np.where(near[1] == near[0], 0.5, 0.0))
    scale = (len(a) + len(b)) / len(b)
    error = of_test.std(ddof=1) / np.sqrt(len(x))
    return Estimate(float(1 - scale * of_test.mean()), float(scale * error), len(x))


def _nearest(points: np.ndarray, images: np.ndarray) -> np.ndarray:
    """[K] squared distances to the nearest of the images, rounded so that equal images are equally far."""
    found = [squared_distances(points[i : i + ROWS], images).min(1) for i in range(0, len(points), ROWS)]
    return np.round(np.concatenate(found), 9)
