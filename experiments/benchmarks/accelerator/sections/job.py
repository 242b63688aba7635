"""The main job in a process of its own: the digits, trained by the library's run engine into a folder.

python -m experiments.benchmarks.accelerator.sections.job FOLDER DIGITS.npz EPOCHS EPOCHS_BETWEEN_LOOKS
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO

from experiments.benchmarks.accelerator.section import Section
from experiments.benchmarks.speed import ROOT


def started(folder: Path, digits: Path, epochs: int, looks: int, log: IO[str], **environment: str) -> subprocess.Popen:
    """Starts it; what it prints goes to the log. Started again in the same folder, it goes on where it was."""
    command = [sys.executable, "-m", "experiments.benchmarks.accelerator.sections.job"]
    words = [*command, str(folder), str(digits), str(epochs), str(looks)]
    return subprocess.Popen(words, cwd=ROOT, env={**os.environ, **environment}, stdout=log, stderr=log)


def until(ready: Callable[[], bool], process: subprocess.Popen, section: Section, log: IO[str]) -> None:
    """Waits, looking often, and kills the process, by SIGKILL.

    Raises:
        RuntimeError: it ended before, with its last words.
        OutOfTime: the section's time is over.
    """
    try:
        while not ready():
            if process.poll() is not None and not ready():
                log.seek(0)
                raise RuntimeError(f"the job ended with {process.returncode}: {log.read()[-300:]}")
            section.need()
            time.sleep(0.005)
    finally:
        process.kill()
        process.wait()


def main() -> None:
    """Trains."""
    from jaxvae.runs.configs.presets import PRESETS
    from jaxvae.runs.train import train_run

    folder, digits, epochs, looks = sys.argv[1:]
    config = PRESETS["digits"]
    data = replace(config.data, name=digits)
    config = replace(
        config, data=data, epochs=int(epochs), evaluate_every=int(looks), save_every=1, progress=False, parallel="jit"
    )
    train_run(config, folder)


if __name__ == "__main__":
    main()
