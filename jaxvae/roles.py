"""What one argument of a formula may be: floats, a real number, pixels, whole numbers, a key. See `arguments`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxvae import checks
from jaxvae.arguments import Role
from jaxvae.whole_numbers import as_counts, as_levels

UNIT_FIX = "Scale the pixels: x / 255.0 for 0..255, (x + 1.0) / 2.0 for [-1, 1]."


def floats(shape: str | None = None, what: str = "", *, like: str | None = None) -> Role:
    """Floats of any value, NaN too, float32 at least."""
    return Role(checks.as_float, shape, what, like)


def real(
    shape: str | None = None,
    what: str = "",
    *,
    like: str | None = None,
    low: float = -np.inf,
    high: float = np.inf,
    fix: str = "Find its source with jax_debug_nans.",
) -> Role:
    """Floats in [low, high], infinities too where these are; a NaN is refused, since it is a mistake made elsewhere."""

    def check(name: str, value: Any, sizes: Mapping[str, Any]) -> Any:
        checks.in_range(name, value, low, high, fix)
        return value

    return Role(checks.as_float, shape, what, like, check)


def unit(shape: str | None = None) -> Role:
    """Pixels or probabilities, floats in [0, 1]."""
    return real(shape, low=0.0, high=1.0, fix=UNIT_FIX)


def direction(shape: str) -> Role:
    """A vector of length 1."""

    def check(name: str, value: Any, sizes: Mapping[str, Any]) -> Any:
        if checks.is_concrete(value) and not abs((length := float(np.linalg.norm(np.float64(value)))) - 1) < 1e-3:
            raise ValueError(f"{name} has length {length}, expected a unit vector. Divide it by its length.")
        return value

    return Role(checks.as_float, shape, check=check)


def level(shape: str, below: str) -> Role:
    """Whole numbers from 0 up, below the size of an axis or the value of another argument; int32, or floats."""
    return Role(checks.as_numbers, shape, check=lambda name, value, sizes: as_levels(name, value, sizes[below]))


def count(shape: str | None = None) -> Role:
    """Whole numbers from 0 up, as floats."""
    return Role(checks.as_numbers, shape, check=lambda name, value, sizes: as_counts(name, value))


def array(shape: str | None = None, what: str = "", *, like: str | None = None) -> Role:
    """Numbers of any kind."""
    return Role(checks.as_array, shape, what, like)


def key() -> Role:
    """One random key."""
    return Role(checks.as_key)


def integer(at_least: int | str = 1) -> Role:
    """An integer of at least a number, or of at least another integer argument; it is never traced."""
    if isinstance(at_least, int):
        return Role(lambda name, value: checks.positive_integer(name, value, at_least))
    return Role(
        checks.positive_integer, check=lambda n, value, sizes: checks.positive_integer(n, value, sizes[at_least])
    )


def number(low: float = 0.0, high: float = np.inf, *, above: bool = False, below: bool = False) -> Role:
    """A finite number in [low, high], without an end that `above` or `below` excludes; it may be traced."""

    def convert(name: str, value: Any) -> Any:
        checks.finite_number(name, value, low, high, above=above, below=below)
        return value

    return Role(convert)


def positive() -> Role:
    """A finite number above 0."""
    return number(above=True)


def some(role: Role, such_as: str) -> Role:
    """A tuple of one or more, each as the role says."""

    def convert(name: str, value: Any) -> Any:
        if not isinstance(value, tuple | list) or not value:
            raise ValueError(f"{name} is {value!r}, expected a tuple of one or more such as {such_as}.")
        return tuple(role.convert(name, each) for each in value)

    return Role(convert)


def one_of(choices: Sequence[str]) -> Role:
    """One of some words."""

    def convert(name: str, value: Any) -> Any:
        if value not in choices:
            raise ValueError(f"{name} is {value!r}, expected one of {', '.join(map(repr, choices))}.")
        return value

    return Role(convert)


def function(such_as: str) -> Role:
    """What can be called."""
    return Role(lambda name, value: checks.as_function(name, value, such_as))
