"""The row that a sequence network makes of the element before: of a number, or of one of so many levels."""

import jax
import jax.numpy as jnp

from jaxvae.checks import positive_integer
from jaxvae.networks.causal.taps import product

Array = jax.Array
start = jax.nn.initializers.lecun_normal(dtype=jnp.float32)
table = jax.nn.initializers.normal(0.02, jnp.float32)


def init_elements(key: Array, width: int, levels: int | None, patch: int = 1) -> Array:
    """[patch + 1, width] for numbers, which enter beside a one; [levels, width] for levels, a vector for each.

    Example:
        >>> init_elements(jax.random.key(0), 4, None).shape, init_elements(jax.random.key(0), 4, 17).shape
        ((2, 4), (17, 4))
    """
    return start(key, (patch + 1, width)) if levels is None else table(key, (levels, width))


def check_levels(levels: int | None) -> None:
    """Raises `ValueError` or `TypeError` for what is neither None nor a number of levels."""
    if levels is not None:
        positive_integer("levels", levels, 2)


def embedded(kernel: Array, before: Array, levels: int | None) -> Array:
    """Rows [n, width] of the elements before [n], or of the patches before [n, patch]; numbers on [-1, 1].

    Example:
        >>> embedded(jnp.array([[1.0], [0.5]]), jnp.array([-1.0, 1.0]), None).tolist()
        [[-0.5], [1.5]]
        >>> embedded(jnp.array([[5.0], [6.0], [7.0]]), jnp.array([-1.0, 0.0, 1.0]), 3).tolist()
        [[5.0], [6.0], [7.0]]
    """
    if levels is None:
        rows = before.reshape(len(before), -1)
        return product(jnp.concatenate([rows, jnp.ones_like(rows[:, :1])], -1), kernel)
    index = jnp.round((before.reshape(len(before)) + 1.0) / 2.0 * (levels - 1)).astype(jnp.int32)
    found: Array = jnp.asarray(kernel)[jnp.clip(index, 0, levels - 1)]
    return found


def rows_of(kernel: Array, u: Array, levels: int | None) -> Array:
    """The row [N, width] of every element or patch of u [N] or [N, patch]: that of the one before, of the first 0.

    Example:
        >>> rows_of(jnp.array([[1.0], [0.5]]), jnp.array([-1.0, 1.0]), None).tolist()
        [[0.0], [-0.5]]
    """
    return jnp.pad(embedded(kernel, u[:-1], levels), ((1, 0), (0, 0)))


def row_of(kernel: Array, before: Array, index: Array, levels: int | None) -> Array:
    """One of these rows [1, width], that stands at `index`, of the element [] or the patch [patch] before it.

    Example:
        >>> row_of(jnp.array([[1.0], [0.5]]), jnp.float32(-1.0), jnp.int32(1), None).tolist()
        [[-0.5]]
    """
    return jnp.where(index > 0, embedded(kernel, before[None], levels), 0.0)
