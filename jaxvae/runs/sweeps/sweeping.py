"""A whole sweep: a grid of runs trained in as few programs as there are, in one folder that is gone on with."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxvae.checks import one_process, positive_integer
from jaxvae.files import write_json
from jaxvae.runs.builders.assembled import assemble
from jaxvae.runs.configs.config import Config
from jaxvae.runs.folder import run_folder
from jaxvae.runs.folder.summary import read_summary
from jaxvae.runs.sweeps.grid import Grid, Member, members_of
from jaxvae.runs.sweeps.halving import Rung, check_halving, in_words, points_in, ranked, rung_record, rungs_of
from jaxvae.runs.sweeps.program import alike, candidates, is_traceable, members_that_fit, of_one_split
from jaxvae.runs.sweeps.record import SWEEP, claim, dropped_in
from jaxvae.runs.sweeps.seats import seats_of
from jaxvae.runs.sweeps.together import train_together
from jaxvae.training.checkpoints.folders import lock_folder
from jaxvae.training.engine.signals import Stop, stop_on_signals

AT_ONCE = 16


class Swept(NamedTuple):
    """What a sweep left.

    Attributes:
        folder: of the sweep; the run of a member is in members/NAME, an ordinary run folder.
        members: all of them.
        stopped: {name: why}, of those that diverged.
        dropped: {name: after which epoch}, of those that halving left behind; their runs wait there.
        signal: that interrupted it, or 0.
    """

    folder: Path
    members: list[Member]
    stopped: dict[str, str]
    dropped: dict[str, int]
    signal: int


def sweep(
    config: Config,
    grid: Grid,
    workdir: str | Path,
    *,
    at_once: int = AT_ONCE,
    halving: int | None = None,
    say: Callable[[str], None] = print,
) -> Swept:
    """Trains every combination of some options' values; run again, it goes on where it was.

    Seeds, numbers of the objective and the optimizer, and some of the model's (its likelihood's width, temperatures,
    weights) are one array axis of one program; every other option makes a program of its own. A member is the run it
    would be alone on one device, up to the rounding of its products;
    several devices share the members.

    Args:
        config: of all that is not varied.
        grid: {dotted field: values}, such as {"objective.beta": (1, 2, 4), "seed": range(4)}.
        workdir: the folder.
        at_once: the most members in one program; they are all in memory, with their optimizers. Where fewer fit, fewer
            are taken, and it is said before anything is compiled.
        halving: of so many points, each with all its seeds, one goes on at each rung, chosen by the validation images
            (`rungs_of`); None trains all to the end.
        say: is given a line for each thing worth saying.

    Raises:
        ValueError, TypeError: as `members_of` and `check_halving`; for a folder that holds another sweep or a run; and
            as `train_run`.
        NotImplementedError: for images drawn by rarity, and in a job of several processes.

    Example:
        >>> from jaxvae.runs.configs.presets import PRESETS
        >>> sweep(PRESETS["digits"], {"model.hidden": ((64,), (128,))}, "runs/s")
        Traceback (most recent call last):
        ValueError: model.hidden cannot be varied by a sweep, expected an option of one value such as optim.lr.
    """
    check_sweepable(config, at_once)
    members = members_of(config, grid)
    rungs = []
    if halving is not None:
        rungs = rungs_of(len(points_in(members)), config.epochs, check_halving(halving, config, grid))
    folder = run_folder.create(workdir)
    with lock_folder(folder), stop_on_signals() as stop:
        record = claim(folder, config, grid, members, halving)
        house = House(folder, at_once, record, {}, stop, say)
        numbers, racing = candidates(members), members
        for rung in rungs:
            racing = _race(house, racing, numbers, rung)
        train_all(house, racing, numbers, None)
    return Swept(folder, members, record["stopped"], dropped_in(record), stop.signal)


def check_sweepable(config: Config, at_once: int) -> None:
    """Raises `NotImplementedError` or `ValueError` for a config whose runs cannot share a program."""
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
    if config.data.resident == "never":
        raise ValueError(
            "data.resident is never, expected auto or always: the members of a sweep share data on the device. Train "
            "such runs alone."
        )


class House(NamedTuple):
    """What all groups of a sweep share; `nats` is {name: of the validation images} of those that were trained."""

    folder: Path
    at_once: int
    record: dict[str, Any]
    nats: dict[str, float]
    stop: Stop
    say: Callable[[str], None]


def _race(house: House, racing: list[Member], numbers: Sequence[str], rung: Rung) -> list[Member]:
    """Trains to a rung, unless that was done; returns the members that go on."""
    if all(done["epoch"] != rung.epoch for done in house.record["rungs"]):
        train_all(house, racing, numbers, rung.epoch)
        if house.stop.signal:
            return racing
        order = ranked(racing, house.nats)
        house.record["rungs"].append(rung_record(rung, order, house.nats))
        write_json(house.folder / SWEEP, house.record)
        house.say(in_words(rung, order))
    dropped = dropped_in(house.record)
    return [member for member in racing if member.name not in dropped]


def train_all(house: House, members: Sequence[Member], numbers: Sequence[str], epochs: int | None) -> None:
    """Trains members in as few programs as there are, to the end or to an epoch; `house` keeps what became of them."""
    for group in alike(members, numbers):
        for part in of_one_split(group):
            _train_group(house, part, numbers, epochs)


def _train_group(house: House, group: list[Member], numbers: Sequence[str], epochs: int | None) -> None:
    """Members that may share a program, if their numbers can be arrays; else those that do."""
    done = _done(house.folder, group)
    house.nats.update(done)
    left = [member for member in group if member.name not in done and member.name not in house.record["stopped"]]
    if not left or house.stop.signal:
        return
    work = assemble(left[0].config, None)
    numbers = [path for path in numbers if len({member.values[path] for member in left}) > 1]
    if known := [path for path in numbers if not is_traceable(work, path)]:
        house.say(f"{' and '.join(known)} must be known before compiling: a program for each value.")
        numbers = [path for path in numbers if path not in known]
        for part in alike(left, numbers):
            _train_group(house, part, numbers, epochs)
        return
    at_once = min(house.at_once, fits := members_that_fit(work))
    if fits < min(house.at_once, len(left)):
        house.say(f"The states of {fits} members fit into the memory: no more than these at once.")
    for start in range(0, len(left), at_once):
        some = left[start : start + at_once]
        house.say(
            f"{len(some)} members in one program: {some[0].name} to {some[-1].name}."
            if len(some) > 1
            else f"{some[0].name} alone."
        )
        seats = seats_of(work, some, house.folder, house.say)
        train_together(work, seats, numbers, house.stop, house.say, epochs=epochs)
        house.nats.update({seat.member.name: seat.nats for seat in seats})
        house.record["stopped"].update({seat.member.name: seat.diverged for seat in seats if seat.diverged})
        write_json(house.folder / SWEEP, house.record)
        if house.stop.signal:
            return


def _done(folder: Path, members: Sequence[Member]) -> dict[str, float]:
    """{name: validation nats, inf without validation images} of the members whose summary is written."""
    paths = {member.name: folder / run_folder.MEMBERS / member.name / run_folder.SUMMARY for member in members}
    found = {name: read_summary(path) for name, path in paths.items() if path.is_file()}
    return {name: summary.get("validation", {}).get("nats", float("inf")) for name, summary in found.items()}
