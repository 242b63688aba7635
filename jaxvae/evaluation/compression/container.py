"""The file of compressed images: what made it, what it was made by, the words, and a sum that tells damage."""

import hashlib
import json
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxvae.evaluation.compression.bits_back import Stream
from jaxvae.models.records import Params
from jaxvae.training.checkpoints import leaves

MAGIC, SUM, LONGEST = b"\x8ajaxvae1", 8, 2**16  # bytes of the sum at the end, and the most of a head


def pack(stream: Stream, made: Mapping[str, Any]) -> bytes:
    """A stream as the bytes of a file: mark, length of the head, head (JSON, deflated), words, SHA-256 cut to 8 bytes.

    Args:
        stream: of `compress`.
        made: strings and numbers that `unpack` returns: what a receiver must have, see `versions`.

    Example:
        >>> stream = Stream(np.array([1, 2], np.uint32), 1, 5, 12, 1)
        >>> again, made = unpack("a", pack(stream, {"model": "c0ffee"}))
        >>> again.words.tolist(), again[1:], made
        ([1, 2], (1, 5, 12, 1), {'model': 'c0ffee'})
    """
    head = zlib.compress(json.dumps({"stream": [int(n) for n in stream[1:]], "made": dict(made)}).encode(), 9)
    body = MAGIC + len(head).to_bytes(4, "little") + head + stream.words.astype("<u4").tobytes()
    return body + hashlib.sha256(body).digest()[:SUM]


def unpack(name: str, data: bytes) -> tuple[Stream, dict[str, Any]]:
    """The stream, and what was said of how it was made.

    Raises:
        ValueError: for what is no such file, or damaged.
    """
    if not data.startswith(MAGIC):
        raise ValueError(f"{name} is no file of compressed images, expected one that experiments.compress wrote.")
    body, told = data[:-SUM], data[-SUM:]
    if len(data) < len(MAGIC) + 4 + SUM or hashlib.sha256(body).digest()[:SUM] != told:
        raise ValueError(f"{name} is damaged or cut off: its sum is not that of its contents. Copy it again.")
    start = len(MAGIC) + 4
    end = start + int.from_bytes(data[len(MAGIC) : start], "little")
    try:
        head = json.loads(zlib.decompressobj().decompress(body[start:end], LONGEST))
        stream = Stream(np.frombuffer(body[end:], "<u4").astype(np.uint32), *map(int, head["stream"]))
        made = dict(head["made"])
    except (ValueError, TypeError, KeyError, zlib.error) as error:
        raise ValueError(
            f"{name} has a head that says nothing, expected that of compressed images ({error})."
        ) from error
    return stream, made


def params_digest(params: Params) -> str:
    """SHA-256 of the names, shapes and values of parameters.

    Example:
        >>> params_digest({"a": np.zeros(2)}) == params_digest({"a": np.zeros(3)})
        False
    """
    lines = [f"{path} {leaf.shape} {leaves.sha256(np.asarray(leaf))}" for path, leaf in leaves.flatten(params)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def versions() -> dict[str, str]:
    """What else decides the last digit of a probability: versions of libraries, the kind of machine, the device.

    Example:
        >>> sorted(versions())
        ['constriction', 'device', 'jax', 'jaxlib', 'jaxvae', 'machine', 'numpy', 'scipy']
    """
    import platform
    from importlib.metadata import version

    import jax

    import jaxvae

    names = ("constriction", "jax", "jaxlib", "numpy", "scipy")
    here = {"machine": platform.machine(), "device": jax.devices()[0].device_kind, "jaxvae": jaxvae.__version__}
    return here | {name: version(name) for name in names}


def check_made(name: str, made: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Compares what made a file with what is here: another digit of a probability spells other images.

    Raises:
        ValueError: naming the first that differs.

    Example:
        >>> check_made("a", {"jax": "1"}, {"jax": "2"})
        Traceback (most recent call last):
        ValueError: a was made with jax 1, and here is 2: what wrote it alone can read it.
    """
    for key, value in here.items():
        if made.get(key) != value:
            raise ValueError(
                f"{name} was made with {key} {made.get(key)}, and here is {value}: what wrote it alone can read it."
            )
