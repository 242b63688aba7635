"""How data and states come to the devices: whole, as copies, or in shares of each batch."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec, Sharding

from jaxvae.checks import fits
from jaxvae.training.engine.state import TrainState
from jaxvae.training.jobs.processes import everywhere

Array = jax.Array
Place = Callable[[Any], Any]


def placed_on(where: Sharding) -> Place:
    """Brings a tree of arrays there, to the devices of other processes too, which `device_put` does not reach."""
    if isinstance(where, NamedSharding) and not where.is_fully_addressable:
        return _checked(functools.partial(everywhere, where=where))
    return _checked(functools.partial(jax.device_put, device=where))


def copies(shared: NamedSharding) -> Place:
    """[devices, N, ...] of [N, ...], one whole copy on each, so that no call moves an image."""

    def copy_to_each(images: np.ndarray) -> Array:
        shape = (shared.mesh.size, *images.shape)
        return jax.make_array_from_callback(shape, shared, lambda index: images[None])

    return _checked(functools.partial(jax.tree.map, copy_to_each))


def block_on(where: Sharding) -> Place:
    """(rows [S * B, ...], order [S, B]) of a block [S, B, ...] of batches that the host gathered."""
    place = placed_on(where)

    def put(block: Any) -> Any:
        steps, batch = jax.tree.leaves(block)[0].shape[:2]
        rows = jax.tree.map(lambda leaf: leaf.reshape(steps * batch, *leaf.shape[2:]), block)
        return place(rows), place(_in_order(steps, batch))

    return put


def shares_of_processes(shared: NamedSharding) -> tuple[np.ndarray, Place]:
    """(which of the devices, in the order of their shares, are of this process; how it brings its share of a block).

    The share is [S, B * own devices / devices, ...], one device after the other; the rows [S * B, ...] that all the
    processes make of theirs lie device by device, and the order [S, B] counts within the rows of each.
    """
    devices = [*shared.mesh.devices.flat]
    own = np.array([at for at, device in enumerate(devices) if device.process_index == jax.process_index()])

    def put(block: Any) -> Any:
        steps, batch = jax.tree.leaves(block)[0].shape[:2]
        each = batch // len(own)

        def spread(leaf: np.ndarray) -> Array:
            apart = np.moveaxis(leaf.reshape(steps, len(own), each, *leaf.shape[2:]), 1, 0)
            rows = apart.reshape(len(own), steps * each, *leaf.shape[2:])
            at = {int(device): row for device, row in zip(own, rows, strict=True)}
            shape = (len(devices) * steps * each, *leaf.shape[2:])

            def rows_of(index: Any) -> np.ndarray:
                return at[(index[0].start or 0) // (steps * each)]

            return jax.make_array_from_callback(shape, shared, rows_of)

        order = np.tile(_in_order(steps, each), (1, len(devices)))
        place = placed_on(NamedSharding(shared.mesh, PartitionSpec()))
        return _checked(functools.partial(jax.tree.map, spread))(block), place(order)

    return own, put


def shares(shared: NamedSharding) -> Place:
    """The same with an axis of devices, each of which has its own share of every batch."""
    devices, copy = shared.mesh.size, copies(shared)

    def put(block: Any) -> Any:
        steps, batch = jax.tree.leaves(block)[0].shape[:2]

        def share_of_each(leaf: np.ndarray) -> Array:
            apart = np.moveaxis(leaf.reshape(steps, devices, batch // devices, *leaf.shape[2:]), 1, 0)
            return jax.device_put(apart.reshape(devices, -1, *leaf.shape[2:]), shared)

        return _checked(functools.partial(jax.tree.map, share_of_each))(block), copy(_in_order(steps, batch // devices))

    return put


def _in_order(steps: int, batch: int) -> np.ndarray:
    return np.arange(steps * batch, dtype=np.int32).reshape(steps, batch)


def _checked(put: Place) -> Place:
    """Refuses integers of 64 bits that a device would keep as others, of 32, and then puts all there."""

    def place(images: Any) -> Any:
        for path, leaf in jax.tree.leaves_with_path(images):
            fits("images" + jax.tree_util.keystr(path), leaf)
        return put(images)

    return place


def copied_to(where: Sharding) -> Callable[[TrainState], TrainState]:
    """Copies a state, never an alias: `run` donates what it is given, and the caller's state must survive."""
    if isinstance(where, NamedSharding) and not where.is_fully_addressable:
        return functools.partial(everywhere, where=where)
    copy = jax.jit(lambda state: jax.tree.map(jnp.copy, state), out_shardings=where)
    return lambda state: copy(jax.device_put(state, where))
