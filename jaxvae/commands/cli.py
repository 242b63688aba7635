"""The command line of the experiments: presets and options, read by tyro, with errors of one line.

Nothing here imports JAX, so that --help and every mistake are answered at once.
"""

import contextlib
import io
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal, TypeVar

import tyro

import jaxvae
from jaxvae.runs.configs.config import Config
from jaxvae.runs.configs.fields import FILLED, flag, flatten
from jaxvae.runs.configs.names import nearest, show
from jaxvae.runs.configs.options import Least, check_options

Options = TypeVar("Options")
Service = Literal["tensorboard", "wandb", "mlflow", "trackio"]
Switch = Annotated[bool, tyro.conf.FlagCreatePairsOff]
RunFolder = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN", help="Run folder, as in runs/digits.")]
OwnRecipe = Annotated[str | None, tyro.conf.arg(metavar="FILE.py:FUNCTION")]
Workdir = Annotated[str, tyro.conf.arg(aliases=["--output"])]  # a folder under either name


@dataclass(frozen=True, kw_only=True)
class WhereOptions:
    """Where a run goes, and what goes with it; none of it changes a number."""

    workdir: Workdir = "runs/own"  # Run folder. A run interrupted in it goes on; a finished one is left as it is.
    allow_changes: Switch = False  # Go on with the run in the folder although values differ from its own.
    overwrite: Switch = False  # Remove the run in the folder and start afresh.
    profile: Switch = False  # Write a trace of ten steps into the run folder, and say how to look at it.
    distributed: Switch = False
    """Train together with other processes that are given the same command. Slurm, Open MPI and TPU pods say who they
    are, or the next three options do."""
    coordinator: str | None = None  # HOST:PORT where process 0 listens.
    processes: int | None = None  # How many processes there are.
    process: Annotated[int | None, Least(0)] = None  # Which of them this is, from 0.
    track: tuple[Service, ...] = ()
    """Where the records of the run go as well: TensorBoard files, or a service. It is no property of the run: say it
    again where the run goes on."""


@dataclass(frozen=True, kw_only=True)
class TrainOptions(WhereOptions):
    """What `experiments.train` reads from the command line."""

    config: Annotated[Config, tyro.conf.arg(name="")]
    recipe: Annotated[Any, tyro.conf.Suppress] = None  # the function of a run of one's own


class UsageError(ValueError):
    """The command line cannot be understood."""


def parse_options(
    cls: type[Options],
    args: Sequence[str],
    program: str | None = None,
    about: str | None = None,
    default: Options | None = None,
) -> Options:
    """A dataclass of options from the command line; `RunFolder` fields are positional.

    Args:
        cls: its docstring is the description, the comments after its fields are their help.
        args: the words of the command line.
        program: how the script was called.
        about: a description instead of the docstring.
        default: an instance with the defaults.

    Raises:
        UsageError: with a one-line message, for unknown options (the nearest is named) and unreadable values.
        ValueError: for values that no script could use, see `check_options`.
        SystemExit: after printing help.
    """
    program = program or f"python -m {_module(cls)}"
    answer_version(*args[:1])
    messages = io.StringIO()
    try:
        with contextlib.redirect_stderr(messages):
            options, rest = tyro.cli(
                cls,
                prog=program,
                description=about,
                args=list(args),
                default=tyro.MISSING_NONPROP if default is None else default,
                return_unknown_args=True,
            )
    except SystemExit as stop:
        if not stop.code:
            raise
        raise UsageError(f"{_condensed(messages.getvalue())} See {program} --help") from None
    if rest:
        raise UsageError(f"{_unexpected(rest, cls, default)} See {program} --help")
    check_options(options)
    return options


def answer_version(*words: str) -> None:
    """Prints the version and exits, where the first word asks for it."""
    if words[:1] == ("--version",):
        print(f"jaxvae {jaxvae.__version__}")
        raise SystemExit(0)


def parser(cls: type[Options]) -> Callable[[Sequence[str]], Options]:
    """The parse function for `launch` of a script whose options are the dataclass `cls`."""
    return lambda args: parse_options(cls, args)


def _module(cls: type) -> str:
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return spec.name if cls.__module__ == "__main__" and spec else cls.__module__


def _unexpected(rest: list[str], cls: type, default: Any) -> str:
    word = next((word for word in rest if word.startswith("-")), None)
    if word is None:
        return f"unexpected argument {show(rest[0])}; options begin with --, as in --epochs 20."
    name = word.partition("=")[0].lstrip("-").replace("-", "_")
    paths = [field.name for field in fields(cls)] if default is None else [path for path, _ in flatten(default)]
    paths = [path.removeprefix("config.") for path in paths]
    if name in FILLED and name in paths:
        return f"{word.partition('=')[0]} is no option: the run itself fills it in, and config.json keeps it."
    paths = [path for path in paths if path not in FILLED]
    by_name = {path.rpartition(".")[2]: path for path in reversed(paths)} | {path: path for path in paths}
    guess = nearest(name, by_name)
    return f"unknown option {word.partition('=')[0]}" + (f", did you mean {flag(by_name[guess])}?" if guess else ".")


def _condensed(box: str) -> str:
    """tyro's error message in one line; it comes as a title and paragraphs, framed or ruled."""
    lines = [line.strip(" │╭╮╰╯─") for line in re.sub("\x1b\\[[0-9;]*m", "", box).splitlines()]
    text = "\n".join(line if line.strip("-") else "" for line in lines[1:])
    paragraphs = [paragraph.split("\n") for paragraph in re.split(r"\n{2,}", text.strip("\n"))]
    reason = " ".join(paragraphs[0]).removeprefix("Error parsing ")
    reason = re.sub(r"Missing value for argument '(.*)'. Expected 1 values.", r"\1 needs a value.", reason)
    usage = next((rest[0].strip() for first, *rest in paragraphs if first == "Argument helptext:" and rest), None)
    return f"{reason.rstrip('.')}, expected {usage}." if usage else reason
