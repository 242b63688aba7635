"""Errors for an input that does not fit a network or its parameters."""

import contextlib
from collections.abc import Iterator

import jax
from flax.errors import ScopeParamShapeError

Array = jax.Array


@contextlib.contextmanager
def fitting(name: str, value: Array) -> Iterator[None]:
    """Turns Flax's error for parameters of another shape into a `ValueError` that names the input.

    Example:
        >>> with fitting("x", jax.numpy.zeros((8, 8, 1))):
        ...     pass
    """
    try:
        yield
    except ScopeParamShapeError as error:
        raise ValueError(
            f"{name} has shape {value.shape}, which the parameters do not fit. Pass one example of the shape that init "
            f"saw, with the options the network had then; for a batch use jax.vmap. Flax says: {error}"
        ) from error


def check_latent(z: Array) -> None:
    """Raises `ValueError` unless z is one latent vector [Z].

    Example:
        >>> check_latent(jax.numpy.zeros(3))
    """
    if z.ndim != 1:
        raise ValueError(f"z has shape {z.shape}, expected one latent vector (Z,). For a batch use jax.vmap.")
