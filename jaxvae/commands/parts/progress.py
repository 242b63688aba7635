"""A bar for work that takes a while; without a terminal a line every ten seconds."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from jaxvae.waiting import Pace, lines


@contextmanager
def progress_bar(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Yields progress(done), which moves a bar on stderr; in a log file a line every ten seconds."""
    if not sys.stderr.isatty():
        pace, of = Pace(total), "" if total is None else f" of {total}"

        def words() -> str:
            return f"{what}: {pace.last[1] if pace.last else 0}{of}, {pace.words()}"

        with lines(words):
            yield pace.tell
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)
