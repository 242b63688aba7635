"""What `fit` is given to choose the epoch by: a part of the training data, or examples of their own."""

import numbers
from typing import Any

import jax
import numpy as np

from jaxvae.data.splits import validation_rows
from jaxvae.evaluation.bounds.likelihood import per_example
from jaxvae.models.contexts import count_examples
from jaxvae.models.records import Model, Params
from jaxvae.runs.examples import Examples, as_examples
from jaxvae.runs.measure import seen
from jaxvae.runs.selection import Selection


def set_apart(data: Any, weights: Any, fraction: float, seed: int) -> tuple[Any, Any, Any]:
    """(training data, their weights, validation data): `validation_rows` of both, labels with their images.

    Raises:
        ValueError: for an impossible fraction; for weights that are made anew for all examples, and cannot be split.

    Example:
        >>> set_apart(np.arange(8), None, 0.25, seed=0)
        (array([1, 3, 4, 5, 6, 7]), None, array([0, 2]))
    """
    if callable(weights):
        raise ValueError(
            "weights is a function, which gives one of each example, so that no part of them can be set apart. Split "
            "the data before, and pass validation=x_validation."
        )
    training, held = validation_rows(count_examples(data, "images"), fraction, seed)
    taken, rest = (jax.tree.map(lambda leaf, rows=rows: leaf[rows], data) for rows in (training, held))
    return taken, None if weights is None else np.asarray(weights)[training], rest


def choose_by(
    model: Model,
    examples: Examples,
    weights: Any,
    validation: Any,
    patience: int | None,
    protocol: str | None,
    seed: int,
) -> tuple[Any, Any, Selection | None]:
    """(data to train on, their weights, what chooses the epoch) as `fit` is asked for them.

    Raises:
        ValueError, TypeError: for validation examples that the model cannot be measured on, or patience without any.
    """
    data, preprocess, _ = examples
    if validation is None:
        if patience is not None:
            raise ValueError(f"patience is {patience}, but there is nothing to wait for: pass validation=0.1 as well.")
        return data, weights, None
    if isinstance(validation, numbers.Real):
        data, weights, held = set_apart(data, weights, float(validation), seed)
    else:
        x, labels = validation if isinstance(validation, tuple) and len(validation) == 2 else (validation, None)
        held, preprocess, _ = as_examples(model, x, labels, protocol, unconditional=labels is not None)
    x = seen(model, held, preprocess)

    def measure(params: Params) -> dict[str, np.ndarray]:
        return per_example(model, params, jax.random.key(0), x)

    return data, weights, Selection(measure, count_examples(held), patience)
