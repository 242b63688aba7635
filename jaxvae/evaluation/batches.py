"""Work over many examples in batches of one size: memory stays flat and one compiled program serves all."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxvae.checks import positive_integer
from jaxvae.data.rows import read_rows, stays
from jaxvae.models.contexts import count_examples

Array = jax.Array


def map_batches(
    function: Callable[..., Any], *arrays: Any, batch_size: int, progress: Callable[[int], None] | None = None
) -> Any:
    """function(index [B], *arrays [B, ...]) over all N examples, joined; the last batch is filled up.

    A random function makes its keys as `fold_in(key, index)`, so that no number depends on the batching.

    Args:
        function: compiled by the caller; returns a tree of arrays [B, ...].
        *arrays: [N, ...], at least one; each may be a tree of arrays, such as `Labelled(images, labels)`. Large files
            and `Rows` are read a batch at a time.
        batch_size: B; when N is smaller, B is N.
        progress: called with the number of examples done, before each batch and at the end.

    Returns:
        The tree with NumPy leaves [N, ...].

    Raises:
        ValueError: for empty arrays, arrays of different lengths, or a batch_size below 1.

    Example:
        >>> map_batches(lambda index, x: x + index, np.array([10, 20, 30]), batch_size=2)
        array([10, 21, 32])
    """
    size = count_examples(arrays, "arrays")
    if size == 0:
        raise ValueError("there are 0 examples, expected at least one. Check the split and the path.")
    batch_size = min(positive_integer("batch_size", batch_size), size)
    host, parts = jax.tree.map(lambda leaf: leaf if stays(leaf) else np.asarray(leaf), arrays), []
    for start in range(0, size, batch_size):
        if progress is not None:
            progress(start)
        index = np.minimum(np.arange(start, start + batch_size), size - 1)
        result = jax.device_get(function(index, *jax.tree.map(lambda leaf, rows=index: read_rows(leaf, rows), host)))
        parts.append(jax.tree.map(lambda leaf, kept=size - start: leaf[:kept], result))
    if progress is not None:
        progress(size)
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
