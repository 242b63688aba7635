"""The data and the settings by which all contenders of a board are judged."""

from typing import NamedTuple

import numpy as np

from jaxvae.data.splits import some_rows
from jaxvae.evaluation.measured import Setting
from jaxvae.evaluation.samples.features import Features

DRAWS = 1000


class Judged(NamedTuple):
    """The data and the settings that all contenders are judged by.

    Attributes:
        train, test: x [N, ...] in the units of the likelihood, whole numbers 0 to levels - 1.
        train_labels, test_labels: [N], or None where there are none.
        levels: how many values a pixel has.
        features: what scores of draws look at.
        setting: of the test images, how many of them are scored, and of their seed.
        samples: posterior samples of each image, where more of them make a bound tighter.
        draws: of each contender.
    """

    train: np.ndarray
    test: np.ndarray
    train_labels: np.ndarray | None
    test_labels: np.ndarray | None
    levels: int
    features: Features
    setting: Setting
    samples: int = 50
    draws: int = DRAWS

    @property
    def scored(self) -> np.ndarray:
        """The test images that are scored, by a fixed permutation."""
        return self.test[some_rows(len(self.test), self.setting.examples)]


def as_pictures(x: np.ndarray, levels: int) -> np.ndarray:
    """Whole numbers 0 to levels - 1 as float32 on [0, 1].

    Example:
        >>> as_pictures(np.array([0.0, 16.0]), 17).tolist()
        [0.0, 1.0]
    """
    return np.asarray(x, np.float32) / np.float32(levels - 1)
