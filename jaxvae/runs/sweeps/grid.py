"""The members of a sweep: every combination of the values that options are given, each a config of its own."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from jaxvae.runs.choices.table import TABLES
from jaxvae.runs.configs.combinations import without_unread
from jaxvae.runs.configs.config import Config
from jaxvae.runs.configs.fields import FILLED, flatten
from jaxvae.runs.configs.names import unknown
from jaxvae.runs.configs.validate import validate

Grid = Mapping[str, Sequence[Any]]
MOST = 10_000  # members
OWN = (
    "progress",
    "parallel",
    "precision",
    "keep",
    "data.resident",
    "recipe.name",
    "sampler.kind",
)  # of all members alike


class Member(NamedTuple):
    """One run of a sweep.

    Attributes:
        name: of its folder, such as "beta=4,seed=0".
        values: {dotted field: value} of what the sweep varies.
        config: of the run.
    """

    name: str
    values: dict[str, Any]
    config: Config


def members_of(config: Config, grid: Grid) -> list[Member]:
    """Every combination of the values, the last option running fastest.

    Args:
        config: of all that is not varied.
        grid: {dotted field: values}, such as {"objective.beta": (1, 4), "seed": range(3)}.

    Raises:
        ValueError, TypeError: for unknown fields, those that a sweep cannot vary, values of another type or out of
            range, no values, values given twice, or too many members.

    Example:
        >>> members = members_of(Config(), {"objective.beta": (1, 4), "seed": range(2)})
        >>> [member.name for member in members]
        ['beta=1,seed=0', 'beta=1,seed=1', 'beta=4,seed=0', 'beta=4,seed=1']
        >>> members[2].config.objective.beta
        4.0
    """
    if not isinstance(grid, Mapping) or not grid:
        raise TypeError(f"grid is {grid!r}, expected a dict such as {{'objective.beta': (1, 4), 'seed': range(3)}}.")
    known = dict(flatten(config))
    for path, values in grid.items():
        if path not in known:
            raise ValueError(unknown("option", path, known))
        if path in OWN or path in FILLED or several(known[path], values):
            raise ValueError(f"{path} cannot be varied by a sweep, expected an option of one value such as optim.lr.")
        if isinstance(values, str) or not isinstance(values, Sequence) or not values:
            raise ValueError(f"{path} has the values {values!r}, expected a sequence of at least one.")
    count = math.prod(len(values) for values in grid.values())
    if count > MOST:
        raise ValueError(f"the grid has {count:,} members, expected at most {MOST:,}.")
    names, found = short_names(list(grid)), dict[str, Member]()
    for combination in itertools.product(*grid.values()):
        member = validate(with_values(config, dict(zip(grid, combination, strict=True))))
        typed = dict(flatten(member))
        chosen = {path: typed[path] for path in grid}
        name = ",".join(f"{names[path]}={_text(value)}" for path, value in chosen.items())
        if name in found:
            raise ValueError(f"the grid has {name} twice, expected each value once.")
        found[name] = Member(name, chosen, member)
    return list(found.values())


def several(known: Any, values: Any) -> bool:
    """Whether an option is of several numbers, by what it has or by what it would be given."""
    given = values if isinstance(values, list | tuple) else ()
    return any(isinstance(value, list | tuple) for value in (known, *given))


def with_values(config: Config, values: Mapping[str, Any]) -> Config:
    """The config with other values of some dotted fields, which are not checked: they may be traced numbers."""
    for path, value in values.items():
        part, _, field = path.rpartition(".")
        if part == "":
            config = replace(config, **{field: value})
            continue
        config = replace(config, **{part: replace(getattr(config, part), **{field: value})})
    # What another kind, network or size does not read goes back to its default.
    known = {path: TABLES[path] for path in ("model.kind", "model.network", "model.size")}
    return without_unread(config, {path: values[path] for path, table in known.items() if values.get(path) in table})


def short_names(paths: Sequence[str]) -> dict[str, str]:
    """The last part of each dotted field, or all of it where two end alike.

    Example:
        >>> short_names(["objective.samples", "optim.lr"]), short_names(["a.x", "b.x"])
        ({'objective.samples': 'samples', 'optim.lr': 'lr'}, {'a.x': 'a.x', 'b.x': 'b.x'})
    """
    ends = [path.rpartition(".")[2] for path in paths]
    return {path: end if ends.count(end) == 1 else path for path, end in zip(paths, ends, strict=True)}


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).replace("/", "_")
