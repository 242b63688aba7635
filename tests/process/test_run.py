"""A whole run in its folder: what it leaves, and that nothing which interrupts it changes a bit of the result."""

import contextlib
import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxvae
from jaxvae.runs.builders.from_config import abstract_state
from jaxvae.runs.configs.config import DataConfig, ModelConfig, ObjectiveConfig, OptimConfig
from jaxvae.runs.configs.presets import PRESETS
from jaxvae.runs.folder.metrics import read_metrics
from jaxvae.runs.folder.sampling import restore
from jaxvae.runs.held_out import load_held_out
from jaxvae.runs.train import train_run
from jaxvae.training.checkpoints import checkpoint
from jaxvae.training.checkpoints.folders import lock_folder

SMALL = replace(
    PRESETS["digits"],
    epochs=4,
    batch_size=250,
    evaluate_every=2,
    save_every=1,
    parallel="jit",
    progress=False,
    data=DataConfig("digits", protocol="dynamic"),
    model=ModelConfig(hidden=(8,), latent_dim=2),
    objective=ObjectiveConfig(warmup_epochs=2.0),
    optim=OptimConfig(lr=1e-2, ema=0.9, clip=10.0, schedule="cosine"),
)
STEPS = 24
PICTURES = {"reconstructions", "prior_samples", "manifold", "interpolations", "curves", "codes"}
PICTURES |= {"kl_per_latent", "kl_over_training"}


def silent(line: str) -> None:
    pass


def fingerprint(folder: Path) -> str:
    """SHA-256 over the weights, the newest checkpoint's manifest of arrays, and the log."""
    digest = hashlib.sha256((folder / "weights.safetensors").read_bytes())
    digest.update((folder / "metrics.jsonl").read_bytes())
    newest = sorted((folder / "checkpoints").iterdir())[-1]
    body = json.loads((newest / "manifest.json").read_text())
    leaves = body.get("body", body)["leaves"]
    digest.update(json.dumps(leaves, sort_keys=True).encode())
    return digest.hexdigest()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("run")
    return train_run(SMALL, folder / "a", say=silent)


@pytest.fixture(autouse=True)
def _no_more_pictures(monkeypatch):
    """Drawing takes longer than training here; the finished run draws its own."""
    from jaxvae.runs import train

    monkeypatch.setattr(train, "draw_pictures", lambda *args, **options: None)


@pytest.mark.slow
def test_a_run_leaves_config_metrics_summary_checkpoints_weights_and_pictures(finished):
    folder = finished.folder
    assert {path.stem for path in (folder / "pictures").glob("*.png")} == PICTURES
    assert all(path.stat().st_size > 4000 for path in (folder / "pictures").glob("*.png"))
    assert json.loads((folder / "config.json").read_text())["data"]["image_shape"] == [8, 8, 1]
    records = read_metrics(folder / "metrics.jsonl")
    assert [r["step"] for r in records if r["split"] == "train"] == [6, 12, 18, 24]
    assert [r["step"] for r in records if r["split"] == "test"] == [12, 24]
    assert checkpoint.steps(folder / "checkpoints") == [12, 18, 24]
    test = finished.summary["test"]
    expected = test["reconstruction"]["nats"] + test["kl"]["nats"]
    assert test["negative_elbo"]["nats"] == pytest.approx(expected, rel=1e-6)
    assert test["negative_elbo"]["nats"] < 44.4  # 64 fair coins
    assert test["negative_elbo"]["standard_error"] > 0


@pytest.mark.slow
def test_a_run_with_a_moving_average_says_so_and_gives_the_number_of_its_last_weights_too(finished):
    model, average, config = jaxvae.load(finished.folder)
    assert finished.summary["weights"] == "moving average, decay 0.9"
    like = abstract_state(config, model)
    state = restore(finished.folder / "checkpoints", config, like).state
    test = load_held_out(config.data)
    for params, found in ((average, finished.summary["test"]), (state.params, finished.summary["last_weights"])):
        values = jaxvae.per_example(model, params, jax.random.key(test.seed), test.x)
        assert -values["elbo"].mean() == pytest.approx(found["negative_elbo"]["nats"], rel=1e-6)


@pytest.mark.slow
def test_a_run_opens_from_its_folder_alone_and_gives_the_same_numbers(finished):
    model, params, config = jaxvae.load(finished.folder)
    assert config.model == SMALL.model
    test = load_held_out(config.data)
    values = jaxvae.summarize(jaxvae.per_example(model, params, jax.random.key(test.seed), test.x))
    assert -values["elbo"].mean == pytest.approx(finished.summary["test"]["negative_elbo"]["nats"], rel=1e-6)


def test_a_run_opens_in_a_new_process(finished):
    code = f"import jaxvae; run = jaxvae.load({str(finished.folder)!r}); print(run.model.event_shape)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "(8, 8, 1)"


def test_running_a_finished_run_again_takes_no_step(finished):
    before, lines = fingerprint(finished.folder), []
    train_run(SMALL, finished.folder, say=lines.append)
    assert fingerprint(finished.folder) == before
    assert f"finished: step {STEPS} of {STEPS}" in lines[0]


@pytest.mark.full
def test_products_of_bfloat16_make_another_run_whose_numbers_are_measured_in_float32(finished, tmp_path):
    config = replace(SMALL, precision="bfloat16")
    first, second = (train_run(config, tmp_path / name, say=silent) for name in "ab")
    assert fingerprint(first.folder) == fingerprint(second.folder)
    nats = [outcome.summary["test"]["negative_elbo"]["nats"] for outcome in (finished, first)]
    assert 0 < abs(nats[0] - nats[1]) < 0.5
    test = load_held_out(config.data)
    values = jaxvae.summarize(jaxvae.per_example(first.model, first.params, jax.random.key(test.seed), test.x))
    assert -values["elbo"].mean == pytest.approx(nats[1], rel=1e-6)
    with pytest.raises(ValueError, match="precision: bfloat16 in the folder, default now"):
        train_run(SMALL, first.folder, say=silent)


@pytest.mark.rows(full=["2"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_the_resumed_run_is_the_unbroken_one(finished, tmp_path, monkeypatch, number):
    from jaxvae.runs import running

    real, calls = running.append_metrics, []

    def interrupting(path, record):
        real(path, record)
        calls.append(record["step"])
        if len(calls) in (1, 3):
            os.kill(os.getpid(), number)

    monkeypatch.setattr(running, "append_metrics", interrupting)
    for _ in range(2):
        outcome = train_run(SMALL, tmp_path / "a", say=silent)
        assert outcome.signal == number
        assert checkpoint.steps(tmp_path / "a" / "checkpoints")[-1] == outcome.step
    outcome = train_run(SMALL, tmp_path / "a", say=silent)
    assert outcome.signal == 0
    assert fingerprint(tmp_path / "a") == fingerprint(finished.folder)


@pytest.mark.rows(full=["13", "6"], slow=["5"])
@pytest.mark.parametrize("cut", [1, 5, 6, 13])
def test_a_run_resumed_from_any_checkpoint_is_the_unbroken_run(finished, tmp_path, monkeypatch, cut):
    from jaxvae.runs import running

    real = running.train

    class Died(BaseException):
        pass

    def dying(compiled, state, images, steps, **options):
        yield from real(compiled, state, images, cut, steps_per_call=1, **options)
        raise Died

    monkeypatch.setattr(running, "train", dying)
    with pytest.raises(Died):
        train_run(SMALL, tmp_path / "a", say=silent)
    monkeypatch.setattr(running, "train", real)
    lines = []
    train_run(SMALL, tmp_path / "a", say=lines.append)
    assert f"Resuming at step {cut} of {STEPS}" in lines[0]
    assert fingerprint(tmp_path / "a") == fingerprint(finished.folder)


@pytest.mark.slow
def test_a_run_moves_between_device_counts_and_says_so(finished, tmp_path, monkeypatch):
    from jaxvae.runs import running

    real = running.train
    monkeypatch.setattr(
        running, "train", lambda compiled, state, images, steps, **options: real(compiled, state, images, 12, **options)
    )
    train_run(replace(SMALL, parallel="pmap"), tmp_path / "a", say=silent)
    monkeypatch.setattr(running, "train", real)
    lines = []
    outcome = train_run(SMALL, tmp_path / "a", say=lines.append)
    assert "saved on 2 device(s) and goes on with 1" in lines[0]
    unbroken = finished.summary["test"]["negative_elbo"]["nats"]
    assert outcome.summary["test"]["negative_elbo"]["nats"] == pytest.approx(unbroken, rel=1e-5)


@pytest.mark.slow
def test_a_run_that_ceases_to_be_finite_leaves_its_last_good_step(tmp_path):
    # The first step is finite and goes so far that no later one is.
    optim = OptimConfig(name="sgd", lr=1e15, max_skipped=3)
    config = replace(SMALL, optim=optim, objective=ObjectiveConfig(), batch_size=100)
    with pytest.raises(FloatingPointError, match="3 steps in a row"):
        train_run(config, tmp_path / "a", say=silent)
    assert len(checkpoint.steps(tmp_path / "a" / "checkpoints")) > 0
    _, params, _ = jaxvae.load(tmp_path / "a")
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))


@pytest.mark.full
def test_more_epochs_train_on(finished, tmp_path):
    config = replace(SMALL, optim=OptimConfig(), objective=ObjectiveConfig(), epochs=1)
    train_run(config, tmp_path / "a", say=silent)
    outcome = train_run(replace(config, epochs=2), tmp_path / "a", say=silent)
    assert outcome.step == 12


def test_another_run_in_the_folder_is_refused_and_left_alone(finished):
    before = fingerprint(finished.folder)
    other = replace(SMALL, seed=1, model=replace(SMALL.model, latent_dim=3))
    with pytest.raises(ValueError, match=r"(?s)seed.*0.*1.*latent_dim.*2.*3.*--allow-changes.*--overwrite"):
        train_run(other, finished.folder, say=silent)
    assert fingerprint(finished.folder) == before


def everything_in(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


@pytest.mark.rows(every=2)
@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("fault", ["another architecture", "a loss that does not compile", "no memory for the state"])
def test_a_change_that_cannot_work_leaves_the_run_as_it_was(finished, monkeypatch, fault, overwrite):
    """It is refused before a byte of the folder is written, such as a config.json with which it would open no more."""
    from jaxvae.runs import running
    from jaxvae.runs.builders import assembled

    def fail(*_, **__):
        raise ValueError("it cannot work")

    before = everything_in(finished.folder)
    other = replace(SMALL, optim=replace(SMALL.optim, lr=0.5), epochs=5)
    if fault == "another architecture":
        other = replace(SMALL, model=replace(SMALL.model, hidden=(9,)), epochs=5)
    elif fault == "a loss that does not compile":
        monkeypatch.setattr(running, "train", fail)
    else:
        monkeypatch.setattr(assembled, "compiled_init", lambda *_, **__: fail)
    if fault == "another architecture" and overwrite:
        monkeypatch.setattr(running, "train", fail)
    with pytest.raises(ValueError, match=r"it cannot work|of another model"):
        train_run(other, finished.folder, allow_changes=True, overwrite=overwrite, say=silent)
    assert everything_in(finished.folder) == before
    assert jaxvae.load(finished.folder).config.model.hidden == (8,)


def test_a_new_run_that_cannot_work_claims_no_folder(tmp_path, monkeypatch):
    from jaxvae.runs import running

    def fail(*_, **__):
        raise ValueError("it cannot work")

    monkeypatch.setattr(running, "train", fail)
    with pytest.raises(ValueError, match="it cannot work"):
        train_run(SMALL, tmp_path / "a", say=silent)
    assert everything_in(tmp_path / "a") == {}


def test_a_second_process_in_the_folder_is_refused(tmp_path):
    with lock_folder(tmp_path), pytest.raises(ValueError, match=str(tmp_path)):
        train_run(SMALL, tmp_path, say=silent)


def test_a_full_disk_is_an_error_and_older_checkpoints_survive(tmp_path, monkeypatch):
    real, calls = checkpoint.save, []

    def full(folder, state, **options):
        calls.append(int(state.step))
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, "No space left on device", str(folder))
        return real(folder, state, **options)

    monkeypatch.setattr(checkpoint, "save", full)
    with pytest.raises(OSError, match="No space left"):
        train_run(SMALL, tmp_path / "a", say=silent)
    assert checkpoint.steps(tmp_path / "a" / "checkpoints") == calls[:2]


@pytest.mark.slow
def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(tmp_path):
    train_run(replace(SMALL, epochs=2), tmp_path / "a", say=silent)
    newest = sorted((tmp_path / "a" / "checkpoints").iterdir())[-1]
    largest = max((p for p in newest.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[len(data) // 2] ^= 1
    largest.write_bytes(data)
    lines = []
    with pytest.warns(UserWarning, match="damaged"):
        train_run(replace(SMALL, epochs=2), tmp_path / "a", say=lines.append)
    assert "Resuming at step 6 of 12" in lines[0]


def command(folder: Path) -> list[str]:
    options = ["--epochs", "100000", "--save-every", "1", "--evaluate-every", "1000000"]
    options += ["--model.hidden", "8", "--model.latent-dim", "2", "--parallel", "jit"]
    return [sys.executable, "-m", "experiments.train", "digits", "--workdir", str(folder), *options]


@contextlib.contextmanager
def training(folder: Path, **options):
    """A process that trains in `folder`, and does not outlive a test that fails."""
    root = Path(__file__).parents[2]
    with subprocess.Popen(command(folder), cwd=root, **options) as child:
        try:
            yield child
        finally:
            child.kill()


def wait_for(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the child did not get there"
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.rows(full=["15-143"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_training_command_stopped_by_a_signal_saves_says_where_and_exits_with_its_code(tmp_path, number, code):
    with training(tmp_path / "a", stdout=subprocess.PIPE, text=True) as child:
        wait_for(lambda: len(checkpoint.steps(tmp_path / "a" / "checkpoints")) > 0)
        child.send_signal(number)
        output, _ = child.communicate(timeout=60)
    assert child.returncode == code
    step = checkpoint.steps(tmp_path / "a" / "checkpoints")[-1]
    assert f"step {step}" in output
    assert str(tmp_path / "a") in output


@pytest.mark.full
@pytest.mark.parametrize("times", [2, pytest.param(200, marks=pytest.mark.full)])
def test_kill_nine_loses_no_confirmed_checkpoint(tmp_path, times):
    rng, confirmed = np.random.default_rng(0), -1
    for _ in range(times):
        with training(tmp_path / "a", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
            wait_for(lambda floor=confirmed: (checkpoint.steps(tmp_path / "a" / "checkpoints") or [-1])[-1] > floor)
            time.sleep(rng.uniform(0, 0.5))
            confirmed = checkpoint.steps(tmp_path / "a" / "checkpoints")[-1]
        assert checkpoint.steps(tmp_path / "a" / "checkpoints")[-1] >= confirmed
        jaxvae.load(tmp_path / "a")
