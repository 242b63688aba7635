"""What the arguments of a formula may be, said in one line above it, so that its body is algebra.

    @arguments(mean=real(), log_var=real(like="mean"))
    def normal_kl_standard(mean, log_var):
        return 0.5 * jnp.sum(mean**2 + expm1_minus(log_var))

The rule that no docstring of a formula repeats: it raises `TypeError` for what is no array of numbers, for integers
where it takes floats, for what is no key, number or function; and `ValueError` for shapes that do not fit, always, and
for a NaN or values that the docstring excludes, where they can be looked at (outside `jit`, `grad` and `vmap`). Each
error says what was passed, what was expected and how to mend it. A `Raises:` section tells of errors beyond these.

Types and shapes are looked at first, then values, each in the order of the decorator. Half precision comes to the body
as float32. Under `jit` nothing of this is left in the program.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, ParamSpec, TypeVar

import numpy as np

from jaxvae import checks

P = ParamSpec("P")
R = TypeVar("R")
ONE_EXAMPLE = "Each call takes one example; for a batch use jax.vmap."


class Role(NamedTuple):
    """What one argument may be.

    Attributes:
        convert: (name, value) -> the value as the formula takes it; raises `TypeError`.
        shape: such as "[..., K >= 1]", where axes of one name have one size in all arguments; None for any.
        what: what the rows of such a shape are, for the message; by default that a batch asks for `jax.vmap`.
        like: the argument whose shape it has, unless it is a scalar.
        check: (name, value, sizes) -> the value, where sizes holds the named axes and the integer arguments; raises
            `ValueError`.
    """

    convert: Callable[[str, Any], Any]
    shape: str | None = None
    what: str = ""
    like: str | None = None
    check: Callable[[str, Any, Mapping[str, Any]], Any] | None = None


def arguments(**roles: Role) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator that checks and converts each named argument as its role says; others pass as they are.

    An argument whose default is None may be None. What is called keeps the signature, docstring and types.

    Example:
        >>> from jaxvae.roles import real
        >>> @arguments(x=real("[N]"), weights=real("[N]"))
        ... def weighted(x, weights):
        ...     return x @ weights
        >>> float(weighted(np.float32([1.0, 2.0]), weights=np.float32([0.5, 0.25])))
        1.0
        >>> weighted(np.zeros(2), np.arange(2))  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        TypeError: weights has dtype int64, expected a float array...
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        parameters = inspect.signature(function).parameters
        defaults = {name: p.default for name, p in parameters.items() if p.default is not p.empty}
        by_place = [name for name, p in parameters.items() if p.kind is not p.KEYWORD_ONLY]
        required = parameters.keys() - defaults.keys()
        call: Callable[..., R] = function
        if strangers := roles.keys() - parameters.keys():
            raise TypeError(f"{function.__name__} has no argument {', '.join(sorted(strangers))}.")

        @functools.wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            given = dict(zip(by_place, args, strict=False)) | kwargs
            if len(given) < len(args) + len(kwargs) or not required <= given.keys():
                return call(*args, **kwargs)  # Python's own words for what is missing, double or too many
            given, sizes = defaults | given, {}
            present = [(n, role) for n, role in roles.items() if given[n] is not None or defaults.get(n, 0) is not None]
            for name, role in present:
                given[name] = value = role.convert(name, given[name])
                if isinstance(value, int):
                    sizes[name] = value
                elif role.like is not None:
                    checks.same_shape(**{role.like: given[role.like], name: value})
                elif role.shape is not None:
                    _bind(name, roles, np.shape(value), sizes)
            for name, role in present:
                if role.check is not None:
                    given[name] = role.check(name, given[name], sizes)
            return call(**given)

        return checked

    return decorate


@functools.cache
def _axes(shape: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The names and least sizes of the axes in "[..., K >= 1]"."""
    parts = [part.partition(">=") for part in shape[1:-1].split(",") if part]
    return tuple(name.strip() for name, _, _ in parts), tuple(int(least or 0) for _, _, least in parts)


def _bind(name: str, roles: Mapping[str, Role], shape: tuple[int, ...], sizes: dict[str, Any]) -> None:
    """Notes the sizes of the axes that a role names; raises `ValueError` where a shape has other axes or sizes."""
    axes, least = _axes(roles[name].shape or "[]")
    parts: tuple[Any, ...] = shape
    if "..." in axes and len(shape) >= len(axes) - 1:
        at, rest = axes.index("..."), len(shape) - len(axes) + 1
        parts = (*shape[:at], shape[at : at + rest], *shape[at + rest :])
    found = dict(sizes)
    fits = len(parts) == len(axes) and all(
        found.setdefault(axis, size) == size and (axis == "..." or size >= n)
        for axis, size, n in zip(axes, parts, least, strict=True)
    )
    if not fits:
        bare = f"[{', '.join(axes)}]"
        expected = bare + "".join(f" with {axis} of at least {n}" for axis, n in zip(axes, least, strict=True) if n)
        if axes[:1] == ("...",) and "..." in sizes and axes[-1] not in sizes:
            owner = next(other for other, role in roles.items() if "..." in (role.shape or ""))
            expected = f"{sizes['...']} (that of {owner}) and one more axis [{axes[-1]}]"
        elif all(axis in sizes for axis in axes) or (len(parts) == len(axes) and any(axis in sizes for axis in axes)):
            known = dict(zip(axes, parts, strict=False)) | sizes
            sized = (known[axis] if axis == "..." else (known[axis],) for axis in axes)
            expected = f"{sum(sized, ())}, which is {bare}"
        what = roles[name].what
        raise ValueError(f"{name} has shape {shape}, expected {expected}{f': {what}.' if what else f'. {ONE_EXAMPLE}'}")
    sizes.update(found)
