"""Trials proposed by Optuna, so many at a time, which train as the members of one sweep.

Akiba, Sano, Yanase, Ohta and Koyama, "Optuna: A Next-generation Hyperparameter Optimization Framework" (2019,
arXiv:1907.10902). What is proposed is Optuna's trade, what is trained is ours: a trial is a member of a sweep, an
ordinary run in the folder of the search, and its value is minus the bound on the validation images.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxvae.checks import positive_integer
from jaxvae.files import write_json
from jaxvae.runs.configs.config import Config
from jaxvae.runs.configs.fields import flatten, words
from jaxvae.runs.configs.validate import validate
from jaxvae.runs.folder import run_folder
from jaxvae.runs.sweeps.grid import Member, with_values
from jaxvae.runs.sweeps.program import candidates
from jaxvae.runs.sweeps.record import SWEEP, claim_as
from jaxvae.runs.sweeps.space import Space, check_space, distributions_of, import_optuna, in_words
from jaxvae.runs.sweeps.sweeping import House, check_sweepable, train_all
from jaxvae.training.checkpoints.folders import lock_folder
from jaxvae.training.engine.signals import stop_on_signals

# A trial's attributes: which search trains it, and [how many trials that had before the group, how many the group has].
FOLDER, GROUP = "jaxvae folder", "jaxvae group"


class Searched(NamedTuple):
    """What a search left.

    Attributes:
        folder: of the search; the run of trial 7 is in members/trial=7.
        members: the trials trained here, of which `values` are what was proposed.
        study: Optuna's, with the value of each trial: nats per validation example, less is better.
        signal: that interrupted it, or 0.
    """

    folder: Path
    members: list[Member]
    study: Any
    signal: int


def search(
    config: Config,
    space: Space,
    workdir: str | Path,
    *,
    trials: int,
    together: int = 8,
    storage: str | None = None,
    name: str = "search",
    study: Any = None,
    say: Callable[[str], None] = print,
) -> Searched:
    """Trains trials that Optuna proposes, `together` at a time in one program; run again, it goes on where it was.

    A trial that was interrupted goes on from its checkpoint, one that diverged is told as failed. The proposals of a
    study of its own are those of an uninterrupted search. Several processes may share a study, each with a folder of
    its own.

    Args:
        config: of all that is not searched; it needs a `validation_fraction`.
        space: {dotted field: `Range` or choices}, such as {"optim.lr": Range(1e-4, 1e-2, log=True)}.
        workdir: the folder.
        trials: how many the study is to have in the end.
        together: how many are proposed before any of them is known: more are faster and less well informed.
        storage: a file of SQLite or the URL of a database; by default study.db in the folder.
        name: of the study in the storage.
        study: one of Optuna's, with a sampler of your own, in place of storage and name.
        say: is given a line for each thing worth saying.

    Raises:
        ValueError, TypeError, NotImplementedError: as `sweep`; without optuna, without validation images, or for a
            space that cannot be searched.
    """
    check_sweepable(config, together)
    positive_integer("trials", trials)
    if not config.validation_fraction:
        raise ValueError("a search compares trials on validation images: set --validation-fraction 0.1.")
    check_space(config, space)
    distributions, folder = distributions_of(config, space), run_folder.create(workdir)
    asked = {
        "grid": {path: in_words(values) for path, values in space.items()},
        "config": {path: words(value) for path, value in flatten(config) if path not in (*space, "progress")},
    }
    with lock_folder(folder), stop_on_signals() as stop:
        record = claim_as(folder, asked, [])
        seed = config.seed if study is None else None
        study = study or _study(storage or str(folder / "study.db"), name)
        house = House(folder, together, record, {}, stop, say)
        while not stop.signal and (group := _group(study, folder, distributions, together, trials, seed)):
            members = [_member(config, trial) for trial in group]
            record["members"] = [f"trial={trial.number}" for trial in _own(study, folder)]
            write_json(folder / SWEEP, record)
            train_all(house, members, candidates(members), None)
            if not stop.signal:
                _tell(study, group, house, say)
    return Searched(folder, [_member(config, trial) for trial in _own(study, folder)], study, stop.signal)


def _study(storage: str, name: str) -> Any:
    """Opened or made."""
    url = storage if "://" in storage else f"sqlite:///{storage}"
    return import_optuna().create_study(storage=url, study_name=name, load_if_exists=True, direction="minimize")


def _own(study: Any, folder: Path) -> list[Any]:
    """The trials that this folder trains or has trained."""
    return [
        trial for trial in study.get_trials(deepcopy=False) if trial.user_attrs.get(FOLDER) == str(folder.resolve())
    ]


def _group(
    study: Any, folder: Path, distributions: Any, together: int, trials: int, seed: int | None = None
) -> list[Any]:
    """The trials to train next: those that were interrupted, and what their group lacks; else new ones.

    There are up to so many in the study. With a seed, a proposal is a function of it and of what the study holds, so
    that a search that was killed proposes what it would have proposed.
    """
    own = _own(study, folder)
    waiting = [trial for trial in own if not trial.state.is_finished()]
    if waiting:
        group = waiting[0].user_attrs[GROUP]
        waiting = [trial for trial in waiting if trial.user_attrs[GROUP] == group]
        lacking = group[1] - sum(trial.user_attrs[GROUP] == group for trial in own)
    else:
        done = sum(trial.state.is_finished() for trial in study.get_trials(deepcopy=False))
        lacking = max(0, min(together, trials - done))
        group = [len(own), lacking]
    for _ in range(lacking):
        if seed is not None:  # the proposals of a group keep away from each other
            mixed = np.random.SeedSequence([seed, len(study.get_trials(deepcopy=False))]).generate_state(1)[0]
            study.sampler = import_optuna().samplers.TPESampler(constant_liar=True, seed=int(mixed))
        trial = study.ask(distributions)
        trial.set_user_attr(GROUP, group)
        trial.set_user_attr(FOLDER, str(folder.resolve()))  # last, so that a trial that has it has all the rest
        waiting.append(trial)
    return waiting


def _member(config: Config, trial: Any) -> Member:
    typed = dict(flatten(validate(with_values(config, trial.params))))
    values = {path: typed[path] for path in trial.params}
    return Member(f"trial={trial.number}", values, with_values(config, values))


def rounded(value: Any) -> Any:
    """A number to three digits, where it is one.

    Example:
        >>> rounded(0.00123456), rounded("relu"), rounded(12)
        (0.00123, 'relu', 12)
    """
    return float(f"{value:.3g}") if isinstance(value, float) else value


def _tell(study: Any, group: Sequence[Any], house: House, say: Callable[[str], None]) -> None:
    from jaxvae.runs.sweeps.results import in_words as of_values

    optuna = import_optuna()
    for trial in group:
        nats = house.nats.get(f"trial={trial.number}", math.inf)
        failed = None if math.isfinite(nats) else optuna.trial.TrialState.FAIL
        study.tell(trial.number, None if failed else nats, state=failed)
    done = [trial for trial in study.get_trials(deepcopy=False) if trial.value is not None]
    if done:
        best = min(done, key=lambda trial: trial.value)
        say(
            f"{len(done)} trials are done; the best is {best.number}, {best.value:.2f} nats on the validation images: "
            f"{of_values({path: rounded(value) for path, value in best.params.items()})}."
        )
