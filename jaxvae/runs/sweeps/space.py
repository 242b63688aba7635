"""Where a search looks: ranges and choices of options, in words and as Optuna has them."""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jaxvae.runs.configs.config import Config
from jaxvae.runs.configs.fields import FILLED, flatten
from jaxvae.runs.configs.names import unknown
from jaxvae.runs.configs.validate import validate
from jaxvae.runs.sweeps.grid import OWN, several, with_values


class Range(NamedTuple):
    """All numbers from `low` to `high`, both included; with `log` their logarithms are alike likely.

    Example:
        >>> str(Range(1e-4, 1e-2, log=True))
        '0.0001:0.01:log'
    """

    low: float
    high: float
    log: bool = False

    def __str__(self) -> str:
        return f"{self.low:g}:{self.high:g}{':log' if self.log else ''}"


Space = Mapping[str, Range | Sequence[Any]]


def check_space(config: Config, space: Space) -> None:
    """Raises `ValueError` or `TypeError` unless each option can be searched and both ends of its range are accepted."""
    if not isinstance(space, Mapping) or not space:
        raise TypeError(f"space is {space!r}, expected a dict such as {{'optim.lr': Range(1e-4, 1e-2, log=True)}}.")
    known = dict(flatten(config))
    for path, values in space.items():
        if path not in known:
            raise ValueError(unknown("option", path, known))
        if path in OWN or path in FILLED or path == "seed" or several(known[path], values):
            raise ValueError(f"{path} cannot be searched, expected an option of one value such as optim.lr.")
        if path == "model.likelihood" or path.startswith("data.") or path == "validation_fraction":
            raise ValueError(f"{path} is searched, and nats of other images or likelihoods cannot be compared. Fix it.")
        if isinstance(values, Range):
            if not isinstance(known[path], int | float | None) or isinstance(known[path], bool):
                raise ValueError(f"{path} is no number, expected a list of its values, not the range {values}.")
            if not (values.low < values.high and (values.low > 0 or not values.log)):
                raise ValueError(f"{path} has the range {values}, expected LOW below HIGH, and with :log above 0.")
        elif isinstance(values, str) or not isinstance(values, Sequence) or len(values) < 2:
            raise ValueError(f"{path} has the values {values!r}, expected a Range or at least two values.")
        for value in values[:2] if isinstance(values, Range) else values:
            validate(with_values(config, {path: value}))


def distributions_of(config: Config, space: Space) -> dict[str, Any]:
    """{dotted field: Optuna's distribution}; whole numbers where the option is one."""
    found, known = import_optuna().distributions, dict(flatten(config))

    def one(path: str, values: Any) -> Any:
        if not isinstance(values, Range):
            return found.CategoricalDistribution(tuple(values))
        if isinstance(known[path], int):
            return found.IntDistribution(int(values.low), int(values.high), log=values.log)
        return found.FloatDistribution(float(values.low), float(values.high), log=values.log)

    return {path: one(path, values) for path, values in space.items()}


def in_words(values: Range | Sequence[Any]) -> str:
    """A range or choices, as they are typed.

    Example:
        >>> in_words(Range(0.5, 4)), in_words((1, 2, 4))
        ('0.5:4', '1 2 4')
    """
    return str(values) if isinstance(values, Range) else " ".join(map(str, values))


def import_optuna() -> Any:
    """Optuna, which proposes the trials of a search and is imported for nothing else.

    Raises:
        ValueError: saying how to install it.
    """
    try:
        return importlib.import_module("optuna")
    except ModuleNotFoundError:
        raise ValueError("a search needs optuna, which is not installed. Run pip install 'jaxvae[search]'.") from None
