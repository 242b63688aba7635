"""A progress bar on a terminal, a line now and then in a log file, and at least one every ten seconds."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from jaxvae.evaluation.statistics import Estimate
from jaxvae.runs.selection import BOUNDS, nearest_bound
from jaxvae.training.engine.loop import Report
from jaxvae.waiting import EVERY, Pace, lines, seconds

ENOUGH, MINUTE, DAY = 100, 60.0, 86400.0  # steps, seconds: when the pace is known, and what is said to be long
Show = Callable[[Report, Mapping[str, Estimate] | None], None]
LINES = 10  # in a log file, over the whole run


class Expected:
    """How long an epoch and the run will take, in a line that `tell` returns once: when it is known.

    That is after a hundred steps, or a minute of slower ones; the first call, which compiles, is left out. Of a run of
    a few seconds nothing is said.

    Args:
        steps: the step at which the run ends.
        per_epoch: steps in an epoch.
    """

    def __init__(self, steps: int, per_epoch: int):
        self.steps, self.per_epoch = steps, per_epoch
        self.compiled, self.taken, self.seconds = False, 0, 0.0
        self.long = False  # whether the run takes more than a day, as far as is known

    def tell(self, report: Report) -> str | None:
        """The line, or None before it is known and after it was told."""
        if not self.compiled:
            self.compiled = True
            return None
        if self.taken >= ENOUGH or self.seconds >= MINUTE:
            return None
        self.taken, self.seconds = self.taken + len(report.metrics["skipped"]), self.seconds + report.seconds
        if self.taken < ENOUGH and self.seconds < MINUTE:
            return None
        epochs, of_step = self.steps // self.per_epoch, self.seconds / self.taken
        if of_step * self.steps < EVERY:  # over before it is read
            return None
        epoch = of_step * self.per_epoch
        line = f"An epoch takes {seconds(epoch) if epoch >= 1 else 'less than a second'}"
        if epochs > 1:
            line += f" of training, the {epochs} of the run {seconds(of_step * self.steps)}"
        self.long = of_step * self.steps > DAY
        if self.long:
            line += ": more than a day. Fewer --epochs, a smaller network or pictures of fewer pixels take less"
        return f"{line}."


@contextmanager
def progress_bar(
    steps: int, per_epoch: int, batch_size: int, *, enabled: bool = True, leads: bool = True
) -> Iterator[Show]:
    """Yields show(report, test estimates or None), which updates a bar on stderr.

    Args:
        steps: the step at which the run ends.
        per_epoch: steps in an epoch.
        batch_size: examples in a step.
        enabled: False shows nothing but that the run will take more than a day.
        leads: False, of a process that another one speaks for, not even that.
    """
    if not leads:
        yield lambda report, test: None
    elif not enabled:
        silent = Expected(steps, per_epoch)

        def warn(report: Report, test: Mapping[str, Estimate] | None) -> None:
            if (line := silent.tell(report)) is not None and silent.long:
                print(f"jaxvae: {line}", file=sys.stderr)

        yield warn
    elif not sys.stderr.isatty():
        with _lines(steps, per_epoch) as show:
            yield show
    else:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        columns = (
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[words]}"),
            TimeElapsedColumn(),
            TextColumn("<"),
            TimeRemainingColumn(),
        )
        epochs = steps // per_epoch
        with Progress(*columns, console=Console(stderr=True), expand=True) as bar:
            task = bar.add_task("training", total=steps, epoch=f"0/{epochs}", words="compiling")
            last, expected = {"test": ""}, Expected(steps, per_epoch)

            def show(report: Report, test: Mapping[str, Estimate] | None) -> None:
                if (line := expected.tell(report)) is not None:
                    bar.console.print(line, highlight=False)
                if test is not None:
                    last["test"] = f"  {_words(test)}"
                rate = len(report.metrics["skipped"]) * batch_size / report.seconds
                words = f"{_loss(report)}{last['test']}  {rate:,.0f} img/s"
                bar.update(task, completed=report.step, epoch=f"{report.step // per_epoch}/{epochs}", words=words)

            yield show


@contextmanager
def _lines(steps: int, per_epoch: int) -> Iterator[Show]:
    """One plain line for about every tenth of the run, at the end of an epoch, and where none came for ten seconds."""
    every, pace, last = max(1, steps // per_epoch // LINES) * per_epoch, Pace(steps), ["compiling"]
    expected = Expected(steps, per_epoch)
    with lines(lambda: f"{last[0]}, {pace.words()}") as tell:

        def show(report: Report, test: Mapping[str, Estimate] | None) -> None:
            pace.tell(report.step)
            if (line := expected.tell(report)) is not None:
                tell(line)
            words = "" if test is None else f", {_words(test)}"
            last[0] = f"epoch {report.step // per_epoch}/{steps // per_epoch}: {_loss(report)}"
            if report.step % every == 0 or report.step == steps:
                left = f", {pace.words()}" if report.step < steps else ""
                tell(f"{last[0]}{words}{left}")

        yield show


def _loss(report: Report) -> str:
    """The loss of the last step, where the metrics have one under that name."""
    return f"loss {report.metrics['loss'][-1]:.2f}" if "loss" in report.metrics else f"step {report.step}"


def _words(test: Mapping[str, Estimate]) -> str:
    """What was measured on the test images, in a few words: as near to log p(x) as the model has anything."""
    name = nearest_bound(test)
    return f"test {BOUNDS[name]} {-test[name].mean:.2f} nats"
