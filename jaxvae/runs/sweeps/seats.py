"""The place of a member in its sweep: its folder, its records and its state, those of an ordinary run."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np

from jaxvae.models.records import Model
from jaxvae.runs import measure
from jaxvae.runs.builders.assembled import Assembled, model_of
from jaxvae.runs.choices.usual import settled
from jaxvae.runs.configs.config import ModelConfig
from jaxvae.runs.folder import run_folder
from jaxvae.runs.folder.metrics import truncate_after
from jaxvae.runs.folder.sampling import restore
from jaxvae.runs.running import Running
from jaxvae.runs.sweeps.grid import Member, with_values
from jaxvae.runs.testing import Testing, selection_of
from jaxvae.runs.tracking.trackers import as_trackers
from jaxvae.training.checkpoints import checkpoint
from jaxvae.training.engine.loop import longest_run
from jaxvae.training.engine.optimizers import warn_if_unfinished
from jaxvae.training.engine.state import TrainState, compiled_init
from jaxvae.training.engine.windows import Windows

LOG_STEPS = 100  # as of a run alone
Started = tuple[Model, Callable[..., TrainState]]  # a model, and (key, example) -> its state at step 0


@dataclass
class Seat:
    """A member while it is trained.

    Attributes:
        member: which.
        run: what logs, measures and saves it.
        state: the newest, on the host between calls of the program.
        step: of the state.
        over: whether it trains no longer.
        diverged: why it stopped, or "".
        in_a_row: steps skipped at its end.
    """

    member: Member
    run: Running
    state: TrainState
    step: int
    over: bool = False
    diverged: str = ""
    in_a_row: int = 0

    @property
    def done(self) -> bool:
        """Whether its summary is written."""
        return (self.run.folder / run_folder.SUMMARY).is_file()

    @property
    def nats(self) -> float:
        """Minus the best validation bound so far, per example; inf where there is none, or the member diverged."""
        best = None if self.run.selection is None else self.run.selection.best
        return float("inf") if best is None or self.diverged else -best.mean

    def say(self, say: Callable[[str], None]) -> Callable[[str], None]:
        """The same, with the member's name before every line."""
        return lambda line: say(f"{self.member.name}: {line}")

    def note(self, step: int, metrics: dict[str, np.ndarray]) -> None:
        """Logs the metrics [count, ...] of the steps up to `step`; too many skipped ones in a row end the member."""
        self.run.note(step, metrics)
        self.step, most = step, self.run.config.optim.max_skipped
        self.in_a_row = longest_run(metrics["skipped"], self.in_a_row, most)
        if self.in_a_row >= most:
            self.over, self.diverged = True, f"{most} steps in a row up to step {step} were not finite"


def seats_of(work: Assembled, members: list[Member], folder: Path, say: Callable[[str], None]) -> list[Seat]:
    """A seat for each member, at the step where its folder is.

    Raises:
        ValueError: if one of the folders holds another run.
    """
    started: dict[ModelConfig, Started] = {}
    seats = []
    for member in members:
        config = settled(with_values(work.data.config, member.values))
        own, warmup = config.model, config.objective.warmup_epochs
        if warmup != work.data.config.objective.warmup_epochs:  # that of the config was looked at when it was assembled
            warn_if_unfinished("KL warm-up", round(warmup * work.per_epoch), config.epochs * work.per_epoch)
        if own not in started:  # its numbers are in its first parameters and in what it measures
            model = work.recipe.model if own == work.data.config.model else model_of(work.data, own)
            started[own] = model, compiled_init(model, work.parts.optimizer, ema=work.recipe.ema is not None)
        seats.append(_seat(work, member, folder / run_folder.MEMBERS / member.name, started[own], say))
    return seats


def _seat(work: Assembled, member: Member, folder: Path, started: Started, say: Callable[[str], None]) -> Seat:
    from jaxvae.runs.examples import blank_example

    (model, init), per_epoch, data = started, work.per_epoch, work.data
    config = settled(with_values(data.config, member.values))
    folder = run_folder.create(folder)
    resumed = run_folder.check(folder, config)
    state, pending = init(jax.random.key(config.seed), blank_example(model)), None
    selection = selection_of(config, model, data.validation)
    if resumed and checkpoint.steps(folder / run_folder.CHECKPOINTS):
        state, _, best, metadata = restore(folder / run_folder.CHECKPOINTS, config, state)
        pending = metadata["window"]
        if selection is not None:
            selection.resume(metadata.get("selection", {}), best)
    step = int(state.step)
    run_folder.claim(folder, config)
    if resumed:
        truncate_after(folder / run_folder.METRICS, step)
    watch = measure.CollapseWatch(model, config.objective, data.test, lambda line: say(f"{member.name}: {line}"))
    run = Running(
        config,
        folder,
        work.compiled,
        Windows(per_epoch, min(LOG_STEPS, per_epoch), pending),
        Testing(config, model, data.test, watch),
        selection,
        as_trackers((), say),
        per_epoch,
        config.epochs * per_epoch,
    )
    if step and step % per_epoch == 0:
        run.judge(step, state)  # of a run that was killed before it could
    return Seat(member, run, jax.device_get(state), step, over=step >= run.steps or run.over())
