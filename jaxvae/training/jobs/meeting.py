"""How the processes of a job find each other: JAX alone waits five minutes without a word and then aborts from C++."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PATIENCE = 300.0  # seconds that a process waits for the others
QUIET = 5.0  # seconds after which it says so
_WITNESS = "import sys; sys.stdin.buffer.read() or print(sys.argv[1], file=sys.stderr)"


def address(coordinator: str) -> tuple[str, int]:
    """The host and the port of "HOST:PORT".

    Raises:
        ValueError: for anything else.

    Example:
        >>> address("localhost:1234"), address("[::1]:80")
        (('localhost', 1234), ('::1', 80))
    """
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(
            f"--coordinator is {coordinator}, expected HOST:PORT, such as localhost:12345, with a port of 1 to 65535."
        )
    return host.removeprefix("[").removesuffix("]"), int(port)


def check_free(coordinator: str) -> None:
    """Raises `OSError` where the port of process 0 is taken: JAX would end in a segmentation fault."""
    _, port = address(coordinator)
    try:
        socket.create_server(("", port)).close()
    except OSError as error:
        raise OSError(
            f"process 0 cannot listen at {coordinator} ({error.strerror}). Give all processes another port, or end the "
            f"program that has this one."
        ) from error


def wait_for_the_first(coordinator: str, say: Callable[[str], None], patience: float = PATIENCE) -> None:
    """Waits until process 0 listens; its host may get its name later than this process starts, as on Kubernetes.

    Args:
        coordinator: HOST:PORT.
        say: is given a line when it takes longer than a moment.
        patience: seconds.

    Raises:
        ConnectionError: when nobody has listened there for so long, with what was tried.
    """
    place, begun, said, why = address(coordinator), time.monotonic(), False, ""
    while True:
        try:
            socket.create_connection(place, timeout=5).close()
        except OSError as error:
            why = error.strerror or str(error)
        else:
            return
        waited = time.monotonic() - begun
        if waited > patience:
            break
        if waited > min(QUIET, patience / 2) and not said:
            say(f"Waiting for process 0 at {coordinator} ({why}), {patience:.0f} s at most.")
            said = True
        time.sleep(0.2)
    raise ConnectionError(
        f"nobody listened at {coordinator} for {patience:.0f} s ({why}). Start process 0 with the same command and "
        f"--process 0, on the machine of that name."
    )


@contextmanager
def saying_who_waits(coordinator: str | None, processes: int | None, say: Callable[[str], None]) -> Iterator[None]:
    """Says that this process waits for the others, if it does for longer than a moment."""
    if coordinator is None or processes is None:
        yield
        return
    line = f"Waiting at {coordinator} for all {processes} processes, {PATIENCE:.0f} s at most."
    timer = threading.Timer(QUIET, say, [line])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def with_a_last_word(line: str) -> Iterator[None]:
    """Leaves a line where this process is ended from without, as JAX does, from C++, when others have gone.

    A small process of its own writes it, when the pipe to it closes and nothing was said before.
    """
    words = [sys.executable, "-I", "-S", "-c", _WITNESS, f"error: {line}"]
    witness = subprocess.Popen(words, stdin=subprocess.PIPE, start_new_session=True)  # Ctrl-C is not for it
    try:
        yield
    finally:
        witness.communicate(b"it ends by itself")  # and no error of this process where the other one was killed first
