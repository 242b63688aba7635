"""The command line of the experiments: presets and options, read by tyro, with errors of one line.

Nothing here imports JAX, so that --help and every mistake are answered at once.
"""

import contextlib
import io
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import tyro

import jaxvae
from jaxvae.runs.choices.kinds import KINDS
from jaxvae.runs.configs.config import ABOUT, PRESETS, Config
from jaxvae.runs.configs.fields import flag, flatten
from jaxvae.runs.configs.names import folder_path, nearest, show, unknown
from jaxvae.runs.configs.options import check_options
from jaxvae.runs.configs.recipes import is_function_name
from jaxvae.runs.configs.serialize import read_config
from jaxvae.runs.configs.validate import validate
from jaxvae.runs.folder.run_folder import CONFIG

Options = TypeVar("Options")
Service = Literal["tensorboard", "wandb", "mlflow", "trackio"]
Switch = Annotated[bool, tyro.conf.FlagCreatePairsOff]
RunFolder = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN", help="Run folder, as in runs/digits.")]
OwnRecipe = Annotated[str | None, tyro.conf.arg(metavar="FILE.py:FUNCTION")]
Workdir = Annotated[str, tyro.conf.arg(aliases=["--output"])]  # a folder under either name
TRAIN = "python -m experiments.train"


@dataclass(frozen=True, kw_only=True)
class WhereOptions:
    """Where a run goes, and what goes with it; none of it changes a number."""

    workdir: Workdir = "runs/own"  # Run folder. A run interrupted in it goes on; a finished one is left as it is.
    allow_changes: Switch = False  # Go on with the run in the folder although values differ from its own.
    overwrite: Switch = False  # Remove the run in the folder and start afresh.
    profile: Switch = False  # Write a trace of ten steps into the run folder, and say how to look at it.
    track: tuple[Service, ...] = ()  # Where the records of the run go as well: TensorBoard files, or a service.


@dataclass(frozen=True, kw_only=True)
class TrainOptions(WhereOptions):
    """What `experiments.train` reads from the command line."""

    config: Annotated[Config, tyro.conf.arg(name="")]
    recipe: Annotated[Any, tyro.conf.Suppress] = None  # the function of a run of one's own


class UsageError(ValueError):
    """The command line cannot be understood."""


def parse_train(args: Sequence[str], program: str = TRAIN) -> TrainOptions:
    """Options of `experiments.train`: PRESET, then flags that change it.

    Args:
        args: the words of the command line.
        program: how the command was called.

    Raises:
        UsageError, ValueError, TypeError, FileNotFoundError: for what cannot be understood or accepted.
        SystemExit: after printing help.
    """
    if not args:
        raise UsageError(f"no preset given. Valid: {', '.join(PRESETS)}. Try {program} digits")
    start, *rest = args
    if start in ("-h", "--help"):
        print(train_help(program))
        raise SystemExit(0)
    answer_version(start)
    if start.startswith("-"):
        preset = next((word for word in rest if word in PRESETS), "digits")
        raise UsageError(f"the preset comes first, before {show(start)}: {program} {preset} [OPTIONS]")
    if is_function_name(start):
        from jaxvae.commands.parts.own_recipe import parse_recipe

        return parse_recipe(start, rest, program)
    config, workdir, about = starting_point(start, program)
    options = parse_options(
        TrainOptions, rest, f"{program} {start}", about, default=TrainOptions(config=config, workdir=workdir)
    )
    folder_path(options.workdir)
    return replace(options, config=validate(options.config))


def starting_point(start: str, program: str = TRAIN) -> tuple[Config, str, str]:
    """(config, default run folder, description) of a preset, a config file or a run folder."""
    if start in PRESETS:
        return PRESETS[start], f"runs/{start}", f"{start}: {ABOUT[start]}."
    path = Path(start)
    if os.path.isfile(path / CONFIG):
        config = read_config(path / CONFIG)
        if config.recipe.name is not None:
            name = config.recipe.name
            raise UsageError(f"{start} is a run of {name}. Go on with it: {program} {name} --workdir {start}")
        return config, start, f"Goes on with the run in {start}."
    if path.suffix == ".json":
        return read_config(path), f"runs/{path.stem}", f"Trains what {start} describes."
    if os.sep in start:
        own = f" If it holds your pictures: {program} images --data.name {start}" if path.exists() else ""
        raise FileNotFoundError(
            f"{start} is no run folder (it has no {CONFIG}) and no .json file.{own or f' Try {program} --help'}"
        )
    raise UsageError(unknown("preset", start, PRESETS))


def train_help(program: str = TRAIN) -> str:
    """The first page of help: presets, kinds of model and examples."""
    width = max(map(len, (*PRESETS, *KINDS))) + 2
    presets = "\n".join(f"  {name:<{width}}{ABOUT[name]}" for name in PRESETS)
    kinds = "\n".join(f"  {name:<{width}}{kind.about}" for name, kind in KINDS.items())
    return f"""usage: {program} PRESET [OPTIONS]

Trains a VAE or a relative. Config, metrics, checkpoints and pictures go into
a run folder; the same command again resumes a run that was interrupted.

presets:
{presets}

PRESET may also be a .json file with a config, a run folder to go on with, or
FILE.py:FUNCTION, a function of your own that returns a jaxvae.runs.Recipe.

--model.kind, what is trained:
{kinds}

examples:
  {program} digits
  {program} mnist --epochs 20 --optim.lr 3e-4 --workdir runs/a
  {program} digits --model.kind vq --workdir runs/vq
  {program} runs/a --epochs 40
  {program} mnist --validation-fraction 0.1 --patience 5
  {program} digits --track tensorboard

All options of a preset, with their defaults:
  {program} digits --help

--traceback, or JAXVAE_TRACEBACK=1, shows where an error was raised."""


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
