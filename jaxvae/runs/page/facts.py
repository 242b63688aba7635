"""What a run folder holds, read once; what cannot be read is a sentence that says why."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from jaxvae.runs.builders.recipe import Make
from jaxvae.runs.configs.config import Config
from jaxvae.runs.configs.serialize import read_config
from jaxvae.runs.folder import run_folder
from jaxvae.runs.folder.metrics import split_records
from jaxvae.runs.folder.summary import read_summary
from jaxvae.runs.held_out import HeldOut, load_held_out
from jaxvae.runs.loading import Run, load

Value = TypeVar("Value")


class Facts(NamedTuple):
    """A run, as far as it can be read.

    Attributes:
        folder, config: where it is and what was asked for.
        train, test, validation, damaged: of metrics.jsonl, as `split_records` reads it.
        summary: of summary.json, {} where the run was interrupted, or where it is damaged; no_summary then says how.
        run: model, parameters and config, or None; no_run says why not.
        held_out: the test images, or None; no_held_out says why not.
    """

    folder: Path
    config: Config
    train: list[dict[str, Any]]
    test: list[dict[str, Any]]
    validation: list[dict[str, Any]]
    damaged: int
    summary: Mapping[str, Any]
    no_summary: str
    run: Run | None
    no_run: str
    held_out: HeldOut | None
    no_held_out: str


def read_facts(workdir: str | Path, allow_changes: bool = False, recipe: Make | str | None = None) -> Facts:
    """Reads a run folder of any age and state.

    Raises:
        FileNotFoundError: if there is no run.
        ValueError, TypeError: for an impossible path, or a config that cannot be read.
    """
    folder = run_folder.find(workdir)
    config = read_config(folder / run_folder.CONFIG)
    records, summary, no_summary = split_records(folder / run_folder.METRICS), None, ""
    if (folder / run_folder.SUMMARY).exists():
        summary, no_summary = attempt(lambda: read_summary(folder / run_folder.SUMMARY))
    run, no_run = attempt(lambda: load(folder, allow_changes=allow_changes, recipe=recipe))
    held_out, no_held_out = attempt(lambda: load_held_out(config.data, allow_changes=allow_changes))
    if run is not None and held_out is not None and run.model.event_shape != held_out.x.shape[1:]:
        shapes = f"{held_out.x.shape[1:]}, the run's are {run.model.event_shape}"
        held_out, no_held_out = None, f"The test examples of {config.data.name} now have the shape {shapes}."
    return Facts(folder, config, *records, summary or {}, no_summary, run, no_run, held_out, no_held_out)


def attempt(work: Callable[[], Value]) -> tuple[Value | None, str]:
    """(what the work returns, ""), or (None, what went wrong) where the input is at fault."""
    try:
        return work(), ""
    except (ValueError, TypeError, OSError, NotImplementedError) as error:
        return None, str(error) or type(error).__name__
