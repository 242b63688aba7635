"""Scripts by rooms: lectures, tables, studies, benchmarks; those that open a run stand in jaxvae/commands.

`python -m experiments.NAME` finds a script in whichever of these rooms it stands.
"""

import sys
from pathlib import Path
from types import TracebackType

from jaxvae import commands


def _quiet(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Ctrl-C while a script is still being imported ends it in a word, as later on."""
    if issubclass(kind, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


if sys.argv[:1] == ["-m"]:  # python -m experiments.NAME looks for the script at this moment
    sys.excepthook = _quiet

__path__ += [str(Path(__file__).parent / room) for room in ("lectures", "tables", "studies")]
__path__ += commands.__path__
