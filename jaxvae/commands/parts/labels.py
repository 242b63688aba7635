"""The label of what a command draws, for a run of a model that is told the class."""

from typing import Any


def labels_of(run: str, model: Any, label: int | None, count: int) -> Any:
    """Labels [count]: the one asked for, or one class after the other; None for a model that takes none.

    Raises:
        ValueError: for a label of a model that takes none, and one that is no class.

    Example:
        >>> import jax, jaxvae
        >>> labels_of("runs/a", jaxvae.models.exact.linear_gaussian(jax.numpy.ones((4, 2))), None, 3) is None
        True
    """
    import numpy as np

    from jaxvae.evaluation.latents.decoding import contexts_in_turn

    if label is None:
        return contexts_in_turn(model, count)
    if model.context is None:
        raise ValueError(
            f"label is {label}, but {run} is of a model that takes none, expected a conditional one. Leave --label "
            f"out, or train with --model.kind conditional."
        )
    if not 0 <= label < model.context.classes:
        raise ValueError(f"label is {label}, expected 0 to {model.context.classes - 1}: the classes of {run}.")
    return np.full(count, label)


def in_words(model: Any, label: int | None) -> str:
    """What a title says of the label: nothing where the model takes none.

    Example:
        >>> import jax, jaxvae
        >>> in_words(jaxvae.models.exact.linear_gaussian(jax.numpy.ones((4, 2))), None)
        ''
    """
    if model.context is None:
        return ""
    return ", one class after the other" if label is None else f", class {label}"
