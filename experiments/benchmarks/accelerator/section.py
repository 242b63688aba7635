"""The process of one section: runs its parts in order while there is time, and says each number at once.

python -m experiments.benchmarks.accelerator.section NAME SCRATCH SECONDS
"""

import argparse
import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple

from jaxvae.files import plain

WORDS = 500  # characters of an error that are kept


class OutOfTime(Exception):
    """Ends a part that has noted what it could."""


@dataclass
class Section:
    """What a part knows and where it says its numbers.

    Attributes:
        tiny: whether this is a dry run.
        scratch: mnist.npz, digits.npz, train.npy and test.npy, and room for more.
        deadline: by `time.monotonic`.
        python_peers: the interpreter with the peers.
    """

    tiny: bool
    scratch: Path
    deadline: float
    python_peers: str
    out: IO[str]
    part: str = ""
    noted: dict[str, Any] = field(default_factory=dict)

    def left(self) -> float:
        """Seconds left to the section."""
        return self.deadline - time.monotonic()

    def need(self, seconds: float = 0.0) -> None:
        """Raises `OutOfTime` unless so many seconds are left."""
        if self.left() < seconds:
            raise OutOfTime(f"{max(self.left(), 0):.0f} s were left")

    def note(self, **numbers: Any) -> None:
        """Numbers of this part, by name; a later value replaces an earlier one."""
        self.noted.update(numbers)
        self._say(part=self.part, **numbers)

    def row(self, what: str, figure: str) -> None:
        """A line of the table."""
        self._say(row=[what, figure])

    def run(self, name: str, part: "Part") -> None:
        """Runs a part; whatever happens to it is said and does not end the others."""
        self.part, self.noted, start = name, {}, time.monotonic()
        self._say(part=name, status="running")
        status, why = "done", None
        try:
            self.need()
            part.function(self)
            if missing := set(part.numbers) - set(self.noted):
                raise RuntimeError(f"not measured: {', '.join(sorted(missing))}")
        except OutOfTime as error:
            status, why = "cut" if self.noted else "skipped", str(error)
        except Exception as error:
            traceback.print_exc()
            status, why = "failed", f"{type(error).__name__}: {error}"[:WORDS]
        self._say(part=name, status=status, why=why, seconds=round(time.monotonic() - start, 2))

    def _say(self, **content: Any) -> None:
        print(json.dumps(plain(content)), file=self.out)


class Part(NamedTuple):
    """A function that notes numbers, and their names."""

    function: Callable[[Section], None]
    numbers: tuple[str, ...]


def parts_of(name: str, tiny: bool) -> dict[str, Part]:
    """The parts of a section, in order."""
    module = importlib.import_module(f"experiments.benchmarks.accelerator.sections.{name}")
    parts: dict[str, Part] = module.parts(tiny)
    return parts


def main() -> None:
    """Runs the parts of a section."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("scratch", type=Path)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--python-peers", default=sys.executable)
    parser.add_argument("--tiny", action="store_true")
    given = parser.parse_args()
    deadline = time.monotonic() + given.seconds
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print must not mix with the numbers
    section = Section(given.tiny, given.scratch, deadline, given.python_peers, out)
    for name, part in parts_of(given.name, given.tiny).items():
        section.run(name, part)


if __name__ == "__main__":
    main()
