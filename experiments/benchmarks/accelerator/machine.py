"""What machine this is: versions, devices, card and driver; and whether it will do."""

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from experiments.benchmarks.speed import ROOT

NEEDED = 8e9  # bytes that JAX may use on the device
SECONDS = 120  # to start JAX in
PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "numpyro", "torch", "pythae")
DEVICES = """
import json, jax
device = jax.devices()[0]
memory = (device.memory_stats() or {}).get("bytes_limit")
kinds = [f"{found.platform}:{found.id} {found.device_kind}" for found in jax.devices()]
print(json.dumps({"backend": jax.default_backend(), "devices": kinds, "memory_bytes": memory}))
"""


def look(environment: Mapping[str, str]) -> dict[str, Any]:
    """Looks in a process of its own, so that this one never holds the device.

    Raises:
        ValueError: JAX does not start.
    """
    try:
        result = subprocess.run(
            [sys.executable, "-c", DEVICES], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise ValueError(f"JAX did not find its devices within {SECONDS} s. Look at the driver.") from error
    if result.returncode:
        last = (result.stderr.strip().splitlines() or ["no word of why"])[-1]
        raise ValueError(f"JAX does not start here: {last[:500]}")
    found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return found | {
        "card": card(),
        "versions": {name: version(name) for name in ("python", *PACKAGES)},
        "processors": processors(),
    }


def refusal(found: Mapping[str, Any], *, allow_cpu: bool) -> str | None:
    """Why this machine will not do, in a line, or None if it will.

    Example:
        >>> refusal({"backend": "cpu", "devices": ["cpu:0 cpu"], "memory_bytes": None}, allow_cpu=False)[:34]
        'JAX finds no accelerator here, onl'
        >>> refusal({"backend": "gpu", "devices": ["gpu:0 small"], "memory_bytes": 2e9}, allow_cpu=False)[:46]
        'gpu:0 small leaves JAX 2.0 GB, expected 8 GB: '
        >>> refusal({"backend": "gpu", "devices": ["gpu:0 large"], "memory_bytes": 60e9}, allow_cpu=False)
    """
    if found["backend"] == "cpu" and not allow_cpu:
        return (
            f"JAX finds no accelerator here, only {found['devices'][0]}. --tiny is a dry run of minutes; "
            f"--allow-cpu measures all the same, and most will be cut."
        )
    memory = found["memory_bytes"]
    if found["backend"] != "cpu" and memory is not None and memory < NEEDED:
        return (
            f"{found['devices'][0]} leaves JAX {memory / 1e9:.1f} GB, expected {NEEDED / 1e9:.0f} GB: end what else "
            f"uses it, or take a larger card."
        )
    return None


def card() -> str | None:
    """Name, driver and memory as nvidia-smi says them, or None."""
    if shutil.which("nvidia-smi") is None:
        return None
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total,memory.used", "--format=csv,noheader"]
    try:
        return subprocess.run(query, capture_output=True, text=True, timeout=20, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError) as error:
        return f"nvidia-smi: {error}"


def version(package: str) -> str | None:
    """Of Python, or of an installed package, which is not imported."""
    if package == "python":
        return platform.python_version()
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def processors() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
