"""The epoch that validation images choose: it is the best one, and no interruption changes which."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from small import same_bits
from test_rarity_run import Died, cut_at
from test_run import SMALL, fingerprint, silent, wait_for

import jaxvae
from jaxvae.data.splits import validation_rows
from jaxvae.runs import train as runs_train
from jaxvae.runs.configs.config import ObjectiveConfig, OptimConfig, SamplerConfig
from jaxvae.runs.configs.validate import validate
from jaxvae.runs.folder.metrics import read_metrics
from jaxvae.runs.given_data import load_split
from jaxvae.runs.held_out import draw
from jaxvae.runs.train import train_run
from jaxvae.training.checkpoints import checkpoint
from jaxvae.training.checkpoints.weights import load_weights

pytestmark = pytest.mark.quick_compile

# Few images and a fast learner: its bound on other images is best long before the last epoch.
EARLY = replace(
    SMALL,
    epochs=30,
    batch_size=50,
    evaluate_every=3,
    keep=30,
    validation_fraction=0.9,
    patience=2,
    data=replace(SMALL.data, protocol="threshold"),
    model=replace(SMALL.model, hidden=(32,)),
    objective=ObjectiveConfig(),
    optim=OptimConfig(lr=0.25, ema=0.5),
)


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
    monkeypatch.setattr(runs_train, "draw_pictures", lambda *args, **options: None)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs_train, "draw_pictures", lambda *args, **options: None)
        return train_run(EARLY, tmp_path_factory.mktemp("early") / "a", say=silent)


def summary_of(folder):
    return json.loads((folder / "summary.json").read_text())


def test_the_rows_that_choose_are_a_function_of_the_seed_and_no_row_is_on_both_sides():
    (training, validation), (_, other) = (validation_rows(100, 0.25, seed) for seed in (3, 4))
    assert len(validation) == 25
    assert sorted([*training, *validation]) == list(range(100))
    assert validation.tolist() == validation_rows(100, 0.25, 3)[1].tolist() != other.tolist()


@pytest.mark.slow
def test_the_epoch_of_the_best_validation_bound_is_kept_measured_and_written(unbroken):
    folder, chosen = unbroken.folder, unbroken.summary["validation"]
    lines = [record for record in read_metrics(folder / "metrics.jsonl") if record["split"] == "validation"]
    bounds = [record["elbo"] for record in lines]
    assert [record["epoch"] for record in lines] == list(range(1, len(lines) + 1))
    assert chosen["epoch"] == 1 + int(np.argmax(bounds)) == len(lines) - 2  # patience was 2
    assert unbroken.step == 3 * len(lines) < 3 * EARLY.epochs  # three batches of 50 in an epoch
    # The average of that epoch's own checkpoint, and its bound measured here, on rows that were not trained on.
    model, average, _ = jaxvae.load(folder, step=chosen["step"])
    assert same_bits(average, load_weights(folder / "weights.safetensors"))
    assert same_bits(average, jaxvae.load(folder).params)
    assert checkpoint.steps(folder / "checkpoints")[-1] == unbroken.step  # the last ones are there to go on from
    train = load_split(EARLY.data, "train")
    test = draw(train.take(validation_rows(len(train.images), 0.9, EARLY.seed)[1]), EARLY.data)
    values = jaxvae.per_example(model, average, jax.random.key(test.seed), test.x)["elbo"]
    assert -values.mean(dtype=np.float64) == pytest.approx(chosen["nats"], rel=1e-6)
    assert f"Epoch {chosen['epoch']} of {len(lines)} is kept, chosen by validation" in chosen["kept"]


@pytest.mark.rows(every_slow=4)
@pytest.mark.slow
@pytest.mark.rows(quick=["after"])
@pytest.mark.parametrize("where", ["before", "within", "after", "last"])
def test_a_run_cut_while_it_waits_keeps_the_same_epoch(unbroken, tmp_path, monkeypatch, where):
    per_epoch = unbroken.summary["validation"]["step"] // unbroken.summary["validation"]["epoch"]
    best = unbroken.summary["validation"]["step"]
    cut = {"before": best - 1, "within": best + 1, "after": best + per_epoch, "last": unbroken.step - 1}[where]
    go_on = cut_at(monkeypatch, cut)
    with pytest.raises(Died):
        train_run(EARLY, tmp_path / "a", say=silent)
    go_on()
    train_run(EARLY, tmp_path / "a", say=silent)
    assert fingerprint(tmp_path / "a") == fingerprint(unbroken.folder)
    assert summary_of(tmp_path / "a") == summary_of(unbroken.folder)


@pytest.mark.slow
def test_a_run_that_stopped_early_is_finished(unbroken):
    before, lines = fingerprint(unbroken.folder), []
    train_run(EARLY, unbroken.folder, say=lines.append)
    assert "stopped early" in lines[0]
    assert "--patience" in lines[0]
    assert fingerprint(unbroken.folder) == before


@pytest.mark.full
def test_more_patience_trains_on_as_if_it_had_been_asked_for_at_once(unbroken, tmp_path):
    train_run(EARLY, tmp_path / "a", say=silent)
    patient = replace(EARLY, patience=6)
    outcomes = [train_run(patient, tmp_path / name, say=silent) for name in "ab"]
    assert outcomes[0].step > unbroken.step
    assert fingerprint(tmp_path / "a") == fingerprint(tmp_path / "b")


@pytest.mark.full
def test_other_validation_images_choose_anew(unbroken, tmp_path):
    train_run(replace(EARLY, epochs=4, patience=None), tmp_path / "a", say=silent)
    other = replace(EARLY, epochs=5, patience=None, validation_fraction=0.8)
    with pytest.raises(ValueError, match="validation_fraction"):
        train_run(other, tmp_path / "a", say=silent)
    outcome = train_run(other, tmp_path / "a", allow_changes=True, say=silent)
    assert outcome.summary["validation"]["images"] == round(0.8 * 1500)


@pytest.mark.full
def test_a_run_by_rarity_chooses_as_well_and_goes_on_to_the_bit(tmp_path, monkeypatch):
    rare = replace(EARLY, epochs=4, patience=None, validation_fraction=0.5, sampler=SamplerConfig("rarity"))
    unbroken = train_run(rare, tmp_path / "a", say=silent)
    go_on = cut_at(monkeypatch, unbroken.step // 2 + 3)
    with pytest.raises(Died):
        train_run(rare, tmp_path / "b", say=silent)
    go_on()
    train_run(rare, tmp_path / "b", say=silent)
    assert fingerprint(tmp_path / "b") == fingerprint(tmp_path / "a")


def test_patience_without_validation_images_is_refused():
    with pytest.raises(ValueError, match="--validation-fraction"):
        validate(replace(EARLY, validation_fraction=0.0))


@pytest.mark.full
def test_kill_nine_in_the_middle_changes_no_bit(tmp_path):
    options = ["--epochs", "300", "--validation-fraction", "0.5", "--patience", "10", "--save-every", "3"]
    options += ["--model.hidden", "8", "--model.latent-dim", "2", "--parallel", "jit", "--optim.lr", "0.1"]
    start = [sys.executable, "-m", "experiments.train", "digits", *options, "--workdir"]
    root = Path(__file__).parents[2]

    def newest():
        return (checkpoint.steps(tmp_path / "b" / "checkpoints") or [0])[-1]

    for _ in range(3):
        with subprocess.Popen([*start, str(tmp_path / "b")], cwd=root, stdout=subprocess.DEVNULL) as child:
            before = newest()
            wait_for(lambda floor=before: newest() > floor)
            child.kill()
    for name in "ab":
        subprocess.run([*start, str(tmp_path / name)], cwd=root, check=True, stdout=subprocess.DEVNULL)
    assert fingerprint(tmp_path / "a") == fingerprint(tmp_path / "b")
    assert summary_of(tmp_path / "a") == summary_of(tmp_path / "b")
    assert "stopped" in summary_of(tmp_path / "a")["validation"]["kept"]
