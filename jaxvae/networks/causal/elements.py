"""The row that a sequence network makes of the element before: of a number, or of one of so many levels."""

import jax
import jax.numpy as jnp

from jaxvae.checks import positive_integer
from jaxvae.networks.causal.taps import product

Array = jax.Array
start = jax.nn.initializers.lecun_normal(dtype=jnp.float32)
table = jax.nn.initializers.normal(0.02, jnp.float32)


def init_elements(key: Array, width: int, levels: int | None) -> Array:
    """[2, width] for numbers, which enter beside a one; [levels, width] for levels, each with a vector of its own.

    Example:
        >>> init_elements(jax.random.key(0), 4, None).shape, init_elements(jax.random.key(0), 4, 17).shape
        ((2, 4), (17, 4))
    """
    return start(key, (2, width)) if levels is None else table(key, (levels, width))


def check_levels(levels: int | None) -> None:
    """Raises `ValueError` or `TypeError` for what is neither None nor a number of levels."""
    if levels is not None:
        positive_integer("levels", levels, 2)


def embedded(kernel: Array, before: Array, levels: int | None) -> Array:
    """Rows [n, width] of the elements before [n], numbers on [-1, 1].

    Example:
        >>> embedded(jnp.array([[1.0], [0.5]]), jnp.array([-1.0, 1.0]), None).tolist()
        [[-0.5], [1.5]]
        >>> embedded(jnp.array([[5.0], [6.0], [7.0]]), jnp.array([-1.0, 0.0, 1.0]), 3).tolist()
        [[5.0], [6.0], [7.0]]
    """
    if levels is None:
        return product(jnp.stack([before, jnp.ones_like(before)], -1), kernel)
    index = jnp.round((before + 1.0) / 2.0 * (levels - 1)).astype(jnp.int32)
    found: Array = jnp.asarray(kernel)[jnp.clip(index, 0, levels - 1)]
    return found


def rows_of(kernel: Array, u: Array, levels: int | None) -> Array:
    """The row [N, width] of every element: that of the element before it, and of the first one 0.

    Example:
        >>> rows_of(jnp.array([[1.0], [0.5]]), jnp.array([-1.0, 1.0]), None).tolist()
        [[0.0], [-0.5]]
    """
    return jnp.pad(embedded(kernel, u.reshape(-1)[:-1], levels), ((1, 0), (0, 0)))


def row_of(kernel: Array, before: Array, index: Array, levels: int | None) -> Array:
    """One of these rows [1, width], of the element before [] that stands at `index`.

    Example:
        >>> row_of(jnp.array([[1.0], [0.5]]), jnp.float32(-1.0), jnp.int32(1), None).tolist()
        [[-0.5]]
    """
    return jnp.where(index > 0, embedded(kernel, before[None], levels), 0.0)
