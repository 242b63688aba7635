"""Which epoch of a training is kept: the one of the best bound on examples that are neither trained nor tested on."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxvae.checks import positive_integer
from jaxvae.evaluation.bounds.likelihood import summarize
from jaxvae.evaluation.statistics import Estimate
from jaxvae.models.records import Params
from jaxvae.training.engine.state import TrainState, averaged_params

# What there is of log p(x), the nearest first, and what minus its mean is called.
BOUNDS = {"log_p": "-log p", "elbo": "-ELBO", "log_likelihood": "reconstruction"}


class Best(NamedTuple):
    """The best epoch so far.

    Attributes:
        epoch, step: how many were done.
        bound: which, a name in `BOUNDS`.
        mean, standard_error: of it, nats per validation example.
        params: on the host; the moving average, if there is one.
    """

    epoch: int
    step: int
    bound: str
    mean: float
    standard_error: float
    params: Params


class Selection:
    """Measures every epoch on the validation examples and remembers the best one.

    An epoch is better where the mean of its bound is higher, by however little; of equal ones the first is kept. The
    noise of the measurement is the same each time, so that epochs differ by their parameters alone. With patience N
    training is over after N epochs in a row that are no better.

    Example:
        >>> bounds = iter([-3.0, -1.0, -2.0, -1.5])
        >>> selection = Selection(lambda params: {"elbo": np.full(2, next(bounds))}, examples=2, patience=2)
        >>> for epoch in range(1, 5):
        ...     _ = selection.look({"w": np.zeros(1)}, epoch, step=10 * epoch)
        ...     print(selection.best.epoch, selection.over)
        1 False
        2 False
        2 False
        2 True
    """

    def __init__(
        self,
        measure: Callable[[Params], Mapping[str, np.ndarray]],
        examples: int,
        patience: int | None = None,
    ):
        self.measure, self.examples = measure, examples
        self.patience = None if patience is None else positive_integer("patience", patience)
        self.best: Best | None = None
        self.seen = 0

    def look(self, params: Params, epoch: int, step: int) -> dict[str, Estimate]:
        """Measures the parameters after an epoch, and copies them where they are the best; returns the means."""
        estimates = summarize(self.measure(params))
        name = nearest_bound(estimates)
        mean, error, _ = estimates[name]
        if np.isfinite(mean) and (self.best is None or mean > self.best.mean):
            self.best = Best(epoch, step, name, mean, error, host_copy(params))
        self.seen = epoch
        return estimates

    def record(self, params: Params, epoch: int, step: int) -> dict[str, Any]:
        """`look`, as a record of `fit` says it: the bound, nats per example, and the best epoch so far."""
        estimates = self.look(params, epoch, step)
        best = None if self.best is None else self.best.epoch
        return {"validation": estimates[nearest_bound(estimates)].mean, "best_epoch": best}

    @property
    def waited(self) -> int:
        """Epochs since the best one."""
        return self.seen - (self.best.epoch if self.best else 0)

    @property
    def over(self) -> bool:
        """Whether patience is at its end."""
        return self.patience is not None and self.waited >= self.patience

    def to_metadata(self) -> dict[str, Any]:
        """What a checkpoint keeps beside the parameters themselves."""
        best = None if self.best is None else {**self.best._asdict(), "params": None}
        return {"seen": self.seen, "best": best}

    def resume(self, metadata: Mapping[str, Any], params: Params | None) -> None:
        """Goes on where a checkpoint was written; one of a run without validation images leaves all as it is."""
        if params is not None:
            self.best = Best(**{**metadata["best"], "params": params})
        self.seen = metadata.get("seen", 0)


def nearest_bound(names: Mapping[str, Any]) -> str:
    """Of what `per_example` measures in one pass, the name of what is nearest to log p(x).

    Example:
        >>> nearest_bound({"kl": 1.0, "log_likelihood": -2.0, "elbo": -3.0})
        'elbo'
    """
    return next(name for name in BOUNDS if name in names)


def kept_params(selection: Selection | None, state: TrainState) -> Params:
    """On the host: the parameters of the best epoch, or of the last where there are no validation images."""
    best = None if selection is None else selection.best
    return jax.device_get(averaged_params(state)) if best is None else best.params


def host_copy(params: Params) -> Params:
    """NumPy arrays, and no view of the device's own memory, which the next step reuses.

    Example:
        >>> host_copy({"w": jax.numpy.ones(2)})
        {'w': array([1., 1.], dtype=float32)}
    """
    return jax.tree.map(np.array, jax.device_get(params))
