"""Maximum mean discrepancy: how far two sets of points are apart, seen through a kernel."""

import jax
import jax.numpy as jnp

from jaxvae.arguments import arguments
from jaxvae.math.kernels import Kernel
from jaxvae.roles import floats, function

Array = jax.Array
POINTS, KERNEL = "one point a row, in a larger batch if need be", function("rbf_kernel()")


@arguments(x=floats("[N >= 2, ...]", POINTS), y=floats("[M >= 2, ...]", POINTS), kernel=KERNEL)
def mmd(x: Array, y: Array, kernel: Kernel) -> Array:
    r"""Squared maximum mean discrepancy, its unbiased estimate (a U-statistic).

    E k(x, x') + E k(y, y') - 2 E k(x, y), over pairs of different points

    Zero on average where both sets come from one distribution, so it is below zero half of the time.

    Args:
        x: [N, ...] independent draws, N >= 2.
        y: [M, ...] independent draws of the other distribution, M >= 2.
        kernel: (point, point) -> [], such as `rbf_kernel(1.0)`.

    Returns:
        [] in the unit of the kernel; a penalty gives it a weight in nats.

    Source: Gretton et al., 2012, A kernel two-sample test, JMLR 13, lemma 6; as a penalty on codes, Zhao, Song and
        Ermon, 2017, arXiv 1706.02262, and Tolstikhin et al., 2018, arXiv 1711.01558.

    Example:
        >>> from jaxvae.math.kernels import rbf_kernel
        >>> x, y = jnp.array([[0.0], [1.0]]), jnp.array([[5.0], [6.0]])
        >>> round(float(mmd(x, y, rbf_kernel(1.0))), 3)  # exp(-1/2) twice, and next to nothing across
        1.213
    """
    within = _off_diagonal_mean(_table(kernel, x, x)) + _off_diagonal_mean(_table(kernel, y, y))
    return within - 2.0 * _table(kernel, x, y).mean()


@arguments(x=floats("[N >= 1, ...]", POINTS), y=floats("[M >= 1, ...]", POINTS), kernel=KERNEL)
def mmd_biased(x: Array, y: Array, kernel: Kernel) -> Array:
    r"""Squared maximum mean discrepancy between the two empirical distributions (a V-statistic).

    E k(x, x') + E k(y, y') - 2 E k(x, y), over all pairs, each point with itself included

    Never negative, and zero where the sets are equal; too large by about (1 - E k) (1/N + 1/M) as an estimate.

    Args:
        x: [N, ...] draws, N >= 1.
        y: [M, ...] draws of the other distribution.
        kernel: (point, point) -> [], such as `rbf_kernel(1.0)`.

    Returns:
        [] in the unit of the kernel; a penalty gives it a weight in nats.

    Source: Gretton et al., 2012, A kernel two-sample test, JMLR 13, equation 5.

    Example:
        >>> from jaxvae.math.kernels import rbf_kernel
        >>> x = jnp.array([[0.0], [1.0]])
        >>> float(mmd_biased(x, x, rbf_kernel(1.0)))
        0.0
    """
    return _table(kernel, x, x).mean() + _table(kernel, y, y).mean() - 2.0 * _table(kernel, x, y).mean()


def _table(kernel: Kernel, x: Array, y: Array) -> Array:
    return jax.vmap(jax.vmap(kernel, (None, 0)), (0, None))(x, y)


def _off_diagonal_mean(table: Array) -> Array:
    """Masked, not subtracted: k(x, x) is the largest entry and would take the digits of the others with it."""
    size = table.shape[0]
    return jnp.sum(jnp.where(jnp.eye(size, dtype=bool), 0.0, table)) / (size * (size - 1))
