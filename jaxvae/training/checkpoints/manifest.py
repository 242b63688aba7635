"""What a checkpoint must hold, to the bit: a small JSON file beside the arrays, compared before anything is parsed.

The manifest lists every file (bytes, SHA-256) and every leaf (path, shape, dtype, SHA-256), and carries the SHA-256 of
its own text. A hostile folder can forge all of it, so nothing in it is ever used as a path to open or a size to
allocate: files are found by walking the folder, shapes come from the caller, and the manifest is only compared.
"""

import hashlib
import importlib.metadata
import json
import stat
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jaxvae
from jaxvae.training.checkpoints import files
from jaxvae.training.checkpoints.files import Damaged
from jaxvae.training.checkpoints.leaves import Leaf

NAME = "manifest.json"
ARRAYS = "arrays"
FORMAT = 1
LARGEST = 4 << 20  # bytes, some 15,000 leaves; as Python objects it can grow by 25
PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
FIELDS = {"format": int, "jaxvae": str, "packages": dict, "step": int, "metadata": dict, "leaves": list}
FIELDS["files"] = list


@cache
def versions() -> dict[str, str]:
    """The installed version of every package that has a hand in a checkpoint."""
    return {name: importlib.metadata.version(name) for name in PACKAGES}


def check_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """A copy as JSON returns it (tuples become lists); raises `TypeError` or `ValueError` for what JSON cannot hold."""
    if not isinstance(metadata, Mapping):
        raise TypeError(f"metadata is {metadata!r:.80} ({type(metadata).__name__}), expected a dict of JSON values.")
    advice = "Use text, finite numbers, bools, None, lists, and dicts whose keys are text."
    try:
        _check_names(metadata)
        return json.loads(json.dumps(dict(metadata), allow_nan=False))
    except TypeError as error:
        raise TypeError(f"metadata cannot be written as JSON: {error}. {advice}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"metadata cannot be written as JSON: {error}. {advice}") from error


def render(body: Mapping[str, Any]) -> str:
    """The text of a manifest: the body, then the SHA-256 of the body."""
    return json.dumps({**body, "sha256": hashlib.sha256(json.dumps(body).encode()).hexdigest()}, indent=1) + "\n"


def compose(arrays: Path, step: int, metadata: Mapping[str, Any], leaves: Iterable[tuple[Leaf, str]]) -> str:
    """The manifest of every file that lies in `arrays` now; `leaves` pairs each leaf with its SHA-256."""
    records = [{"path": a.path, "shape": list(a.shape), "dtype": a.dtype, "sha256": digest} for a, digest in leaves]
    listing = [
        {"path": name, "bytes": path.stat().st_size, "sha256": files.digest(path)}
        for name, path in sorted(files.walk(arrays).items())
    ]
    body = {"format": FORMAT, "jaxvae": jaxvae.__version__, "packages": versions(), "step": step}
    text = render({**body, "metadata": metadata, "leaves": records, "files": listing})
    if len(text) > LARGEST:
        raise ValueError(f"the manifest takes {len(text)} bytes, expected at most {LARGEST}. Keep metadata small.")
    return text


def verify(folder: Path, step: int) -> dict[str, Any]:
    """The manifest of a checkpoint whose files all have the listed size and SHA-256; raises `Damaged` naming the file.

    A manifest of another format raises a plain `ValueError` with both versions: it is not damaged, only not ours.
    """
    try:
        if folder.is_symlink() or (folder / ARRAYS).is_symlink():
            raise Damaged("a folder of it is a symbolic link")
        body = read(folder)
        if body["step"] != step:
            raise Damaged(f"{NAME}: is of step {body['step']}, expected {step}")
        listed, found = {record["path"]: record for record in body["files"]}, files.walk(folder / ARRAYS)
        for name in sorted(listed.keys() | found.keys()):
            where = repr(f"{ARRAYS}/{name}")
            if name not in found:
                raise Damaged(f"{where}: is missing")
            if name not in listed:
                raise Damaged(f"{where}: is not in the manifest")
            size = found[name].stat().st_size
            if size != listed[name]["bytes"]:
                raise Damaged(f"{where}: has {size} bytes, expected {listed[name]['bytes']}")
            if files.digest(found[name]) != listed[name]["sha256"]:
                raise Damaged(f"{where}: its SHA-256 is not the one in the manifest")
    except OSError as error:
        raise Damaged(f"cannot be read: {error}") from error
    return body


def read(folder: Path) -> dict[str, Any]:
    """The manifest alone, whole and well formed; raises `Damaged`, or `ValueError` for another format."""
    path = folder / NAME
    try:
        size = path.lstat()
    except FileNotFoundError:
        raise Damaged(f"{NAME}: is missing") from None
    if not stat.S_ISREG(size.st_mode) or size.st_size > LARGEST:
        raise Damaged(f"{NAME}: expected a file of at most {LARGEST} bytes")
    try:
        text = path.read_bytes().decode("ascii")
        body = json.loads(text)
        del body["sha256"]
        whole = render(body) == text
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise Damaged(f"{NAME}: is not a manifest ({error!s:.80})") from error
    if not whole:
        raise Damaged(f"{NAME}: its SHA-256 is not that of its text")
    if body.get("format") != FORMAT:
        raise ValueError(
            f"{folder} has format {body.get('format')!r:.20}, written by jaxvae {body.get('jaxvae')!r:.20}; this is "
            f"jaxvae {jaxvae.__version__}, which reads format {FORMAT}. Load it with the version that wrote it."
        )
    if {name: type(value) for name, value in body.items()} != FIELDS or not (
        all(_is_record(item, path=str, bytes=int, sha256=str) for item in body["files"])
        and all(_is_record(item, path=str, shape=list, dtype=str, sha256=str) for item in body["leaves"])
    ):
        raise Damaged(f"{NAME}: has not the fields of format {FORMAT}")
    return body


def _is_record(item: Any, **fields: type) -> bool:
    return isinstance(item, dict) and {name: type(value) for name, value in item.items()} == fields


def _check_names(value: Any) -> None:
    if isinstance(value, Mapping):
        for name in value:
            if type(name) is not str:
                raise ValueError(f"the key {name!r} is no text, and would come back as another key")
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            _check_names(item)
