"""The words of a sweep: those of a training, where some options have several values."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Any

import tyro

from jaxvae.commands.cli import TrainOptions, UsageError
from jaxvae.commands.parts.train_line import parse_train
from jaxvae.runs.configs.config import Config
from jaxvae.runs.configs.fields import flatten, holds_several
from jaxvae.runs.configs.names import show

SWEEP = "python -m experiments.sweep"
RANGE = re.compile(r"(-?\d+):(-?\d+)(?::(\d+))?")
UNTAKEN = ("allow_changes", "overwrite", "profile", "track")  # of a training alone


@dataclass(frozen=True, kw_only=True)
class SweepOptions(TrainOptions):
    """Trains every combination of some options' values, as many as possible in one program."""

    at_once: int = 16  # The most members in one program; all of them are in memory.
    halving: int | None = None  # Of so many points one goes on, at some epochs, by the validation images.
    grid: Annotated[Any, tyro.conf.Suppress] = None  # {dotted field: values}


def parse_sweep(args: Sequence[str], program: str = SWEEP) -> SweepOptions:
    """Options of `experiments.sweep`: PRESET, then flags, of which those with several values are varied.

    Raises:
        UsageError, ValueError, TypeError, FileNotFoundError: for what cannot be understood or accepted.
        SystemExit: after printing help.

    Example:
        >>> found = parse_sweep(["digits", "--seed", "0:3", "--objective.beta", "1", "4", "--epochs", "5"])
        >>> found.grid, found.config.epochs, found.workdir
        ({'seed': [0, 1, 2], 'objective.beta': [1, 4]}, 5, 'runs/sweep-digits')
    """
    if not args or args[0] in ("-h", "--help"):
        print(sweep_help(program))
        raise SystemExit(0)
    at_once, words = taken(args, "at-once", 1)
    halving, words = taken(words, "halving", 2)
    grid, left = varied(words)
    options = parse_train(left, program)
    if options.recipe is not None:
        raise UsageError(f"{words[0]} is a function of your own, expected a preset or a config: its runs train alone.")
    for name in UNTAKEN:
        if getattr(options, name) != getattr(TrainOptions(config=options.config), name):
            raise UsageError(f"--{name.replace('_', '-')} is an option of a training alone, and no sweep takes it.")
    if not grid:
        raise UsageError("no option has several values, expected at least one, as in --seed 0:4 --objective.beta 1 4.")
    plain = {field.name: getattr(options, field.name) for field in fields(TrainOptions)}
    if not any(word.split("=")[0] in ("--workdir", "--output") for word in words):
        plain["workdir"] = f"runs/sweep-{words[0].rpartition('/')[2].removesuffix('.json')}"
    return SweepOptions(**plain, at_once=at_once or 16, halving=halving, grid=grid)


Values = Callable[[str], list[Any]]


def varied(
    words: Sequence[str], ranges: re.Pattern[str] = RANGE, values_of: Values | None = None
) -> tuple[dict[str, list[Any]], list[str]]:
    """The options of one value that are given several, by their fields, and the words that are left.

    Args:
        words: of the command line.
        ranges: what one word is that stands for several values.
        values_of: a word -> its values; by default of ranges of whole numbers.

    Example:
        >>> varied(["digits", "--optim.lr", "1e-3", "3e-3", "--model.hidden", "64", "64"])
        ({'optim.lr': [0.001, 0.003]}, ['digits', '--model.hidden', '64', '64'])
    """
    values_of = values_of or read_values
    single = {path for path, value in flatten(Config()) if not isinstance(value, bool) and not holds_several(path)}
    grid: dict[str, list[Any]] = {}
    left: list[str] = []
    position = 0
    while position < len(words):
        word, position = words[position], position + 1
        name, equals, first = word.partition("=")
        values = [first] if equals else []
        while word.startswith("--") and not equals and position < len(words) and not words[position].startswith("--"):
            values.append(words[position])
            position += 1
        path = name.removeprefix("--").replace("-", "_")
        several = len(values) > 1 or (len(values) == 1 and ranges.fullmatch(values[0]) is not None)
        if word.startswith("--") and path in single and several:
            grid[path] = [number for value in values for number in values_of(value)]
        else:
            left += [word] if equals else [word, *values]
    return grid, left


def read_values(text: str) -> list[Any]:
    """A range A:B or A:B:STEP of whole numbers, or one value."""
    if (found := RANGE.fullmatch(text)) is not None:
        low, high, step = int(found[1]), int(found[2]), int(found[3] or 1)
        if high <= low or step < 1:
            raise UsageError(f"the range {show(text)} is empty, expected FIRST:END with FIRST below END, such as 0:8.")
        return list(range(low, high, step))
    for kind in (int, float):
        try:
            return [kind(text)]
        except ValueError:
            continue
    return [None if text == "None" else text]


def taken(words: Sequence[str], name: str, least: int) -> tuple[int | None, list[str]]:
    """The number of an option of sweeps alone, or None, and the other words."""
    left, found = list(words), None
    for place, word in enumerate(left):
        if word.partition("=")[0].replace("_", "-") == f"--{name}":
            value = word.partition("=")[2] or (left[place + 1] if place + 1 < len(left) else "")
            del left[place : place + (1 if "=" in word else 2)]
            if not value.isdigit() or int(value) < least:
                raise UsageError(f"--{name} is {show(value)}, expected a whole number of at least {least}.")
            found = int(value)
            break
    return found, left


def sweep_help(program: str = SWEEP) -> str:
    """The first page of help."""
    return f"""usage: {program} PRESET [OPTIONS]

Trains every combination of the values of some options, as many members as
possible in one program. Options are those of a training; one that is given
several values, or a range 0:8 of whole numbers, is varied.

Seeds and numbers (of the objective, the optimizer, and model.std, weight,
temperature and the like) share a program; every other option makes a program
for each of its values. A member is an ordinary
run in WORKDIR/members/NAME. The same command goes on after an interruption.

  --workdir FOLDER  by default runs/sweep-PRESET
  --at-once N       the most members in one program (16)
  --halving N       successive halving: at some epochs, one point of N goes on,
                    with all its seeds, chosen by the validation images

examples:
  {program} digits --seed 0:8 --objective.beta 1 2 4 8 --workdir runs/sweep
  {program} mnist --optim.lr 3e-4 1e-3 3e-3 --validation-fraction 0.1
  {program} digits --model.latent-dim 4 8 16 --seed 0:3 --epochs 100
  {program} digits --optim.lr 1e-4 3e-4 1e-3 3e-3 1e-2 --objective.beta 0.5 1 2 \
    --validation-fraction 0.2 --epochs 81 --halving 3

All other options, with their defaults: {program} digits --help"""
