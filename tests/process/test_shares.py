"""Of several processes each reads its share of a streamed batch, no other example, and the bits are those of one."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = """
import json, sys
import jax, numpy as np, optax
from jaxvae.training.engine.parallel import compile_steps
from jaxvae.training.engine.loop import train
from jaxvae.training.engine.state import TrainState

address, count, index, resident = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "resident"
if count > 1:
    jax.distributed.initialize(address, count, index)
read = []

class Source:
    def __init__(self, array):
        self.array = array
    def __len__(self):
        return len(self.array)
    def __getitem__(self, index):
        read.extend(np.asarray(index).tolist())
        return self.array[index]

data = np.random.default_rng(0).normal(size=(24, 5)).astype(np.float32)
loss = lambda params, keys, batch, step: (((batch @ params - 1) ** 2).mean(), {})
optimizer, start = optax.adam(0.1), np.ones(5, np.float32)
state = TrainState(jax.numpy.int32(0), start, optimizer.init(start), jax.random.key(0), None)
as_it_is = lambda key, raw: raw
compiled = compile_steps(loss, optimizer, as_it_is, batch_size=8, steps_per_call=2, mode="mesh")
for report in train(compiled, state, data if resident else Source(data), 3, resident=resident):
    params = np.asarray(report.state.params)
print(json.dumps({"params": params.tobytes().hex(), "read": read[1:], "own": compiled.own.tolist()}), flush=True)
"""


def ran(count, how, devices):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    flags = f"--xla_force_host_platform_device_count={devices}"
    env = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
    jobs = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, address, str(count), str(index), how],
            env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for index in range(count)
    ]  # fmt: skip
    try:
        said = [job.communicate(timeout=120) for job in jobs]
    finally:
        for job in jobs:
            job.kill()
    assert all(job.returncode == 0 for job in jobs), said
    return [json.loads(next(line for line in out.splitlines() if line.startswith("{"))) for out, _ in said]


@pytest.mark.slow
def test_each_process_reads_the_examples_of_its_own_devices_alone():
    two, resident = ran(2, "streamed", 2), ran(2, "resident", 2)
    (one,) = ran(1, "streamed", 4)
    assert [job["own"] for job in two] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    order, shares = np.array(one["read"]).reshape(3, 8), [np.array(job["read"]).reshape(3, 4) for job in two]
    np.testing.assert_array_equal(np.concatenate(shares, axis=1), order)  # an epoch of three steps
    assert sorted(order.ravel()) == list(range(24))
    assert two[0]["params"] == two[1]["params"] == resident[0]["params"]
    params = [np.frombuffer(bytes.fromhex(job["params"]), np.float32) for job in (two[0], one)]
    np.testing.assert_allclose(*params, rtol=1e-6)
