"""The neighbours of a pixel that come before it, side by side: a causal convolution is one matrix product of them.

What lies outside the picture is 0. Masked taps cost nothing, since they are never gathered.
"""

import jax
import jax.numpy as jnp

from jaxvae.networks.rows import matmul_rows

Array = jax.Array


def above_taps(block: Array, rows: int, reach: int) -> Array:
    """block [H + rows - 1, W, F] -> [H, W, rows (2 reach + 1) F]: `rows` rows, and `reach` columns to either side.

    Example:
        >>> above_taps(jnp.arange(6.0).reshape(3, 2, 1), 2, 1)[0, 0].tolist()
        [0.0, 0.0, 1.0, 0.0, 2.0, 3.0]
    """
    height, width = block.shape[0] - rows + 1, block.shape[1]
    padded = jnp.pad(block, ((0, 0), (reach, reach), (0, 0)))
    taps = [padded[r : r + height, c : c + width] for r in range(rows) for c in range(2 * reach + 1)]
    return jnp.concatenate(taps, axis=-1)


def left_taps(block: Array, columns: int) -> Array:
    """block [H, W + columns - 1, F] -> [H, W, columns F]: `columns` columns of the row.

    Example:
        >>> left_taps(jnp.arange(3.0).reshape(1, 3, 1), 2).tolist()
        [[[0.0, 1.0], [1.0, 2.0]]]
    """
    width = block.shape[1] - columns + 1
    return jnp.concatenate([block[:, c : c + width] for c in range(columns)], axis=-1)


def product(x: Array, kernel: Array) -> Array:
    """x [..., I] @ kernel [I, O] -> [..., O].

    Example:
        >>> product(jnp.ones((2, 3, 4)), jnp.ones((4, 5))).shape
        (2, 3, 5)
    """
    return matmul_rows(x.reshape(-1, x.shape[-1]), kernel).reshape(*x.shape[:-1], kernel.shape[1])
