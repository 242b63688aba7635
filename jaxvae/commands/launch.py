"""How every script runs: parse, body, exit code; errors that say what to do come without a traceback."""

import os
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn, TextIO, TypeVar

Options = TypeVar("Options")
_OURS = tuple(str(Path(__file__).resolve().parents[2] / folder) for folder in ("jaxvae", "experiments"))


def launch(body: Callable[[Options], int | None], parse: Callable[[Sequence[str]], Options]) -> NoReturn:
    """Runs a script on `sys.argv` and exits.

    Exit codes: what the body returns (None is 0); 2 for bad input or an unusable path; 1 for numbers that
    ceased to be finite; 130 for Ctrl-C. --traceback or JAXVAE_TRACEBACK=1 shows the traceback as well.

    Args:
        body: the work; heavy imports belong inside it.
        parse: makes its options from the words of the command line, as `experiments.cli.parse_train`.
    """
    args = [word for word in sys.argv[1:] if word != "--traceback"]
    trace = len(args) < len(sys.argv) - 1 or os.environ.get("JAXVAE_TRACEBACK", "") not in ("", "0")
    if not trace:
        warnings.showwarning = _show_warning
    try:
        code = body(parse(args)) or 0
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of a pipe, such as head, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141
    except KeyboardInterrupt:
        code = 130
        print("interrupted", file=sys.stderr)
    except (ValueError, TypeError, OSError, NotImplementedError, FloatingPointError) as error:
        if trace:
            traceback.print_exc()
        print(f"error: {_text(error)}", file=sys.stderr)
        code = 1 if isinstance(error, FloatingPointError) else 2
    raise SystemExit(code)


def _text(error: Exception) -> str:
    """The message; with a hint where another library raised it, since it may not say what to do."""
    text = (error.strerror if isinstance(error, OSError) and not error.filename else None) or str(error)
    frames = traceback.extract_tb(error.__traceback__)
    if not text or not frames[-1].filename.startswith(_OURS):
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
