"""What a loss says of the batch as a whole, where each of several devices holds a share of it.

The rule, for losses of the library and your own: a loss (params, keys [B], batch [B, ...], step) sees the examples of
its own device, and the devices' values, metrics and gradients are averaged. A mean over examples needs no more. For
all else, these functions keep one device equal to two, and change nothing on one:

    gathered(tree)          the rows of all devices, in their order: for a statistic of the batch
    shared_key(keys)        one key for all of them: a function of (run's key, step) alone
    shared_keys(key, size)  of it a key for each row of the whole batch, those of this device
    own_rows(rows)          of rows that all devices have alike those to work on, for a mean over them
    even_draws(key, size)   uniform draws for the rows of this device, those of the whole batch evenly spread

A piece of `micro_batches` is a batch of its own: it has draws of its own and gathers nothing, so that the pieces, too,
are the same on one device and on two.
"""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import jax

from jaxvae.models.records import Key, Params
from jaxvae.randomness import draws, with_keys
from jaxvae.training.engine.streams import SHARED

Array = jax.Array

# The mapped axis the batch is spread over while a loss is traced, as JAX knows its axis names while it traces.
_AXIS: ContextVar[str | None] = ContextVar("axis", default=None)


@contextlib.contextmanager
def spread_over(axis_name: str | None) -> Iterator[None]:
    """Within it, batches are shares of one that is spread over this mapped axis; None: they are whole."""
    token = _AXIS.set(axis_name)
    try:
        yield
    finally:
        _AXIS.reset(token)


def gathered(tree: Any) -> Any:
    """Every array [B, ...] of the tree with the rows of all devices, in the order of the whole batch.

    Example:
        >>> gathered({"z": jax.numpy.ones((4, 2))})["z"].shape  # one device, or a mesh, has them all
        (4, 2)
    """
    axis = _AXIS.get()
    if axis is None:
        return tree
    return jax.tree.map(lambda leaf: jax.lax.all_gather(leaf, axis, tiled=True), tree)


def shared_key(keys: Key, stream: int = SHARED) -> Key:
    """The key of what the whole batch shares, the same on every device: a function of (run's key, step) alone.

    Args:
        keys: [B] of the examples, as the loss is given them; that of the whole batch's first stands for the step.
        stream: a number of `streams`, so that two uses of one batch are independent.
    """
    return jax.random.fold_in(gathered(keys[:1])[0], stream)


def shared_keys(key: Key, size: int) -> Key:
    """Keys [size] for the rows of this device: row i of the whole batch has the same on any number of devices.

    Args:
        key: of `shared_key`, or split off it; it is consumed.
        size: rows of this device.
    """
    axis = _AXIS.get()
    return own_rows(jax.random.split(key, size if axis is None else size * jax.lax.axis_size(axis)))


def even_draws(key: Key, size: int) -> Array:
    """Draws [size] of [0, 1) for the rows of this device; each is uniform, and those of the whole batch are 1/B apart.

    Row i of B has (u + i / B) mod 1, with one uniform u: what is averaged over them is nearly integrated.

    Args:
        key: of `shared_key`; it is consumed.
        size: rows of this device.

    Source: Kingma et al., 2021, arXiv 2107.00630, appendix I.1.

    Example:
        >>> draws = even_draws(jax.random.key(0), 4)
        >>> jax.numpy.sort(jax.numpy.floor(4 * draws)).tolist()
        [0.0, 1.0, 2.0, 3.0]
    """
    axis = _AXIS.get()
    whole = size if axis is None else size * jax.lax.axis_size(axis)
    first = 0 if axis is None else jax.lax.axis_index(axis) * size
    return (jax.random.uniform(key) + (first + jax.numpy.arange(size)) / whole) % 1.0


def keyed(loss: Callable[..., Any]) -> Callable[..., Any]:
    """The loss, in whose parameters each network that draws has found a key of the batch, if not one of its own."""

    def with_a_key(params: Params, keys: Key, batch: Any, step: Array) -> Any:
        return loss(with_keys(params, shared_key(keys)) if draws(params) else params, keys, batch, step)

    return with_a_key


def own_rows(rows: Array) -> Array:
    """Of rows that every device has alike its own share, where they can be shared equally; else all of them.

    Either way the average over devices of the mean over them is the mean over all.
    """
    axis = _AXIS.get()
    if axis is None or rows.shape[0] % jax.lax.axis_size(axis):
        return rows
    share = rows.shape[0] // jax.lax.axis_size(axis)
    return jax.lax.dynamic_slice_in_dim(rows, jax.lax.axis_index(axis) * share, share)
