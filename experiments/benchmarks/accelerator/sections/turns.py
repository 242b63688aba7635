"""Contenders that take turns: in this process or in one of their own."""

import importlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

import numpy as np

from experiments.benchmarks.speed import Runner
from experiments.benchmarks.worker import told

SLOW = 0.5  # seconds of an epoch


@dataclass
class Contender:
    """What trains an epoch of so many examples, and what it has done.

    Attributes:
        once: () -> (seconds, loss) of one epoch, done when it returns.
        repeats: epochs of a turn.
        rates: examples/s of each turn.
    """

    name: str
    once: Callable[[], tuple[float, float]]
    examples: int
    repeats: int = 1
    seconds: float = math.inf
    rates: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)

    @property
    def span(self) -> list[float]:
        """[lowest, median, highest] of the rates."""
        return [min(self.rates), median(self.rates), max(self.rates)]

    def warm_up(self) -> None:
        """Compiles, and learns how long an epoch takes; a run makes its calls longer as it goes."""
        for _ in range(3):
            self.seconds, loss = self.once()
            self.losses.append(loss)

    def turn(self) -> None:
        """Some epochs."""
        times = [self.once()[0] for _ in range(self.repeats)]
        self.rates.append(self.repeats * self.examples / sum(times))


def take_turns(contenders: list[Contender], left: Callable[[], float], *, rounds: int, seconds: float) -> None:
    """Rounds A B C, A B C, ..., each turn of about so many seconds, while there is time left; the slow take two."""
    for one in contenders:
        one.repeats = max(1, math.ceil(seconds / one.seconds))
    for number in range(rounds):
        if number and left() < sum(one.repeats * one.seconds for one in contenders):
            break
        for one in contenders:
            if number < 2 or one.seconds <= SLOW:
                one.turn()


def local(name: str, images: np.ndarray, model: str, batch: int) -> Contender:
    """A contender of `experiments.benchmarks.contenders`, as name@precision, in this process."""
    module, _, precision = name.partition("@")
    make = importlib.import_module(f"experiments.benchmarks.contenders.{module}").make
    return timed(name, told(make(images, model, batch), precision), len(images))


def timed(name: str, epoch: Callable[[], float], examples: int) -> Contender:
    """A contender of a function that trains an epoch and waits for it."""

    def once() -> tuple[float, float]:
        start = time.perf_counter()
        loss = epoch()
        return time.perf_counter() - start, loss

    return Contender(name, once, examples)


def remote(runner: Runner, patience: float) -> Contender:
    """One in its own process, which was asked for its first epoch; it has so many seconds for each answer."""
    examples = runner.answer(patience)["examples"]
    runner.take(patience)

    def once() -> tuple[float, float]:
        runner.ask()
        runner.take(patience)
        return runner.seconds[-1], runner.losses[-1]

    return Contender(runner.name, once, examples, losses=[runner.losses[0]])
