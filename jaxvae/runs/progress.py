"""A progress bar on a terminal, a line now and then in a log file, and at least one every ten seconds."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from jaxvae.evaluation.statistics import Estimate
from jaxvae.runs.selection import BOUNDS, nearest_bound
from jaxvae.training.engine.loop import Report
from jaxvae.waiting import Pace, lines

Show = Callable[[Report, Mapping[str, Estimate] | None], None]
LINES = 10  # in a log file, over the whole run


@contextmanager
def progress_bar(steps: int, per_epoch: int, batch_size: int, *, enabled: bool = True) -> Iterator[Show]:
    """Yields show(report, test estimates or None), which updates a bar on stderr.

    Args:
        steps: the step at which the run ends.
        per_epoch: steps in an epoch.
        batch_size: examples in a step.
        enabled: False shows nothing.
    """
    if not enabled:
        yield lambda report, test: None
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
            last: dict[str, str] = {"test": ""}

            def show(report: Report, test: Mapping[str, Estimate] | None) -> None:
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
    with lines(lambda: f"{last[0]}, {pace.words()}") as tell:

        def show(report: Report, test: Mapping[str, Estimate] | None) -> None:
            pace.tell(report.step)
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
