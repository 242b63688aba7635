"""Maximum mean discrepancy: how far two sets of points are apart, seen through a kernel."""

import jax
import jax.numpy as jnp

from jaxvae.checks import as_float, as_function
from jaxvae.math.kernels import Kernel

Array = jax.Array


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

    Raises:
        ValueError: for fewer than two points on a side, or points of different shapes.
        TypeError: on integer inputs.

    Source: Gretton et al., 2012, A kernel two-sample test, JMLR 13, lemma 6; as a penalty on codes, Zhao, Song and
        Ermon, 2017, arXiv 1706.02262, and Tolstikhin et al., 2018, arXiv 1711.01558.

    Example:
        >>> from jaxvae.math.kernels import rbf_kernel
        >>> x, y = jnp.array([[0.0], [1.0]]), jnp.array([[5.0], [6.0]])
        >>> round(float(mmd(x, y, rbf_kernel(1.0))), 3)  # exp(-1/2) twice, and next to nothing across
        1.213
    """
    x, y = _points(x, y, 2)
    within = _off_diagonal_mean(_table(kernel, x, x)) + _off_diagonal_mean(_table(kernel, y, y))
    return within - 2.0 * _table(kernel, x, y).mean()


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

    Raises:
        ValueError: for no points on a side, or points of different shapes.
        TypeError: on integer inputs.

    Source: Gretton et al., 2012, A kernel two-sample test, JMLR 13, equation 5.

    Example:
        >>> from jaxvae.math.kernels import rbf_kernel
        >>> x = jnp.array([[0.0], [1.0]])
        >>> float(mmd_biased(x, x, rbf_kernel(1.0)))
        0.0
    """
    x, y = _points(x, y, 1)
    return _table(kernel, x, x).mean() + _table(kernel, y, y).mean() - 2.0 * _table(kernel, x, y).mean()


def _table(kernel: Kernel, x: Array, y: Array) -> Array:
    as_function("kernel", kernel, "rbf_kernel()")
    return jax.vmap(jax.vmap(kernel, (None, 0)), (0, None))(x, y)


def _off_diagonal_mean(table: Array) -> Array:
    """Masked, not subtracted: k(x, x) is the largest entry and would take the digits of the others with it."""
    size = table.shape[0]
    return jnp.sum(jnp.where(jnp.eye(size, dtype=bool), 0.0, table)) / (size * (size - 1))


def _points(x: Array, y: Array, least: int) -> tuple[Array, Array]:
    x, y = as_float("x", x), as_float("y", y)
    for name, points in (("x", x), ("y", y)):
        if points.ndim == 0 or points.shape[0] < least:
            raise ValueError(
                f"{name} has shape {points.shape}, expected [N, ...] with at least {least} points, one a row. "
                f"Use a larger batch."
            )
    if x.shape[1:] != y.shape[1:]:
        raise ValueError(f"y has points of shape {y.shape[1:]}, expected {x.shape[1:]}, the shape of those of x.")
    return x, y
