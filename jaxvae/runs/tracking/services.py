"""The services that have a name: TensorBoard's files, Weights & Biases, MLflow, trackio. Each is imported when opened.

A run that was interrupted repeats, to the bit, the steps after its last checkpoint. The files of TensorBoard say where
such a part begins, so that it shows each step once; the others are not sent again what they have.
"""

import json
import os
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxvae.files import make_folder, read_bytes, write_json
from jaxvae.runs.folder import run_folder
from jaxvae.runs.folder.metrics import append_metrics

PROJECT = "jaxvae"


class Start(NamedTuple):
    """What a service is opened with.

    Attributes:
        folder: of the run, whose name the run has there too.
        settings: the config, by dotted fields.
        step: that the run goes on from, 0 at its start.
        sent: the last step whose records were written before.
    """

    folder: Path
    settings: Mapping[str, Any]
    step: int = 0
    sent: int = 0


def scalars(record: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a record, named for a chart each; lists, such as the KL of every latent, are left out.

    Example:
        >>> scalars({"step": 10, "epoch": 1.0, "split": "test", "elbo": -3.0, "kl_per_latent": [0.5, 0.1]})
        {'elbo/test': -3.0}
    """
    after = f"/{record['split']}" if "split" in record else ""
    return {
        f"{name}{after}": float(value)
        for name, value in record.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and name not in ("step", "epoch")
    }


class JSONLines(NamedTuple):
    """A line of JSON for each record, as a run writes its metrics.jsonl; whole lines, on disk when `write` returns."""

    path: str

    def write(self, record: Mapping[str, Any]) -> None:
        """Appends the record."""
        append_metrics(Path(self.path), record)


class TensorBoard:
    """Event files in a folder, for `tensorboard --logdir FOLDER`, by `tensorboardX`; on disk after every record.

    Args:
        folder: made if need be.
        step: goes on after this step: what earlier files hold of later ones is no longer shown.
    """

    def __init__(self, folder: str | Path, step: int = 0):
        try:
            from tensorboardX.event_file_writer import EventsWriter
            from tensorboardX.proto import event_pb2
        except ModuleNotFoundError as error:
            raise ImportError(f"TensorBoard files need {error.name}: {SERVICES['tensorboard'].install}") from error

        # Its own SummaryWriter writes from a second thread, which dies in silence on a full disk.
        self.event = event_pb2.Event
        self.file = EventsWriter(os.path.join(make_folder(Path(folder)), "events"), f".{step:012d}.{os.getpid()}")
        if step:
            started = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            self.file.write_event(self.event(session_log=started, step=step + 1))
            self.file.flush()

    def write(self, record: Mapping[str, Any]) -> None:
        """A point in a chart for each number."""
        from tensorboardX import summary

        self._add([summary.scalar(name, value) for name, value in scalars(record).items()], record["step"])

    def image(self, name: str, array: np.ndarray, step: int) -> None:
        """A picture."""
        from tensorboardX import summary

        self._add([summary.image(name, array, dataformats="HWC")], step)

    def close(self) -> None:
        """Nothing more will come."""
        self.file.close()

    def _add(self, summaries: list[Any], step: int) -> None:
        for summary in summaries:
            self.file.write_event(self.event(summary=summary, step=step, wall_time=time.time()))
        self.file.flush()


class _Service(NamedTuple):
    """Functions of a service; what was sent before is not sent again."""

    sent: int
    log: Callable[[dict[str, float], int], Any]
    show: Callable[[str, np.ndarray, int], Any]
    close: Callable[[], Any]

    def write(self, record: Mapping[str, Any]) -> None:
        """The numbers of a record."""
        if record["step"] > self.sent:
            self.log(scalars(record), record["step"])

    def image(self, name: str, array: np.ndarray, step: int) -> None:
        """A picture."""
        if step > self.sent:
            self.show(name, array, step)


def _tensorboard(start: Start) -> TensorBoard:
    return TensorBoard(start.folder / run_folder.TENSORBOARD, start.step)


def _wandb(start: Start) -> _Service:
    import wandb

    run = wandb.init(
        project=PROJECT,
        name=start.folder.name,
        id=_identity(start.folder, "wandb") or _remember(start.folder, "wandb", uuid.uuid4().hex[:12]),
        resume="allow",
        dir=str(start.folder),
        config=dict(start.settings),
    )
    return _Service(
        start.sent,
        lambda numbers, step: run.log(numbers, step=step),
        lambda name, array, step: run.log({name: wandb.Image(array)}, step=step),
        run.finish,
    )


def _mlflow(start: Start) -> _Service:
    import mlflow

    mlflow.set_experiment(PROJECT)
    known = _identity(start.folder, "mlflow")
    run = mlflow.start_run(run_id=known, run_name=None if known else start.folder.name)
    if known is None:
        _remember(start.folder, "mlflow", run.info.run_id)
        mlflow.log_params(dict(start.settings))
    return _Service(
        start.sent,
        lambda numbers, step: mlflow.log_metrics(numbers, step=step),
        lambda name, array, step: mlflow.log_image(array, key=name, step=step),
        mlflow.end_run,
    )


def _trackio(start: Start) -> _Service:
    import trackio

    name = f"{start.folder.name}-{uuid.uuid4().hex[:6]}"  # names are all that it knows runs by
    name = _identity(start.folder, "trackio") or _remember(start.folder, "trackio", name)
    run = trackio.init(project=PROJECT, name=name, resume="allow", config=dict(start.settings))
    return _Service(
        start.sent,
        lambda numbers, step: run.log(numbers, step=step),
        lambda name, array, step: run.log({name: trackio.Image(array)}, step=step),
        run.finish,
    )


def _identity(folder: Path, service: str) -> str | None:
    """By what name a service knows the run of a folder."""
    path = folder / run_folder.TRACKERS
    return json.loads(read_bytes(path)).get(service) if path.exists() else None


def _remember(folder: Path, service: str, name: str) -> str:
    path = folder / run_folder.TRACKERS
    write_json(path, (json.loads(read_bytes(path)) if path.exists() else {}) | {service: name})
    return name


class Service(NamedTuple):
    """A service: the package it needs, the command that installs it, and what opens it for a run."""

    package: str
    install: str
    open: Callable[[Start], Any]


SERVICES = {
    "tensorboard": Service(
        "tensorboardX",
        "pip install 'jaxvae[tensorboard]'",
        _tensorboard,
    ),
    "wandb": Service("wandb", "pip install wandb", _wandb),
    "mlflow": Service("mlflow", "pip install mlflow", _mlflow),
    "trackio": Service("trackio", "pip install trackio", _trackio),
}
