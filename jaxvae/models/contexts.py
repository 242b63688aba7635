"""What a conditional model is told about an example: a class, or any array."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.checks import is_concrete, positive_integer
from jaxvae.data.labels import remedy

Array = jax.Array


class Labelled(NamedTuple):
    """A value and what it is conditioned on: an example and its label, or a code and the context it is decoded with.

    A batch, or a whole data set, is one `Labelled` whose arrays have equal leading lengths.

    Attributes:
        value: an array, or a tree of them.
        context: integer labels [], or any array.
    """

    value: Any
    context: Any


class Context(NamedTuple):
    """What a conditional model is told about an example; such as `class_labels(10)`.

    Attributes:
        example: () -> one context of the right shape and dtype; where `optional`, the one that says nothing.
        encode: context -> the array that networks see.
        check: (context, name) -> None; raises `ValueError` for a dtype or shape, or for values of a concrete context
            that are no contexts. It may have leading axes.
        optional: whether the model also takes `example()` in place of a context, as a semi-supervised one does.
        classes: how many, where it is an integer label; None for any array.
    """

    example: Callable[[], Array]
    encode: Callable[[Array], Array]
    check: Callable[[Any, str], None]
    optional: bool = False
    classes: int | None = None


def split_context(context: Context, x: Any, name: str) -> tuple[Any, Any]:
    """The value and the context of a `Labelled` x; raises `ValueError` where x has no context."""
    if not isinstance(x, Labelled) or x.context is None:
        raise ValueError(
            f"{name} is {type(x).__name__} without a context, but the model is conditional: expected "
            f"Labelled(value, context), with labels or contexts of shape {jnp.shape(context.example())} each."
        )
    return x.value, x.context


def context_of(x: Any) -> Any:
    """The context of one `Labelled` example, or of a batch of one; a batch of several keeps its axis; else None.

    Example:
        >>> int(context_of(Labelled(jnp.zeros((1, 2)), jnp.array([3])))), context_of(jnp.zeros((1, 2)))
        (3, None)
    """
    if not isinstance(x, Labelled):
        return None
    return x.context[0] if jnp.ndim(x.context) and len(x.context) == 1 else x.context


def count_examples(data: Any, name: str = "data") -> int:
    """The leading length that every array of a tree has.

    Raises:
        ValueError: for lengths that differ, naming two of them, or an array without a leading axis.

    Example:
        >>> count_examples(Labelled(jnp.zeros((5, 2)), jnp.zeros(5)))
        5
    """
    found = [(name + jax.tree_util.keystr(path), leaf) for path, leaf in jax.tree.leaves_with_path(data)]
    for at, leaf in found:
        if (leaf.ndim if hasattr(leaf, "ndim") else 1 if hasattr(leaf, "__len__") else 0) == 0:
            raise ValueError(f"{at} is {leaf!r}, expected an array with a leading axis of examples.")
        if len(leaf) != len(found[0][1]):
            raise ValueError(
                f"{found[0][0]} has {len(found[0][1])} examples and {at} has {len(leaf)}, expected as many of each."
            )
    return len(found[0][1]) if found else 0


def class_labels(count: int, *, unknown: bool = False) -> Context:
    """One of `count` classes, an integer label 0..count-1 that networks see as a one-hot vector [count].

    Args:
        count: the number of classes.
        unknown: whether the label -1 says that the class is not known (its vector is all zeros).

    Raises:
        ValueError, TypeError: if count is not a positive integer; later, for labels that are no integers or out of
            range (range outside `jit` only: inside, a label that is out of range is a vector of zeros).

    Example:
        >>> class_labels(3).encode(jnp.int32(1)).tolist()
        [0.0, 1.0, 0.0]
    """
    count = positive_integer("count", count)
    low = -1 if unknown else 0

    def check(labels: Any, name: str) -> None:
        dtype = _dtype(name, labels)
        if jnp.ndim(labels) > 1:
            fix = remedy(name, np.asarray(labels)) if is_concrete(labels) else ""
            raise ValueError(f"{name} has shape {jnp.shape(labels)}, expected one integer label for each example.{fix}")
        if not jnp.issubdtype(dtype, jnp.integer):
            raise ValueError(f"{name} has dtype {dtype}, expected integer labels {low} to {count - 1}.")
        if is_concrete(labels) and (bad := (np.asarray(labels) < low) | (np.asarray(labels) >= count)).any():
            index = tuple(int(i) for i in np.argwhere(bad)[0])
            raise ValueError(
                f"{name} has the label {np.asarray(labels)[index]} at index {index}, expected {low} to {count - 1}: "
                f"{count} classes{', -1 for unknown' if unknown else ', counted from 0'}."
            )

    def encode(label: Array) -> Array:
        check(label, "the label")
        return jax.nn.one_hot(label, count, dtype=jnp.float32)

    return Context(lambda: jnp.int32(low), encode, check, optional=unknown, classes=count)


def array_context(shape: tuple[int, ...]) -> Context:
    """Any array of that shape, given to the networks as it is, in float32 at least.

    Raises:
        ValueError, TypeError: for an impossible shape; later, for contexts of another shape or integer dtype, or
            (outside `jit`) with a NaN or an infinity.

    Example:
        >>> array_context((2,)).encode(jnp.array([0.5, 1.0])).tolist()
        [0.5, 1.0]
    """
    if not isinstance(shape, tuple | list):
        raise TypeError(f"context is {shape!r}, expected a number of classes or a shape such as (3,).")
    shape = tuple(positive_integer("context", size) for size in shape)

    def check(context: Any, name: str) -> None:
        dtype = _dtype(name, context)
        if not jnp.issubdtype(dtype, jnp.floating):
            raise ValueError(f"{name} has dtype {dtype}, expected floats. For classes pass context=their number.")
        given = jnp.shape(context)
        if given[max(len(given) - len(shape), 0) :] != shape or len(given) > len(shape) + 1:
            raise ValueError(f"{name} has shape {given}, expected {shape}, or (B, ...) for a batch.")
        if is_concrete(context) and not np.isfinite(np.asarray(context)).all():
            raise ValueError(f"{name} has a NaN or an infinity, expected finite numbers.")

    def encode(context: Array) -> Array:
        check(context, "the context")
        if jnp.shape(context) != shape:
            raise ValueError(f"the context has shape {jnp.shape(context)}, expected one context of shape {shape}.")
        return jnp.asarray(context, jnp.promote_types(jnp.float32, jnp.asarray(context).dtype))

    return Context(lambda: jnp.zeros(shape, jnp.float32), encode, check)


def as_context(context: Any) -> Context:
    """A `Context` from what a constructor is given: a number of classes, a shape, or a `Context`.

    Raises:
        ValueError, TypeError: for anything else.

    Example:
        >>> as_context(10).example().dtype, as_context((4,)).example().shape
        (dtype('int32'), (4,))
    """
    if isinstance(context, Context):
        return context
    if isinstance(context, tuple | list):
        return array_context(tuple(context))
    return class_labels(positive_integer("context", context))


def _dtype(name: str, value: Any) -> Any:
    if value is None:
        raise ValueError(f"{name} is missing: the model is conditional and needs a label or context for each example.")
    return getattr(value, "dtype", None) or np.asarray(value).dtype
