"""A whole run: from a config and a folder to checkpoints, metrics and a summary; interrupted, it resumes by itself."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxvae.checks import one_process
from jaxvae.models.records import Model, Params
from jaxvae.runs import measure
from jaxvae.runs.builders.assembled import assemble
from jaxvae.runs.builders.described import describe_protocol, describe_validation, say_levels
from jaxvae.runs.builders.recipe import Make, Recipe, as_described
from jaxvae.runs.configs.config import Config
from jaxvae.runs.configs.fields import flatten
from jaxvae.runs.configs.recipes import say_changed
from jaxvae.runs.configs.serialize import read_config
from jaxvae.runs.folder import run_folder
from jaxvae.runs.folder.metrics import last_step, truncate_after
from jaxvae.runs.folder.pictures import draw_pictures
from jaxvae.runs.folder.sampling import restore, sampled
from jaxvae.runs.folder.saved_config import (
    changes_since,
    check_resumed,
    listed,
    other_images,
    resuming,
    with_noted,
)
from jaxvae.runs.profiling import profile_steps
from jaxvae.runs.running import Running
from jaxvae.runs.selection import kept_params
from jaxvae.runs.summary import machine_in_words, machine_of, parameters_in_words
from jaxvae.runs.tables.columns import describe_columns
from jaxvae.runs.testing import Testing, selection_of
from jaxvae.runs.tracking.services import Start
from jaxvae.runs.tracking.trackers import Trackers, as_trackers, no_longer
from jaxvae.training.checkpoints import checkpoint
from jaxvae.training.checkpoints.folders import lock_folder
from jaxvae.training.engine.windows import Windows
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
        NotImplementedError: in a job of several processes.
    """
    one_process("training")
    config, own = as_described(config, workdir, recipe)
    followed = as_trackers(trackers, say)
    folder = run_folder.create(workdir)
    with lock_folder(folder):
        try:
            return _train_locked(config, folder, allow_changes, overwrite, followed, profile, own, say)
        finally:
            followed.close()


def _train_locked(
    config: Config,
    folder: Path,
    allow_changes: bool,
    overwrite: bool,
    trackers: Trackers,
    profile: bool,
    own: Recipe | None,
    say: Callable[[str], None],
) -> Outcome:
    asked = config.data.protocol
    config = config if overwrite else with_noted(config, folder / run_folder.CONFIG)
    work = assemble(config, own)
    config, raw, examples, validation, test = work.data
    model, compiled, per_epoch = work.recipe.model, work.compiled, work.per_epoch
    steps = config.epochs * per_epoch
    resumed = run_folder.check(folder, config, allow_changes=allow_changes, overwrite=overwrite)

    state = work.start()
    selection = selection_of(config, model, validation)
    anchor, pending, start = None, None, 0
    changes = run_folder.changes(folder, config) if resumed else []
    if resumed and checkpoint.steps(folder / run_folder.CHECKPOINTS):
        state, anchor, best, metadata = restore(folder / run_folder.CHECKPOINTS, config, state)
        pending, start = metadata["window"], int(state.step)
        since = changes_since(metadata, config)
        if selection is not None and not other_images(since):
            selection.resume(metadata.get("selection", {}), best)
        waited = selection.waited if selection is not None and selection.over else 0
        say(resuming(start, steps, metadata["devices"], compiled.devices, waited))
        check_resumed(folder / run_folder.CONFIG, start, since, allow_changes, say)
        if start < steps and not waited and (left := no_longer(folder, trackers)):
            say(f"Nothing goes to {' and '.join(left)} any longer; to go on with it: --track {' '.join(left)}")
        changes = changes or since or []
    if resumed:
        say_changed(read_config(folder / run_folder.CONFIG).recipe, config.recipe.sha256, say)
    if changes:
        say(f"Going on with other values: {listed(changes)}.")
    machine = machine_of(compiled.devices, config.precision)
    say(f"On {machine_in_words(machine)}.")
    if not resumed:
        say(f"{parameters_in_words(state.params)}.")
        say(describe_protocol(asked, config))
        say_levels(config, raw, say)
        if test.columns is not None:
            say(describe_columns(test.columns, raw))
        if validation is not None:
            say(describe_validation(config, len(raw), len(validation.x)))

    drawn = sampled(config, model, examples, anchor)

    def claim() -> None:
        done = start >= steps or (selection is not None and selection.over)
        if not (done and changes):  # values that no step was trained with are not those of the run
            run_folder.claim(folder, config, overwrite=overwrite)
        sent = last_step(folder / run_folder.METRICS) if resumed else 0
        if resumed:
            truncate_after(folder / run_folder.METRICS, start)
        trackers.open(Start(folder, dict(flatten(config)), start, sent))
        if profile:
            profile_steps(compiled, state, drawn, folder / run_folder.PROFILE, say)

    log = Windows(per_epoch, min(LOG_STEPS, per_epoch), pending)
    objective = config.objective if own is None else None
    testing = Testing(config, model, test, measure.CollapseWatch(model, objective, test, say))
    run = Running(config, folder, compiled, log, testing, selection, trackers, per_epoch, steps)
    last, signal = run.train(state, drawn, claim)
    step = int(last.step)
    if signal:
        return Outcome(folder, model, kept_params(selection, last), {}, signal, step)
    params, summary = run.finish(last, machine, say)
    kl = np.asarray(summary["kl_per_latent"])
    metrics = folder / run_folder.METRICS
    with at_work("drawing", config.progress):
        kept = summary.get("validation", {}).get("epoch")
        draw_pictures(folder / run_folder.PICTURES, model, params, test, kl, metrics, say, kept)
    return Outcome(folder, model, params, summary, 0, step)
