"""A run before its first step: what is trained, from which state, and what is said of both."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax

from jaxvae.models.records import Params
from jaxvae.runs.builders.assembled import Assembled, assemble
from jaxvae.runs.builders.described import describe_protocol, describe_size, describe_validation, say_levels
from jaxvae.runs.builders.flops import flops_in_words, step_flops
from jaxvae.runs.builders.recipe import Recipe
from jaxvae.runs.builders.residence import residence
from jaxvae.runs.choices.data import noun
from jaxvae.runs.configs.config import Config
from jaxvae.runs.configs.recipes import say_changed
from jaxvae.runs.configs.serialize import read_config
from jaxvae.runs.folder import run_folder
from jaxvae.runs.folder.sampling import restore
from jaxvae.runs.folder.saved_config import (
    changes_since,
    check_resumed,
    listed,
    other_images,
    resuming,
    unsaid,
    with_noted,
)
from jaxvae.runs.selection import Selection
from jaxvae.runs.summary import machine_in_words, machine_of, parameters_in_words
from jaxvae.runs.tables.columns import describe_columns
from jaxvae.runs.testing import selection_of
from jaxvae.runs.tracking.trackers import Trackers, no_longer
from jaxvae.training.checkpoints import checkpoint
from jaxvae.training.engine.state import TrainState
from jaxvae.training.jobs.processes import several


class Opened(NamedTuple):
    """A run before its first step: what `assemble` built, and where its folder is.

    Attributes:
        work: data, model and compiled steps.
        state, start: to go on from, and its step.
        selection: what chooses the epoch, or None.
        anchor, pending: of the sampler and of the log, as they were saved.
        resumed: whether the folder holds this run; changes: the values that are others now.
        resident: whether the examples are brought to the device.
    """

    work: Assembled
    state: TrainState
    start: int
    selection: Selection | None
    anchor: Params | None
    pending: Any
    resumed: bool
    changes: list[Any]
    resident: bool


def open_run(
    config: Config,
    folder: Path,
    allow_changes: bool,
    overwrite: bool,
    trackers: Trackers,
    own: Recipe | None,
    say: Callable[[str], None],
) -> Opened:
    """Loads, builds, restores and says what is to be trained; nothing is written."""
    asked = config.data.protocol
    config = config if overwrite else with_noted(config, folder / run_folder.CONFIG)
    work = assemble(config, own)
    config, raw, _, validation, test = work.data
    model, compiled, steps = work.recipe.model, work.compiled, config.epochs * work.per_epoch
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
        old = read_config(folder / run_folder.CONFIG)
        say_changed(old.recipe, config.recipe.sha256, say)
        for line in unsaid(old, config):
            say(line)
    if changes:
        say(f"Going on with other values: {listed(changes)}.")
    job = f", in {jax.process_count()} processes" if several() else ""
    say(f"On {machine_in_words(machine_of(compiled.devices, config.precision))}{job}.")
    lies = residence(config.data.resident, work.data.examples, compiled.devices)
    say(lies.why)
    if not resumed:
        say(f"{parameters_in_words(state.params)}.")
        if (size := describe_size(config)) is not None:
            say(size)
        say(f"{flops_in_words(step_flops(compiled, state, work.data.examples), config.batch_size)}.")
        say(describe_protocol(asked, config))
        say_levels(config, raw, say)
        if test.columns is not None:
            say(describe_columns(test.columns, raw))
        if validation is not None:
            say(describe_validation(config, len(raw), len(validation.x)))
        if config.train_fraction < 1:
            say(f"An epoch has {len(raw):,} of the training {noun(config.data.kind, 2)}: --train-fraction.")
    return Opened(work, state, start, selection, anchor, pending, resumed, changes, lies.resident)
