"""Training speed beside other libraries: the same VAE, data, batch and two threads, taking turns in one run.

    python -m experiments.benchmarks.speed --model mlp --batch 128 --python-peers PATH

Time: about 3 minutes for mlp, 6 for conv, on two quiet cores. Each contender is a process of its own, warmed up by one
epoch; then the rounds go A B C, A B C, ... so that a slow minute of the machine slows everyone. PATH is the
interpreter of an environment with the peers (pip install torch numpyro; pip install --no-deps pythae); without it
they are looked for in this one, and those missing are named and skipped.

Expected, in examples/s relative to pythae: mlp 4.0 at batch 128 and 3.0 at 1024, level with numpyro or better; conv
2.0 and 1.7; at least 0.97 of the bare scan. Obtained on two cores of a Sapphire Rapids Xeon: mlp 2.6 and 1.7, numpyro
0.95 and 0.97; conv 1.3 and 1.4, on another day 1.7 and 1.35; the bare scan 1.07 and 1.00. `products`, the matrix
products of a step and nothing else, does 4.1 and 2.2 times pythae's for mlp and 1.9 for conv at batch 128: there no
program of float32 can reach 3.0 at 1024. With --precision bfloat16: mlp 3.8 and 3.7, numpyro 1.45 and 2.1, conv 1.85
and 1.95; so rounded, pythae itself is slower (pythae_trainer@bfloat16, 0.84) and torch_eager 1.08 times as fast. (mlp
with --rounds 5 --examples 40000, conv with --rounds 4 --examples 10240.) numpyro's step takes no norm of the gradient
and guards nothing.
"""

import contextlib
import json
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import IO, Any, Literal

from experiments.benchmarks.kept import kept, span
from jaxvae.files import write_json

ROOT = Path(__file__).resolve().parents[2]
OWN = ("jaxvae_train", "bare_scan", "products")
PACKAGES = {"pythae_trainer": "pythae", "torch_eager": "torch", "numpyro_svi": "numpyro"}
INSTALL = {
    "pythae": "pip install torch tqdm pydantic cloudpickle imageio scipy && pip install --no-deps pythae",
    "torch": "pip install torch",
    "numpyro": "pip install numpyro flax",
}
CONTENDERS = {
    "mlp": ("jaxvae_train", "bare_scan", "numpyro_svi", "torch_eager", "pythae_trainer", "products"),
    "conv": ("jaxvae_train", "bare_scan", "torch_eager", "pythae_trainer", "products"),
}
EXAMPLES = {"mlp": 60000, "conv": 15360}
Precision = Literal["default", "bfloat16"]


@dataclass(frozen=True)
class Options:
    """What to measure.

    Attributes:
        model: the VAE, see `experiments.benchmarks.contenders`.
        batch: the batch size.
        rounds: turns of each contender after its warm-up.
        examples: an epoch trains on this many first images of MNIST, cut to whole batches; by default 60,000 for mlp
            and 15,360 for conv.
        contenders: their names, the first being the one the ratios are of; by default all that know the model. A name
            may end in @bfloat16, as in pythae_trainer@bfloat16: the factors of products are then rounded to that.
        precision: bfloat16 rounds the factors of this library's products, the peers stay as they are.
        processors: that each contender may use; 0 leaves it all of them.
        python_peers: the interpreter that has pythae, torch and numpyro.
        output: a JSON file for the figures; what is printed lies beside it, without one in runs/benchmarks/speed.
    """

    model: Literal["mlp", "conv"] = "mlp"
    batch: int = 128
    rounds: int = 7
    examples: int | None = None
    contenders: tuple[str, ...] = ()
    precision: Precision = "default"
    processors: int = 2
    python_peers: str = sys.executable
    output: Path | None = None


@dataclass
class Runner:
    """A contender's process and what it has answered."""

    name: str
    process: subprocess.Popen[bytes]
    log: IO[str]
    seconds: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    examples: int = 0

    def answer(self, patience: float | None = None) -> dict[str, Any]:
        """The next line it prints.

        Raises:
            RuntimeError: with its last words, if it died.
            TimeoutError: it took more than so many seconds.
        """
        assert self.process.stdout is not None
        if patience is not None and not select.select([self.process.stdout], [], [], patience)[0]:
            raise TimeoutError(f"{self.name} did not answer within {patience:.0f} s")
        line = self.process.stdout.readline()
        if not line:
            self.log.seek(0)
            raise RuntimeError(f"{self.name} stopped: {self.log.read()[-2000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def epoch(self) -> None:
        """Trains one epoch and keeps its time and loss."""
        self.ask()
        self.take()

    def ask(self) -> None:
        """Asks for an epoch."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"epoch\n")
        self.process.stdin.flush()

    def take(self, patience: float | None = None) -> None:
        """Waits for the epoch that was asked for, as `answer`, and keeps its time and loss."""
        answer = self.answer(patience)
        self.seconds.append(answer["seconds"])
        self.losses.append(answer["loss"])
        self.examples = answer["examples"]

    @property
    def rates(self) -> list[float]:
        """Examples/s of each round after the warm-up."""
        return [self.examples / seconds for seconds in self.seconds[1:]]


def interpreter(name: str, python_peers: str) -> str | None:
    """The interpreter for a contender, or None, and a word on how to get it, where its package is missing."""
    name = name.partition("@")[0]
    if name in OWN:
        return sys.executable
    package = PACKAGES[name]
    if subprocess.run([python_peers, "-c", f"import {package}"], capture_output=True).returncode == 0:
        return python_peers
    print(f"{name} skipped: {python_peers} has no {package}. Get it with: {INSTALL[package]}", file=sys.stderr)
    return None


def rounded(name: str, precision: Precision) -> str:
    """A contender's name, with the precision it is to be run at."""
    return name if precision == "default" else f"{name}@{precision}"


@contextlib.contextmanager
def running(names: list[tuple[str, str]], images: Path, options: Options) -> Iterator[list[Runner]]:
    """Starts the contenders and ends them."""
    with contextlib.ExitStack() as stack:
        runners = []
        for name, python in names:
            runners.append(stack.enter_context(started(name, python, images, options)))
            runners[-1].answer()
        yield runners


@contextlib.contextmanager
def started(name: str, python: str, images: Path, options: Options) -> Iterator[Runner]:
    """A contender's process, which says so when it is ready, and its end."""
    arguments = [name, str(images), options.model, str(options.batch), str(options.processors)]
    command = [python, "-m", "experiments.benchmarks.worker", *arguments]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, bufsize=0
        )  # nothing is read ahead, so that `select` sees every answer
        try:
            yield Runner(name, process, log)
        finally:
            process.kill()
            process.wait()


def measure(options: Options) -> list[Runner]:
    """Runs the rounds with a progress bar."""
    import numpy as np
    from rich.progress import Progress

    from jaxvae import data

    asked = options.contenders or CONTENDERS[options.model]
    asked = tuple(rounded(name, options.precision) if name == "jaxvae_train" else name for name in asked)
    names = [(name, interpreter(name, options.python_peers)) for name in asked]
    present = [(name, python) for name, python in names if python is not None]
    count = (options.examples or EXAMPLES[options.model]) // options.batch * options.batch
    with tempfile.TemporaryDirectory() as folder, Progress(transient=True) as progress:
        path = Path(folder) / "images.npy"
        np.save(path, data.load("mnist", split="train").images[:count])
        bar = progress.add_task("starting", total=(options.rounds + 1) * len(present))
        with running(present, path, options) as runners:
            for number in range(options.rounds + 1):
                for runner in runners:
                    progress.update(bar, description=f"{runner.name}, {f'round {number}' if number else 'warm-up'}")
                    runner.epoch()
                    progress.advance(bar)
    return runners


def summary(runners: list[Runner]) -> list[dict[str, Any]]:
    """For each contender: examples/s, the first one's speed relative to it (lowest, median, highest), losses."""
    rows = []
    for runner in runners:
        ratios = [first / other for first, other in zip(runners[0].rates, runner.rates, strict=True)]
        row = {"contender": runner.name, "examples_per_second": median(runner.rates)}
        row |= {"ratio": [min(ratios), median(ratios), max(ratios)], "rates": runner.rates}
        rows.append(row | {"first_epoch_loss": runner.losses[0], "last_epoch_loss": runner.losses[-1]})
    return rows


def show(rows: list[dict[str, Any]], options: Options) -> None:
    """Prints the table."""
    from jaxvae.evaluation.measured import print_table
    from jaxvae.evaluation.written import number

    faster, cells = f"{rows[0]['contender']} is faster by (min, median, max)", []
    for row in rows:
        losses = (number(row[name], ".2f", "nats") for name in ("first_epoch_loss", "last_epoch_loss"))
        cells.append(
            (row["contender"], number(row["examples_per_second"], ",.0f", "examples/s"), span(row["ratio"]), *losses)
        )
    title = f"{options.model} VAE, batch {options.batch}, {options.rounds} rounds"
    print_table(title, ("contender", "examples/s", faster, "loss, epoch 1", "last"), cells)


def main() -> None:
    """Parses, measures, prints, and writes --output."""
    import tyro

    options = tyro.cli(Options, description=__doc__)
    with kept("speed", options.output):
        rows = summary(measure(options))
        show(rows, options)
    if options.output is not None:
        write_json(options.output, {"model": options.model, "batch": options.batch, "rows": rows})


if __name__ == "__main__":
    main()
