"""The words of a training: a preset, a config file, a run folder or a function of one's own, then what is changed."""

import contextlib
import itertools
import os
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from jaxvae.commands.cli import TrainOptions, UsageError, answer_version, parse_options
from jaxvae.commands.parts.asked import AskedOptions, asked
from jaxvae.commands.parts.own_recipe import parse_recipe
from jaxvae.runs.choices.kinds import KINDS
from jaxvae.runs.choices.networks import NETWORKS, SIZES
from jaxvae.runs.configs.combinations import without_unread
from jaxvae.runs.configs.config import Config
from jaxvae.runs.configs.names import folder_path, show, unknown
from jaxvae.runs.configs.presets import ABOUT, PRESETS
from jaxvae.runs.configs.recipes import is_function_name
from jaxvae.runs.configs.serialize import read_config
from jaxvae.runs.configs.validate import validate
from jaxvae.runs.folder.run_folder import CONFIG

TRAIN = "python -m experiments.train"


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
        return parse_recipe(start, rest, program)
    config, workdir, about = starting_point(start, program)
    if start in PRESETS:
        config = without_unread(config, _choices_asked_for(rest))
    default = AskedOptions(config=asked(config), workdir=workdir)
    options = parse_options(AskedOptions, rest, f"{program} {start}", about, default=default)
    folder_path(options.workdir)
    if not options.distributed and (options.coordinator, options.processes, options.process) != (None, None, None):
        raise UsageError(
            "--coordinator, --processes and --process say who the others of a job are, expected --distributed as well."
        )
    plain = {field.name: getattr(options, field.name) for field in fields(TrainOptions)}
    return TrainOptions(**plain | {"config": validate(options.config)})


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
    if os.sep in start or os.path.exists(path):
        own = f" {data_of(path, program)}" if os.path.exists(path) else f" Try {program} --help"
        raise FileNotFoundError(f"{start} is no run folder (it has no {CONFIG}) and no .json file.{own}")
    raise UsageError(unknown("preset", start, PRESETS))


def data_of(path: Path, program: str = TRAIN) -> str:
    """What to type for a file or folder of one's own data, by what it looks like.

    Example:
        >>> data_of(Path("my.csv"), "jaxvae train")
        'If it holds your table: jaxvae train table --data.name my.csv'
    """
    found = {".csv": "table", ".tsv": "table"}.get(path.suffix.lower(), "images")
    if path.suffix.lower() == ".npy":
        import numpy as np  # seldom needed, and help is to come at once

        with contextlib.suppress(Exception):  # a header is parsed as Python, which raises what it likes
            array = np.lib.format.open_memmap(path, mode="r")
            if array.ndim == 2:
                found = "counts" if array.dtype.kind in "iu" else "table"
    what = {"images": "pictures"}.get(found, found)
    others = f"; numbers in rows: {program} table, or counts" if path.suffix.lower() == ".npz" else ""
    return f"If it holds your {what}: {program} {found} --data.name {path}{others}"


def _choices_asked_for(words: Sequence[str]) -> dict[str, str]:
    """The last --model.kind, --model.network and --model.size among the words, if there are such; what cannot be
    understood is left to the parser."""
    found = {}
    for field, table in (("model.kind", KINDS), ("model.network", NETWORKS), ("model.size", SIZES)):
        said = [value for word, value in itertools.pairwise(words) if word == f"--{field}"]
        said += [word.partition("=")[2] for word in words if word.startswith(f"--{field}=")]
        if said and said[-1] in table:
            found[field] = said[-1]
    return found


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
  {program} table --data.name my_table.csv
  {program} mnist --validation-fraction 0.1 --patience 5
  {program} digits --track tensorboard

All options of a preset, with their defaults:
  {program} digits --help

--traceback, or JAXVAE_TRACEBACK=1, shows where an error was raised."""
