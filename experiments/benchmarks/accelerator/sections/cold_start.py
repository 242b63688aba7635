"""Process start to the end of the first MNIST epoch: with nothing compiled before, and with a warm cache.

Each program is a fresh process: one that imports JAX and finds the devices, and the first epoch of
`experiments.benchmarks.cold_start`, once with an empty folder for compiled programs and then again with the same.
Seconds are [lowest, median, highest]; megabytes are the host's, the highest.
"""

import os
import sys
from statistics import median

from experiments.benchmarks import cold_start
from experiments.benchmarks.accelerator.section import Part, Section

PROGRAMS = ("devices", "cold", "warm")


def parts(tiny: bool) -> dict[str, Part]:
    """By name."""
    return {"first_epoch": Part(first_epoch, ("rounds", "seconds", "megabytes"))}


def first_epoch(section: Section) -> None:
    """As many rounds as there is time for, three at most."""
    seconds: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    memory = dict.fromkeys(PROGRAMS, 0.0)
    epoch = [sys.executable, "-c", cold_start.FIRST_EPOCH, str(section.scratch / "train.npy")]
    for number in range(1 if section.tiny else 3):
        cache = section.scratch / f"cold-{number}"
        programs = {"devices": [sys.executable, "-c", "import jax; jax.devices()"], "cold": epoch, "warm": epoch}
        if number:
            section.need(1.2 * sum(times[-1] for times in seconds.values()))
        for name, command in programs.items():
            taken, used = cold_start.run(command, {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(cache)})
            seconds[name].append(taken)
            memory[name] = max(memory[name], used)
        spans = {name: [min(times), median(times), max(times)] for name, times in seconds.items()}
        section.note(rounds=number + 1, seconds=spans, megabytes=memory)
    words = ", ".join(f"{name} {span[1]:.1f}" for name, span in spans.items())
    section.row("process start to the end of the first epoch, seconds (devices: JAX alone)", words)
