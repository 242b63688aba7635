"""The loop of a run: steps, records, checkpoints, until the end, a signal, or the end of patience."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxvae.evaluation.statistics import Estimate
from jaxvae.files import write_json
from jaxvae.models.records import Params
from jaxvae.runs.configs.config import Config
from jaxvae.runs.folder import run_folder
from jaxvae.runs.folder.metrics import append_metrics, split_records
from jaxvae.runs.folder.sampling import to_save
from jaxvae.runs.folder.saved_config import to_metadata
from jaxvae.runs.progress import progress_bar
from jaxvae.runs.selection import Selection, kept_params
from jaxvae.runs.summary import line_of
from jaxvae.runs.testing import Testing
from jaxvae.runs.tracking.trackers import Trackers
from jaxvae.training.checkpoints import checkpoint
from jaxvae.training.checkpoints.weights import save_weights
from jaxvae.training.engine.loop import train
from jaxvae.training.engine.parallel import CompiledSteps
from jaxvae.training.engine.signals import stop_on_signals
from jaxvae.training.engine.state import TrainState, averaged_params
from jaxvae.training.engine.windows import Windows
from jaxvae.training.jobs.processes import agreed, here
from jaxvae.waiting import at_work


class Running(NamedTuple):
    """What the loop of a run needs.

    Attributes:
        config, folder: of the run.
        compiled: the steps.
        log: the windows of steps whose means are logged.
        testing: what measures the test images.
        selection: what chooses the epoch, or None.
        trackers: what follows the run, beside its own log.
        per_epoch, steps: how many in an epoch, and at the end.
        lead: whether this process measures and writes; of several, one does.
        resident: whether the examples lie on the device, see `train`.
    """

    config: Config
    folder: Path
    compiled: CompiledSteps
    log: Windows
    testing: Testing
    selection: Selection | None
    trackers: Trackers
    per_epoch: int
    steps: int
    lead: bool = True
    resident: bool = True

    def train(self, state: TrainState, images: Any, claim: Callable[[], None]) -> tuple[TrainState, int]:
        """Trains to the end or to a signal; returns the last state, which is on disk, and the signal.

        The folder is claimed after the first steps, when it is known that model and loss compile and fit into memory.
        """
        saved, last, anchor, claimed, stopped = int(state.step), int(state.step), None, False, 0
        self.judge(last, state)  # of a run that was killed before it could
        if last >= self.steps or agreed(0, 0, self.over())[2]:
            claim()
            return state, 0
        show_progress = progress_bar(
            self.steps, self.per_epoch, self.config.batch_size, enabled=self.config.progress, leads=self.lead
        )
        with stop_on_signals() as stop, show_progress as show:
            options: dict[str, Any] = {"max_skipped": self.config.optim.max_skipped, "resident": self.resident}
            reports = train(self.compiled, state, images, self.steps, **options)
            try:
                for report in reports:
                    if not claimed:
                        claim()
                        claimed = True
                    state, last, anchor = report.state, report.step, report.anchor
                    self.note(last, report.metrics)
                    show(report, None if last % self.per_epoch else self.after_epoch(last, state))
                    _, stopped, over = agreed(0, stop.signal, self.over())
                    if stopped or over or last == self.steps or self.due(last):
                        saved = last  # before saving: a save that fails is not tried again below
                        self.save(state, anchor)
                    if stopped or over:
                        break
            except BaseException:
                # Whatever went wrong, the last finished step is worth keeping, unless its arrays are gone.
                if saved != last and not any(leaf.is_deleted() for leaf in jax.tree.leaves(state)):
                    self.save(state, anchor)
                raise
        return state, stopped

    def due(self, step: int) -> bool:
        return step % (self.config.save_every * self.per_epoch) == 0

    def judge(self, step: int, state: TrainState) -> None:
        """Measures the validation images after an epoch, once, and logs it."""
        epoch, selection = step // self.per_epoch, self.selection
        if not self.lead or selection is None or step % self.per_epoch or epoch <= selection.seen:
            return
        estimates = selection.look(here(averaged_params(state)), epoch, step)
        self._record(line_of(step, epoch, estimates, {}, "validation"))

    def over(self) -> bool:
        return self.selection is not None and self.selection.over

    def note(self, step: int, metrics: dict[str, np.ndarray]) -> None:
        """Logs the windows that closed."""
        for at, means in self.log.add(step, metrics):
            self._record({"step": at, "epoch": at / self.per_epoch, "split": "train", **means})

    def after_epoch(self, step: int, state: TrainState) -> dict[str, Estimate] | None:
        """Measures the validation images and, where the epoch asks for it, the test images; logs both."""
        if not self.lead:
            return None
        self.judge(step, state)
        params = here(averaged_params(state))
        found = self.testing.after_epoch(params, step // self.per_epoch, step)
        if found is None:
            return None
        self._record(line_of(step, step / self.per_epoch, *found))
        if self.trackers.shows:
            for name, image in self.testing.pictures(params).items():
                self.trackers.image(name, image, step)
        return found[0]

    def _record(self, record: dict[str, Any]) -> None:
        if not self.lead:
            return
        append_metrics(self.folder / run_folder.METRICS, record)
        self.trackers.write(record)

    def finish(
        self, last: TrainState, machine: Mapping[str, Any], say: Callable[[str], None]
    ) -> tuple[Params, dict[str, Any]]:
        """Measures what is kept of a run at its end, and writes it: (parameters, summary)."""
        params = kept_params(self.selection, last)
        with at_work("measuring", self.config.progress):
            epochs = int(last.step) / self.per_epoch
            summary = self.testing.summarize(last, params, epochs, self.selection, say)
        summary["machine"] = machine
        records = split_records(self.folder / run_folder.METRICS).train
        if skipped := sum(record.get("skipped") or 0 for record in records):
            say(f"{skipped:,} of {self.steps:,} steps were skipped: not finite, or gradients above the limit.")
        write_json(self.folder / run_folder.SUMMARY, summary)
        save_weights(self.folder / run_folder.WEIGHTS, params)
        return params, summary

    def save(self, state: TrainState, anchor: Params | None = None) -> None:
        if not self.lead:
            return
        metadata = {"window": self.log.pending, "devices": self.compiled.devices, **to_metadata(self.config)}
        best = None if self.selection is None else self.selection.best
        if self.selection is not None:
            metadata["selection"] = self.selection.to_metadata()
        saved, folder = to_save(here(state), anchor, best and best.params), self.folder / run_folder.CHECKPOINTS
        checkpoint.save(folder, saved, keep=self.config.keep, metadata=metadata)
