"""Real numbers on a grid as symbols: an index coded digit by digit, each digit by the mass that a normal gives it.

The coder rounds every probability up to 2^-24 at least, so that no step may have too many symbols, most of them empty.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jaxvae.evaluation.compression.stack import Stack

LEAST = 1e-30  # of a mass: where all are 0 in float64, as far off the mean, all are alike


class Grid(NamedTuple):
    """Cells k = 0 .. K-1 of the real line, cell k between border(k) and border(k + 1).

    Attributes:
        sizes: of the digits of k, the most significant first; their product is K.
        border: indices 0 .. K [n, m] -> real numbers [n, m], ascending along m.

    Example:
        >>> grid, stack = Grid((2, 8), lambda k: k / 8.0 - 1.0), Stack(np.arange(1, 9, dtype=np.uint32))
        >>> k = grid.pop(stack, np.zeros(3), np.full(3, 0.1))  # draws of N(0, 0.1^2)
        >>> grid.push(stack, k, np.zeros(3), np.full(3, 0.1))
        >>> stack.words().tolist()
        [1, 2, 3, 4, 5, 6, 7, 8]
    """

    sizes: tuple[int, ...]
    border: Callable[[np.ndarray], np.ndarray]

    def pop(self, stack: Stack, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
        """The cells [n] that were pushed under N(mean, std^2) [n], or a draw from it."""
        found = np.zeros(mean.shape, np.int64)
        for place in range(len(self.sizes)):
            found = found * self.sizes[place] + stack.pop(self._masses(place, found, mean, std))
        return found

    def push(self, stack: Stack, k: np.ndarray, mean: np.ndarray, std: np.ndarray) -> None:
        """Puts cells [n] back under N(mean, std^2) [n]."""
        for place in reversed(range(len(self.sizes))):
            k, digit = np.divmod(k, self.sizes[place])
            stack.push(digit, self._masses(place, k, mean, std))

    def _masses(self, place: int, before: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
        """How much of N(mean, std^2) each digit holds at a place, given the digits before it: [n, size]."""
        size, below = self.sizes[place], math.prod(self.sizes[place + 1 :])
        edges = (before[:, None] * size + np.arange(size + 1)) * below
        return normal_masses(self.border(edges), mean, std)


def normal_masses(borders: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """How much of N(mean, std^2) [n] lies between neighbouring borders [n, m + 1]: [n, m], exact in both tails.

    Example:
        >>> normal_masses(np.array([[-np.inf, 0.0, 9.0, np.inf]]), np.zeros(1), np.ones(1)).tolist()
        [[0.5, 0.5, 1.1285884059538324e-19]]
    """
    from scipy.special import ndtr

    z = (borders - mean[:, None]) / std[:, None]
    low, high = z[:, :-1], z[:, 1:]
    turned = low > 0.0  # from the nearer end, where float64 has digits
    found: Any = ndtr(np.where(turned, -low, high)) - ndtr(np.where(turned, -high, low))
    return np.maximum(found, LEAST)
