"""What scores of samples look at: any function from images to feature vectors, with a name."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxvae.checks import positive_integer
from jaxvae.data.labels import LARGEST, remedy
from jaxvae.evaluation.plots.image_grids import unit_images


class Features(NamedTuple):
    """A named function of images, pluggable wherever samples are judged.

    Attributes:
        name: how a score calls it; a score under one name cannot be compared with one under another.
        vectors: images [N, H, W, C] on [0, 1] -> features [N, F].
        probabilities: images -> p(y | x) [N, classes], for the Inception Score; or None.
        note: what a reader must know to trust it, such as its held-out accuracy, printed with every score.

    Example:
        >>> brightness = Features("brightness", lambda images: images.mean((1, 2)))
        >>> brightness.vectors(np.ones((5, 8, 8, 1))).shape
        (5, 1)
    """

    name: str
    vectors: Callable[[np.ndarray], np.ndarray]
    probabilities: Callable[[np.ndarray], np.ndarray] | None = None
    note: str = ""


def pixel_features() -> Features:
    """The pixels themselves, [N, H * W * C]: no network to trust, and no idea of what matters to an eye.

    Example:
        >>> pixel_features().vectors(np.zeros((5, 8, 8, 1))).shape
        (5, 64)
    """
    return Features("pixels", flat_pixels)


def pca_features(images: np.ndarray, components: int = 32) -> Features:
    """The first principal components of the given images: pixels without the directions in which they hardly vary.

    Args:
        images: [N, H, W, C] on [0, 1] or raw uint8, training data.
        components: how many, at most N - 1 and the number of pixels.

    Raises:
        ValueError, TypeError: for other images, or more components than there are.

    Example:
        >>> images = np.random.default_rng(0).uniform(size=(20, 4, 4, 1))
        >>> features = pca_features(images, 3)
        >>> features.name, features.vectors(images).shape
        ('PCA, 3 of 16 components, 53 % of the variance left out', (20, 3))
    """
    pixels = flat_pixels(images)
    most = min(len(pixels) - 1, pixels.shape[1])
    if positive_integer("components", components) > most:
        raise ValueError(f"components is {components}, expected at most {most} for {len(pixels)} images.")
    center = pixels.mean(0)
    _, scales, directions = np.linalg.svd(pixels - center, full_matrices=False)
    kept = directions[:components].T
    left_out = 1 - np.square(scales[:components]).sum() / np.square(scales).sum()
    name = f"PCA, {components} of {pixels.shape[1]} components, {100 * left_out:.0f} % of the variance left out"
    return Features(name, lambda images: (flat_pixels(images) - center) @ kept)


def flat_pixels(images: np.ndarray) -> np.ndarray:
    """Images [N, H, W, C] on [0, 1], or raw uint8, as float64 rows [N, H * W * C].

    Example:
        >>> flat_pixels(np.full((1, 1, 2, 1), 255, np.uint8)).tolist()
        [[1.0, 1.0]]
    """
    array = unit_images("images", images)
    return array.reshape(len(array), -1).astype(np.float64)


def as_input(images: np.ndarray) -> np.ndarray:
    """float32 images as they are, uint8 divided by 255.

    Example:
        >>> as_input(np.array([255], np.uint8)).tolist()
        [1.0]
    """
    images = np.asarray(images)
    return images.astype(np.float32) / np.float32(255) if images.dtype == np.uint8 else images.astype(np.float32)


def check_labels(name: str, labels: np.ndarray, count: int) -> np.ndarray:
    """The labels as int32 [N]; raises unless they are integers from 0 on, one for each of `count` examples.

    Example:
        >>> check_labels("labels", [1, 0], 2).dtype
        dtype('int32')
    """
    array = np.asarray(labels)
    if array.shape != (count,) or count == 0:
        raise ValueError(
            f"{name} have shape {array.shape}, expected ({count},), one for each image, and at least one."
            f"{remedy(name, array)}"
        )
    if not np.issubdtype(array.dtype, np.integer):
        raise TypeError(f"{name} have dtype {array.dtype}, expected integers from 0 on, a class for each image.")
    if array.min() < 0:
        raise ValueError(f"{name} hold {array.min()}, expected integers from 0 on. Leave out what has no label.")
    if array.max() > LARGEST:
        raise ValueError(f"{name} hold {array.max()}, expected integers up to {LARGEST}. Number the classes anew.")
    return array.astype(np.int32)
