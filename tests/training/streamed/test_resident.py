"""Where the examples of a run lie: chosen by size and said, and the same run either way."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest
from small import images, same_bits, small_vae

from jaxvae import data
from jaxvae.data import rows
from jaxvae.data.kinds import take_rows
from jaxvae.runs import held_out
from jaxvae.runs.builders import residence as chosen
from jaxvae.runs.builders.residence import residence
from jaxvae.runs.configs.config import Config, DataConfig, ModelConfig
from jaxvae.runs.fitting import fit
from jaxvae.runs.sweeps.sweeping import sweep
from jaxvae.runs.train import train_run
from jaxvae.training.engine import state

pytestmark = pytest.mark.quick_compile


def test_auto_takes_a_quarter_of_the_memory_and_always_all_of_it(monkeypatch):
    monkeypatch.setattr(chosen, "memory_bytes", lambda: 4_000)
    small, middle, large = (np.zeros(size, np.uint8) for size in (1000, 1001, 4001))
    assert residence("auto", small) == (True, "Data: 1 kB, on the device, of whose 4 kB they may take a quarter.")
    assert residence("auto", middle) == (
        False,
        "Data: 1 kB, more than a quarter of the device's 4 kB: left on the host, and read ahead a block at a time.",
    )
    assert not residence("auto", {"a": small, "b": small[:1]}).resident
    assert not residence("auto", small[:600], devices=2).resident  # each has a copy, all in one memory
    assert residence("always", middle).resident
    with pytest.raises(ValueError, match=r"'always', but the training examples take 4 kB.*--data.resident auto"):
        residence("always", large)
    monkeypatch.setattr(chosen, "memory_bytes", lambda: None)  # nobody tells
    assert residence("auto", large).resident
    assert not residence("never", small).resident


def test_a_small_mapped_file_comes_to_the_device_and_is_said_to_be_one_otherwise(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((100, 10), np.uint8))
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")  # as MNIST comes from the data cache
    assert residence("auto", mapped).resident
    assert (
        residence("never", {"a": mapped, "b": np.zeros(100)}).why
        == "Data: 2 kB, left in a file and read ahead, as asked."
    )


def test_pixels_of_a_large_file_stay_in_it_and_all_else_is_taken(tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", images())
    found = data.load(tmp_path / "x.npy", test_fraction=0.2)
    assert isinstance(found.images, np.ndarray)
    monkeypatch.setattr(rows, "LARGE", 0)
    lazy = data.load(tmp_path / "x.npy", test_fraction=0.2)
    assert isinstance(lazy.images, rows.Rows)
    np.testing.assert_array_equal(lazy.take(np.array([3, 1])).images, found.images[[3, 1]])
    np.testing.assert_array_equal(np.concatenate(list(rows.chunks(lazy.images, 7))), found.images)
    assert isinstance(take_rows(images(), np.array([1])), np.ndarray)


def test_a_sweep_refuses_data_off_the_device(tmp_path):
    config = Config(data=DataConfig(resident="never"))
    with pytest.raises(ValueError, match=r"data.resident is never, expected auto or always"):
        sweep(config, {"optim.lr": (0.1, 0.2)}, tmp_path)


@pytest.mark.slow
def test_fit_takes_the_option_and_gives_the_bits(tmp_path):
    one, two = (
        fit(small_vae(), images(), epochs=2, batch_size=10, resident=where, validation=0.2, progress=False)
        for where in ("always", "never")
    )
    assert same_bits(one.params, two.params)
    assert one.history == two.history


@pytest.mark.full
def test_a_run_of_a_file_that_is_never_in_memory_is_the_run_of_one_that_is(tmp_path, monkeypatch):
    jax.config.update("jax_disable_most_optimizations", False)  # as it is compiled for users
    np.save(tmp_path / "x.npy", images(120))
    config = Config(
        data=DataConfig(name=str(tmp_path / "x.npy"), protocol="levels", resident="always"),
        model=ModelConfig(hidden=(8,), latent_dim=2, likelihood="discretized_logistic", output_bias="zero"),
        epochs=2,
        batch_size=20,
        validation_fraction=0.2,
        progress=False,
        parallel="jit",
    )
    said: list[str] = []
    first = train_run(config, tmp_path / "a", say=said.append)
    for module, name in ((rows, "LARGE"), (held_out, "MANY")):
        monkeypatch.setattr(module, name, 0)
    streamed = replace(config, data=replace(config.data, resident="never"))
    again = train_run(replace(streamed, epochs=1), tmp_path / "b", say=said.append)
    assert again.step == first.step // 2
    again = train_run(replace(streamed, save_every=3), tmp_path / "b", say=said.append)  # and goes on
    assert same_bits(first.params, again.params)
    assert again.summary["test"] == first.summary["test"]
    assert [line for line in said if line.startswith("Data: ")][:2] == [
        "Data: 1 kB, on the device, as asked.",
        "Data: 1 kB, left in a file and read ahead, as asked.",
    ]
    kept = json.loads((tmp_path / "b" / "config.json").read_text())["data"]
    assert kept["train_sha256"] == json.loads((tmp_path / "a" / "config.json").read_text())["data"]["train_sha256"]


@pytest.mark.parametrize(
    ("groups", "files", "limit"),
    [
        ("0::/job/step\n", {"job/memory.max": "5000\n", "job/step/memory.max": "max\n"}, 5000),
        ("0::/job\n", {"memory.max": "3000\n", "job/memory.max": "4000\n"}, 3000),
        ("0::/\n", {"memory.max": "7000\n"}, 7000),  # as a container sees itself
        ("0::/not/seen\n", {"memory.max": "max\n"}, None),
        ("5:cpu:/a\n4:memory,other:/a\n", {"memory/a/memory.limit_in_bytes": "900\n", "memory.max": "1\n"}, 900),
        (None, {}, None),
    ],
)
def test_the_memory_of_a_control_group_is_the_least_of_those_above(tmp_path, groups, files, limit):
    own = tmp_path / "own"
    if groups is not None:
        own.write_text(groups)
    for name, text in files.items():
        (tmp_path / "mounted" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mounted" / name).write_text(text)
    assert state.group_memory_bytes(str(tmp_path / "mounted"), str(own)) == limit


def test_a_machine_has_no_more_memory_than_its_group(monkeypatch):
    whole = state.memory_bytes()
    monkeypatch.setattr(state, "group_memory_bytes", lambda: whole // 2)
    assert state.memory_bytes() == whole // 2
    monkeypatch.setattr(state, "group_memory_bytes", lambda: None)
    assert state.memory_bytes() >= whole
