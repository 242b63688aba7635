"""An accelerator in eight minutes: what is right on it and how fast it is, as one JSON object and a short table.

    python -m experiments.benchmarks.accelerator --prepare           # once, where TensorFlow Datasets has MNIST
    python -m experiments.benchmarks.accelerator                     # on the machine with the GPU, offline
    python -m experiments.benchmarks.accelerator --only speed sweep  # some of the sections
    python -m experiments.benchmarks.accelerator --tiny              # every section on tiny sizes, anywhere

Time: eight minutes, by itself, whatever is done by then; --tiny takes 2.5 minutes of processor time. It needs jax,
flax, optax, chex, orbax-checkpoint, safetensors, matplotlib, pillow, lazy-loader, filelock and no network. Data comes
from the folder accelerator-data, 12 MB, which --prepare makes and git ignores. PyTorch, numpyro and pythae are measured
beside the library where they are installed; the result says in a line which are not.

Printed: the JSON object; on standard error a line for each thing measured. Written as it goes, whole at every moment:
accelerator.json, accelerator.md and accelerator.log in --output. Compiled programs stay in --cache, a folder in
--output unless told, so that a second run starts warm. `sections` holds, for each, its status (done, cut by the time,
skipped, failed with the error), seconds and parts, each of which has a status, seconds and numbers. Every section is a
process of its own: one that fails, hangs or takes the memory ends itself alone. What is left of a section's time goes
to those after it.

    right          main job against the CPU's, jit = pmap = mesh, the NaN guard, kill and resume        100 s
    speed          examples/s by batch and precision, floors, a Python loop, peers, -ELBO by precision  140 s
    convolutions   native against slices and one product: do they agree, which is faster                 35 s
    sweep          many models in one program: seconds an epoch a member                                 45 s
    samples        IWAE steps and their memory, log p(x) with 5,000 samples                              60 s
    cold_start     process start to the end of the first epoch, cold and with a warm cache               40 s
    burda          cells of Burda's table as far as the full schedule gets                               50 s

Exit codes: 0; 1 where a section failed; 2 for bad input: no accelerator, too little memory, an unknown section.
Obtained on a GPU: nothing yet, for want of one. Dry runs on CPUs pass with jax 0.10.2, 0.11.2 and 0.12.0.1.
"""

import argparse
import difflib
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from experiments.benchmarks.accelerator import conductor, machine, prepared
from experiments.benchmarks.accelerator.results import Results
from experiments.benchmarks.speed import ROOT

NAMES = tuple(conductor.SECTIONS)


class Parser(argparse.ArgumentParser):
    """Answers bad input with one line."""

    def error(self, message: str) -> NoReturn:
        refuse(message)


def refuse(message: str) -> NoReturn:
    """Ends with one line and exit code 2."""
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(2)


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The options of a command line."""
    about, _, rest = (__doc__ or "").partition("\n")
    parser = Parser(prog="accelerator", description=about, epilog=rest, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="SECTION", default=NAMES, help=f"out of {', '.join(NAMES)}")
    parser.add_argument("--minutes", type=float, help="in which it ends by itself (default 8; 60 with --tiny)")
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "accelerator", help="folder for the results")
    parser.add_argument("--cache", type=Path, help="folder of compiled programs (default: cache in --output)")
    parser.add_argument("--data", type=Path, default=ROOT / "accelerator-data", help="folder that --prepare makes")
    parser.add_argument("--python-peers", default=sys.executable, help="the interpreter that has torch and pythae")
    parser.add_argument("--prepare", action="store_true", help="write mnist.npz and digits.npz into --data and end")
    parser.add_argument("--tiny", action="store_true", help="tiny sizes and generated data, a dry run on any machine")
    parser.add_argument("--allow-cpu", action="store_true", help="run although there is no accelerator")
    options = parser.parse_args(words)
    for name in options.only:
        if name not in NAMES:
            close = difflib.get_close_matches(name, NAMES, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            refuse(f"--only is {name!r}, expected some of: {', '.join(NAMES)}.{hint}")
    if options.minutes is None:
        options.minutes = conductor.TINY_MINUTES if options.tiny else conductor.MINUTES
    if not 0 < options.minutes <= 24 * 60:
        refuse(f"--minutes is {options.minutes:g}, expected a number above 0, at most {24 * 60}.")
    options.cache = options.cache or options.output / "cache"
    return options


def main(words: Sequence[str]) -> int:
    """Prepares, or measures; returns the exit code."""
    start = time.monotonic()
    options = parse(words)
    try:
        if options.prepare:
            prepared.prepare(options.data)
            return 0
        if not options.tiny:
            prepared.check(options.data)
        for folder in (options.output, options.cache):
            folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="accelerator-") as scratch:
            found = machine.look(conductor.environment(options))
            if (why := machine.refusal(found, allow_cpu=options.allow_cpu or options.tiny)) is not None:
                refuse(why)
            if options.tiny:
                prepared.generate(Path(scratch))
            else:
                prepared.unpack(options.data, Path(scratch))
            results = Results.begin(options.output, list(words), found, options, start)
            return conductor.conduct(options, results, Path(scratch))
    except (OSError, ValueError) as error:
        refuse(str(error))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
