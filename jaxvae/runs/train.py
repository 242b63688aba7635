"""A whole run: from a config and a folder to checkpoints, metrics and a summary; interrupted, it resumes by itself."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxvae.models.records import Model, Params
from jaxvae.runs import measure
from jaxvae.runs.builders.opened import Opened, open_run
from jaxvae.runs.builders.recipe import Make, Recipe, as_described
from jaxvae.runs.configs.config import Config
from jaxvae.runs.configs.fields import flatten, words
from jaxvae.runs.configs.names import folder_path
from jaxvae.runs.folder import run_folder
from jaxvae.runs.folder.metrics import last_step, truncate_after
from jaxvae.runs.folder.pictures import draw_pictures
from jaxvae.runs.folder.sampling import sampled
from jaxvae.runs.profiling import profile_steps
from jaxvae.runs.running import Running
from jaxvae.runs.selection import kept_params
from jaxvae.runs.summary import machine_of
from jaxvae.runs.testing import Testing
from jaxvae.runs.tracking.services import Start
from jaxvae.runs.tracking.trackers import Trackers, as_trackers
from jaxvae.training.checkpoints.folders import lock_folder
from jaxvae.training.engine.windows import Windows
from jaxvae.training.jobs.processes import all_or_none, gathered, leads, named_losses, same_everywhere, several
from jaxvae.waiting import at_work

LOG_STEPS = 100  # training metrics are means over this many steps, or an epoch where that is shorter


class Outcome(NamedTuple):
    """How a run ended.

    Attributes:
        folder: the run folder.
        model, params: the model and its parameters (the moving average, if one is kept).
        summary: what summary.json says, {} for a run that was interrupted.
        signal: the signal that interrupted it, or 0.
        step: the last step, which is on disk.
    """

    folder: Path
    model: Model
    params: Params
    summary: dict[str, Any]
    signal: int
    step: int


def train_run(
    config: Config,
    workdir: str | Path,
    *,
    allow_changes: bool = False,
    overwrite: bool = False,
    trackers: Sequence[Any] = (),
    profile: bool = False,
    recipe: Make | None = None,
    say: Callable[[str], None] = print,
) -> Outcome:
    """Trains the run of a config in a folder, or goes on with it where it stopped.

    Args:
        config: a validated config; of a recipe's run the settings that are not the recipe's own.
        workdir: the run folder; it is made if need be, and held by a lock.
        allow_changes: go on although the folder's run had other values.
        overwrite: remove the run in the folder and start afresh.
        trackers: what is given every record as well, see runs/tracking/trackers.py: functions, objects with `write`, or
            "tensorboard", "wandb", "mlflow", "trackio".
        profile: write a trace of ten steps into the folder, and say how to look at it.
        recipe: a function of keyword arguments that returns a `Recipe`, which is then trained in place of what the
            config describes; `functools.partial(make, latent_dim=2)` gives an argument another value.
        say: is given one line for each thing worth saying.

    Raises:
        ValueError, FileNotFoundError, OSError: for impossible data, a folder that holds another run or cannot be
            written to, and damaged checkpoints; before any step.
        FloatingPointError: after too many steps in a row that were not finite; the last good step is on disk.
        ConnectionError: in a job of several processes, when another one has gone.
        NotImplementedError: for options that several processes do not follow.
    """
    say, lead = (say, True) if leads() else (_silent, False)
    with ExitStack() as held, named_losses(f"What was saved is in {workdir}."):
        with all_or_none("opening the run folder"):
            if several():
                _check_several(config, profile)
            config, own = as_described(config, workdir, recipe)
            followed = as_trackers(trackers if lead else (), say)
            held.callback(followed.close)
            folder = run_folder.create(workdir) if lead else folder_path(workdir)
            if lead:
                held.enter_context(lock_folder(folder))
        with all_or_none("opening the run"):
            opened = open_run(config, folder, allow_changes, overwrite, followed, own, say)
        numbers = {path: words(value) for path, value in flatten(opened.work.data.config) if path != "progress"}
        same_everywhere({**numbers, "the step to go on from": opened.start, "data on the device": opened.resident})
        return _train(opened, folder, overwrite, followed, profile, own, say)


def _silent(line: str) -> None:
    """What a process says that does not lead."""


def _check_several(config: Config, profile: bool) -> None:
    """Raises `NotImplementedError` for what a job of several processes does not follow."""
    if config.sampler.kind != "uniform":
        raise NotImplementedError(f"sampler.kind is {config.sampler.kind}, expected uniform in several processes.")
    if profile:
        raise NotImplementedError("--profile follows one process: leave it out, or start one process.")


def _train(
    opened: Opened,
    folder: Path,
    overwrite: bool,
    trackers: Trackers,
    profile: bool,
    own: Recipe | None,
    say: Callable[[str], None],
) -> Outcome:
    work, state, start, selection, anchor, pending, resumed, changes, resident = opened
    config, _, examples, _, test = work.data
    model, compiled, per_epoch = work.recipe.model, work.compiled, work.per_epoch
    steps, lead = config.epochs * per_epoch, leads()
    drawn = sampled(config, model, examples, anchor)

    def claim() -> None:
        if not lead:
            return
        done = start >= steps or (selection is not None and selection.over)
        if not (done and changes):  # values that no step was trained with are not those of the run
            run_folder.claim(folder, config, overwrite=overwrite)
        sent = last_step(folder / run_folder.METRICS) if resumed else 0
        if resumed:
            truncate_after(folder / run_folder.METRICS, start)
        trackers.open(Start(folder, dict(flatten(config)), start, sent))
        if profile:
            profile_steps(compiled, state, drawn, folder / run_folder.PROFILE, say, resident)

    log = Windows(per_epoch, min(LOG_STEPS, per_epoch), pending)
    objective = config.objective if own is None else None
    testing = Testing(config, model, test, measure.CollapseWatch(model, objective, test, say))
    run = Running(config, folder, compiled, log, testing, selection, trackers, per_epoch, steps, lead, resident)
    last, signal = run.train(state, drawn, claim)
    step = int(last.step)
    if signal:
        return Outcome(folder, model, kept_params(selection, last), {}, signal, step)
    if not lead:
        gathered("done")  # the others measure nothing, and must not leave before the first does
        return Outcome(folder, model, kept_params(None, last), {}, 0, step)
    params, summary = run.finish(last, machine_of(compiled.devices, config.precision), say)
    kl = np.asarray(summary["kl_per_latent"])
    metrics = folder / run_folder.METRICS
    with at_work("drawing", config.progress):
        kept = summary.get("validation", {}).get("epoch")
        draw_pictures(folder / run_folder.PICTURES, model, params, test, kl, metrics, say, kept)
    gathered("done")
    return Outcome(folder, model, params, summary, 0, step)
