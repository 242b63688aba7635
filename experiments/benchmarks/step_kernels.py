"""What XLA made of a training step, kernel by kernel: how long each takes when nothing disturbs it.

    python -m experiments.benchmarks.step_parts --model conv --kernels 12

lists them. The profiler's own events are read, in this process; a kernel's time is the lower tenth of its times over
the steps, so that another program on the same core is left out of most of them. Events cost a little themselves.
"""

import re
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

NAMED = re.compile(r'^\s*(?:ROOT )?%([\w.\-]+) = ([^\s{]+).*op_name="([^"]*)"', re.MULTILINE)
PRODUCTS = "products of matrices"
KINDS = {PRODUCTS: "dot_general", "the optimizer's update": "/cond/", "the rest of the networks": "Conv"}


class Kernel(NamedTuple):
    """One piece of the program.

    Attributes:
        name, shape, source: as XLA calls it; of what it writes; the operation in the Python program that it comes from.
        milliseconds: of a step.
    """

    name: str
    shape: str
    source: str
    milliseconds: float

    @property
    def kind(self) -> str:
        """The first of `KINDS` whose mark is in its source."""
        return next((kind for kind, mark in KINDS.items() if mark in self.source), "loss, random numbers, norm, data")


def kernels(train: Callable[[int], Any], text: str, steps: int, turns: int = 5) -> list[Kernel]:
    """The kernels of `train(steps)`, whose compiled program is the text, the longest first."""
    import jax

    named = {name: (shape, source) for name, shape, source in NAMED.findall(text)}
    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0
    found: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder, profiler_options=options):
            for _ in range(turns):
                train(steps)
        for path in Path(folder).rglob("*.xplane.pb"):
            for plane in jax.profiler.ProfileData.from_file(str(path)).planes:
                for event in (event for line in plane.lines for event in line.events):
                    found[event.name].append(event.duration_ns / 1e6)
    made = [
        Kernel(name, *named[name], float(np.quantile(times, 0.1)) * len(times) / (turns * steps))
        for name, times in found.items()
        if name in named and not name.startswith(("while", "cond", "call"))  # which hold others
    ]
    return sorted(made, key=lambda kernel: -kernel.milliseconds)


def show(found: list[Kernel], most: int) -> None:
    """Prints the kinds, and the longest of what is no product."""
    from jaxvae.evaluation.measured import print_table
    from jaxvae.evaluation.written import number

    whole = sum(kernel.milliseconds for kernel in found)

    def row(name: str, these: list[Kernel], about: str) -> tuple[Any, ...]:
        took = sum(kernel.milliseconds for kernel in these)
        return name, number(took, ".2f", "ms"), number(took / whole, ".3f"), about

    kinds: dict[str, list[Kernel]] = defaultdict(list)
    for kernel in found:
        kinds[kernel.kind].append(kernel)
    cells = [row(kind, these, f"{len(these)} kernels") for kind, these in kinds.items()]
    cells.sort(key=lambda cell: -cell[1].value)
    for kernel in [kernel for kernel in found if kernel.kind != PRODUCTS][:most]:
        source = "/".join(kernel.source.split("/")[-2:])
        cells.append(row(kernel.name, [kernel], f"{kernel.shape} {source}"))
    print_table(f"{whole:.1f} ms of kernels", ("kernel", "ms of a step", "of all", "what"), cells)
