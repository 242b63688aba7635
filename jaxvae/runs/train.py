"""A whole run: from a config and a folder to checkpoints, metrics and a summary; interrupted, it resumes by itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.checks import one_process
from jaxvae.evaluation.statistics import Estimate
from jaxvae.files import write_json
from jaxvae.models.records import Model, Params
from jaxvae.runs import measure
from jaxvae.runs.builders.from_config import build_model, build_training
from jaxvae.runs.configs.config import Config
from jaxvae.runs.folder import run_folder
from jaxvae.runs.folder.metrics import append_metrics, truncate_after
from jaxvae.runs.folder.pictures import draw_pictures
from jaxvae.runs.folder.sampling import restore, sampled, to_save
from jaxvae.runs.folder.saved_config import changes_since, check_resumed, listed, other_images, resuming, to_metadata
from jaxvae.runs.given_data import describe_protocol, describe_validation
from jaxvae.runs.held_out import load_run_data
from jaxvae.runs.progress import progress_bar
from jaxvae.runs.selection import Selection, kept_params
from jaxvae.runs.summary import line_of
from jaxvae.runs.testing import Testing, selection_of
from jaxvae.training.checkpoints import checkpoint
from jaxvae.training.checkpoints.folders import lock_folder
from jaxvae.training.checkpoints.weights import save_weights
from jaxvae.training.engine.loop import train
from jaxvae.training.engine.parallel import CompiledSteps, compile_steps
from jaxvae.training.engine.signals import stop_on_signals
from jaxvae.training.engine.state import TrainState, averaged_params, compiled_init
from jaxvae.training.engine.windows import Windows

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
    say: Callable[[str], None] = print,
) -> Outcome:
    """Trains the run of a config in a folder, or goes on with it where it stopped.

    Args:
        config: a validated config.
        workdir: the run folder; it is made if need be, and held by a lock.
        allow_changes: go on although the folder's run had other values.
        overwrite: remove the run in the folder and start afresh.
        say: is given one line for each thing worth saying.

    Raises:
        ValueError, FileNotFoundError, OSError: for impossible data, a folder that holds another run or cannot be
            written to, and damaged checkpoints; before any step.
        FloatingPointError: after too many steps in a row that were not finite; the last good step is on disk.
        NotImplementedError: in a job of several processes.
    """
    one_process("training")
    folder = run_folder.create(workdir)
    with lock_folder(folder):
        return _train_locked(config, folder, allow_changes, overwrite, say)


def _train_locked(
    config: Config, folder: Path, allow_changes: bool, overwrite: bool, say: Callable[[str], None]
) -> Outcome:
    asked = config.data.protocol
    config, images, validation, test = load_run_data(config)
    shape = images.shape[1:]
    per_epoch = len(images) // config.batch_size
    steps = config.epochs * per_epoch

    model = build_model(config.model, shape, images)
    sampled(config, model, images)  # refuses what cannot be sampled before the folder is claimed
    parts = build_training(config, model, per_epoch)
    average = config.optim.ema is not None
    compiled = compile_steps(
        *parts,
        batch_size=config.batch_size,
        steps_per_call=min(per_epoch, 2000),
        ema=config.optim.ema,
        mode=config.parallel,
        skip_above=config.optim.skip_above,
    )
    resumed = run_folder.check(folder, config, allow_changes=allow_changes, overwrite=overwrite)

    init = compiled_init(model, parts.optimizer, ema=average)
    state = init(jax.random.key(config.seed), np.zeros(shape, jnp.result_type(float)))
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
        changes = changes or since or []
    if changes:
        say(f"Going on with other values: {listed(changes)}.")
    if not resumed:
        say(describe_protocol(asked, config))
        if validation is not None:
            say(describe_validation(config, len(images), len(validation.x)))

    def claim() -> None:
        done = start >= steps or (selection is not None and selection.over)
        if not (done and changes):  # values that no step was trained with are not those of the run
            run_folder.claim(folder, config, overwrite=overwrite)
        if resumed:
            truncate_after(folder / run_folder.METRICS, start)

    log = Windows(per_epoch, min(LOG_STEPS, per_epoch), pending)
    testing = Testing(config, model, test, measure.CollapseWatch(model, config.objective, test, say))
    run = _Run(config, folder, compiled, log, testing, selection, per_epoch, steps)
    state, signal = run.train(state, sampled(config, model, images, anchor), claim)
    params = kept_params(selection, state)
    step = int(state.step)
    if signal:
        return Outcome(folder, model, params, {}, signal, step)
    summary = testing.summarize(state, params, step / per_epoch, selection, say)
    write_json(folder / run_folder.SUMMARY, summary)
    save_weights(folder / run_folder.WEIGHTS, params)
    kl = np.asarray(summary["kl_per_latent"])
    metrics = folder / run_folder.METRICS
    draw_pictures(folder / run_folder.PICTURES, model, params, test, kl, metrics, say)
    return Outcome(folder, model, params, summary, 0, step)


class _Run(NamedTuple):
    """What the parts of one run share."""

    config: Config
    folder: Path
    compiled: CompiledSteps
    log: Windows
    testing: Testing
    selection: Selection | None
    per_epoch: int
    steps: int

    def train(self, state: TrainState, images: Any, claim: Callable[[], None]) -> tuple[TrainState, int]:
        """Trains to the end or to a signal; returns the last state, which is on disk, and the signal.

        The folder is claimed after the first steps, when it is known that model and loss compile and fit into memory.
        """
        saved, last, anchor, claimed = int(state.step), int(state.step), None, False
        self._judge(last, state)  # of a run that was killed before it could
        if last >= self.steps or self._over():
            claim()
            return state, 0
        show_progress = progress_bar(self.steps, self.per_epoch, self.config.batch_size, enabled=self.config.progress)
        with stop_on_signals() as stop, show_progress as show:
            reports = train(self.compiled, state, images, self.steps, max_skipped=self.config.optim.max_skipped)
            try:
                for report in reports:
                    if not claimed:
                        claim()
                        claimed = True
                    state, last, anchor = report.state, report.step, report.anchor
                    show(report, self._measure(last, state, report.metrics))
                    over = self._over()
                    if stop.signal or over or last == self.steps or self._due(last):
                        saved = last  # before saving: a save that fails is not tried again below
                        self._save(state, anchor)
                    if stop.signal or over:
                        break
            except BaseException:
                # Whatever went wrong, the last finished step is worth keeping, unless its arrays are gone.
                if saved != last and not any(leaf.is_deleted() for leaf in jax.tree.leaves(state)):
                    self._save(state, anchor)
                raise
        return state, stop.signal

    def _due(self, step: int) -> bool:
        return step % (self.config.save_every * self.per_epoch) == 0

    def _judge(self, step: int, state: TrainState) -> None:
        """Measures the validation images after an epoch, once, and logs it."""
        epoch, selection = step // self.per_epoch, self.selection
        if selection is None or step % self.per_epoch or epoch <= selection.seen:
            return
        estimates = selection.look(averaged_params(state), epoch, step)
        append_metrics(self.folder / run_folder.METRICS, line_of(step, epoch, estimates, {}, "validation"))

    def _over(self) -> bool:
        return self.selection is not None and self.selection.over

    def _measure(self, step: int, state: TrainState, metrics: dict[str, np.ndarray]) -> dict[str, Estimate] | None:
        """Logs the windows that closed and, at the end of an epoch that asks for it, the test images."""
        path = self.folder / run_folder.METRICS
        for at, means in self.log.add(step, metrics):
            append_metrics(path, {"step": at, "epoch": at / self.per_epoch, "split": "train", **means})
        self._judge(step, state)
        if step % self.per_epoch:
            return None
        found = self.testing.after_epoch(averaged_params(state), step // self.per_epoch, step)
        if found is None:
            return None
        append_metrics(path, line_of(step, step / self.per_epoch, *found))
        return found[0]

    def _save(self, state: TrainState, anchor: Params | None) -> Path:
        metadata = {"window": self.log.pending, "devices": self.compiled.devices, **to_metadata(self.config)}
        best = None if self.selection is None else self.selection.best
        if self.selection is not None:
            metadata["selection"] = self.selection.to_metadata()
        saved, folder = to_save(state, anchor, best and best.params), self.folder / run_folder.CHECKPOINTS
        return checkpoint.save(folder, saved, keep=self.config.keep, metadata=metadata)
