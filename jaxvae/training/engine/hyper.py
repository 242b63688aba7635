"""Numbers that a search varies, handed to one compiled program in place of a program for each.

The contract, wherever `hyper` is given (`fit`, `compile_steps`, `train_sweep`): the loss and the optimizer are
functions of a dict of numbers,

    loss = lambda hyper: bound_loss(model, beta=hyper["beta"])
    optimizer = lambda hyper: make_optimizer("adam", hyper["learning_rate"])

and are built inside the program from traced numbers, so that other numbers compile nothing new and `vmap` goes over
them. Every numeric option of the library may be one of them (a model may be built in there, too, for the `std` of its
observation); what decides about shapes may not. An optimizer that needs none is given as it is.
"""

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxvae.checks import finite_number, is_concrete, shown

Hyper = Mapping[str, Any]


def as_hyper(hyper: Any) -> dict[str, Any] | None:
    """The numbers as a dict of Python floats, which stay of the precision of what they meet; None for None.

    Raises:
        ValueError, TypeError: for what is no dict, an empty one, or a value that is no finite number.

    Example:
        >>> as_hyper({"beta": 2})
        {'beta': 2.0}
    """
    if hyper is None:
        return None
    if not isinstance(hyper, Mapping) or not hyper or not all(isinstance(name, str) for name in hyper):
        raise TypeError(f"hyper is {shown(hyper)}, expected a dict of numbers such as {{'beta': 2.0}}, or None.")
    for name, value in hyper.items():
        finite_number(f"hyper[{name!r}]", value, low=-np.inf)
    return {name: float(value) if is_concrete(value) else value for name, value in hyper.items()}


def check_function(name: str, make: Any) -> None:
    """Raises `TypeError` for what is no function of one argument, such as a loss that was built already."""
    try:
        inspect.signature(make).bind({})
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{name} is {shown(make)}, expected a function of the numbers, since hyper is given: "
            f"{name} = lambda hyper: ..., which reads them as in hyper['beta']."
        ) from error


def is_optimizer(value: Any) -> bool:
    """Whether this is an optimizer as it is, and no function of numbers."""
    return hasattr(value, "init") and hasattr(value, "update")


def optimizer_at(optimizer: Any, numbers: Hyper) -> Any:
    """The optimizer as it is, or as its function makes it of the numbers."""
    return optimizer if is_optimizer(optimizer) else optimizer(numbers)
