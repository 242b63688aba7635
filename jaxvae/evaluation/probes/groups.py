"""Accuracy group by group: a mean over all hides what happens to a small group."""

import functools
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxvae.evaluation.batches import map_batches
from jaxvae.evaluation.statistics import share_error
from jaxvae.models.records import Model, Network, Params, check_batch
from jaxvae.randomness import applied

Array = jax.Array


class GroupAccuracy(NamedTuple):
    """Accuracies of groups of examples; rows are in the order of `groups`.

    Attributes:
        groups: [G] the distinct names or numbers, sorted.
        accuracy: [G] the share of right answers. standard_error: [G] of it, after Agresti and Coull: see
            `jaxvae.evaluation.share_error`.
        examples: [G] how many.
        worst: the row of the lowest accuracy.
    """

    groups: np.ndarray
    accuracy: np.ndarray
    standard_error: np.ndarray
    examples: np.ndarray
    worst: int


def group_accuracy(correct: Array | np.ndarray, groups: Array | np.ndarray) -> GroupAccuracy:
    """The accuracy in each group, and which is worst.

    Args:
        correct: [N] whether each answer is right.
        groups: [N] the group of each example, names or numbers.

    Raises:
        ValueError: for other shapes, or no examples.

    Source: Sagawa et al., 2020, arXiv 1911.08731 (worst-group accuracy).

    Example:
        >>> found = group_accuracy([True, True, False, True], ["a", "a", "b", "b"])
        >>> found.accuracy.tolist(), found.groups[found.worst].item()
        ([1.0, 0.5], 'b')
    """
    right, names = np.asarray(correct, bool), np.asarray(groups)
    if right.ndim != 1 or right.shape != names.shape or len(right) == 0:
        raise ValueError(f"correct has shape {right.shape} and groups {names.shape}, expected (N,) of each.")
    found, index = np.unique(names, return_inverse=True)
    count = np.bincount(index)
    rights = np.bincount(index, right)
    accuracy = rights / count
    return GroupAccuracy(found, accuracy, share_error(rights, count), count, int(np.argmin(accuracy)))


def predict(
    model: Model, network: Network, params: Params, x: Any, *, name: str = "classifier", batch_size: int = 500
) -> np.ndarray:
    """The class [N] of largest logit of a classifier at each example's posterior mean, see `supervised_loss`.

    Args:
        model, network, params: the model, the classifier of codes, and the parameters of both.
        x: [N, *event_shape], in the units of the likelihood.
        name: of the classifier's parameters.
        batch_size: examples in flight at a time; no number depends on it.

    Raises:
        ValueError, TypeError: for examples that the model cannot score.
    """
    check_batch(model, x)
    found: np.ndarray = map_batches(functools.partial(_predict, model, network, name, params), x, batch_size=batch_size)
    return found


def class_probabilities(
    model: Model, network: Network, params: Params, x: Any, *, name: str = "classifier", batch_size: int = 500
) -> np.ndarray:
    """The probability [N, classes] that the classifier of `predict`, with the same arguments, gives each class.

    Taken for codes by `resampling_weights`, they draw a class that is seldom named more often, and images that are
    between classes. The paper's histograms are of the latents alone.

    Raises:
        ValueError, TypeError: for examples that the model cannot score.
    """
    check_batch(model, x)
    found: np.ndarray = map_batches(functools.partial(_softmax, model, network, name, params), x, batch_size=batch_size)
    return found


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _predict(model: Model, network: Network, name: str, params: Params, index: Array, x: Any) -> Array:
    return _logits(model, network, name, params, index, x).argmax(1)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _softmax(model: Model, network: Network, name: str, params: Params, index: Array, x: Any) -> Array:
    return jax.nn.softmax(_logits(model, network, name, params, index, x))


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _logits(model: Model, network: Network, name: str, params: Params, index: Array, x: Any) -> Array:
    return jax.vmap(lambda x: applied(network, params[name], model.posterior.mean(params, x)))(x)
