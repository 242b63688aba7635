"""Kill and resume: is the run that was killed by SIGKILL and gone on with the run that was not?

On a GPU sums may be added in another order each time. So there the comparison is made twice: with XLA's flag for
deterministic operations, where the weights should be the same bits, and without it, where the difference is what two
runs differ by.
"""

import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

import jax
import numpy as np
from safetensors.numpy import load_file

from experiments.benchmarks.accelerator.section import Section
from experiments.benchmarks.accelerator.sections import job

# Its names, the newest first to be known; XLA ends the process at one that it does not know.
FLAGS = ("--xla_gpu_deterministic_ops=true", "--xla_gpu_exclude_nondeterministic_ops=true")
WEIGHTS = "weights.safetensors"


def interrupted(section: Section) -> None:
    """Runs the pairs side by side and compares their weights."""
    pairs: dict[str, dict[str, str]] = {"without_flag": {}}
    if jax.default_backend() != "cpu":
        flag = known_flag()
        section.note(flag=flag)
        if flag is None:
            raise RuntimeError(f"XLA knows none of {', '.join(FLAGS)}: look for today's name.")
        pairs = {"with_flag": {"XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} {flag}"}, **pairs}
    epochs = 6 if section.tiny else 60
    errors = []
    with tempfile.TemporaryFile("w+") as log, ThreadPoolExecutor() as pool:
        training = {name: pool.submit(_pair, section, epochs, log, name, pair) for name, pair in pairs.items()}
        for name, pending in training.items():
            try:
                section.note(**{name: _compared(section, name, pending.result(), epochs)})
            except Exception as error:  # the other pair may still be told
                errors.append(error)
    if errors:
        raise errors[0]


def _compared(section: Section, name: str, killed: int, epochs: int) -> dict[str, Any]:
    """How far apart the weights of a pair are."""
    one, other = (load_file(section.scratch / f"{name}-{way}" / WEIGHTS) for way in ("whole", "killed"))
    same = all(np.array_equal(one[key], other[key]) for key in one)
    difference = max(float(np.abs(np.float64(one[key]) - np.float64(other[key])).max()) for key in one)
    words = "bit for bit" if same else f"apart by {difference:.1e} at most"
    section.row(f"killed after epoch {killed} of {epochs} and resumed, {name.replace('_', ' ')}", words)
    return {"killed_at_epoch": killed, "of": epochs, "bit_identical": same, "largest_difference": difference}


def known_flag() -> str | None:
    """The first of the flags that XLA takes."""
    for flag in FLAGS:
        environment = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flag}
        command = [sys.executable, "-c", "import jax; jax.devices()"]
        if subprocess.run(command, env=environment, capture_output=True).returncode == 0:
            return flag
    return None


def _pair(section: Section, epochs: int, log: IO[str], name: str, environment: dict[str, str]) -> int:
    """Trains a run and the same run killed on its way and gone on with; returns after which epoch it was killed."""
    folders = {way: section.scratch / f"{name}-{way}" for way in ("whole", "killed")}

    def start(way: str) -> subprocess.Popen:
        return job.started(folders[way], section.scratch / "digits.npz", epochs, epochs, log, **environment)

    whole = start("whole")
    try:
        job.until(lambda: len(_saved(folders["killed"])) >= 2, start("killed"), section, log)
        epoch = _saved(folders["killed"])[-1] // _per_epoch(section)
        if epoch >= epochs:
            raise RuntimeError(f"the run {name} ended before it could be killed; give it more epochs.")
        job.until((folders["killed"] / WEIGHTS).exists, start("killed"), section, log)
        job.until((folders["whole"] / WEIGHTS).exists, whole, section, log)  # what follows the weights are pictures
    finally:
        whole.kill()
        whole.wait()
    return epoch


def _saved(folder: Path) -> list[int]:
    from jaxvae.training.checkpoints import checkpoint

    path = folder / "checkpoints"
    return checkpoint.steps(path) if path.is_dir() else []


def _per_epoch(section: Section) -> int:
    from jaxvae.runs.configs.presets import PRESETS

    with np.load(section.scratch / "digits.npz", allow_pickle=False) as archive:
        return len(archive["x_train"]) // PRESETS["digits"].batch_size
