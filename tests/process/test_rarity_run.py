"""A run whose images are drawn by rarity: its weights by hand, and that no interruption changes a bit of the result."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from small import same_bits
from test_run import SMALL, fingerprint, silent, wait_for

import jaxvae
from jaxvae.commands import animate_training
from jaxvae.commands.parts.train_line import parse_train
from jaxvae.data.protocols import dynamic
from jaxvae.evaluation.latents.rarity import latent_resampler
from jaxvae.runs import running
from jaxvae.runs import train as runs_train
from jaxvae.runs.configs.config import ObjectiveConfig, SamplerConfig
from jaxvae.runs.configs.serialize import from_json
from jaxvae.runs.configs.validate import validate
from jaxvae.runs.folder.metrics import read_metrics
from jaxvae.runs.folder.sampling import sampled
from jaxvae.runs.given_data import load_split
from jaxvae.runs.train import train_run
from jaxvae.training.checkpoints import checkpoint

pytestmark = pytest.mark.quick_compile

RARE = replace(SMALL, epochs=3, sampler=SamplerConfig("rarity", alpha=0.02, at_least=0.3))
PER_EPOCH, STEPS = 6, 18


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
    monkeypatch.setattr(runs_train, "draw_pictures", lambda *args, **options: None)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rare") / "a"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs_train, "draw_pictures", lambda *args, **options: None)
        return train_run(RARE, folder, say=silent)


class Died(BaseException):
    pass


def cut_at(monkeypatch, step):
    """Lets the next run die after a step; returns what undoes it."""
    real = running.train

    def dying(compiled, state, images, steps, **options):
        yield from real(compiled, state, images, step, steps_per_call=1, **options)
        raise Died

    monkeypatch.setattr(running, "train", dying)
    return lambda: monkeypatch.setattr(running, "train", real)


def leaves(folder):
    newest = sorted((folder / "checkpoints").iterdir())[-1]
    return [record["path"] for record in json.loads((newest / "manifest.json").read_text())["leaves"]]


@pytest.mark.slow
def test_the_log_says_what_the_draws_of_each_epoch_are_worth(unbroken):
    """By the formula of Kish, from the parameters in the checkpoints, which are those at the next epoch's start."""
    images = load_split(RARE.data, "train").images
    lines = [line for line in read_metrics(unbroken.folder / "metrics.jsonl") if line["split"] == "train"]
    assert [line["step"] for line in lines] == [6, 12, 18]
    for step in (6, 12):
        saved, _ = checkpoint.restore(unbroken.folder / "checkpoints", saved_like(unbroken), step=step)
        weights = latent_resampler(unbroken.model, images, preprocess=dynamic, alpha=0.02, at_least=0.3)(saved.params)
        assert lines[step // PER_EPOCH]["effective_examples"] == pytest.approx(1 / np.sum(weights**2), rel=1e-6)
    assert all(0.3 * len(images) * 0.999 < line["effective_examples"] < len(images) for line in lines)


def saved_like(outcome):
    from jaxvae.runs.builders.from_config import abstract_state
    from jaxvae.runs.folder.sampling import Anchored

    state = abstract_state(RARE, outcome.model)
    return Anchored(*state, state.params)


@pytest.mark.full
def test_a_run_by_rarity_is_another_run_and_opens_from_its_folder_alone(unbroken, tmp_path):
    model, params, config = jaxvae.load(unbroken.folder)
    assert config.sampler == RARE.sampler
    assert same_bits(params, unbroken.params)
    assert model.posterior.distribution is not None
    plain = train_run(SMALL, tmp_path / "a", say=silent)
    assert not same_bits(plain.params, unbroken.params)
    assert not any("anchor" in path for path in leaves(plain.folder))  # as checkpoints have ever been
    assert any(path.startswith(".anchor") for path in leaves(unbroken.folder))


@pytest.mark.slow
@pytest.mark.rows(full=["17", "1", "6"])
@pytest.mark.parametrize("cut", [1, 6, 8, 17])
def test_a_run_by_rarity_resumed_from_any_checkpoint_is_the_unbroken_run(unbroken, tmp_path, monkeypatch, cut):
    undo = cut_at(monkeypatch, cut)
    with pytest.raises(Died):
        train_run(RARE, tmp_path / "a", say=silent)
    undo()
    lines = []
    train_run(RARE, tmp_path / "a", say=lines.append)
    assert f"Resuming at step {cut} of {STEPS}" in lines[0]
    assert fingerprint(tmp_path / "a") == fingerprint(unbroken.folder)


@pytest.mark.full
def test_cut_twice_in_one_epoch_and_by_a_signal_it_is_the_unbroken_run(unbroken, tmp_path, monkeypatch):
    for cut in (7, 9):
        undo = cut_at(monkeypatch, cut)
        with pytest.raises(Died):
            train_run(RARE, tmp_path / "a", say=silent)
        undo()
    real = running.train

    def signalling(compiled, state, images, steps, **options):
        for report in real(compiled, state, images, steps, steps_per_call=1, **options):
            if report.step == 14:
                os.kill(os.getpid(), signal.SIGTERM)
            yield report

    monkeypatch.setattr(running, "train", signalling)
    assert train_run(RARE, tmp_path / "a", say=silent).signal == signal.SIGTERM
    assert checkpoint.steps(tmp_path / "a" / "checkpoints")[-1] == 14
    monkeypatch.setattr(running, "train", real)
    train_run(RARE, tmp_path / "a", say=silent)
    assert fingerprint(tmp_path / "a") == fingerprint(unbroken.folder)


@pytest.mark.rows(full=["mesh", "pmap"])
@pytest.mark.parametrize("mode", ["pmap", "mesh"])
def test_on_two_devices_it_resumes_to_the_bit_and_agrees_with_one(unbroken, tmp_path, monkeypatch, mode):
    config = replace(RARE, parallel=mode)
    whole = train_run(config, tmp_path / "whole", say=silent)
    undo = cut_at(monkeypatch, 8)
    with pytest.raises(Died):
        train_run(config, tmp_path / "a", say=silent)
    undo()
    train_run(config, tmp_path / "a", say=silent)
    assert fingerprint(tmp_path / "a") == fingerprint(whole.folder)
    one, two = (run.summary["test"]["negative_elbo"]["nats"] for run in (unbroken, whole))
    assert two == pytest.approx(one, rel=1e-3)  # a code on the edge of a bin may fall on its other side


@pytest.mark.full
def test_a_film_of_its_training_takes_the_same_steps(unbroken):
    *_, (params, _) = animate_training.anew(jaxvae.load(unbroken.folder).config, [1, 3])
    assert same_bits(params, unbroken.params)


@pytest.mark.full
def test_the_sampler_may_change_on_the_way_and_a_config_from_before_it_goes_on(tmp_path):
    short = replace(SMALL, epochs=1, objective=ObjectiveConfig(), optim=replace(SMALL.optim, schedule="constant"))
    folder = train_run(short, tmp_path / "a", say=silent).folder
    old = json.loads((folder / "config.json").read_text())
    del old["sampler"]
    (folder / "config.json").write_text(json.dumps(old))
    assert train_run(replace(short, epochs=2), folder, say=silent).step == 12
    rare = replace(short, epochs=3, sampler=RARE.sampler)
    with pytest.raises(ValueError, match=r"(?s)sampler.kind: uniform in the folder, rarity now.*--allow-changes"):
        train_run(rare, folder, say=silent)
    assert train_run(rare, folder, allow_changes=True, say=silent).step == 18
    assert train_run(replace(short, epochs=4), folder, allow_changes=True, say=silent).step == 24
    assert jaxvae.load(folder, step=18).params.keys() == {"encoder", "decoder"}


# (options of the command line, words that the message must contain)
WRONG = [
    ("--sampler.kind rarety", "--sampler.kind", "'rarity'"),
    ("--sampler.kind rarity --sampler.alpha 0", "sampler.alpha is 0.0, expected a finite number above 0", "0.01"),
    ("--sampler.kind rarity --sampler.alpha -1", "sampler.alpha is -1.0", "above 0"),
    ("--sampler.kind rarity --sampler.alpha nan", "sampler.alpha is nan", "finite"),
    ("--sampler.kind rarity --sampler.bins 0", "sampler.bins is 0", "at least 1"),
    ("--sampler.kind rarity --sampler.bins 2.5", "sampler.bins", "2.5"),
    ("--sampler.kind rarity --sampler.at-least 1", "sampler.at_least is 1.0", "at least 0 and at most 0.99"),
    ("--sampler.kind rarity --sampler.at-least -0.1", "sampler.at_least is -0.1", "at least 0"),
    ("--sampler.kind rarity --sampler.combine max", "sampler.combine", "maximum"),
    ("--sampler.kind rarity --sampler.threshold -1", "sampler.threshold is -1.0", "at least 0"),
    ("--sampler.alpha 0.5", "sampler.alpha is 0.5, but nothing reads it here", "--sampler.kind rarity"),
    ("--sampler.at_most 3", "unknown option --sampler.at_most", "--sampler.at-least"),
    ("--sampler.kind rarity --model.kind autoencoder", "sampler.kind is 'rarity'", "'autoencoder'"),
    ("--sampler.kind rarity --model.kind ladder", "sampler.kind is 'rarity'", "--sampler.kind uniform"),
    ("--sampler.kind rarity --model.posterior iaf", "'iaf' does not take", "--model.posterior diagonal"),
    ("--sampler.kind rarity --model.posterior full", "'full' does not take", "--model.posterior diagonal"),
]


@pytest.mark.parametrize(("line", "first", "second"), WRONG, ids=lambda value: str(value)[:60])
def test_what_cannot_be_sampled_is_refused_before_training(line, first, second):
    with pytest.raises((ValueError, SystemExit)) as caught:
        parse_train(["mnist", *line.split()])
    assert first in str(caught.value)
    assert second in str(caught.value)


def test_a_kind_misspelt_in_a_file_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match=r"sampler.kind.*'rarety'.*did you mean 'rarity'"):
        from_json('{"sampler": {"kind": "rarety"}}')


def test_a_model_without_a_diagonal_posterior_is_refused_by_the_resampler_too():
    model = jaxvae.vae(
        jaxvae.MLPEncoder(2, (8,)),
        jaxvae.MLPDecoder((8, 8, 1), hidden=(8,)),
        event_shape=(8, 8, 1),
        latent_dim=2,
        posterior=jaxvae.posteriors.low_rank_posterior(1),
    )
    with pytest.raises(ValueError, match=r"no diagonal Gaussian.*resampling_weights"):
        latent_resampler(model, np.zeros((5, 8, 8, 1), np.float32))
    with pytest.raises(ValueError, match="no diagonal Gaussian"):
        sampled(RARE, model, np.zeros((5, 8, 8, 1), np.uint8))


@pytest.mark.slow
def test_the_options_reach_the_weights():
    images = load_split(RARE.data, "train").images[:200]
    model = jaxvae.vae(
        jaxvae.MLPEncoder(3, (8,)), jaxvae.MLPDecoder((8, 8, 1), hidden=(8,)), event_shape=(8, 8, 1), latent_dim=3
    )
    params = jax.jit(model.init)(jax.random.key(0), np.zeros((8, 8, 1), np.float32))
    found = {}
    for name, change in {
        "usual": {},
        "alpha": {"alpha": 1.0},
        "bins": {"bins": 3},
        "combine": {"combine": "maximum"},
        "at least": {"at_least": 0.9},
        "threshold": {"threshold": 1e3},
    }.items():
        sampler = SamplerConfig("rarity", **{"at_least": 0.0, "threshold": 0.0, **change})
        found[name] = sampled(validate(replace(RARE, sampler=sampler)), model, images).weights(params)
    assert all((found[name] != found["usual"]).any() for name in found if name != "usual")
    np.testing.assert_array_equal(found["threshold"], np.full(200, 1 / 200))


def newest(folder):
    return checkpoint.steps(folder / "checkpoints")[-1:]


@pytest.mark.full
def test_killed_at_any_moment_it_ends_as_the_unbroken_run(tmp_path):
    words = ["digits", "--epochs", "12", "--save-every", "1", "--evaluate-every", "100", "--batch-size", "50"]
    words += ["--model.hidden", "8", "--model.latent-dim", "2", "--parallel", "jit", "--sampler.kind", "rarity"]
    root, rng, kills = Path(__file__).parents[2], np.random.default_rng(0), 0

    def start(folder):
        line = [sys.executable, "-m", "experiments.train", *words, "--workdir", str(folder)]
        return subprocess.Popen(line, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    assert start(tmp_path / "whole").wait() == 0
    while True:
        child, before = start(tmp_path / "a"), newest(tmp_path / "a")
        wait_for(lambda old=before, run=child: newest(tmp_path / "a") > old or run.poll() == 0)
        try:
            child.wait(rng.uniform(0, 0.3))
            break
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            kills += 1
    assert kills > 3
    assert fingerprint(tmp_path / "a") == fingerprint(tmp_path / "whole")
