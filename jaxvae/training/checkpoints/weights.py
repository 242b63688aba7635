"""Parameters alone, in the safetensors format that other programs read: no code in the file, nothing to execute."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxvae.files import make_folder, read_bytes, whole_file
from jaxvae.training.checkpoints import leaves

DTYPES: dict[str, Any] = {
    "BOOL": np.bool_,
    "I8": np.int8,
    "I16": np.int16,
    "I32": np.int32,
    "I64": np.int64,
    "U8": np.uint8,
    "U16": np.uint16,
    "U32": np.uint32,
    "U64": np.uint64,
    "BF16": jnp.bfloat16,
    "F16": np.float16,
    "F32": np.float32,
    "F64": np.float64,
}


def save_weights(path: str | Path, params: Mapping[str, Any]) -> Path:
    """Writes nested dicts of arrays as safetensors, named "encoder/Dense_0/kernel", and returns the path.

    The file appears whole or not at all, and replaces one of the same name. It carries a SHA-256 of its contents.

    Raises:
        ValueError: a key that is empty or has a "/" or a ".", an empty dict, an array that is split over processes.
        TypeError: a node that is no dict, a leaf that is no array, a complex or a typed-key leaf.
        OSError: the file cannot be written; names the path and a remedy, on a full disk the bytes needed and free.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = save_weights(folder + "/a.safetensors", {"decoder": {"bias": np.zeros(2, np.float32)}})
        ...     load_weights(path)
        {'decoder': {'bias': array([0., 0.], dtype=float32)}}
    """
    from safetensors.numpy import save

    path = Path(os.path.abspath(path))
    data = _flat(params, "")
    # One note alone: safetensors writes several in random order, and equal weights should be equal files.
    text = save(data, metadata={"sha256": _digest(data)})
    make_folder(path.parent)
    with whole_file(path, needed=len(text)) as file:
        file.write(text)
    return path


def load_weights(path: str | Path) -> dict[str, Any]:
    """Reads what `save_weights` wrote: nested dicts of NumPy arrays.

    A file of another program is read too, if its names can be told apart; it has no SHA-256 to compare.

    Raises:
        FileNotFoundError: no such file. ValueError: damaged, or names that `save_weights` would refuse.
    """
    from safetensors import SafetensorError, deserialize

    path = Path(path)
    text = read_bytes(path)
    try:
        found = deserialize(text)
        notes = json.loads(text[8 : 8 + int.from_bytes(text[:8], "little")]).get("__metadata__") or {}
        data = {name: np.frombuffer(t["data"], DTYPES[t["dtype"]]).reshape(t["shape"]) for name, t in found}
    except (SafetensorError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is not a whole safetensors file ({error}). Copy it again, or write it again with save_weights."
        ) from error
    if "sha256" in notes and notes["sha256"] != _digest(data):
        raise ValueError(f"{path} is damaged: its SHA-256 is not that of its contents. Copy or write it again.")
    return _nested(path, data)


def _flat(node: Any, prefix: str) -> dict[str, np.ndarray]:
    if not isinstance(node, Mapping):
        leaf = leaves.describe(prefix, node)
        if leaf.dtype not in {str(np.dtype(dtype)) for dtype in DTYPES.values()}:
            raise TypeError(f"{prefix} is {leaf}, expected a real array. Save keys and optimizer state with save.")
        return {prefix: np.asarray(leaves.to_host(prefix, node), order="C")}
    if not node:
        raise ValueError(f"{prefix or 'params'} is an empty dict, which the file cannot hold. Leave it out.")
    flat: dict[str, np.ndarray] = {}
    for key, below in node.items():
        if not _is_name(key):
            raise ValueError(
                f"{prefix or 'params'} has the key {key!r}, expected text without '/' and '.': they join the names of "
                f"the nested dicts. Rename it."
            )
        flat |= _flat(below, f"{prefix}/{key}" if prefix else key)
    return flat


def _nested(path: Path, data: Mapping[str, np.ndarray]) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for name, array in sorted(data.items()):  # "a" comes before "a/b": the second of two that collide is named
        *above, last = name.split("/")
        node = params
        for key in above:
            node = node.setdefault(key, {}) if isinstance(node, dict) else node
        if not isinstance(node, dict) or not all(map(_is_name, [*above, last])):
            raise ValueError(
                f"{path} has the name {name!r}, expected text such as 'encoder/kernel', none inside another."
            )
        node[last] = array
    return params


def _is_name(key: Any) -> bool:
    return type(key) is str and key not in ("", "__metadata__") and "/" not in key and "." not in key


def _digest(data: Mapping[str, np.ndarray]) -> str:
    lines = [f"{name!r} {a.dtype} {a.shape} {leaves.sha256(a)}" for name, a in sorted(data.items())]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
