"""summary.json: what was measured at the end of a run, read back by who does not trust it."""

import json
import math
from pathlib import Path
from typing import Any

from jaxvae.files import read_bytes

FIELDS: dict[str, Any] = {"step": int, "epochs": (int, float), "parameters": int, "test": dict}
TEST: dict[str, Any] = {"images": int, "samples": int, "seed": int, "protocol": str, "sha256": str}
VALIDATION: dict[str, Any] = {"images": int, "kept": str}
MACHINE: dict[str, Any] = {"backend": str, "kind": str, "devices": int, "devices_there": int, "precision": str}
VERSIONS: dict[str, Any] = {"jaxvae": str, "jax": str, "python": str}
QUANTITIES = ("negative_log_p", "negative_elbo", "reconstruction", "kl")
LIMIT = 1 << 20  # bytes; it has some two thousand, and thirty more for each latent


def read_summary(path: Path) -> dict[str, Any]:
    """The summary of a run, every field in it of the kind that training writes.

    Raises:
        FileNotFoundError: the run has none, since it was interrupted or still goes on.
        ValueError: naming the file and what is wrong with it. OSError: it cannot be read.
    """
    try:
        text = read_bytes(path, LIMIT).decode("utf-8")
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, "it nests too deeply" if isinstance(error, RecursionError) else str(error)) from None
    if not isinstance(found, dict):
        raise _damaged(path, "it holds no object")
    _check(path, "", found, FIELDS)
    _check(path, "test.", found["test"], TEST)
    if "validation" in found:
        chosen = found["validation"] if isinstance(found["validation"], dict) else {}
        _check(path, "validation.", chosen, VALIDATION | ({"epoch": int} if "epoch" in chosen else {}))
    if "machine" in found:  # an earlier version did not say it
        _check(path, "", found, {"machine": dict})
        _check(path, "machine.", found["machine"], {**MACHINE, "versions": dict})
        _check(path, "machine.versions.", found["machine"]["versions"], VERSIONS)
    for name in QUANTITIES:
        quantity = found["test"].get(name)
        if quantity is not None:
            fields = quantity if isinstance(quantity, dict) else {}
            _check(path, f"test.{name}.", fields, {"nats": (int, float)})
            if fields.get("standard_error") is not None:  # none of a single image
                _check(path, f"test.{name}.", fields, {"standard_error": (int, float)})
    return found


def _check(path: Path, prefix: str, found: dict[str, Any], fields: dict[str, Any]) -> None:
    for name, kind in fields.items():
        value = found.get(name)
        if not isinstance(value, kind) or isinstance(value, bool) or not _is_finite(value):
            raise _damaged(path, f"{prefix}{name} is {value!r:.40}")


def _is_finite(value: Any) -> bool:
    return not isinstance(value, int | float) or (abs(value) < 2**63 and math.isfinite(value))


def _damaged(path: Path, why: str) -> ValueError:
    return ValueError(f"{path} is damaged: {why}. The same training command writes it again.")
