"""An IWAE step beside pythae's, and the memory of many samples: 784 - 200 - 200 - 50, tanh, batch 128, two threads.

    python -m experiments.benchmarks.iwae --python-peers PATH

Time: about 4 minutes on two quiet cores. Speed: the contenders take turns, as in `experiments.benchmarks.speed`; PATH
is the interpreter of an environment with pythae. Memory: the largest resident size of a process that trains with 50
samples and of one that trains with 1,000.

Expected: 2.2 times pythae's examples/s with 50 samples; at most 20 MB more for 1,000 samples than for 50. Obtained on
two quiet cores of a Sapphire Rapids Xeon (--rounds 9 --steps 10): 2.6 times (1.8 to 3.0), at 2,190 examples/s, and 459
MB for 50 samples, 478 MB for 1,000. pythae's rate varies with the machine's memory, 850 to 1,130 from day to day; at
its best the ratio is 2.0. With --precision bfloat16 (--rounds 7): 4.6 times (3.4 to 5.1), at 3,730. The contender
trains as many images at once as have 1,000 samples together.
"""

import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.benchmarks.kept import kept
from experiments.benchmarks.speed import ROOT, Options, Precision, Runner, interpreter, rounded, running, show, summary

CONTENDERS = ("jaxvae_iwae", "pythae_iwae")


@dataclass(frozen=True)
class IwaeOptions:
    """What to measure.

    Attributes:
        samples: K, the posterior samples of an example.
        batch: the batch size.
        rounds: turns of each contender after its warm-up; 0 skips the speed.
        steps: a turn trains so many batches.
        memory: numbers of samples to measure the memory with; none skips it.
        precision: bfloat16 rounds the factors of this library's products; the memory is that of the default.
        python_peers: the interpreter that has pythae.
        output: folder for results.json, .csv and .tex.
    """

    samples: int = 50
    batch: int = 128
    rounds: int = 7
    steps: int = 20
    memory: tuple[int, ...] = (50, 1000)
    precision: Precision = "default"
    python_peers: str = sys.executable
    output: Path | None = None


def speed(options: IwaeOptions) -> list[Runner]:
    """Runs the rounds."""
    import numpy as np

    from jaxvae import data

    # pythae is looked for under the name that `speed` knows it by.
    pythons = (sys.executable, interpreter("pythae_trainer", options.python_peers))
    names = (rounded(CONTENDERS[0], options.precision), CONTENDERS[1])
    present = [(name, python) for name, python in zip(names, pythons, strict=True) if python is not None]
    title: Any = f"iwae-{options.samples}"
    common = Options(model=title, batch=options.batch, rounds=options.rounds)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images.npy"
        np.save(path, data.load("mnist", split="train").images[: options.steps * options.batch])
        with running(present, path, common) as runners:
            for _ in range(options.rounds + 1):
                for runner in runners:
                    runner.epoch()
    show(summary(runners), common)
    return runners


def peak(samples: int, batch: int) -> float:
    """The largest resident size, in MB, of a process that takes three steps with so many samples."""
    code = f"from experiments.benchmarks.iwae import three_steps; three_steps({samples}, {batch})"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return float(result.stdout.split()[-1])


def three_steps(samples: int, batch: int) -> None:
    """Takes three gradients and prints the largest resident size of this process in MB."""
    import jax
    import jax.numpy as jnp

    from experiments.benchmarks.contenders.jaxvae_iwae import iwae

    shape = (28, 28, 1)
    model, loss = iwae(shape, samples, batch)
    params = jax.jit(model.init)(jax.random.key(0), jnp.zeros(shape))
    gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))
    images = jnp.full((batch, *shape), 0.5)
    for step in range(3):
        keys = jax.random.split(jax.random.key(step), batch)
        jax.block_until_ready(gradient(params, keys, images, jnp.int32(step)))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)


def main() -> None:
    """Parses, measures, prints."""
    import tyro

    from jaxvae.evaluation.measured import print_table
    from jaxvae.evaluation.written import number

    options = tyro.cli(IwaeOptions, description=__doc__)
    with kept("iwae", options.output):
        if options.rounds > 0:
            speed(options)
        sizes = [(f"{samples} samples", number(peak(samples, options.batch), ",.0f")) for samples in options.memory]
        if sizes:
            print_table(f"steps of {options.batch} images", ("a process with", "peak memory MB"), sizes)


if __name__ == "__main__":
    main()
