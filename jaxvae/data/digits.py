"""Handwritten digits that come with scikit-learn: 1,797 real 8x8 images, no download."""

import numpy as np

from jaxvae.data.dataset import Dataset, check_split, from_array
from jaxvae.data.splits import held_out, stable_permutation

TEST = 297
SEED = 0


def load(split: str = "train") -> Dataset:
    """Returns the digits: images uint8 [1500 or 297, 8, 8, 1], labels 0..9.

    The grey levels 0..16 become 0..255 (rounded). scikit-learn names no split; this one is fixed for ever: a seeded
    shuffle that gives every class its share of the test set.

    Args:
        split: "train" (1,500 images) or "test" (297).

    Source: Alpaydin and Kaynak, 1998, doi 10.24432/C50P49 (the test part of the UCI set).

    Example:
        >>> load("test").images.shape
        (297, 8, 8, 1)
    """
    check_split("digits", split, ("train", "test"))
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    shuffled = stable_permutation(len(labels), SEED)
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    in_test = np.zeros(len(labels), bool)
    in_test[by_class[held_out(len(labels), TEST)]] = True
    chosen = shuffled[in_test[shuffled] == (split == "test")]
    return from_array(
        pixels[chosen].reshape(-1, 8, 8) / 16,
        labels=labels[chosen],
        class_names=[str(digit) for digit in range(10)],
        name="digits",
        split=split,
        source="scikit-learn's embedded handwritten digits (UCI), split with seed 0",
    )
