"""Positive definite kernels of two points, smooth everywhere, at equal points too."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from jaxvae.arguments import arguments
from jaxvae.roles import floats, positive, some

Array = jax.Array
Kernel = Callable[[Array, Array], Array]
FACTORS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # of the WAE paper's code: one scale is never right for long


@arguments(x=floats(), y=floats(like="x"))
def squared_distance(x: Array, y: Array) -> Array:
    r"""Squared Euclidean distance: sum((x - y)^2).

    It is summed from the differences: |x|^2 + |y|^2 - 2 x.y loses every digit where the points are close. Kernels are
    functions of the square, since the derivative of a distance is not defined where it is 0.

    Args:
        x: [...] one point.
        y: the shape of x.

    Returns:
        [] in the square of the unit of x, float32 at least.

    Example:
        >>> float(squared_distance(jnp.array([3.0, 4.0]), jnp.zeros(2)))
        25.0
    """
    return jnp.sum((x - y) ** 2)


@arguments(length_scale=positive())
def rbf_kernel(length_scale: float = 1.0) -> Kernel:
    r"""The Gaussian kernel k(x, y) = exp(-|x - y|^2 / (2 length_scale^2)).

    Args:
        length_scale: in the unit of x, above 0. For codes of a standard normal prior, about sqrt(Z).

    Returns:
        k(x [...], y [...]) -> [] in [0, 1].

    Source: Gretton et al., 2012, A kernel two-sample test, JMLR 13.

    Example:
        >>> round(float(rbf_kernel(2.0)(jnp.array([2.0, 0.0]), jnp.zeros(2))), 4)  # exp(-1/2)
        0.6065
    """
    return lambda x, y: jnp.exp(-squared_distance(x, y) / (2.0 * length_scale**2))


@arguments(scale=positive(), factors=some(positive(), such_as="(1.0,)"))
def inverse_multiquadric_kernel(scale: float, factors: Sequence[float] = FACTORS) -> Kernel:
    r"""A mean of kernels k(x, y) = C / (C + |x - y|^2), with C = scale * factor for each factor.

    Its tails are heavy: codes far from all others still feel a pull, where the Gaussian kernel has forgotten them.

    Args:
        scale: in the square of the unit of x, above 0. For codes of a prior N(0, s^2 I), 2 Z s^2, the mean squared
            distance between two of its draws.
        factors: one or more multiples of it, each above 0.

    Returns:
        k(x [...], y [...]) -> [] in [0, 1].

    Source: Tolstikhin et al., 2018, arXiv 1711.01558, section 4; there the kernels are added, here they are averaged,
        so that the largest value is 1 whatever their number.

    Example:
        >>> round(float(inverse_multiquadric_kernel(1.0, (1.0, 3.0))(jnp.ones(1), jnp.zeros(1))), 4)
        0.625
    """

    def kernel(x: Array, y: Array) -> Array:
        square = squared_distance(x, y)
        return jnp.stack([1.0 / (1.0 + square / (scale * factor)) for factor in factors]).mean()

    return kernel
