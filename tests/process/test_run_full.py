"""The long tier of what interrupts a run: a hundred cuts, a hundred signals, four devices. python -m pytest -m full"""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_run import SMALL, STEPS, fingerprint, silent, training, wait_for

from jaxvae.runs import running
from jaxvae.runs import train as runs_train
from jaxvae.runs.train import train_run
from jaxvae.training.checkpoints import checkpoint

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.full

RESUME = """
import sys
from test_run import SMALL, silent
from jaxvae.runs import train
train.draw_pictures = lambda *args, **options: None
train.train_run(SMALL, sys.argv[1], say=silent)
"""


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
    monkeypatch.setattr(runs_train, "draw_pictures", lambda *args, **options: None)


class Died(BaseException):
    """The end of a process, as far as it can be had within one."""


def test_a_hundred_runs_cut_at_random_steps_and_resumed_in_a_new_process_are_the_unbroken_run(tmp_path, monkeypatch):
    train_run(SMALL, tmp_path / "unbroken", say=silent)
    expected = fingerprint(tmp_path / "unbroken")
    rng, real = np.random.default_rng(0), running.train
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    for number in range(100):
        cut = int(rng.integers(1, STEPS))

        def dying(compiled, state, images, steps, cut=cut, **options):
            yield from real(compiled, state, images, cut, steps_per_call=int(rng.integers(1, 4)), **options)
            raise Died

        folder = tmp_path / str(number)
        monkeypatch.setattr(running, "train", dying)
        with pytest.raises(Died):
            train_run(SMALL, folder, say=silent)
        monkeypatch.setattr(running, "train", real)
        subprocess.run([sys.executable, "-c", RESUME, str(folder)], check=True, env=environment)
        assert fingerprint(folder) == expected, f"cut at step {cut}"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_fifty_signals_at_random_moments_each_leave_the_last_finished_step(tmp_path, number, code):
    rng, last = np.random.default_rng(int(number)), -1
    folder = tmp_path / "a" / "checkpoints"
    for _ in range(50):
        with training(tmp_path / "a", stdout=subprocess.PIPE, text=True) as child:
            wait_for(lambda floor=last: (checkpoint.steps(folder) or [-1])[-1] > floor)
            time.sleep(rng.uniform(0, 0.5))
            child.send_signal(number)
            output, _ = child.communicate(timeout=30)
        assert child.returncode == code
        step = checkpoint.steps(folder)[-1]
        assert step > last
        assert f"step {step}" in output
        last = step


DEVICES = """
import json, sys
import jax, jax.numpy as jnp, numpy as np
from small import images, setup
from jaxvae.training.engine.loop import train

count = int(sys.argv[1])
losses = []
state, compiled = setup(batch_size=8, mode="pmap", devices=jax.devices()[:count])
for report in train(compiled, state, images(80), 100):
    losses.extend(map(float, report.metrics["loss"]))
    last = jax.device_get(report.state.params)
print(json.dumps([compiled.devices, losses, np.concatenate([l.ravel() for l in jax.tree.leaves(last)]).tolist()]))
"""


def test_one_two_and_four_devices_compute_the_same_hundred_steps():
    found = []
    for count in (1, 2, 4):
        environment = {
            **os.environ,
            "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
        }
        result = subprocess.run(
            [sys.executable, "-c", DEVICES, str(count)], check=True, env=environment, capture_output=True, text=True
        )
        devices, losses, params = json.loads(result.stdout.splitlines()[-1])
        assert devices == count
        found.append((np.array(losses), np.array(params)))
    for losses, params in found[1:]:
        assert len(losses) == 100
        np.testing.assert_allclose(losses, found[0][0], rtol=1e-6)
        np.testing.assert_allclose(params, found[0][1], atol=1e-5)


def test_a_run_saved_on_four_devices_goes_on_with_one_and_back(tmp_path):
    config = replace(SMALL, batch_size=240, parallel="pmap")
    script = (
        "import sys\nfrom dataclasses import replace\nfrom test_run import SMALL\n"
        "from jaxvae.runs.train import train_run\n"
        "config = replace(SMALL, batch_size=240, parallel='pmap', epochs=int(sys.argv[2]))\n"
        "train_run(config, sys.argv[1], allow_changes=True)\n"
    )
    environment = {
        **os.environ,
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
    }
    run = [sys.executable, "-c", script, str(tmp_path / "a")]
    subprocess.run([*run, "2"], check=True, env=environment)
    lines = []
    train_run(replace(config, parallel="jit", epochs=3), tmp_path / "a", say=lines.append, allow_changes=True)
    assert "saved on 4 device(s) and goes on with 1" in lines[0]
    result = subprocess.run([*run, "4"], check=True, env=environment, capture_output=True, text=True)
    assert "saved on 1 device(s) and goes on with 4" in result.stdout
