"""Anything with a `write` follows a training: a function, an object of your own, or a service by its name.

A tracker is a function of one record, or an object with

    write(record)              a dict: "step", "epoch", "split" where a run has several, numbers and lists of numbers
    image(name, array, step)   if it has one: uint8 [H, W, C], at the epochs whose test images are measured
    close()                    if it has one: the training is over, or was interrupted

A tracker that raises is said once and gets nothing more; it never stops a training. The log of a run, metrics.jsonl, is
no tracker: it has every record, and the run stops where it cannot be written.
"""

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxvae.checks import shown
from jaxvae.files import read_bytes
from jaxvae.runs.configs.names import unknown
from jaxvae.runs.folder import run_folder
from jaxvae.runs.tracking.services import SERVICES, Start


class Trackers:
    """Several trackers as one that never raises.

    Example:
        >>> seen = []
        >>> def broken(record):
        ...     raise OSError("no network")
        >>> trackers = as_trackers([seen.append, broken], print)
        >>> trackers.write({"step": 1, "elbo": -2.0})
        The tracker broken failed (OSError: no network) and gets nothing more. The training goes on without it.
        >>> trackers.write({"step": 2, "elbo": -1.0})
        >>> [record["step"] for record in seen]
        [1, 2]
    """

    def __init__(self, trackers: Sequence[Any], say: Callable[[str], None]):
        self.trackers, self.say = list(trackers), say

    def __bool__(self) -> bool:
        return bool(self.trackers)

    def open(self, start: Start) -> None:
        """Opens the services that were named; what cannot be opened is said and left out."""
        for index, tracker in enumerate(self.trackers):
            if isinstance(tracker, str):
                try:
                    self.trackers[index] = SERVICES[tracker].open(start)
                except Exception as error:
                    self._failed(tracker, error)
        self.trackers = [tracker for tracker in self.trackers if not isinstance(tracker, str)]

    @property
    def shows(self) -> bool:
        """Whether any of them takes images."""
        return any(hasattr(tracker, "image") for tracker in self.trackers)

    def write(self, record: Mapping[str, Any]) -> None:
        """Gives each of them a copy of the record."""
        self._each("write", lambda: (dict(record),))

    def image(self, name: str, array: np.ndarray, step: int) -> None:
        """Gives an image to those that take any."""
        self._each("image", lambda: (name, array, step))

    def close(self) -> None:
        """Closes those that can be closed."""
        self._each("close", lambda: ())

    def _each(self, method: str, arguments: Callable[[], tuple[Any, ...]]) -> None:
        for tracker in tuple(self.trackers):
            call = getattr(tracker, method, None)
            if call is not None:
                try:
                    call(*arguments())
                except Exception as error:
                    self.trackers.remove(tracker)
                    self._failed(_name(tracker), error)

    def _failed(self, name: str, error: Exception) -> None:
        self.say(
            f"The tracker {name} failed ({type(error).__name__}: {error}) and gets nothing more. The training goes on "
            f"without it."
        )


def no_longer(folder: Path, trackers: Trackers) -> list[str]:
    """The services that followed a run before and are not named now: it is said anew each time who follows.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / run_folder.TENSORBOARD).mkdir()
        >>> no_longer(folder, as_trackers([], print)), no_longer(folder, as_trackers(["tensorboard"], print))
        (['tensorboard'], [])
    """
    before = ["tensorboard"] if (folder / run_folder.TENSORBOARD).is_dir() else []
    path = folder / run_folder.TRACKERS
    text = read_bytes(path).decode(errors="replace") if path.is_file() else ""
    before += [name for name in SERVICES if f'"{name}"' in text]  # whatever else the file has become
    return [name for name in before if name not in trackers.trackers]


class _Function(NamedTuple):
    """A function as a tracker."""

    write: Callable[[dict[str, Any]], Any]


def as_trackers(given: Sequence[Any], say: Callable[[str], None], *, named: bool = True) -> Trackers:
    """Checks what was given, before any training.

    Args:
        given: functions, objects with `write`, and names in `SERVICES`.
        say: is told in a line of a tracker that failed.
        named: whether names may be given: a service is opened for a run folder.

    Raises:
        ValueError: for an unknown name, or one whose package is not installed, with the command that installs it.
        TypeError: for what is no tracker.
    """
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise TypeError(f"trackers is {shown(given)}, expected a list, such as trackers=[print].")
    found: list[Any] = []
    for tracker in given:
        if isinstance(tracker, str):
            if not named:
                raise ValueError(
                    f"the tracker {tracker!r} belongs to a run folder, and fit keeps none. Pass an object: "
                    f"jaxvae.runs.TensorBoard('runs/a/tensorboard'), or a function of one record."
                )
            if tracker not in SERVICES:
                raise ValueError(unknown("tracker", tracker, SERVICES))
            service = SERVICES[tracker]
            if importlib.util.find_spec(service.package) is None:
                raise ValueError(f"the tracker {tracker} needs a package that is not here: {service.install}")
        elif not hasattr(tracker, "write"):
            if not callable(tracker):
                kind = type(tracker).__name__
                raise TypeError(f"a tracker is {shown(tracker)} ({kind}), expected a function or an object with write.")
            tracker = _Function(tracker)
        found.append(tracker)
    return Trackers(found, say)


def _name(tracker: Any) -> str:
    tracker = tracker.write if isinstance(tracker, _Function) else tracker
    return getattr(tracker, "__name__", type(tracker).__name__)
