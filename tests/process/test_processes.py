"""Several processes of one job: they train together to the numbers of one, or all end with a line that says why."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import optax
import pytest

import jaxvae
from jaxvae.checks import one_process
from jaxvae.commands.cli import UsageError
from jaxvae.commands.parts.train_line import parse_train
from jaxvae.runs import train
from jaxvae.training.checkpoints import checkpoint
from jaxvae.training.engine.parallel import compile_steps
from jaxvae.training.jobs import meeting, processes
from jaxvae.training.jobs.processes import agreed, all_or_none, gathered, joined, named_losses, same_everywhere

ROOT = Path(__file__).parents[2]
DIGITS = ["digits", "--no-progress", "--batch-size", "300", "--model.hidden", "8", "--evaluate-every", "1000"]


def a_port():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


def start(folder, *options, each=((), ()), script="experiments.train"):
    """One process for each tuple of further options, all of one job."""
    env = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"} | {"PYTHONPATH": str(ROOT)}
    job = ["--workdir", str(folder), "--distributed", "--coordinator", f"localhost:{a_port()}"]
    count = ["--processes", str(len(each))]
    return [
        subprocess.Popen(
            [sys.executable, "-m", script, *DIGITS, *options, *own, *job, *count, "--process", str(index)],
            env=env,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index, own in enumerate(each)
    ]


def ended(jobs):
    """(exit code, output, errors) of each."""
    try:
        said = [job.communicate(timeout=120) for job in jobs]
    finally:
        for job in jobs:
            job.kill()
    return [(job.returncode, *texts) for job, texts in zip(jobs, said, strict=True)]


def newest(folder):
    return max(checkpoint.steps(folder / "checkpoints"))


def apart(one, other):
    return max(jax.tree.leaves(jax.tree.map(lambda a, b: np.abs(a - b).max(), one, other)))


@pytest.mark.slow
@pytest.mark.rows(full=["four"])
@pytest.mark.parametrize("counts", [pytest.param((2, 1), id="two"), pytest.param((4, 2, 1), id="four")])
def test_processes_train_to_the_numbers_of_one_and_go_on_as_fewer(counts, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "draw_pictures", lambda *args, **options: None)
    here = [*DIGITS, "--parallel", "jit"]

    def alone(name, epochs):
        config = parse_train([*here, "--epochs", str(epochs)]).config
        train.train_run(config, tmp_path / name, say=lambda line: None)

    for epochs, count in enumerate(counts, 2):  # the folder goes on, on another number of processes
        if count > 1:
            jobs = ended(start(tmp_path / "a", "--epochs", str(epochs), each=((),) * count))
            assert [code for code, _, _ in jobs] == [0] * count, jobs[0][2]
            assert f"On {count} cpu devices" in jobs[0][1]
            assert f"in {count} processes." in jobs[0][1]
            assert "-ELBO" in jobs[0][1]
            for _, nothing, _ in jobs[1:]:
                assert re.sub(r"\[Gloo\] Rank \d.*", "", nothing).strip() == ""
        else:
            alone("a", epochs)
        alone("b", epochs)
        assert apart(*(jaxvae.load(tmp_path / name).params for name in "ab")) < 1e-5
        logs = [(tmp_path / name / "metrics.jsonl").read_text().splitlines() for name in "ab"]
        assert [json.loads(line)["step"] for line in logs[0]] == [json.loads(line)["step"] for line in logs[1]]


@pytest.mark.slow
def test_processes_that_do_not_agree_end_before_the_first_step(tmp_path):
    both = ended(start(tmp_path / "a", each=((), ("--optim.lr", "0.5"))))
    for code, _, errors in both:
        assert code == 2
        assert "do not agree: optim.lr is 0.001 in process 0 and 0.5 in process 1" in errors
    assert not (tmp_path / "a" / "config.json").exists()


@pytest.mark.full
def test_a_process_that_is_killed_ends_the_others_and_a_signal_to_one_stops_all(tmp_path):
    folder, long = tmp_path / "a", ("--epochs", "100000", "--save-every", "20")
    jobs = start(folder, *long)
    while not list(folder.glob("checkpoints/0*")) and all(job.poll() is None for job in jobs):
        time.sleep(0.1)
    jobs[1].kill()
    begun = time.monotonic()
    (code, _, errors), _ = ended(jobs)
    assert code == 2, errors
    assert "another process of this job has gone" in errors
    assert "the same command goes on" in errors
    assert time.monotonic() - begun < 60
    saved = newest(folder)
    jobs = start(folder, *long)
    for line in jobs[0].stdout:
        if "processes." in line:
            break
    while newest(folder) <= saved and all(job.poll() is None for job in jobs):
        time.sleep(0.5)
    jobs[1].send_signal(signal.SIGTERM)
    (first, said, errors), (second, _, _) = ended(jobs)
    assert (first, second) == (143, 143), errors
    assert "Stopped by a signal" in said
    assert newest(folder) > saved


@pytest.mark.full
def test_where_the_first_process_is_killed_the_others_have_a_last_word(tmp_path):
    jobs = start(tmp_path / "a", "--epochs", "100000", each=((),) * 3)
    while not list((tmp_path / "a").glob("checkpoints/0*")) and all(job.poll() is None for job in jobs):
        time.sleep(0.1)
    jobs[0].kill()
    begun = time.monotonic()
    _, *others = ended(jobs)
    assert time.monotonic() - begun < 60
    for code, _, errors in others:
        assert code != 0
        assert "one of this job has gone" in errors or "process of this job has gone" in errors
        assert "the same command goes on." in errors  # where JAX aborts, its stack may come before or after


def test_one_process_agrees_with_itself():
    assert gathered({"a": 1}) == [{"a": 1}]
    assert agreed(8, 15, True) == (8, 15, True)
    same_everywhere({"a": 1})
    with pytest.raises(KeyError), all_or_none("reading"):
        raise KeyError("a")


def test_differences_and_failures_are_named_with_their_process(monkeypatch):
    monkeypatch.setattr(processes, "gathered", lambda facts: [facts, {**facts, "seed": 1}, {**facts, "more": 2}])
    with pytest.raises(
        ValueError, match="seed is 0 in process 0 and 1 in process 1; more is None in process 0 and 2 in process 2"
    ):
        same_everywhere({"seed": 0})
    monkeypatch.setattr(processes, "gathered", lambda facts: [facts, dict.fromkeys(map(str, range(22)), 1)])
    with pytest.raises(ValueError, match=r"19 is None in process 0 and 1 in process 1; and in 2 more\. Give"):
        same_everywhere({})
    monkeypatch.setattr(processes, "gathered", lambda text: [text, "", "no such file"])
    with pytest.raises(ValueError, match="process 2 failed while reading: no such file"), all_or_none("reading"):
        pass
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(ConnectionError, match=r"has gone.*reset\).*all is in a"), named_losses("all is in a."):
        raise jax.errors.JaxRuntimeError("reset\nby peer")
    with pytest.raises(ConnectionError, match=r"has gone.*by peer\).*all is in a"), named_losses("all is in a."):
        raise ValueError("UNKNOWN: Gloo AllGather failed: Connection closed by peer")
    with pytest.raises(ValueError, match="expected three"), named_losses("all is in a."):
        raise ValueError("expected three")
    with pytest.raises(jax.errors.JaxRuntimeError, match="out of memory"), named_losses("all is in a."):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), 130), (ValueError(), 2), (FloatingPointError(), 1), (KeyError(), 1)]
)
def test_a_process_leaves_with_the_code_that_it_would_have_alone(error, code):
    assert processes._code(error) == code


def test_an_address_that_says_too_little_is_refused():
    with pytest.raises(ValueError, match="--processes and --process is not given"), joined("localhost:1"):
        pass
    with pytest.raises(ValueError, match="--process is 2, expected 0 to 1"), joined("localhost:1", 2, 2):
        pass


def test_who_the_others_are_is_not_said_in_vain():
    with pytest.raises(UsageError, match="expected --distributed as well"):
        parse_train(["digits", "--coordinator", "localhost:1"])
    with pytest.raises(UsageError, match="expected --distributed as well"):
        parse_train(["digits", "--process", "0"])


def test_what_serves_one_process_says_so(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(NotImplementedError, match=r"2 processes \(jax\.distributed\)"):
        one_process("a sweep")
    monkeypatch.setattr(jax, "process_index", lambda: 1)  # all devices are then another process's
    with pytest.raises(ValueError, match="mode is pmap, expected mesh or auto"):
        compile_steps(
            lambda *_: (0.0, {}), optax.sgd(1.0), lambda key, raw: raw, batch_size=4, steps_per_call=1, mode="pmap"
        )


def test_a_witness_that_is_killed_first_is_no_error_of_the_process_that_it_watches(monkeypatch):
    made, popen = [], subprocess.Popen

    def noted(*args, **options):
        made.append(popen(*args, **options))
        return made[0]

    monkeypatch.setattr(meeting.subprocess, "Popen", noted)
    with meeting.with_a_last_word("it was ended"):
        made[0].kill()
        made[0].wait()
    assert made[0].returncode == -signal.SIGKILL
