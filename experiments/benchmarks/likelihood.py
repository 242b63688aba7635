"""log p(x) by importance sampling beside pythae's `get_nll`: images/s, taking turns in one run, and the memory.

    python -m experiments.benchmarks.likelihood --python-peers PATH

Time: about 2 minutes on two cores. Each contender is a process of its own with two threads, warmed up by one round; the
memory is the process's peak, libraries and all. PATH is the interpreter of an environment with pythae.

Expected: 7 times pythae's images/s with 5,000 samples, and as much memory for 5,000 samples as for 50. Obtained on two
cores: 3.7 times (3.5 to 3.7) when both were quick, at 51 images/s (--samples 5000 --images 16 --rounds 3); with the
defaults 8.3 times in one run (3.5 to 31 by round) and 18 in another (13.6 to 36), where pythae was slower for long
spells and this library was not; 331 MB for 50 samples and 352 MB for 5,000. With --precision bfloat16 (--rounds 4):
7.15 times (6.6 to 7.7), 101 images/s; without it, 7 times is not reached against pythae at its best.
"""

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal

from experiments.benchmarks import speed
from experiments.benchmarks.kept import kept, span

OWN, PEER = "jaxvae_likelihood", "pythae_likelihood"


@dataclass(frozen=True)
class Options:
    """What to measure.

    Attributes:
        model: the VAE, see `experiments.benchmarks.contenders`.
        samples: the numbers of samples, each a run of its own.
        images: test images of MNIST in a round.
        rounds: turns of each contender after its warm-up.
        precision: bfloat16 rounds the factors of this library's products.
        python_peers: the interpreter that has pythae and torch.
        output: folder for results.json, .csv and .tex.
    """

    model: Literal["mlp", "conv"] = "mlp"
    samples: tuple[int, ...] = (50, 5000)
    images: int = 32
    rounds: int = 5
    precision: speed.Precision = "default"
    python_peers: str = sys.executable
    output: Path | None = None


def peak_megabytes(process: int) -> float:
    """The largest resident memory of a running process so far; NaN where /proc does not tell."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return float("nan")
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), float("nan"))


def measure(options: Options, samples: int, path: Path) -> list[tuple[speed.Runner, float]]:
    """Runs the rounds; returns each contender with its peak memory in MB."""
    contenders = [(speed.rounded(OWN, options.precision), sys.executable)]
    if subprocess.run([options.python_peers, "-c", "import pythae"], capture_output=True).returncode == 0:
        contenders.append((PEER, options.python_peers))
    else:
        print(f"{PEER} skipped: {options.python_peers} has no pythae. {speed.INSTALL['pythae']}", file=sys.stderr)
    with speed.running(contenders, path, speed.Options(model=options.model, batch=samples)) as runners:
        for _ in range(options.rounds + 1):
            for runner in runners:
                runner.epoch()
        return [(runner, peak_megabytes(runner.process.pid)) for runner in runners]


def main() -> None:
    """Parses, measures and prints a row for each contender and number of samples."""
    import numpy as np
    import tyro

    from jaxvae import data
    from jaxvae.evaluation.measured import print_table
    from jaxvae.evaluation.written import number

    options = tyro.cli(Options, description=__doc__)
    names = ("contender", "samples", "images/s", "peak memory MB", "jaxvae is faster by (min, median, max)")
    with tempfile.TemporaryDirectory() as folder, kept("likelihood", options.output):
        path = Path(folder) / "images.npy"
        np.save(path, data.load("mnist", split="test").images[: options.images])
        for samples in options.samples:
            measured = measure(options, samples, path)
            first, cells = measured[0][0].rates, []
            for runner, memory in measured:
                ratios = [own / other for own, other in zip(first, runner.rates, strict=True)]
                ends = span((min(ratios), median(ratios), max(ratios)))
                cells.append(
                    (
                        runner.name,
                        samples,
                        number(median(runner.rates), ",.1f", "images/s"),
                        number(memory, ",.0f"),
                        ends,
                    )
                )
            print_table(f"{options.model}, {options.images} images, {samples} samples", names, cells)


if __name__ == "__main__":
    main()
