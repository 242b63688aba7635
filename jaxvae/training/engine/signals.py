"""SIGTERM and Ctrl-C end a run between two calls of `run`, so that it can save; a second one ends it at once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stop:
    """Set by the first signal: `stop.signal` is its number, 0 until then."""

    signal: int = 0


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Within the block SIGTERM and SIGINT only set a flag; the handlers from before come back at the first one.

    Outside the main thread, where Python allows no handlers, the flag is simply never set.

    Example:
        >>> import os, signal
        >>> with stop_on_signals() as stop:
        ...     os.kill(os.getpid(), signal.SIGTERM)
        ...     stop.signal == signal.SIGTERM
        True
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def handle(number: int, frame: FrameType | None) -> None:
        stop.signal = number
        restore()

    for number in before:
        signal.signal(number, handle)
    try:
        yield stop
    finally:
        restore()
