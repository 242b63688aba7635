"""How every script runs: parse, body, exit code; errors that say what to do come without a traceback."""

import _thread
import importlib
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn, TextIO, TypeVar

from jaxvae.commands.parts.kept_programs import keep_programs
from jaxvae.commands.parts.results import leave_results
from jaxvae.evaluation.results import collected
from jaxvae.files import FULL, explain

Options = TypeVar("Options")
_OURS = tuple(str(Path(__file__).resolve().parents[3] / folder) for folder in ("jaxvae", "experiments"))


def launch(
    body: Callable[[Options], int | None],
    parse: Callable[[Sequence[str]], Options],
    args: Sequence[str] | None = None,
) -> NoReturn:
    """Runs a script and exits.

    Exit codes: what the body returns (None is 0); 2 for bad input or an unusable path; 1 for numbers that
    ceased to be finite; 130 for Ctrl-C. --traceback or JAXVAE_TRACEBACK=1 shows the traceback as well.

    Args:
        body: the work; heavy imports belong inside it.
        parse: makes its options from the words of the command line, as `commands.parts.train_line.parse_train`.
        args: those words, by default those of `sys.argv`.
    """
    given = sys.argv[1:] if args is None else args
    args = [word for word in given if word != "--traceback"]
    trace = len(args) < len(given) or os.environ.get("JAXVAE_TRACEBACK", "") not in ("", "0")
    if not trace:
        warnings.showwarning = _show_warning
    keep_programs(os.environ)
    with _noted_interrupts() as interrupts:
        try:
            options = parse(args)
            interrupts.wait = True  # interrupted in the middle of their import, JAX's compiled parts abort the process
            importlib.import_module("jax")
            interrupts.wait = False
            if interrupts.count:
                raise KeyboardInterrupt
            with collected() as tables:
                code = body(options) or 0
            leave_results(_command(options), options, tables)
            _flush()
        except BrokenPipeError:  # the reader of a pipe, such as head, has gone
            _close_output()
            code = 141
        except SystemExit:
            raise
        except BaseException as error:
            code = _ended(error, trace, interrupts.count > 0)
    raise SystemExit(code)


def _command(options: object) -> str:
    """The name of a script, which is that of the module of its options."""
    module = type(options).__module__
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return (spec.name if module == "__main__" and spec else module).rpartition(".")[2].replace("_", "-")


class _Interrupts:
    """How often Ctrl-C was pressed, and whether it waits to be answered."""

    count: int = 0
    wait: bool = False


def _ended(error: BaseException, trace: bool, interrupted: bool) -> int:
    """Says what ended the script; returns the exit code. A fault of the library's own keeps its traceback."""
    if interrupted or isinstance(error, KeyboardInterrupt):  # an interrupted import raises what it likes
        print("interrupted", file=sys.stderr)
        return 130
    if not isinstance(error, ValueError | TypeError | OSError | NotImplementedError | FloatingPointError):
        raise error
    if trace:
        traceback.print_exception(error)
    print(f"error: {_text(error)}", file=sys.stderr)
    try:
        sys.stdout.flush()
    except OSError:  # once more at the end, Python would say so in words of its own
        _close_output()
    return 1 if isinstance(error, FloatingPointError) else 2


@contextmanager
def _noted_interrupts() -> Iterator[_Interrupts]:
    """Ctrl-C raises `KeyboardInterrupt`, as ever, and is counted: an import that it cuts makes other errors of it."""
    noted = _Interrupts()
    if threading.current_thread() is not threading.main_thread():
        yield noted
        return

    def handle(number: int, frame: FrameType | None) -> None:
        noted.count += 1
        if not noted.wait:
            raise KeyboardInterrupt

    def unraisable(failure: "sys.UnraisableHookArgs") -> None:
        if issubclass(failure.exc_type, KeyboardInterrupt):  # it fell into a callback that cannot end: once more, later
            threading.Timer(0.01, _thread.interrupt_main).start()
        else:
            hook(failure)

    before, hook = signal.getsignal(signal.SIGINT), sys.unraisablehook
    try:
        signal.signal(signal.SIGINT, handle)
        sys.unraisablehook = unraisable
        yield noted
    finally:
        signal.signal(signal.SIGINT, before)
        sys.unraisablehook = hook


def _flush() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _close_output()
        raise explain(error, "write to", Path("standard output")) from error


def _close_output() -> None:
    """Lets what is still to be printed go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _text(error: Exception) -> str:
    """The message; with a hint where another library raised it, since it may not say what to do."""
    text = (error.strerror if isinstance(error, OSError) and not error.filename else None) or str(error)
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, OSError) and error.errno in FULL and not text.startswith("cannot "):
        text = explain(error, "write", Path(error.filename or "the output")).strerror or text
    elif not text or not frames[-1].filename.startswith(_OURS):
        text = f"{type(error).__name__}: {text} (--traceback shows where)"
    return text


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    print(f"warning: {message}", file=sys.stderr)
