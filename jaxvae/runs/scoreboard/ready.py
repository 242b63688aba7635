"""A contender made ready: a density fitted, or a run trained for as long as its processor time lasts."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from jaxvae.evaluation.scoreboard.judged import DRAWS, Judged
from jaxvae.evaluation.scoreboard.records import Cell
from jaxvae.evaluation.scoreboard.scoring import Codes
from jaxvae.files import make_folder, write_json
from jaxvae.models.records import Model, Params
from jaxvae.runs.builders.recipe import Recipe, as_described
from jaxvae.runs.configs.config import Config
from jaxvae.runs.configs.recipes import import_function
from jaxvae.runs.configs.serialize import read_config
from jaxvae.runs.configs.validate import validate
from jaxvae.runs.folder import run_folder
from jaxvae.runs.held_out import HeldOut, load_run_data
from jaxvae.runs.scoreboard.budget import Bought, Clock, FirstLook, bought, first_look, megabytes_of, read_object
from jaxvae.runs.scoreboard.contenders import Contender
from jaxvae.runs.scoreboard.fitted import fitted, with_mixture
from jaxvae.runs.train import train_run

TIME, MEMORY = "processor_time.json", "training_memory.json"
SAVES = 8  # checkpoints of a run, from which it goes on


class Rules(NamedTuple):
    """What all contenders of a board have in common.

    Attributes:
        data: one of `BOARDS`.
        seconds: of processor time for the training of each.
        seed: of everything random.
        limit: so many test images are scored for log P, by a fixed permutation.
        samples: posterior samples of a bound.
        draws: of each contender.
        progress: whether a training shows a bar.
    """

    data: str
    seconds: float
    seed: int = 0
    limit: int = 1000
    samples: int = 50
    draws: int = DRAWS
    progress: bool = True


class Trained(NamedTuple):
    """A contender that is ready to be scored; with the signal that interrupted it, and what its row must say."""

    model: Model
    params: Params
    cells: dict[str, Cell]
    codes: Codes | None = None
    signal: int = 0
    notes: tuple[str, ...] = ()


def by_density(one: Contender, rules: Rules, judged: Judged) -> Trained:
    """A contender that is fitted in closed form."""
    start = time.process_time()
    found = fitted(str(one.fit), judged.train, judged.levels, rules.seed)
    minutes = (time.process_time() - start) / 60
    cells = {
        "minutes": Cell(minutes, setting=found.setting),
        "parameters": Cell(float(found.numbers), setting="numbers that the density keeps"),
        "memory": Cell(None, setting="it is fitted without a training program that could be asked"),
    }
    return Trained(found.model, {}, cells, found.codes)


def by_run(
    one: Contender, rules: Rules, judged: Judged, test: HeldOut, folder: Path, say: Callable[[str], None]
) -> Trained:
    """A contender that is a run in its folder, trained to the end or gone on with."""
    make = import_function(one.recipe) if one.recipe else None
    config = replace(one.config or Config(), seed=rules.seed, progress=rules.progress)
    described, own = as_described(config, folder, make)
    if make is not None:
        _check_same(described, test, one)
    known = folder / run_folder.CONFIG
    look = None if known.is_file() else first_look(validate(described), own)
    epochs, part = _noted(known) if look is None else bought(look, rules.seconds)
    size = _kept_memory(folder, validate(described), own, look)
    run = replace(
        config, epochs=epochs, train_fraction=part, evaluate_every=epochs, save_every=max(1, epochs // SAVES)
    )  # fmt: skip
    passes = f"{epochs} epoch{'s' if epochs > 1 else ''}" if part == 1 else f"{100 * part:.3g} % of an epoch"
    say(f"{one.name}: {passes} in about {rules.seconds:g} s of processor time")
    clock = Clock(folder / TIME)
    outcome = train_run(
        validate(run), folder, recipe=make, trackers=[clock], say=lambda line: say(f"{one.name}: {line}")
    )
    model, params = outcome.model, outcome.params
    if outcome.signal:
        return Trained(model, params, {}, None, outcome.signal)
    seconds = clock.seconds(outcome.step)
    of = "" if part == 1 else f", {outcome.step} steps"
    words = f"{passes}{of} of {run.batch_size} images a step; without compiling"
    if seconds is None and part < 1:  # too few steps for two notes of the time
        seconds, words = rules.seconds, f"{words}, by a first timing of a step"
    cells = {"minutes": Cell(None if seconds is None else seconds / 60, setting=words), "memory": memory_cell(size)}
    if one.on_codes:
        found = with_mixture(model, params, judged.train, rules.seed)
        model = found.model
        cells["minutes"] = cells["minutes"]._replace(setting=f"{words}; then {found.setting}")
    told = (
        f"part: it was trained on {100 * part:.3g} % of the training images; copied and memory are told of all of them."
    )
    return Trained(model, params, cells, notes=() if part == 1 else (told,))


def _noted(known: Path) -> Bought:
    """What a run that is gone on with was given when it began."""
    config = read_config(known)
    return Bought(config.epochs, config.train_fraction)


def _check_same(config: Config, test: HeldOut, one: Contender) -> None:
    """Raises `ValueError` where a contender of the user's own is of other data than the board."""
    theirs = load_run_data(config, "none").test
    if theirs.sha256 != test.sha256:
        raise ValueError(
            f"{one.recipe} scores other numbers than this board: {config.data.name}, protocol {theirs.protocol}, "
            f"expected the test images under {test.protocol}. Let the recipe name the board's data and protocol."
        )


def _kept_memory(folder: Path, config: Config, own: Recipe | None, look: FirstLook | None) -> float | None:
    """Megabytes of the training program, asked of the compiler once and kept: to ask again is to compile again."""
    known = read_object(folder / MEMORY)
    if look is None and "megabytes" in known:
        return known["megabytes"]
    size = megabytes_of(config, own) if look is None else look.megabytes
    make_folder(folder)
    write_json(folder / MEMORY, {"megabytes": size})
    return size


def memory_cell(megabytes: float | None) -> Cell:
    """The cell of a compiled training program.

    Example:
        >>> memory_cell(12.0).text
        '12'
    """
    why = "the compiler does not say" if megabytes is None else "arguments, temporaries and outputs"
    return Cell(megabytes, setting=f"memory analysis of the compiled training program: {why}; data and state within")
