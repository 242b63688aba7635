"""The fields of a config: named with dots, and converted to their types with errors that name them."""

import math
import numbers
import re
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Literal

from jaxvae.runs.configs.config import Config
from jaxvae.runs.configs.names import nearest, show, unknown

DIGEST = re.compile("[0-9a-f]{64}")
# What a run fills in itself: kept in config.json, and no option of the command line.
FILLED = (
    "data.image_shape",
    "data.columns",
    "data.mean",
    "data.std",
    "data.classes",
    "data.train_sha256",
    "data.test_sha256",
    "objective.features_sha256",
    "recipe.name",
    "recipe.sha256",
    "recipe.options",
)


def flatten(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields (dotted field, value) in the order of the dataclass.

    Example:
        >>> dict(flatten(Config()))["optim.lr"]
        0.001
    """
    for field in fields(config):
        value = getattr(config, field.name)
        if is_dataclass(value):
            yield from flatten(value, f"{prefix}{field.name}.")
        else:
            yield prefix + field.name, value


def flag(path: str) -> str:
    """The command-line option of a dotted field.

    Example:
        >>> flag("model.latent_dim")
        '--model.latent-dim'
    """
    return "--" + path.replace("_", "-")


def words(value: Any) -> str:
    """A value as it is typed on the command line.

    Example:
        >>> words((400, 200)), words(None)
        ('400 200', 'None')
    """
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def short(value: Any) -> str:
    """The same, cut where it is a digest.

    Example:
        >>> short("0123456789abcdef" * 4), short(0.5)
        ('0123456789abcdef...', '0.5')
    """
    text = words(value)
    return f"{text[:16]}..." if DIGEST.fullmatch(text) else text


def mend(path: str) -> str:
    """How to set a dotted field, by the example of its default.

    Example:
        >>> mend("optim.lr")
        'The default is 0.001: optim.lr=0.001, or --optim.lr 0.001 on the command line.'
    """
    default = _defaults()[path]
    option = f"{flag(path)} {words(default)}"
    if isinstance(default, bool):
        option = flag(path) if default else flag(path).replace("--", "--no-", 1)
    return f"The default is {default!r}: {path}={default!r}, or {option} on the command line."


def typed(path: str, hint: Any, value: Any) -> Any:
    """`value` as plain Python of the type `hint`; NumPy numbers, lists and mappings (JSON) are converted.

    Args:
        path: the dotted field, which messages name; "" for a whole config.
        hint: a dataclass, int, float, bool, str, tuple[X, ...], a Literal of strings, or X | None.
        value: anything.

    Raises:
        TypeError: for a value of another type; True is no integer and "4" no number.
        ValueError: for a name or a field that does not exist, with the nearest one.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if is_dataclass(hint):
        return _typed_fields(path, typing.cast(type, hint), value)
    if origin is types.UnionType:
        return None if value is None else typed(path, arguments[0], value)
    if origin is Literal and isinstance(value, str):
        if value not in arguments:
            raise ValueError(f"{path}: {unknown('name', value, arguments)} {mend(path)}")
        return value
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(typed(path, arguments[0], item) for item in value)
    if hint is int and isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return int(value)
    if hint is float and isinstance(value, numbers.Real) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return math.inf
    if hint in (bool, str) and isinstance(value, hint):
        return value
    raise TypeError(f"{path} is {show(value)} ({type(value).__name__}), expected {_accepted(hint)}. {mend(path)}")


def _typed_fields(path: str, cls: type, value: Any) -> Any:
    options = _hints(cls)
    prefix, name = (f"{path}.", path) if path else ("", "the config")
    if isinstance(value, cls):
        value = {option: getattr(value, option) for option in options}
    if not isinstance(value, Mapping):
        given = f"{show(value)} ({type(value).__name__})"
        raise TypeError(f"{name} is {given}, expected an object with some of the fields {', '.join(options)}.")
    for key in value:
        if key not in options:
            raise ValueError(unknown_field(prefix, str(key), list(options)))
    return cls(**{key: typed(prefix + key, options[key], item) for key, item in value.items()})


def unknown_field(prefix: str, name: str, options: list[str]) -> str:
    """The message for a field that does not exist: the nearest one here, or one of that name elsewhere."""
    elsewhere = {path.rpartition(".")[2]: path for path in _defaults()}
    here, there = nearest(name, options), nearest(name, elsewhere)
    guess = prefix + here if here else elsewhere[there] if there else None
    hint = f", did you mean {guess!r}?" if guess else "."
    return f"unknown field {show(prefix + name)}{hint} Valid here: {', '.join(options)}."


@cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def holds_several(path: str) -> bool:
    """Whether a dotted field is a tuple, or one or None.

    Example:
        >>> holds_several("model.hidden"), holds_several("data.size"), holds_several("optim.lr")
        (True, True, False)
    """
    hint: Any = Config
    for name in path.split("."):
        hint = _hints(hint)[name]
    return tuple in (typing.get_origin(part) for part in (hint, *typing.get_args(hint)))


@cache
def _defaults() -> dict[str, Any]:
    return dict(flatten(Config()))


def _accepted(hint: Any) -> str:
    """The values of a type, in words."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType:
        return " or ".join(_accepted(argument) for argument in arguments)
    if origin is Literal:
        return "one of " + ", ".join(arguments)
    if origin is tuple:
        return "a list of integers"
    return {int: "an integer", float: "a number", bool: "true or false", str: "a string"}.get(hint, "None")
