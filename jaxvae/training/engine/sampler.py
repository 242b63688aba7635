"""Which examples an epoch sees: each once in random order, or draws with replacement by weights that stand beside them.

Either is a pure function of (key, epoch, weights), so that a run is the same however it was cut or interrupted. Weights
that follow the parameters are a function of those at the start of the epoch, which a checkpoint keeps (the anchor).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.models.contexts import count_examples
from jaxvae.models.records import Key, Params
from jaxvae.training.engine.streams import epoch_key

Array = jax.Array

UNITS = 2**31  # probabilities are held as whole numbers of 1 / UNITS: exact sums, and a step of 5e-10


class Weighted(NamedTuple):
    """Examples with the probability of each to be drawn: training takes it wherever it takes examples.

    Make it with `weighted`.

    Attributes:
        examples: raw [N, ...], or a tree of arrays such as `Labelled(images, labels)`.
        edges: uint32 [N] the cumulative probabilities, in units of 1 / 2^31; the last is 2^31.
    """

    examples: Any
    edges: Any


def weighted(examples: Any, weights: Array | np.ndarray) -> Weighted:
    """Examples to be drawn with replacement, with probabilities in proportion to the weights.

    An epoch is as many draws as there are examples. A weight of 0 is never drawn; one below 2^-32 of the sum may be
    rounded to it. Weights of one shape share a compiled program: new weights for every epoch cost no compilation.

    Args:
        examples: raw [N, ...], or a tree of arrays [N, ...].
        weights: [N], finite, not negative, not all 0.

    Raises:
        ValueError: for other weights.

    Example:
        >>> data = weighted(np.arange(3), [1.0, 0.0, 3.0])
        >>> (data.edges / 2**31).tolist()
        [0.25, 0.25, 1.0]
    """
    array, size = np.asarray(weights, np.float64), count_examples(examples, "examples")
    if array.shape != (size,):
        raise ValueError(f"weights have shape {array.shape}, expected ({size},): one for each example.")
    total = array.sum()
    if not (np.isfinite(total) and (array >= 0).all() and total > 0):
        raise ValueError(
            f"weights have values from {array.min()} to {array.max()} and the sum {total}, expected finite numbers "
            f"that are not negative, of which one at least is above 0."
        )
    cumulative = np.cumsum(array)
    return Weighted(examples, np.rint(cumulative / cumulative[-1] * UNITS).astype(np.uint32))


class Reweighted(NamedTuple):
    """Examples whose weights follow the parameters: asked anew at the start of every epoch. `train` takes it.

    Attributes:
        examples: raw [N, ...], or a tree of arrays such as `Labelled(images, labels)`.
        weights: params -> [N], as `weighted` takes them, such as `latent_resampler`; it is given NumPy arrays.
        anchor: the parameters at the start of the epoch that training goes on in, which is `Report.anchor` of the run
            that was cut there; None for those of the state. At the start of an epoch it is not read.
    """

    examples: Any
    weights: Callable[[Params], Any]
    anchor: Params | None = None


class Epoch(NamedTuple):
    """The draws of one epoch: the parameters they come from, the edges, and how many examples they are worth."""

    anchor: Params
    edges: np.ndarray
    effective: float


def reweigh(data: Reweighted, params: Params, *, begins: bool) -> Epoch:
    """The weights of the epoch that begins with these parameters, or that goes on from the anchor.

    Example:
        >>> data = Reweighted(np.arange(3), lambda params: params["rare"])
        >>> reweigh(data, {"rare": jnp.array([1.0, 0.0, 1.0])}, begins=True).effective
        2.0
    """
    # Copies: the state's own arrays are donated to the next step. One host program for any number of devices.
    anchor = jax.tree.map(np.array, params) if begins or data.anchor is None else data.anchor
    given = np.asarray(data.weights(anchor), np.float64)
    return Epoch(anchor, weighted(data.examples, given).edges, effective_examples(given))


def effective_examples(weights: Array | np.ndarray) -> float:
    """(sum_i w_i)^2 / sum_i w_i^2: how many examples the draws are worth; N where all are alike.

    Source: Kish, 1965, Survey sampling.

    Example:
        >>> effective_examples([1.0, 1.0, 0.0])
        2.0
    """
    array = np.asarray(weights, np.float64)
    return float(array.sum() ** 2 / np.square(array).sum())


def epoch_order(key: Key, epoch: Array, size: int) -> Array:
    """The order of the examples in an epoch, a permutation [size] that needs no earlier epoch.

    One sort of random words, at half the time of `jax.random.permutation`; words that tie (for 60,000 examples in
    one epoch out of three) keep their order, which favours nothing that training could see.
    """
    return jnp.argsort(jax.random.bits(epoch_key(key, epoch), (size,), jnp.uint32))


def weighted_draws(key: Key, epoch: Array, edges: Array) -> Array:
    """Indices [N] drawn with replacement, index i with probability (edges[i] - edges[i - 1]) / 2^31.

    Args:
        key: the run's key.
        epoch: [] integer.
        edges: uint32 [N], of `weighted`.

    Example:
        >>> data = weighted(np.arange(4), [0.0, 1.0, 0.0, 0.0])
        >>> weighted_draws(jax.random.key(0), jnp.int32(0), jnp.asarray(data.edges)).tolist()
        [1, 1, 1, 1]
    """
    words = jax.random.bits(epoch_key(key, epoch), edges.shape, jnp.uint32) >> 1
    return jnp.searchsorted(edges, words, side="right", method="sort")


def epoch_indices(key: Key, epoch: Array, data: Any) -> Array:
    """Indices [N] of the examples of an epoch: draws where the data is `Weighted`, else a permutation."""
    if isinstance(data, Weighted):
        return weighted_draws(key, epoch, data.edges)
    return epoch_order(key, epoch, count_examples(data, "images"))


def examples_of(data: Any) -> Any:
    """The examples alone, without weights if there are any."""
    return data.examples if isinstance(data, Weighted | Reweighted) else data
