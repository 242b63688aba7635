"""Where the numbers go that a command has printed."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxvae.evaluation.results import Table, write_results
from jaxvae.files import make_folder
from jaxvae.runs.configs.options import FILES
from jaxvae.runs.folder.run_folder import MEASURED


def leave_results(command: str, options: Any, tables: Mapping[str, Table]) -> None:
    """Writes the numbers of the tables that a command has printed into its output folder, and prints where.

    That is --output or --workdir; without either RUN/measured/COMMAND, where a folder that cannot be written into is
    said and no error. Beside an --output that is a file they take its name: `a.results.json` beside `a.png`.

    Raises:
        OSError: naming the path and a remedy.
    """
    output, workdir, run = (getattr(options, name, None) for name in ("output", "workdir", "run"))
    run = next(iter(getattr(options, "runs", ())), run)  # several are kept with the first
    given = output if output is not None else workdir
    if not tables or (given is None and run is None):
        return
    if given is None:
        start = Path(str(run)) / MEASURED / command / "results"
    else:
        file = Path(given).suffix.lower() in FILES and not Path(given).is_dir()
        start = Path(given).with_suffix(".results") if file else Path(given) / "results"
    try:
        make_folder(start.parent)
        paths = write_results(start, list(tables.values()))
    except OSError as error:
        if given is not None:
            raise
        print(f"The numbers are not kept: {error.strerror or error} Pass --output FOLDER.", file=sys.stderr)
        return
    quiet = hasattr(options, "config") or getattr(options, "json", False)  # a training has named its folder
    if paths and not quiet:
        print(paths[0])
