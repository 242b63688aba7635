"""The words of a search: those of a training, where some options have a range or several values."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Any

import tyro

from jaxvae.commands.cli import TrainOptions, UsageError
from jaxvae.commands.parts.train_line import parse_train
from jaxvae.commands.sweep.line import UNTAKEN, read_values, taken, varied
from jaxvae.runs.sweeps.space import Range

SEARCH = "python -m experiments.search"
NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
RANGE = re.compile(rf"({NUMBER}):({NUMBER})(:log)?")


@dataclass(frozen=True, kw_only=True)
class SearchOptions(TrainOptions):
    """Trains trials that Optuna proposes, several at a time in one program."""

    trials: int = 32  # How many trials the study is to have in the end.
    together: int = 8  # How many are proposed at a time; they train in one program.
    storage: str | None = None  # File of SQLite, or URL of a database; WORKDIR/study.db.
    study: str = "search"  # Name of the study in the storage.
    space: Annotated[Any, tyro.conf.Suppress] = None  # {dotted field: Range or choices}


def parse_search(args: Sequence[str], program: str = SEARCH) -> SearchOptions:
    """Options of `experiments.search`: PRESET, then flags, of which those with a range or several values are searched.

    Raises:
        UsageError, ValueError, TypeError, FileNotFoundError: for what cannot be understood or accepted.
        SystemExit: after printing help.

    Example:
        >>> found = parse_search("digits --optim.lr 1e-4:1e-2:log --model.activation relu gelu --trials 4".split())
        >>> found.space["optim.lr"], found.space["model.activation"], found.trials, found.workdir
        (Range(low=0.0001, high=0.01, log=True), ('relu', 'gelu'), 4, 'runs/search-digits')
    """
    if not args or args[0] in ("-h", "--help"):
        print(search_help(program))
        raise SystemExit(0)
    trials, words = taken(args, "trials", 1)
    together, words = taken(words, "together", 1)
    storage, words = _word(words, "storage")
    study, words = _word(words, "study")
    found, left = varied(words, RANGE, _values)
    options = parse_train(left, program)
    if options.recipe is not None:
        raise UsageError(f"{words[0]} is a function of your own, expected a preset or a config: its runs train alone.")
    for name in UNTAKEN:
        if getattr(options, name) != getattr(TrainOptions(config=options.config), name):
            raise UsageError(f"--{name.replace('_', '-')} is an option of a training alone, and no search takes it.")
    if not found:
        raise UsageError("no option has a range, expected at least one, as in --optim.lr 1e-4:1e-2:log.")
    space = {path: values[0] if isinstance(values[0], Range) else tuple(values) for path, values in found.items()}
    plain: dict[str, Any] = {field.name: getattr(options, field.name) for field in fields(TrainOptions)}
    if not any(word.split("=")[0] in ("--workdir", "--output") for word in words):
        plain["workdir"] = f"runs/search-{words[0].rpartition('/')[2].removesuffix('.json')}"
    own: dict[str, Any] = {"trials": trials, "together": together, "storage": storage, "study": study}
    return SearchOptions(**plain, **{name: value for name, value in own.items() if value is not None}, space=space)


def _values(text: str) -> list[Any]:
    if (found := RANGE.fullmatch(text)) is None:
        return read_values(text)
    return [Range(float(found[1]), float(found[2]), found[3] is not None)]


def _word(words: Sequence[str], name: str) -> tuple[str | None, list[str]]:
    """The word after an option of searches alone, or None, and the other words."""
    left = list(words)
    for place, word in enumerate(left):
        if word.partition("=")[0] == f"--{name}":
            given = [word.partition("=")[2]] if "=" in word else left[place + 1 : place + 2]
            if not given or not given[0] or given[0].startswith("--"):
                raise UsageError(f"--{name} needs a value.")
            del left[place : place + (1 if "=" in word else 2)]
            return given[0], left
    return None, left


def search_help(program: str = SEARCH) -> str:
    """The first page of help."""
    return f"""usage: {program} PRESET [OPTIONS]

Trains trials that Optuna proposes, several at a time in one program, and says
which is best on the validation images. Options are those of a training; one
that is given a range LOW:HIGH, both included, LOW:HIGH:log or several values
is searched. It needs pip install 'jaxvae[search]'.

A trial is an ordinary run in WORKDIR/members/trial=N. The same command goes
on after an interruption; a larger --trials adds to what was found.

  --workdir FOLDER  by default runs/search-PRESET
  --trials N        how many trials the study is to have in the end (32)
  --together N      how many are proposed at a time; they share a program (8)
  --storage WHERE   file of SQLite or URL of a database (WORKDIR/study.db);
                    several processes may share it, each with its own workdir
  --study NAME      name of the study in the storage (search)

examples:
  {program} digits --optim.lr 1e-4:1e-2:log --objective.beta 0.5:4 \\
    --validation-fraction 0.2 --epochs 60 --trials 32
  {program} mnist --model.latent-dim 2:64:log --optim.lr 3e-4:3e-3:log \\
    --validation-fraction 0.1 --trials 12 --together 4

All other options, with their defaults: {program} digits --help"""
