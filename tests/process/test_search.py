"""A search: what Optuna proposes trains as members of one program, goes on after a kill, and its best is told."""

import importlib
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from jaxvae.commands.cli import UsageError
from jaxvae.commands.search.line import parse_search
from jaxvae.runs.configs.config import ModelConfig
from jaxvae.runs.configs.presets import PRESETS
from jaxvae.runs.sweeps import searching, space
from jaxvae.runs.sweeps.searching import search
from jaxvae.runs.sweeps.space import Range, check_space, distributions_of

pytestmark = pytest.mark.quick_compile
TINY = replace(
    PRESETS["digits"],
    epochs=1,
    batch_size=400,
    validation_fraction=0.3,
    progress=False,
    model=ModelConfig(hidden=(6,), latent_dim=2, likelihood="discretized_logistic"),
)
SPACE = {"optim.lr": Range(1e-3, 1e-1, log=True), "objective.beta": (1.0, 2.0)}


@pytest.fixture
def optuna():
    found = pytest.importorskip("optuna", reason="pip install 'jaxvae[search]'")
    found.logging.set_verbosity(found.logging.WARNING)
    return found


@pytest.mark.slow
def test_a_search_that_is_killed_goes_on_and_tells_the_validation_bounds(tmp_path, monkeypatch, optuna):
    def killed(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(searching, "_tell", killed)
        with pytest.raises(KeyboardInterrupt):
            search(TINY, SPACE, tmp_path / "a", trials=2, together=2, say=lambda line: None)
    lines = []
    found = search(TINY, SPACE, tmp_path / "a", trials=2, together=2, say=lines.append)
    trials = found.study.trials
    assert [trial.number for trial in trials] == [0, 1]
    assert {trial.state.name for trial in trials} == {"COMPLETE"}
    for trial, member in zip(trials, found.members, strict=True):
        summary = json.loads((found.folder / "members" / member.name / "summary.json").read_text())
        assert trial.value == summary["validation"]["nats"]
        assert member.config.optim.lr == trial.params["optim.lr"]
    assert lines[-1].startswith(f"2 trials are done; the best is {found.study.best_trial.number}, ")
    assert len(lines) == 1  # the two that were killed had been trained
    with pytest.raises(ValueError, match="holds another sweep: optim"):
        search(TINY, SPACE | {"optim.lr": Range(1e-3, 2e-1, log=True)}, tmp_path / "a", trials=3)


def test_a_trial_that_diverged_is_told_as_failed(optuna):
    study = optuna.create_study()
    group = [study.ask(distributions_of(TINY, SPACE)) for _ in range(2)]
    lines = []
    searching._tell(study, group, SimpleNamespace(nats={"trial=0": 3.0, "trial=1": float("inf")}), lines.append)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "FAIL"]
    assert lines[0].startswith("1 trials are done; the best is 0, 3.00 nats on the validation images: lr 0.")


def test_whole_numbers_are_proposed_where_the_option_is_one(optuna):
    found = distributions_of(TINY, {"model.latent_dim": Range(2, 8), "optim.lr": Range(1e-3, 1e-2)})
    assert isinstance(found["model.latent_dim"], optuna.distributions.IntDistribution)
    assert isinstance(found["optim.lr"], optuna.distributions.FloatDistribution)


def test_without_optuna_it_says_how_to_install_it(tmp_path, monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(space, "importlib", SimpleNamespace(import_module=missing))
    with pytest.raises(ValueError, match=r"pip install 'jaxvae\[search\]'"):
        search(TINY, SPACE, tmp_path / "a", trials=3)
    assert importlib.import_module("json") is json


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({}, "expected a dict"),
        ({"optim.lrr": Range(1, 2)}, "optim.lr"),
        ({"seed": Range(1, 2)}, "seed cannot be searched"),
        ({"model.critic_hidden": ((64,), (128,))}, "model.critic_hidden cannot be searched"),
        ({"optim.lr": Range(1e-2, 1e-3)}, "expected LOW below HIGH"),
        ({"optim.lr": Range(0, 1e-3, log=True)}, "with :log above 0"),
        ({"optim.lr": (1e-3,)}, "at least two values"),
        ({"optim.lr": Range(-1, 1e-3)}, "optim.lr is -1"),
        ({"model.activation": Range(1, 2)}, "model.activation is no number"),
        ({"model.likelihood": ("bernoulli", "normal")}, "cannot be compared"),
    ],
)
def test_what_cannot_be_searched_is_said(wrong, says):
    with pytest.raises((ValueError, TypeError), match=says):
        check_space(TINY, wrong)


def test_a_search_needs_validation_images(tmp_path):
    with pytest.raises(ValueError, match="--validation-fraction"):
        search(replace(TINY, validation_fraction=0.0), SPACE, tmp_path, trials=2)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("digits --epochs 3", "no option has a range"),
        ("digits --optim.lr 1e-4:1e-2 --trials 0", "--trials is '?0"),
        ("digits --optim.lr 1e-4:1e-2 --storage", "--storage needs a value"),
        ("digits --optim.lr 1e-4:1e-2 --overwrite", "no search takes it"),
    ],
)
def test_words_that_a_search_does_not_take(words, says):
    with pytest.raises(UsageError, match=says):
        parse_search(words.split())


def test_a_search_that_is_killed_while_it_proposes_or_tells_has_the_same_groups(tmp_path, optuna):
    distributions, small = distributions_of(TINY, {"optim.lr": Range(1e-3, 1e-1)}), (3, 4)

    def ended(cuts):
        """What is proposed, and in which groups, by a search that is killed after so many proposals and results."""
        study, groups = optuna.create_study(), []
        ask, asked = study.ask, 0

        def proposing(space):
            nonlocal asked
            if asked in cuts:
                cuts.remove(asked)
                raise KeyboardInterrupt
            asked += 1
            return ask(space)

        study.ask = proposing
        while True:
            try:
                group = searching._group(study, tmp_path, distributions, *small, seed=1)
                if not group:
                    return [trial.params for trial in study.trials], groups
                for trial in group:
                    if -trial.number in cuts:
                        cuts.remove(-trial.number)
                        raise KeyboardInterrupt
                    study.tell(trial.number, trial.params["optim.lr"])
                groups.append([trial.number for trial in group])
            except KeyboardInterrupt:
                continue

    whole, groups = ended([])
    assert groups == [[0, 1, 2], [3]]
    assert len({trial["optim.lr"] for trial in whole}) == 4
    cut, others = ended([2, -1])  # before the third proposal, and before the second result is told
    assert cut == whole
    assert others == [[1, 2], [3]]


@pytest.mark.full
def test_a_process_that_is_killed_is_gone_on_with(tmp_path, optuna):
    words = "digits --optim.lr 1e-3:1e-1:log --objective.beta 1 2 --validation-fraction 0.3 --epochs 20 --no-progress"
    words += " --batch-size 400 --model.hidden 6 --trials 2 --together 2 --workdir"
    root, folder = Path(__file__).parents[2], tmp_path / "a"
    env = {**os.environ, "PYTHONPATH": str(root)}
    job = subprocess.Popen([sys.executable, "-m", "experiments.search", *words.split(), str(folder)], env=env, cwd=root)
    while not list(folder.glob("members/*/checkpoints/0*")) and job.poll() is None:
        time.sleep(0.1)
    job.kill()
    assert job.wait(10) == -9
    options = parse_search([*words.split(), str(folder)])
    found = search(options.config, options.space, folder, trials=2, together=2, say=lambda line: None)
    assert {trial.state.name for trial in found.study.trials} == {"COMPLETE"}
    study = optuna.create_study()  # whose proposals are those of a search that nobody killed
    fresh = searching._group(study, tmp_path, distributions_of(options.config, options.space), 2, 2, seed=0)
    assert [trial.params for trial in fresh] == [trial.params for trial in found.study.trials]
