"""A real code cut into buckets, so that it can be coded: 2^bits of them for each latent, of equal mass under N(m, s^2).

Narrow buckets cost nothing: what a finer bucket adds to the code of z under the prior, the posterior gives back.
"""

from typing import NamedTuple

import numpy as np

from jaxvae.evaluation.compression.grids import Grid
from jaxvae.evaluation.compression.stack import Stack


class Buckets(NamedTuple):
    """The buckets of Z latents: bucket k of latent j lies between the quantiles k / K and (k + 1) / K of N(m_j, s_j^2).

    A bucket is coded in two steps, first the block of about sqrt(K) buckets that it lies in. The coder rounds every
    probability up to 2^-24 at least: of all K at once, K 2^-24 of the draws would lie where the posterior has no mass.

    Attributes:
        mean, std: [Z] float64.
        bits: log2 K, at least 2.

    Source: Townsend, Bird and Barber, 2019, arXiv 1901.04866, section 2.5.1; the two steps are ours.

    Example:
        >>> buckets = Buckets(np.zeros(1), np.ones(1), 2)
        >>> [round(float(z), 4) for z in buckets.codes(np.arange(4)[:, None])[:, 0]]
        [-1.1503, -0.3186, 0.3186, 1.1503]
        >>> stack, standard = Stack(np.arange(9, dtype=np.uint32)), np.zeros((5, 1))
        >>> k = buckets.pop(stack, standard, standard)  # a draw of N(0, 1)
        >>> buckets.push(stack, k, standard, standard)
        >>> stack.words().tolist()
        [0, 1, 2, 3, 4, 5, 6, 7, 8]
    """

    mean: np.ndarray
    std: np.ndarray
    bits: int

    @property
    def number(self) -> int:
        """K."""
        return int(2**self.bits)

    @property
    def block(self) -> int:
        """Buckets in a block."""
        return int(2 ** (self.bits // 2))

    def codes(self, k: np.ndarray) -> np.ndarray:
        """The median of each bucket [N, Z], float32: what the decoder is given for z."""
        from scipy.special import ndtri

        return np.asarray(self.mean + self.std * ndtri((k + 0.5) / self.number), np.float32)

    def pop(self, stack: Stack, mean: np.ndarray, log_var: np.ndarray) -> np.ndarray:
        """The buckets [N, Z] that were pushed under N(mean, exp(log_var)) [N, Z], or a draw from it."""
        return self._grid(len(mean)).pop(stack, mean.ravel(), np.exp(0.5 * log_var).ravel()).reshape(mean.shape)

    def push(self, stack: Stack, k: np.ndarray, mean: np.ndarray, log_var: np.ndarray) -> None:
        """Puts buckets [N, Z] back under N(mean, exp(log_var)) [N, Z]."""
        self._grid(len(mean)).push(stack, k.ravel(), mean.ravel(), np.exp(0.5 * log_var).ravel())

    def _grid(self, count: int) -> Grid:
        """The same buckets for so many codes, all their latents in one row."""
        from scipy.special import ndtri

        mean, std = np.tile(self.mean, count)[:, None], np.tile(self.std, count)[:, None]
        return Grid((self.number // self.block, self.block), lambda k: mean + std * ndtri(k / self.number))
