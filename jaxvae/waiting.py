"""How far long work is, in lines for a log file: at least one every ten seconds, with the time that is left."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

EVERY = 10.0  # seconds


class Pace:
    """How long the rest takes, from what was done since the first time that something was.

    Before that, programs are compiled, which says nothing of the rest.

    Example:
        >>> pace = Pace(total=10, clock=iter([0.0, 60.0, 61.0, 63.0, 63.0]).__next__)
        >>> pace.words(), pace.tell(2), pace.tell(4), pace.words()
        ('1 min so far', None, None, '6 s left')
    """

    def __init__(self, total: int | None, clock: Callable[[], float] = time.monotonic):
        self.total, self.clock, self.began = total, clock, clock()
        self.first: tuple[float, int] | None = None
        self.last: tuple[float, int] | None = None

    def tell(self, done: int) -> None:
        """So many are done."""
        self.last = self.clock(), done
        self.first = self.first or self.last

    def words(self) -> str:
        """The time that is left, or that has passed where nothing is known of the rest."""
        now = self.clock()
        if self.total is None or self.first is None or self.last is None or self.last[1] == self.first[1]:
            return f"{seconds(now - self.began)} so far"
        rate = (self.last[0] - self.first[0]) / (self.last[1] - self.first[1])
        return f"{seconds(max(0.0, self.last[0] + rate * (self.total - self.last[1]) - now))} left"


def seconds(count: float) -> str:
    """A time in words.

    Example:
        >>> seconds(7.2), seconds(242), seconds(9000)
        ('7 s', '4 min', '2.5 h')
    """
    if count < 60:
        return f"{count:.0f} s"
    return f"{count / 60:.0f} min" if count < 3600 else f"{count / 3600:.1f} h"


@contextmanager
def lines(words: Callable[[], str], every: float = EVERY) -> Iterator[Callable[[str], None]]:
    """Yields tell(line), which prints a line on stderr; where none was printed for `every` seconds, words() is."""
    ended, last = threading.Event(), [time.monotonic()]

    def tell(line: str) -> None:
        last[0] = time.monotonic()
        print(line, file=sys.stderr, flush=True)

    def beat() -> None:
        while not ended.wait(max(0.01, last[0] + every - time.monotonic())):
            if time.monotonic() - last[0] >= every:
                tell(words())

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield tell
    finally:
        ended.set()
        thread.join()


@contextmanager
def at_work(what: str, enabled: bool = True) -> Iterator[None]:
    """Says every ten seconds what is being done, where nothing tells how far it is."""
    if not enabled:
        yield
        return
    pace = Pace(None)
    with lines(lambda: f"{what}, {pace.words()}"):
        yield
