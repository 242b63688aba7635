"""The shape of an example: one array, or several by name, such as a picture and a count."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import jax.numpy as jnp

from jaxvae.checks import positive_integer, shown


class Shapes(Mapping[str, tuple[int, ...]]):
    """The shapes of the parts of an example by name: a dict that a compiled program can be remembered by.

    Example:
        >>> shapes = Shapes({"picture": (5, 1), "count": (1,)})
        >>> shapes, hash(shapes) == hash(Shapes({"count": (1,), "picture": (5, 1)}))
        ({'count': (1,), 'picture': (5, 1)}, True)
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]]):
        self._shapes = tuple(sorted(shapes.items()))

    def __getitem__(self, name: str) -> tuple[int, ...]:
        return dict(self._shapes)[name]

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._shapes)

    def __len__(self) -> int:
        return len(self._shapes)

    def __hash__(self) -> int:
        return hash(self._shapes)

    def __repr__(self) -> str:
        return repr(dict(self._shapes))


def as_shape(name: str, shape: Any) -> tuple[int, ...]:
    """The shape as a tuple; raises `TypeError` or `ValueError`, naming it, unless it has positive sizes.

    Example:
        >>> as_shape("event_shape", [28, 28, 1])
        (28, 28, 1)
    """
    if not isinstance(shape, tuple | list) or not shape:
        raise TypeError(f"{name} is {shape!r}, expected a tuple such as (28, 28, 1), channels last.")
    return tuple(positive_integer(name, size) for size in shape)


def as_event_shape(shape: Any) -> Any:
    """A shape, or `Shapes` of a dict of them; raises as `as_shape`.

    Example:
        >>> as_event_shape({"picture": [5, 1], "count": [1]})
        {'count': (1,), 'picture': (5, 1)}
    """
    if not isinstance(shape, Mapping):
        return as_shape("event_shape", shape)
    if not shape or not all(isinstance(name, str) for name in shape):
        raise TypeError(f"event_shape is {dict(shape)!r}, expected a shape for each name, such as {{'count': (1,)}}.")
    return Shapes({name: as_shape(f"event_shape[{name!r}]", part) for name, part in shape.items()})


def parts_of(event_shape: Any) -> dict[str | None, tuple[int, ...]]:
    """name -> shape of each part; of one array {None: shape}.

    Example:
        >>> parts_of((2, 1))
        {None: (2, 1)}
    """
    return dict(event_shape) if isinstance(event_shape, Mapping) else {None: event_shape}


def zeros(event_shape: Any) -> Any:
    """An example of zeros, float32.

    Example:
        >>> zeros(Shapes({"count": (1,)}))
        {'count': Array([0.], dtype=float32)}
    """
    if isinstance(event_shape, Mapping):
        return {name: zeros(shape) for name, shape in event_shape.items()}
    return jnp.zeros(event_shape, jnp.float32)


def event_size(event_shape: Any) -> int:
    """How many numbers an example has.

    Example:
        >>> event_size(Shapes({"picture": (5, 1), "count": (1,)}))
        6
    """
    return sum(math.prod(shape) for shape in parts_of(event_shape).values())


def check_event(name: str, x: Any, event_shape: Any, *, batch: bool) -> None:
    """Raises `ValueError` unless x is one example of that shape, or a batch of at least one.

    Example:
        >>> check_event("x", {"count": jnp.zeros(1)}, Shapes({"count": (1,)}), batch=False)
    """
    if isinstance(event_shape, Mapping):
        if not isinstance(x, Mapping) or set(x) != set(event_shape):
            found = f"the parts {sorted(x)}" if isinstance(x, Mapping) else f"no parts ({shown(x)})"
            raise ValueError(f"{name} has {found}, expected a dict of {sorted(event_shape)}, an array for each name.")
        for part, shape in event_shape.items():
            check_event(f"{name}[{part!r}]", x[part], shape, batch=batch)
        return
    shape, sizes = jnp.shape(x), ", ".join(map(str, event_shape))
    if not batch and shape != event_shape:
        raise ValueError(
            f"{name} has shape {shape}, expected one example of shape {event_shape}. A batch has shape "
            f"(B, {sizes}) and goes through jax.vmap or a training loss."
        )
    if batch and (len(shape) != len(event_shape) + 1 or shape[1:] != event_shape):
        raise ValueError(
            f"{name} has shape {shape}, expected a batch (B, {sizes}). Add the missing axis, as in {name}[None] for "
            f"one example or {name}[..., None] for one channel."
        )
    if batch and shape[0] == 0:
        raise ValueError(f"{name} is empty (0 examples), expected at least one. Check the split and the path.")
