"""Work over many examples in batches of one size, shared by the devices: memory stays flat, one program serves all."""

import functools
from collections.abc import Callable
from typing import Any, cast

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxvae.checks import positive_integer
from jaxvae.data.rows import read_rows, stays
from jaxvae.models.contexts import count_examples

Array = jax.Array
Function = Callable[..., Any]


def map_batches(
    function: Function, *arrays: Any, batch_size: int, progress: Callable[[int], None] | None = None
) -> Any:
    """function(index [B], *arrays [B, ...]) over all N examples, joined; the last batch is filled up.

    A random function makes its keys as `fold_in(key, index)`, so that no number depends on the batching. On several
    devices each has B / D examples of every batch: all devices of this process, or the one of `jax.default_device`.

    Args:
        function: compiled by the caller; returns a tree of arrays [B, ...]. Parameters that lie on one device are its
            first arguments, bound by `functools.partial`: they are then copied to all.
        *arrays: [N, ...], at least one; each may be a tree of arrays, such as `Labelled(images, labels)`. Large files
            and `Rows` are read a batch at a time.
        batch_size: B, on all devices together; when N is smaller, B is N. It is rounded up to a multiple of D.
        progress: called with the number of examples done, before each batch and at the end.

    Returns:
        The tree with NumPy leaves [N, ...].

    Raises:
        ValueError: for empty arrays, arrays of different lengths, or a batch_size below 1.

    Example:
        >>> map_batches(lambda index, x: x + index, np.array([10, 20, 30]), batch_size=2).tolist()
        [10, 21, 32]
    """
    size = count_examples(arrays, "arrays")
    if size == 0:
        raise ValueError("there are 0 examples, expected at least one. Check the split and the path.")
    batch_size = min(positive_integer("batch_size", batch_size), size)
    function, batch_size = _on_all_devices(function, batch_size)
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


def _on_all_devices(function: Function, batch_size: int) -> tuple[Function, int]:
    """The function of batches that are laid over all devices, and their size; both as they are on one device."""
    devices, settings = jax.local_devices(), cast(Any, jax.config)  # whose names are not declared
    if len(devices) == 1 or settings.jax_default_device is not None:
        return function, batch_size
    mesh = jax.make_mesh((len(devices),), ("example",), axis_types=(AxisType.Auto,), devices=devices)
    shared, everywhere = NamedSharding(mesh, PartitionSpec("example")), NamedSharding(mesh, PartitionSpec())

    def copied(leaf: Any) -> Any:
        return jax.device_put(leaf, everywhere) if isinstance(leaf, jax.Array) else leaf

    if isinstance(function, functools.partial):
        function = functools.partial(function.func, *jax.tree.map(copied, function.args), **function.keywords)
    return lambda *batch: function(*jax.device_put(batch, shared)), batch_size + -batch_size % len(devices)
