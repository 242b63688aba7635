"""A whole sweep: a grid of runs trained in as few programs as there are, in one folder that is gone on with."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxvae.checks import one_process, positive_integer
from jaxvae.files import read_bytes, write_json
from jaxvae.runs.builders.assembled import assemble
from jaxvae.runs.configs.config import Config
from jaxvae.runs.configs.fields import flatten, words
from jaxvae.runs.folder import run_folder
from jaxvae.runs.sweeps.grid import Grid, Member, members_of
from jaxvae.runs.sweeps.program import alike, candidates, is_traceable
from jaxvae.runs.sweeps.seats import seats_of
from jaxvae.runs.sweeps.together import train_together
from jaxvae.training.checkpoints.folders import lock_folder
from jaxvae.training.engine.signals import Stop, stop_on_signals

SWEEP = "sweep.json"
AT_ONCE = 16


class Swept(NamedTuple):
    """What a sweep left.

    Attributes:
        folder: of the sweep; the run of a member is in members/NAME, an ordinary run folder.
        members: all of them.
        stopped: {name: why}, of those that diverged.
        signal: that interrupted it, or 0.
    """

    folder: Path
    members: list[Member]
    stopped: dict[str, str]
    signal: int


def sweep(
    config: Config,
    grid: Grid,
    workdir: str | Path,
    *,
    at_once: int = AT_ONCE,
    say: Callable[[str], None] = print,
) -> Swept:
    """Trains every combination of some options' values; run again, it goes on where it was.

    Numbers of the objective and the optimizer, and seeds, are one array axis of one program; every other option makes
    a program of its own. A member is the run it would be alone on one device, up to the rounding of its products;
    several devices share the members.

    Args:
        config: of all that is not varied.
        grid: {dotted field: values}, such as {"objective.beta": (1, 2, 4), "seed": range(4)}.
        workdir: the folder.
        at_once: the most members in one program; they are all in memory, with their optimizers.
        say: is given a line for each thing worth saying.

    Raises:
        ValueError, TypeError: as `members_of`; for a folder that holds another sweep or a run; and as `train_run`.
        NotImplementedError: for images drawn by rarity, and in a job of several processes.

    Example:
        >>> from jaxvae.runs.configs.presets import PRESETS
        >>> sweep(PRESETS["digits"], {"model.hidden": ((64,), (128,))}, "runs/s")
        Traceback (most recent call last):
        ValueError: model.hidden cannot be varied by a sweep, expected an option of one value such as optim.lr.
    """
    one_process("training")
    positive_integer("at_once", at_once)
    if config.sampler.kind != "uniform":
        raise NotImplementedError(
            f"sampler.kind is {config.sampler.kind}, expected uniform in a sweep. Train such runs alone."
        )
    if config.parallel not in ("auto", "jit"):
        raise ValueError(
            f"parallel is {config.parallel}, expected auto or jit: several devices share the members of a sweep."
        )
    members = members_of(config, grid)
    folder = run_folder.create(workdir)
    with lock_folder(folder), stop_on_signals() as stop:
        house = _House(folder, at_once, _claim(folder, config, grid, members), stop, say)
        numbers = candidates(members)
        for group in alike(members, numbers):
            _train_group(house, group, numbers)
    return Swept(folder, members, house.stopped, stop.signal)


class _House(NamedTuple):
    """What all groups of a sweep share."""

    folder: Path
    at_once: int
    stopped: dict[str, str]
    stop: Stop
    say: Callable[[str], None]


def _train_group(house: _House, group: list[Member], numbers: Sequence[str]) -> None:
    """Members that may share a program, if their numbers can be arrays; else those that do."""
    left = [member for member in group if member.name not in house.stopped and not _done(house.folder, member)]
    if not left or house.stop.signal:
        return
    work = assemble(left[0].config, None)
    numbers = [path for path in numbers if len({member.values[path] for member in left}) > 1]
    if known := [path for path in numbers if not is_traceable(work, path)]:
        house.say(f"{' and '.join(known)} must be known before compiling: a program for each value.")
        numbers = [path for path in numbers if path not in known]
        for part in alike(left, numbers):
            _train_group(house, part, numbers)
        return
    for start in range(0, len(left), house.at_once):
        some = left[start : start + house.at_once]
        house.say(f"{len(some)} members in one program: {some[0].name} to {some[-1].name}.")
        seats = seats_of(work, some, house.folder, house.say)
        train_together(work, seats, numbers, house.stop, house.say)
        house.stopped.update({seat.member.name: seat.diverged for seat in seats if seat.diverged})
        write_json(house.folder / SWEEP, {**_read(house.folder), "stopped": house.stopped})
        if house.stop.signal:
            return


def _done(folder: Path, member: Member) -> bool:
    return (folder / run_folder.MEMBERS / member.name / run_folder.SUMMARY).is_file()


def _claim(folder: Path, config: Config, grid: Grid, members: list[Member]) -> dict[str, str]:
    """Writes what the sweep is, or compares it with what the folder holds; returns the members that diverged there."""
    if (folder / run_folder.CONFIG).exists():
        raise ValueError(f"{folder} holds a run, expected an empty folder or one of a sweep. Choose another --workdir.")
    asked: dict[str, dict[str, Any]] = {
        "grid": {path: [words(member) for member in values] for path, values in _values(members).items()},
        "config": {path: words(value) for path, value in flatten(config) if path not in grid and path != "progress"},
    }
    if not (folder / SWEEP).exists():
        write_json(folder / SWEEP, {**asked, "members": [member.name for member in members], "stopped": {}})
        return {}
    found = _read(folder)
    for part, wanted in asked.items():
        held: Mapping[str, Any] = found.get(part, {})
        for path in {**wanted, **held}:
            if held.get(path) != wanted.get(path):
                raise ValueError(
                    f"{folder} holds another sweep: {path} is {held.get(path)} there and {wanted.get(path)} here. "
                    f"Choose another --workdir, or remove the folder."
                )
    stopped: dict[str, str] = found.get("stopped", {})
    return stopped


def _values(members: list[Member]) -> dict[str, list[Any]]:
    return {path: list(dict.fromkeys(member.values[path] for member in members)) for path in members[0].values}


def _read(folder: Path) -> dict[str, Any]:
    import json

    try:
        found: dict[str, Any] = json.loads(read_bytes(folder / SWEEP))
    except ValueError as error:
        raise ValueError(f"{folder / SWEEP} cannot be read ({error}). Choose another --workdir.") from error
    return found
