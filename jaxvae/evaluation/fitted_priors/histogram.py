"""A histogram of each element by itself: the density of whole numbers that any model has to beat."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.checks import finite_number, positive_integer
from jaxvae.models.records import Conditional, Key, Params
from jaxvae.whole_numbers import as_levels

Array = jax.Array

SMOOTHINGS = tuple(float(a) for a in np.geomspace(1e-3, 30.0, 12))  # what cross-validation chooses among


def fit_histogram(x: Any, levels: int, *, smoothing: str | float = "cross_validation") -> Conditional:
    r"""p(x) = prod_i (n_i(x_i) + a) / (N + a L): how often element i had each level, and a added to every count.

    Exact for whole numbers, and `density_model(fit_histogram(x, L), categorical(L), event_shape=...)` is a model of it.

    Args:
        x: [N, *event_shape], whole numbers 0 .. levels - 1.
        levels: L.
        smoothing: a, a positive number: 1 is Laplace's rule; or "cross_validation", the best of 12 for every tenth
            example.

    Raises:
        ValueError, TypeError: for what are no such whole numbers, fewer than two examples, or an impossible smoothing.

    Source: Laplace's rule of succession, 1774; the smoothing, Lidstone, 1920.

    Example:
        >>> p = fit_histogram(np.array([[0.0], [1.0], [1.0]]), 2, smoothing=1.0)
        >>> round(float(jnp.exp(p.log_prob({}, jnp.ones(1), None))), 4)  # (2 + 1) / (3 + 2)
        0.6
    """
    levels = positive_integer("levels", levels, 2)
    whole = np.asarray(as_levels("x", x, levels)).astype(np.int64)
    if whole.ndim < 2 or len(whole) < 2:
        raise ValueError(f"x has shape {whole.shape}, expected (N, ...), at least 2 examples of one element or more.")
    shape = whole.shape[1:]
    flat = whole.reshape(len(whole), -1)
    if isinstance(smoothing, str):
        if smoothing != "cross_validation":
            raise ValueError(f"smoothing is {smoothing!r}, expected a positive number or 'cross_validation'.")
        smoothing = _best_smoothing(flat, levels)
    finite_number("smoothing", smoothing, above=True)
    table = jnp.asarray(_log_probs(flat, levels, float(smoothing)).reshape(*shape, levels), jnp.float32)

    def log_prob(params: Params, value: Array, context: Any = None) -> Array:
        if jnp.shape(value) != shape:
            raise ValueError(f"x has shape {jnp.shape(value)}, expected {shape}. For a batch use jax.vmap.")
        chosen = as_levels("x", value, levels).astype(jnp.int32)
        return jnp.take_along_axis(table, chosen[..., None], axis=-1).sum()

    def sample(params: Params, key: Key, context: Any = None) -> tuple[Array, Array]:
        value = jax.random.categorical(key, table).astype(jnp.float32)
        return value, log_prob(params, value)

    def mean(params: Params, context: Any = None) -> Array:
        values = jnp.arange(levels, dtype=jnp.float32)
        return jnp.matmul(jnp.exp(table), values, precision=jax.lax.Precision.HIGHEST)

    def level_log_probs(params: Params, context: Any = None) -> Array:
        return table

    def init(key: Key, context: Any = None) -> Params:
        return {}

    return Conditional(init, sample, log_prob, mean, support="integers", level_log_probs=level_log_probs)


def _log_probs(flat: np.ndarray, levels: int, smoothing: float) -> np.ndarray:
    """log p of each level of each element, [D, L], from whole numbers [N, D]."""
    elements = flat.shape[1]
    counts = np.bincount((flat + levels * np.arange(elements)).ravel(), minlength=elements * levels)
    return np.log(counts.reshape(elements, levels) + smoothing) - np.log(len(flat) + smoothing * levels)


def _best_smoothing(flat: np.ndarray, levels: int) -> float:
    """The smoothing under which every tenth example is likeliest, given the others."""
    held_out = np.arange(len(flat)) % 10 == 9
    if not held_out.any():
        raise ValueError(f"there are {len(flat)} examples, expected at least 10 for smoothing 'cross_validation'.")
    fitted, judged = flat[~held_out], flat[held_out]

    def score(smoothing: float) -> float:
        table = _log_probs(fitted, levels, smoothing)
        return float(table[np.arange(flat.shape[1]), judged].sum())

    return max(SMOOTHINGS, key=score)
