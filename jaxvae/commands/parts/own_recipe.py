"""The options of a run of one's own function: what every run is asked, and the function's keyword arguments."""

import functools
import inspect
from collections.abc import Sequence
from dataclasses import field, fields, make_dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from jaxvae.commands.cli import TrainOptions, WhereOptions, parse_options
from jaxvae.runs.configs.config import Config, Settings
from jaxvae.runs.configs.names import folder_path
from jaxvae.runs.configs.options import check_options
from jaxvae.runs.configs.recipes import arguments_of, import_function, noted


def parse_recipe(start: str, words: Sequence[str], program: str) -> TrainOptions:
    """Options of `train FILE.py:FUNCTION`; the file is run, since it was named.

    Raises:
        UsageError, ValueError, TypeError, FileNotFoundError: for what cannot be understood or accepted, and whatever
            the file raises.
        SystemExit: after printing help.
    """
    make = import_function(start)
    arguments = arguments_of(make)
    taken = {item.name for cls in (Settings, WhereOptions) for item in fields(cls)}
    for name in arguments:
        if name in taken:
            raise ValueError(
                f"{start} has the argument {name!r}, which is an option of every run: rename it, or leave it out."
            )
    own: list[Any] = [
        (name, kind) if default is inspect.Parameter.empty else (name, kind, field(default=default))
        for name, (kind, default) in arguments.items()
    ]
    inner = make_dataclass("Arguments", own, frozen=True, kw_only=True)
    where = WhereOptions(workdir=f"runs/{Path(start.rpartition(':')[0]).stem}")
    whole = make_dataclass(
        "RecipeOptions",
        [
            ("arguments", Annotated[inner, tyro.conf.arg(name="")]),
            ("where", Annotated[WhereOptions, tyro.conf.arg(name="")], field(default=where)),
            ("settings", Annotated[Settings, tyro.conf.arg(name="")], field(default=Settings())),
        ],
        frozen=True,
    )
    about = (inspect.getdoc(make) or f"Trains what {start} returns.").partition("\n")[0]
    options: Any = parse_options(whole, words, f"{program} {start}", about)
    check_options(options.where)
    folder_path(options.where.workdir)
    given = {name: getattr(options.arguments, name) for name in arguments}
    settings = {item.name: getattr(options.settings, item.name) for item in fields(Settings)}
    rest = {item.name: getattr(options.where, item.name) for item in fields(WhereOptions)}
    config = noted(make, Config(**settings), given)
    return TrainOptions(config=config, recipe=functools.partial(make, **given), **rest)
