"""Data that a recipe brings itself: a config has room for their name only, whoever opens the run has the recipe."""

from typing import Any

from jaxvae.checks import shown
from jaxvae.data.dataset import Dataset

PREFIX = "recipe:"  # before the name of the function, which is then what data.name says
_BROUGHT: dict[str, dict[str, Dataset]] = {}  # of each function the last that it returned; digests tell whose they are


def bring(function: str, given: Any) -> str:
    """Keeps (train, test) of a function by its name, and returns the name of the data.

    Raises:
        TypeError: for anything but two of `jaxvae.data.Dataset`. ValueError: for two of different shapes or kinds.

    Example:
        >>> from jaxvae.data import load
        >>> bring("my_file.py:make", (load("digits"), load("digits", "test")))
        'recipe:my_file.py:make'
        >>> len(brought("recipe:my_file.py:make", "test").images)
        297
    """
    pair = isinstance(given, tuple) and not isinstance(given, Dataset) and len(given) == 2
    if not pair or not all(isinstance(part, Dataset) for part in given):
        raise TypeError(
            f"the data of {function} are {shown(given)}, expected a name, a DataConfig or (train, test), two "
            f"jaxvae.data.Dataset: jaxvae.data.from_array(images, labels=labels)."
        )
    train, test = given
    if train.kind != test.kind:
        raise ValueError(f"the data of {function} are {train.kind} to train on and {test.kind} to test, expected one.")
    if train.kind == "images" and train.images.shape[1:] != test.images.shape[1:]:
        raise ValueError(
            f"the training images of {function} have shape {train.images.shape[1:]}, the test images "
            f"{test.images.shape[1:]}, expected the same."
        )
    _BROUGHT[PREFIX + function] = {"train": train, "test": test}
    return PREFIX + function


def brought(name: str, split: str) -> Dataset | None:
    """A split of what a recipe brought, None for data that have a name of their own.

    Raises:
        ValueError: where the recipe was not called in this process.
    """
    if not name.startswith(PREFIX):
        return None
    if name not in _BROUGHT:
        raise ValueError(
            f"the data are those of {name.removeprefix(PREFIX)}, which was not called: open the run with it, as "
            f"jaxvae.load(RUN, recipe=make)."
        )
    return _BROUGHT[name][split]
