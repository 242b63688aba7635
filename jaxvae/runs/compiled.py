"""What `fit` compiles, kept for a next call with the same model, loss, optimizer and sizes."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import optax

from jaxvae.models.records import Model
from jaxvae.training.engine.hyper import Hyper
from jaxvae.training.engine.optimizers import make_optimizer
from jaxvae.training.engine.parallel import CompiledSteps, compile_steps
from jaxvae.training.engine.state import TrainState, compiled_init
from jaxvae.training.engine.step import Preprocess, labelled
from jaxvae.training.losses.bound import Loss, bound_loss

KEPT = 8  # a program and the model it was made of take some megabytes; the least recently used goes


class Programs(NamedTuple):
    """A training run, compiled when it is first used: `init` (key, example, hyper=None) -> state, and the steps."""

    init: Callable[..., TrainState]
    steps: CompiledSteps


class Request(NamedTuple):
    """What decides about the programs; None stands for minus the ELBO and for Adam at 1e-3.

    All are pure functions and numbers: programs are found again by the identity of the functions.
    """

    model: Model
    loss: Loss | Callable[[Hyper], Loss] | None
    optimizer: optax.GradientTransformation | Callable[[Hyper], optax.GradientTransformation] | None
    preprocess: Preprocess
    with_labels: bool
    batch_size: int
    steps_per_call: int
    ema: float | None
    hyper: bool = False


def programs(request: Request) -> Programs:
    """The programs of a request: those of an earlier equal one where they are still there.

    Example:
        >>> import numpy as np
        >>> from jaxvae.data.protocols import as_it_is
        >>> from jaxvae.models.exact.linear import linear_gaussian
        >>> request = Request(linear_gaussian(np.ones((2, 1))), None, None, as_it_is, False, 4, 10, None)
        >>> programs(request) is programs(Request(*request)), programs(request._replace(ema=0.9)) is programs(request)
        (True, False)
    """
    try:
        hash(request)
    except TypeError:  # a model or an optimizer of the user's own, with a list in it
        return _made(request)
    return _kept(request)


def _made(request: Request) -> Programs:
    model, loss, optimizer, preprocess, with_labels, batch_size, steps_per_call, ema, hyper = request
    optimizer = make_optimizer() if optimizer is None else optimizer
    chosen: Any = loss
    if loss is None:
        plain = bound_loss(model)
        chosen = (lambda numbers: plain) if hyper else plain
    compiled = compile_steps(
        chosen,
        optimizer,
        labelled(preprocess) if with_labels else preprocess,
        batch_size=batch_size,
        steps_per_call=steps_per_call,
        ema=ema,
        hyper=hyper,
    )
    return Programs(compiled_init(model, optimizer, ema=ema is not None), compiled)


_kept = functools.lru_cache(maxsize=KEPT)(_made)
