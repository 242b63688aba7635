"""The kernel distance (KID): the squared maximum mean discrepancy of features, without bias."""

import numpy as np

from jaxvae.checks import positive_integer
from jaxvae.evaluation.statistics import Jackknife, as_pair, from_replicates, in_blocks


def polynomial_kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(x . y / F + 1)^3 of every pair, [N, F] and [M, F] -> [N, M].

    Source: Binkowski et al., 2018, arXiv 1801.01401.

    Example:
        >>> polynomial_kernel(np.array([[1.0, 1.0]]), np.array([[1.0, 1.0], [0.0, 0.0]])).tolist()
        [[8.0, 1.0]]
    """
    return (a @ b.T / a.shape[1] + 1) ** 3


def kernel_distance(generated: np.ndarray, reference: np.ndarray, *, blocks: int = 10) -> Jackknife:
    r"""mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean_{i, j} k(x_i, y_j), k the polynomial kernel.

    Its expectation is the squared MMD whatever the sample sizes, so that it may fall below 0, and does so half of the
    time where both sets have one distribution. The standard error leaves out one block after the other.

    Args:
        generated: [N, F] features x.
        reference: [M, F] features y.
        blocks: of the standard error, each of at least two samples of either set.

    Returns:
        `Jackknife`, whose bias is 0 but for rounding.

    Common code averages this over random subsets of 1,000; all pairs at once have less noise and the same mean.

    Source: Binkowski et al., 2018, arXiv 1801.01401; Gretton et al., 2012, A kernel two-sample test, lemma 6.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(200, 4))
        >>> found = kernel_distance(x[:100] + 1, x[100:])
        >>> found.value > 4 * found.standard_error
        True
    """
    blocks = positive_integer("blocks", blocks, 2)
    x, y = as_pair(generated, reference, at_least=2 * blocks)
    # Sums of the kernel over every pair of blocks are all that leaving one out needs.
    xs, ys = ([part[in_blocks(len(part), blocks) == block] for block in range(blocks)] for part in (x, y))
    within_x, within_y = _within(xs), _within(ys)
    between = np.array([[polynomial_kernel(a, b).sum() for b in ys] for a in xs])
    counts_x, counts_y = (np.array([len(part) for part in parts]) for parts in (xs, ys))

    def distance(kept: np.ndarray) -> float:
        n, m = counts_x[kept].sum(), counts_y[kept].sum()
        pairs = np.ix_(kept, kept)
        inside = within_x[pairs].sum() / (n * (n - 1)) + within_y[pairs].sum() / (m * (m - 1))
        return float(inside - 2 * between[pairs].sum() / (n * m))

    everything = np.arange(blocks)
    replicates = [distance(np.delete(everything, block)) for block in everything]
    return from_replicates(distance(everything), np.array(replicates))


def _within(parts: list[np.ndarray]) -> np.ndarray:
    """[B, B] sums of the kernel over pairs of two blocks, a sample never with itself."""
    sums = np.zeros((len(parts), len(parts)))
    for i, a in enumerate(parts):
        for j in range(i + 1):
            kernel = polynomial_kernel(a, parts[j])
            sums[i, j] = sums[j, i] = kernel.sum() - (np.trace(kernel) if i == j else 0.0)
    return sums
