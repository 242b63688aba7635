"""Processor time as the budget of a training: what it buys, and how much was used."""

import json
import math
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jaxvae.files import read_bytes, write_json
from jaxvae.runs.builders.assembled import Assembled, assemble
from jaxvae.runs.builders.recipe import Recipe
from jaxvae.runs.configs.config import Config
from jaxvae.runs.configs.names import show
from jaxvae.runs.testing import selection_of
from jaxvae.training.engine.loop import train
from jaxvae.training.engine.state import TrainState, averaged_params

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
TRIED, OFTEN = 1.0, 2.0  # seconds: of a first timing; between two notes of the time


def seconds_of(text: str) -> float:
    """Seconds of a budget in words: 90s, 2m, 1.5h.

    Raises:
        ValueError: for other words, or none that is positive.

    Example:
        >>> seconds_of("2m"), seconds_of("90s")
        (120.0, 90.0)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    if found is None or float(found[1]) <= 0:
        raise ValueError(f"budget is {show(text)}, expected processor time for each contender, such as 90s, 2m or 1h.")
    return float(found[1]) * UNITS[found[2]]


class FirstLook(NamedTuple):
    """What a run will take.

    Attributes:
        step: seconds of processor time for a step.
        per_epoch: steps in an epoch.
        choosing: seconds of a look at the validation images, at the end of every epoch.
        megabytes: of the compiled training program, see `megabytes_of`.
    """

    step: float
    per_epoch: int
    choosing: float
    megabytes: float | None


class Bought(NamedTuple):
    """What a budget pays for: some epochs of all training images, or one of a part of them."""

    epochs: int
    fraction: float = 1.0


def bought(look: FirstLook, seconds: float) -> Bought:
    """As many epochs as the seconds pay for, or, where they pay for none, one of as many training images as they do.

    Raises:
        ValueError: for a budget that is too short for a step.

    Example:
        >>> look = FirstLook(step=0.5, per_epoch=100, choosing=10.0, megabytes=None)
        >>> bought(look, 130.0), bought(look, 20.0)
        (Bought(epochs=2, fraction=1.0), Bought(epochs=1, fraction=0.2))
    """
    epoch = look.per_epoch * look.step + look.choosing
    if epoch <= seconds:
        return Bought(int(seconds / epoch))
    steps = int((seconds - look.choosing) / look.step)
    if steps < 1:
        least = look.choosing + look.step
        raise ValueError(
            f"a step and a look at the validation images take some {least:.2g} s of processor time, more than the "
            f"budget of {seconds:g} s. Set --budget {math.ceil(least * 1.2)}s or more."
        )
    return Bought(1, steps / look.per_epoch)


def first_look(config: Config, own: Recipe | None = None) -> FirstLook:
    """Time and memory that a run will take, by a first timing of some steps: nothing is kept of them.

    Args:
        config: of the run, with its data.
        own: the recipe of a run of a function.
    """
    work = assemble(config, own)
    state = work.start()
    selection = selection_of(work.data.config, work.recipe.model, work.data.validation)
    spent, steps, last = 0.0, 0, None
    for report in train(work.compiled, state, work.data.examples, 2**31 - 1):
        now = time.process_time()
        if last is not None:  # the first call compiles
            spent, steps = spent + now - last[0], steps + report.step - last[1]
        if spent > TRIED:
            state = report.state
            break
        last = (time.process_time(), report.step)
    looked = 0.0
    if selection is not None:
        for turn in range(3):
            start = time.process_time()
            selection.look(averaged_params(state), turn + 1, turn + 1)
            looked = time.process_time() - start
    return FirstLook(spent / steps, work.per_epoch, looked, _megabytes(work, state))


def megabytes_of(config: Config, own: Recipe | None = None) -> float | None:
    """The memory of a run's compiled training program: the data on the device, the state, and what a step needs.

    All contenders of a board are trained in one process, whose own peak is that of the largest before.

    Returns:
        Megabytes of 10^6 bytes; None where the compiler does not say.
    """
    work = assemble(config, own)
    return _megabytes(work, work.start())


def _megabytes(work: Assembled, state: TrainState) -> float | None:
    size = work.compiled.memory(work.compiled.place_state(state), work.compiled.place_images(work.data.examples))
    return None if size is None else size / 1e6


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file; {} where there is none, or what is there is none."""
    try:
        found = json.loads(read_bytes(path)) if path.exists() else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


class Clock:
    """A tracker that keeps the processor time of a training in a file, over all interruptions.

    The time up to the first record is that of compiling and is left out. A run that was killed trains some steps
    twice, and pays for them twice: `seconds` is what its steps would have taken without.
    """

    def __init__(self, path: Path):
        self.path, self.noted = path, 0.0
        self.last: tuple[float, int] | None = None
        known = read_object(path)
        self.spent, self.steps = float(known.get("seconds", 0.0)), int(known.get("steps", 0))

    def write(self, record: Mapping[str, Any]) -> None:
        """Notes the time of the steps since the last record."""
        now, step = time.process_time(), int(record["step"])
        if self.last is not None:
            self.spent, self.steps = self.spent + now - self.last[0], self.steps + step - self.last[1]
        self.last = (now, step)
        if time.monotonic() - self.noted > OFTEN:
            self.close()

    def close(self) -> None:
        """Writes the file."""
        self.noted = time.monotonic()
        write_json(self.path, {"seconds": self.spent, "steps": self.steps})

    def seconds(self, steps: int) -> float | None:
        """Processor seconds of so many steps; None where there was but one record."""
        return self.spent / self.steps * steps if self.steps else None
