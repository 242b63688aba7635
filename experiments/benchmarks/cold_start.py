"""From process start to the end of the first MNIST epoch, and the most memory it took, beside `import jax`.

    python -m experiments.benchmarks.cold_start

Time: two minutes on two quiet cores. Four programs take turns, each in a fresh process: `import jax`; `jaxvae.fit` for
one epoch of 60,000 grey images, batch 128, MLP 784-400-20; and the whole `python -m experiments.train mnist --epochs
1`, with its evaluation, checkpoint and pictures, all three without kept programs; and the whole run again with those
that the round beforehand kept. MNIST must be prepared (and is converted by one call beforehand).

Expected: the first epoch done after at most 5 s where `import jax` takes 1.4 s; at most 700 MB.
Obtained: 5.1 s (5.0 to 5.2) and 500 MB where it takes 0.6 s, on another day 4.2 s and 501 MB where it takes 0.5; the
whole run with evaluation and pictures 11.1 s and 807 MB. On two cores of a first-generation AMD EPYC (--rounds 3):
11.3 s (10.9 to 11.8) and 501 MB where it takes 1.2 s, the whole run 23.6 s and 821 MB.
On two other cores of an EPYC (--rounds 3): 12.1 s (11.6 to 12.4) where it takes 1.7 s; the whole run 24.9 s (22.8 to
25.4) and 821 MB, with its programs kept 16.3 s (15.5 to 17.9) and 710 MB.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from experiments.benchmarks.kept import kept, span
from jaxvae.commands.parts.kept_programs import FOLDER, SHORTEST, SWITCH
from jaxvae.files import write_text

ROOT = Path(__file__).resolve().parents[2]
FIRST_EPOCH = """
import sys
import jaxvae
images = jaxvae.data.load(sys.argv[1]).images
encoder, decoder = jaxvae.MLPEncoder(20), jaxvae.MLPDecoder((28, 28, 1))
model = jaxvae.vae(encoder, decoder, event_shape=(28, 28, 1), latent_dim=20)
jaxvae.fit(model, images, protocol="grey", epochs=1, batch_size=128, progress=False)
"""


@dataclass(frozen=True)
class Options:
    """How often to measure.

    Attributes:
        rounds: turns of each program.
        output: a JSON file for the figures; what is printed lies beside it, without one in runs/benchmarks/cold_start.
    """

    rounds: int = 5
    output: Path | None = None


def run(command: list[str], environment: Mapping[str, str] | None = None) -> tuple[float, float]:
    """Runs a program, in this process's environment or another; returns its seconds and its peak resident memory in MB.

    Raises:
        RuntimeError: with its last words, if it fails.
    """
    with tempfile.TemporaryFile("w+") as log:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            log.seek(0)
            raise RuntimeError(f"{' '.join(command)} failed: {log.read()[-2000:]}")
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux KiB
    return seconds, usage.ru_maxrss * unit / 1e6


def programs(folder: str, number: int) -> dict[str, tuple[list[str], dict[str, str]]]:
    """The commands and their environments by name; a run folder of its own for each round."""
    python = sys.executable
    whole = [
        python, "-m", "experiments.train", "mnist", "--epochs", "1", "--data.protocol", "grey", "--no-progress",
        "--workdir", str(Path(folder) / str(number)),
    ]  # fmt: skip
    cold = {**os.environ, SWITCH: "0"}
    warm = {key: value for key, value in os.environ.items() if key != SWITCH} | {FOLDER: str(Path(folder) / "kept")}
    return {
        "import jax": ([python, "-c", "import jax"], cold),
        "first epoch": ([python, "-c", FIRST_EPOCH, "mnist"], cold),
        "whole run": (whole, cold),
        "whole run, programs kept": ([*whole, "--overwrite"], warm | {SHORTEST: "0.05"}),
    }


def measure(options: Options) -> list[dict[str, Any]]:
    """Median seconds and highest memory of each program; one round beforehand fills the caches of files."""
    from rich.progress import track

    results: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number in track(range(options.rounds + 1), "rounds", transient=True):
            for name, (command, environment) in programs(folder, number).items():
                result = run(command, environment)
                if number:
                    results.setdefault(name, []).append(result)
    return [
        {
            "program": name,
            "seconds": [min(seconds), median(seconds), max(seconds)],
            "peak_megabytes": max(megabytes for _, megabytes in pairs),
        }
        for name, pairs in results.items()
        for seconds in [[s for s, _ in pairs]]
    ]


def show(rows: list[dict[str, Any]]) -> None:
    """Prints the table."""
    from jaxvae.evaluation.measured import print_table
    from jaxvae.evaluation.written import number

    cells = [(row["program"], span(row["seconds"], "s"), number(row["peak_megabytes"], ".0f")) for row in rows]
    print_table("process start to end", ("program", "seconds (min, median, max)", "peak memory MB"), cells)


def main() -> None:
    """Parses, measures, prints, and writes --output."""
    import tyro

    options = tyro.cli(Options, description=__doc__)
    rows = measure(options)
    with kept("cold_start", options.output):
        show(rows)
    if options.output is not None:
        write_text(options.output, json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
