"""Where training examples lie while they are trained on: on the device, or on the host and read ahead."""

from typing import Any, Literal, NamedTuple

import jax

from jaxvae.data.rows import mapped_file, stays
from jaxvae.training.engine.state import memory_bytes

Resident = Literal["auto", "always", "never"]
SHARE = 4  # auto: data may take one part in so many of the memory; the rest is for what is computed


class Residence(NamedTuple):
    """Whether the examples are brought to the device, and why, in a sentence."""

    resident: bool
    why: str


def residence(asked: Resident, examples: Any, devices: int = 1) -> Residence:
    """Chooses by size: auto brings examples to the device that take at most a quarter of its memory.

    On a CPU the memory is that of the machine, in which each of several devices has a copy of its own.

    Args:
        asked: "auto", "always" or "never".
        examples: a tree of arrays [N, ...], as `train` takes them.
        devices: how many share a batch.

    Raises:
        ValueError: for examples that no memory here could hold, where they are always to be there.

    Example:
        >>> import numpy as np
        >>> residence("never", np.zeros((10, 100), np.uint8))
        Residence(resident=False, why='Data: 1 kB, left on the host and read ahead, as asked.')
    """
    leaves = jax.tree.leaves(examples)
    size = sum(leaf.nbytes for leaf in leaves)
    copies = devices if jax.default_backend() == "cpu" else 1
    memory, taken = memory_bytes(), size * copies
    data = f"Data: {shown(size)}" + (f" for each of {copies} devices" if copies > 1 else "")
    place = "in a file" if any(stays(leaf) or mapped_file(leaf) is not None for leaf in leaves) else "on the host"
    if asked == "never":
        return Residence(False, f"{data}, left {place} and read ahead, as asked.")
    if memory is None or taken <= memory / (SHARE if asked == "auto" else 1):
        of = "" if memory is None else f", of whose {shown(memory)} they may take a quarter"
        return Residence(True, f"{data}, on the device{of if asked == 'auto' else ', as asked'}.")
    if asked == "always":
        raise ValueError(
            f"data.resident is 'always', but the training examples take {shown(taken)}, expected at most the "
            f"{shown(memory)} of memory here. Set --data.resident auto (resident='auto'): they are then read ahead, a "
            f"block at a time."
        )
    more = f"more than a quarter of the device's {shown(memory)}"
    return Residence(False, f"{data}, {more}: left {place}, and read ahead a block at a time.")


def shown(size: float) -> str:
    """Bytes in words.

    Example:
        >>> shown(47_040_000), shown(21.5e9), shown(12)
        ('47 MB', '21.5 GB', '12 bytes')
    """
    if size < 1000:
        return f"{size:.0f} bytes"
    if size < 1e6:
        return f"{size / 1e3:.0f} kB"
    return f"{size / 1e6:.0f} MB" if size < 1e9 else f"{size / 1e9:.1f} GB"
