"""Sweeps: each member is the run it would be alone, whatever stops on the way; what is not one program is said."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest

import jaxvae
from jaxvae.commands.cli import UsageError
from jaxvae.commands.sweep.line import parse_sweep
from jaxvae.evaluation.statistics import Estimate
from jaxvae.runs import train
from jaxvae.runs.builders.assembled import assemble
from jaxvae.runs.configs.config import Config, ModelConfig
from jaxvae.runs.configs.presets import PRESETS
from jaxvae.runs.running import Running
from jaxvae.runs.sweeps import program, sweeping
from jaxvae.runs.sweeps.grid import members_of
from jaxvae.runs.sweeps.program import alike, candidates, of_one_split
from jaxvae.runs.sweeps.record import SWEEP, claim, read_record
from jaxvae.runs.sweeps.results import Result, best_in_words, lines_of, points_of, results_of, rows_of
from jaxvae.runs.sweeps.sweeping import sweep

pytestmark = pytest.mark.quick_compile
TINY = replace(
    PRESETS["digits"],
    epochs=2,
    batch_size=500,
    evaluate_every=2,
    save_every=1,
    progress=False,
    model=ModelConfig(hidden=(6,), latent_dim=2, likelihood="discretized_logistic"),
)
GRID = {"objective.beta": (1, 4), "seed": range(2)}


def same(a, b, tolerance=0.0):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=tolerance, rtol=tolerance), a, b)


def params_of(folder, member):
    return jaxvae.load(folder, member=member.name).params


def records(folder, member):
    text = (folder / "members" / member.name / "metrics.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    folder, lines = tmp_path_factory.mktemp("sweep") / "a", []
    return sweep(TINY, GRID, folder, say=lines.append), lines


@pytest.mark.slow
def test_a_member_is_the_run_it_would_be_alone(swept, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "draw_pictures", lambda *args, **options: None)
    done, lines = swept
    assert [line for line in lines if "program" in line] == [
        "4 members in one program: beta=1,seed=0 to beta=4,seed=1."
    ]
    member = done.members[3]
    alone = train.train_run(member.config, tmp_path / "alone", say=lambda line: None)
    same(params_of(done.folder, member), alone.params, 1e-5)
    here = [json.loads(line) for line in (alone.folder / "metrics.jsonl").read_text().splitlines()]
    for a, b in zip(here, records(done.folder, member), strict=True):
        assert a.keys() == b.keys()
        assert a["elbo"] == pytest.approx(b["elbo"], rel=1e-5)
    for other in done.members[:3]:
        apart = jax.tree.map(lambda a, b: np.abs(a - b).max(), params_of(done.folder, other), alone.params)
        assert max(jax.tree.leaves(apart)) > 1e-4


@pytest.mark.slow
def test_a_sweep_that_was_cut_goes_on_to_the_same_numbers(swept, tmp_path, monkeypatch):
    done, _ = swept
    saves, save = [], Running.save

    def cut(self, state, anchor=None):
        if len(saves) == 2:  # one of the members is on disk after its first epoch, two are not
            raise KeyboardInterrupt
        saves.append(self.folder)
        return save(self, state, anchor)

    monkeypatch.setattr(Running, "save", cut)
    with pytest.raises(KeyboardInterrupt):
        sweep(TINY, GRID, tmp_path / "b", say=lambda line: None)
    monkeypatch.setattr(Running, "save", save)
    again = sweep(TINY, GRID, tmp_path / "b", say=lambda line: None)
    for member in again.members:
        same(params_of(again.folder, member), params_of(done.folder, member), 1e-6)
        one, two = (records(sweep.folder, member) for sweep in (again, done))
        assert [(line["step"], line["split"]) for line in one] == [(line["step"], line["split"]) for line in two]
    told = []
    sweep(TINY, GRID, again.folder, say=told.append)
    assert told == []  # all is done
    with pytest.raises(ValueError, match=r"another sweep: optim.lr is None there and .*0.1"):
        sweep(TINY, {"optim.lr": (0.1, 0.2)}, again.folder)
    with pytest.raises(ValueError, match="holds a run, expected an empty folder"):
        sweep(TINY, GRID, again.folder / "members" / again.members[0].name)


@pytest.mark.slow
def test_a_member_that_diverges_stops_alone_and_is_said(tmp_path):
    config = replace(TINY, epochs=1, optim=replace(TINY.optim, max_skipped=2))
    lines = []
    done = sweep(config, {"optim.lr": (1e-3, 1e30)}, tmp_path / "c", say=lines.append)
    assert done.stopped == {"lr=1e+30": "2 steps in a row up to step 3 were not finite"}
    assert [line for line in lines if "stopped" in line] == [
        "lr=1e+30 stopped: 2 steps in a row up to step 3 were not finite; the others went on."
    ]
    judged, results = results_of(done.folder, done.members)
    assert (judged, [result.name for result in results]) == ("-ELBO", ["lr=0.001"])
    lines.clear()
    assert sweep(config, {"optim.lr": (1e-3, 1e30)}, tmp_path / "c", say=lines.append).stopped == done.stopped
    assert lines == []


@pytest.mark.slow
def test_numbers_that_must_be_known_get_a_program_each(tmp_path):
    lines = []
    grid = {"optim.warmup_epochs": (0.0, 1.0), "seed": (0, 1)}
    done = sweep(replace(TINY, epochs=1), grid, tmp_path / "d", say=lines.append)
    assert [line for line in lines if "program" in line] == [
        "optim.warmup_epochs must be known before compiling: a program for each value.",
        "2 members in one program: warmup_epochs=0,seed=0 to warmup_epochs=0,seed=1.",
        "2 members in one program: warmup_epochs=1,seed=0 to warmup_epochs=1,seed=1.",
    ]
    assert len(results_of(done.folder, done.members)[1]) == 4


HALVED = replace(TINY, epochs=4, batch_size=300, validation_fraction=0.2, optim=replace(TINY.optim, lr=1e-2))
RACE = {"optim.lr": (1e-5, 1e-2, 1e30), "seed": range(2)}


@pytest.mark.full
def test_halving_leaves_the_worst_behind_and_a_cut_race_ends_alike(tmp_path, monkeypatch):
    lines = []
    done = sweep(HALVED, RACE, tmp_path / "a", halving=2, say=lines.append)
    assert done.dropped == {f"lr={lr},seed={seed}": e for e, lr in ((1, "1e+30"), (2, "1e-05")) for seed in range(2)}
    assert [len(rung["kept"]) for rung in read_record(done.folder)["rungs"]] == [4, 2]
    assert "After epoch 1 2 of 3 points go on" in " ".join(lines)
    assert [result.name for result in results_of(done.folder, done.members)[1]] == ["lr=0.01,seed=0", "lr=0.01,seed=1"]
    # those left behind can be looked at as they were, and say how far they went
    waiting = jaxvae.load(done.folder, member="lr=1e-05,seed=0")
    assert records(done.folder, done.members[0])[-1]["epoch"] == 2.0
    assert np.isfinite(jax.tree.leaves(waiting.params)[0]).all()
    # a member of a race is the run it would be alone: its validation images are those of its own seed
    alone = train.train_run(done.members[3].config, tmp_path / "alone", say=lambda line: None)
    same(alone.params, params_of(done.folder, done.members[3]), 1e-4)
    saves, save = [], Running.save

    def cut(self, state, anchor=None):
        if len(saves) == 9:  # in the second stage: after the first, 6 members were saved
            raise KeyboardInterrupt
        saves.append(self.folder)
        return save(self, state, anchor)

    monkeypatch.setattr(Running, "save", cut)
    with pytest.raises(KeyboardInterrupt):
        sweep(HALVED, RACE, tmp_path / "b", halving=2, say=lambda line: None)
    monkeypatch.setattr(Running, "save", save)
    again = sweep(HALVED, RACE, tmp_path / "b", halving=2, say=lambda line: None)
    assert again.dropped == done.dropped
    same(params_of(again.folder, done.members[2]), params_of(done.folder, done.members[2]), 1e-5)
    with pytest.raises(ValueError, match="another sweep: halving is 2 there and None here"):
        sweep(HALVED, RACE, tmp_path / "b")


def test_halving_that_could_not_be_fair_is_refused(tmp_path):
    with pytest.raises(ValueError, match="expected a whole number of at least 2"):
        sweep(HALVED, RACE, tmp_path, halving=1)
    with pytest.raises(ValueError, match="on validation images, but there are none"):
        sweep(TINY, RACE, tmp_path, halving=2)
    with pytest.raises(ValueError, match=r"model\.likelihood is varied"):
        sweep(HALVED, {"model.likelihood": ("categorical", "discretized_logistic")}, tmp_path, halving=2)
    with pytest.raises(ValueError, match="2 rungs, which need at least 4 epochs, but epochs is 2"):
        sweep(replace(HALVED, epochs=2), RACE, tmp_path, halving=2)


@pytest.mark.slow
def test_no_more_members_are_trained_at_once_than_fit(tmp_path, monkeypatch):
    work = assemble(TINY, None)
    size = sum(leaf.nbytes for leaf in jax.tree.leaves((work.start().params, work.start().opt_state)))
    monkeypatch.setattr(program, "memory_bytes", lambda: int(2.5 * 3 * size))
    assert program.members_that_fit(work) == 2
    lines, taken = [], []
    monkeypatch.setattr(sweeping, "train_together", lambda work, seats, *args, **options: taken.append(len(seats)))
    sweep(TINY, {"optim.lr": (1e-3, 2e-3, 3e-3)}, tmp_path / "a", say=lines.append)
    assert taken == [2, 1]
    assert lines[0] == "The states of 2 members fit into the memory: no more than these at once."
    monkeypatch.setattr(program, "memory_bytes", lambda: None)
    assert program.members_that_fit(work) == 10_000


def test_members_share_a_program_only_where_they_share_validation_images():
    assert [len(part) for part in of_one_split(members_of(HALVED, RACE))] == [3, 3]
    assert [len(part) for part in of_one_split(members_of(TINY, RACE))] == [6]


def test_nats_that_are_not_alike_are_not_compared(tmp_path):
    members = members_of(TINY, {"model.likelihood": ("discretized_logistic", "categorical"), "seed": range(2)})
    for member in members:
        folder = tmp_path / "members" / member.name
        folder.mkdir(parents=True)
        test = {"negative_elbo": {"nats": 5.0, "standard_error": 0.1}, "images": 9, "sha256": "c0ffee"}
        (folder / "summary.json").write_text(json.dumps({"test": test, "epochs": 1.0}))
    judged, found = results_of(tmp_path, members)
    assert (judged, len(found)) == ("", 4)
    assert results_of(tmp_path, members[:2])[0] == "-ELBO"
    test = {"negative_log_p": {"nats": 5.0, "standard_error": 0.1}, "images": 9, "sha256": "c0ffee"}
    (tmp_path / "members" / members[0].name / "summary.json").write_text(json.dumps({"test": test, "epochs": 1.0}))
    assert results_of(tmp_path, members[:2])[0] == ""  # exact beside a bound


def test_members_share_a_program_unless_they_differ_in_more_than_numbers():
    members = members_of(TINY, {"model.latent_dim": (2, 3), "optim.lr": (1e-3, 3e-3), "seed": range(3)})
    assert candidates(members) == ("optim.lr",)
    assert candidates(members_of(TINY, {"optim.ema": (None, 0.9)})) == ()
    groups = alike(members, candidates(members))
    assert [len(group) for group in groups] == [6, 6]
    assert {member.config.model.latent_dim for member in groups[1]} == {3}


@pytest.mark.parametrize(
    ("grid", "words"),
    [
        ({}, "grid is {}, expected a dict"),
        ({"optim.rl": (1, 2)}, "unknown option 'optim.rl', did you mean 'optim.lr'"),
        ({"model.hidden": ((1,), (2,))}, "model.hidden cannot be varied"),
        ({"model.critic_hidden": ((64,), (128, 64))}, "model.critic_hidden cannot be varied"),
        ({"data.train_sha256": ("a", "b")}, "cannot be varied"),
        ({"optim.lr": ()}, "optim.lr has the values \\(\\), expected a sequence"),
        ({"optim.lr": (0.1, 0.1)}, "the grid has lr=0.1 twice"),
        ({"optim.lr": (0.1, -1.0)}, "optim.lr"),
        ({"objective.beta": ("a", "b")}, "objective.beta is 'a' \\(str\\), expected a number"),
        ({"model.kind": ("vae", "foo")}, "model.kind: unknown name 'foo'"),
        ({"model.std": (0.1, 0.2)}, "model.std is 0.2, but nothing reads it here"),
        ({"seed": range(20_000)}, "20,000 members, expected at most 10,000"),
    ],
)
def test_impossible_grids_are_named(grid, words):
    with pytest.raises((ValueError, TypeError), match=words):
        members_of(Config(), grid)


@pytest.mark.parametrize(("kind", "same"), [("vae", True), ("gan", True), ("vae_gan", False)])
def test_a_sweep_of_an_earlier_version_goes_on_unless_its_numbers_were_others(tmp_path, kind, same):
    config, grid = Config(model=ModelConfig(kind)), {"seed": range(2)}
    members = members_of(config, grid)
    claim(tmp_path, config, grid, members, None)
    record = read_record(tmp_path)
    del record["config"]["train_fraction"]  # a field that there was not
    record["config"]["model.critic_hidden"] = "128"  # which every kind wrote
    (tmp_path / SWEEP).write_text(json.dumps(record))
    if same:
        assert claim(tmp_path, config, grid, members, None)["members"] == [member.name for member in members]
        with pytest.raises(ValueError, match=r"train_fraction is 1\.0 there and 0\.5 here"):
            claim(tmp_path, replace(config, train_fraction=0.5), grid, members, None)
    else:
        with pytest.raises(ValueError, match=r"model\.critic_hidden is 128 there and None here"):
            claim(tmp_path, config, grid, members, None)


def test_settings_that_a_sweep_does_not_follow_are_refused(tmp_path):
    with pytest.raises(ValueError, match="parallel is mesh, expected auto or jit"):
        sweep(replace(TINY, parallel="mesh"), GRID, tmp_path)
    with pytest.raises(NotImplementedError, match=r"sampler\.kind is rarity, expected uniform"):
        sweep(replace(TINY, sampler=replace(TINY.sampler, kind="rarity")), GRID, tmp_path)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["digits"], "no option has several values"),
        (["digits", "--seed", "3:3"], "range '3:3' is empty"),
        (["digits", "--seed", "0:2", "--at-once", "0"], "--at-once is '0'"),
        (["digits", "--seed", "0:2", "--halving", "1"], "--halving is '1', expected a whole number of at least 2"),
        (["digits", "--seed", "0:2", "--overwrite"], "--overwrite is an option of a training alone"),
        (["digits", "--sed", "0", "1"], "unknown option --sed"),
    ],
)
def test_what_a_sweep_cannot_read_is_named(words, said):
    with pytest.raises((UsageError, ValueError), match=said):
        parse_sweep(words)


def test_results_are_means_over_seeds_and_differences_seed_by_seed():
    values = {(1.0, 0): 5.0, (1.0, 1): 8.0, (2.0, 0): 6.0, (2.0, 1): 8.5, (3.0, 0): 9.0}
    results = [
        Result(f"{beta}{seed}", {"objective.beta": beta, "seed": seed}, Estimate(value, 0.5, 20), 10 - value, 1.0)
        for (beta, seed), value in values.items()
    ]
    first, second, third = points_of(results)
    assert first.estimate[:2] == pytest.approx((6.5, 1.5))
    assert first.more is None
    assert second.more[:2] == pytest.approx((0.75, 0.25))  # of 1.0 and 0.5, not of 6 and 8.5
    assert (third.estimate.standard_error, third.more) == (0.5, None)
    assert best_in_words(results, "-ELBO") == (
        "Best of 3 by the validation images, means over seeds: beta 3.0, test -ELBO 9.0 ± 0.5 nats."
    )
    assert "the number is flattered" in best_in_words([r._replace(validation=None) for r in results], "-ELBO")
    assert lines_of(results, "objective.beta")["all seeds"][0] == [1.0, 2.0, 3.0]
    assert [row["objective.beta"] for row in rows_of(results)] == [1.0, 1.0, 2.0, 2.0, 3.0]
