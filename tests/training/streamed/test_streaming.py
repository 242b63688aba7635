"""Data that stay on the host: the same bits as on the device, and what a read that fails says."""

import functools
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small import SHAPE, grey, images, same_bits, setup, small_vae

from jaxvae.data import rows
from jaxvae.data.augmentation import flipped
from jaxvae.data.rows import read_rows, taken
from jaxvae.models.contexts import Labelled
from jaxvae.models.variational import vae
from jaxvae.networks.conv import ConvDecoder, ConvEncoder
from jaxvae.training.engine.loop import train
from jaxvae.training.engine.parallel import compile_steps
from jaxvae.training.engine.sampler import Reweighted, weighted
from jaxvae.training.engine.state import init_state
from jaxvae.training.feeding import feeds
from jaxvae.training.losses.accumulation import micro_batches
from jaxvae.training.losses.bound import bound_loss

pytestmark = pytest.mark.quick_compile

STEPS = 13  # of epochs of five: the last one is cut


class Gathered:
    """What has a length and takes an array of indices, and is no array."""

    def __init__(self, array, bad=None):
        self.array, self.bad = array, bad

    def __len__(self):
        return len(self.array)

    def __getitem__(self, index):
        if self.bad is not None and (np.asarray(index) == self.bad).any():
            raise OSError("the disk is on fire")
        return self.array[index]


def mapped(folder, array):
    np.save(folder / "x.npy", array)
    return np.load(folder / "x.npy", mmap_mode="r")


@functools.cache
def made(**options):
    """Compiled once for all rows that ask for the same."""
    return setup(optimizer=optax.adam(1e-2), **options)


def trained(data, resident, *, steps=STEPS, cut=None, **options):
    """(last state, metrics of all steps); with `cut` the run is broken off there, and goes on."""
    (state, compiled), found = made(**options), []
    for end in (steps,) if cut is None else (cut, steps):
        for report in train(compiled, state, data, end, resident=resident):
            found.append(report.metrics)
            last = report.state
        state = jax.tree.map(jnp.copy, last)
    return state, {name: np.concatenate([m[name] for m in found]) for name in found[0]}


@pytest.mark.rows(quick=["jit"])
@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="jit"),
        pytest.param({"batch_size": 16}, id="last"),  # two of the fifty wait for another epoch
        pytest.param({"steps_per_call": 2, "ema": 0.9}, id="calls"),
        pytest.param({"cut": 7}, id="resumed"),
        pytest.param({"loss": micro_batches(bound_loss(small_vae()), 5)}, id="micro"),
        pytest.param({"mode": "pmap"}, id="pmap"),
        pytest.param({"mode": "mesh", "cut": 3}, id="mesh"),
    ],
)
def test_streamed_is_resident_bit_for_bit(options):
    expected = trained(images(), True, **{**options, "cut": None})
    assert same_bits(expected, trained(Gathered(images()), False, **options))


@pytest.mark.full
def test_other_ways_to_draw_and_to_hold_the_data_give_the_bits_too(tmp_path, monkeypatch):
    monkeypatch.setattr(feeds, "BLOCK_BYTES", 3 * 10 * 16)  # blocks of three steps: an epoch takes two
    data, weights = images(), np.arange(50.0) % 3
    expected = trained(weighted(data, weights), True)
    assert same_bits(expected, trained(weighted(mapped(tmp_path, data), weights), False))
    once = Reweighted(data, lambda params: np.abs(params["decoder"]["b"]).sum() + np.arange(50.0))
    assert same_bits(trained(once, True), trained(once._replace(examples=taken(data, np.arange(50))), False))


@pytest.mark.full
def test_flips_and_a_convolution_give_the_bits_as_they_are_compiled_for_users():
    jax.config.update("jax_disable_most_optimizations", False)  # what the compiler fuses may round otherwise
    shape = (8, 8, 3)
    model = vae(ConvEncoder(4, features=(8, 16)), ConvDecoder(shape, features=(16, 8)), event_shape=shape, latent_dim=4)
    data = np.random.default_rng(0).integers(0, 256, (100, *shape)).astype(np.uint8)
    optimizer, loss = optax.adam(1e-3), bound_loss(model)
    state = init_state(model, optimizer, jax.random.key(0), jnp.zeros(shape))
    compiled = compile_steps(loss, optimizer, flipped(grey), batch_size=32, steps_per_call=4, mode="jit")
    resident, streamed = (
        [
            (report.metrics, jax.device_get(report.state.params))
            for report in train(compiled, state, data, 5, resident=r)
        ]
        for r in (True, False)
    )
    assert same_bits(resident, streamed)


def test_a_read_that_fails_is_named_by_its_index_and_leaves_the_last_report():
    with pytest.raises(ValueError, match="the example at index 17 cannot be read: OSError: the disk is on fire"):
        trained(Gathered(images(), bad=17), False)


@pytest.mark.parametrize("large", [True, False])
def test_a_file_that_is_cut_short_is_named_with_the_first_index_that_is_gone(tmp_path, monkeypatch, large):
    monkeypatch.setattr(rows, "LARGE", 0 if large else 2**26)
    monkeypatch.setattr(rows, "ONCE", 24)
    data, index = mapped(tmp_path, images()), np.array([3, 4, 5, -1, 0, 0])
    np.testing.assert_array_equal(read_rows(data[5:], index), images()[5:][index])
    np.testing.assert_array_equal(read_rows(data[::2], index), images()[::2][index])
    with (tmp_path / "x.npy").open("r+b") as file:
        file.truncate(data.offset + 20 * 16 + 3)
    np.testing.assert_array_equal(read_rows(data[5:], np.arange(15)), images()[5:20])
    for wanted in (np.array([3, 15, 16]), np.arange(9, 20)):
        with pytest.raises(ValueError, match=r"x\.npy was cut short.*the example at index 15 is gone"):
            read_rows(data[5:], wanted)
    with pytest.raises(ValueError, match=r"x\.npy was cut short"):
        trained(data, False)
    (tmp_path / "x.npy").unlink()
    assert large or len(read_rows(data[:20], np.arange(20))) == 20  # what is mapped is still there


def test_a_read_that_never_ends_keeps_no_training_from_ending(monkeypatch):
    monkeypatch.setattr(feeds, "PATIENCE", 0.05)
    held, (state, compiled) = threading.Event(), made()

    class Slow(Gathered):
        def __getitem__(self, index):
            if len(index) > 1 and next(calls) > 0:
                held.wait(30)
            return self.array[index]

    calls = iter(range(100))
    reports = train(compiled, state, Slow(images()), 20, resident=False)
    assert next(reports).step == 5
    start = time.monotonic()
    reports.close()  # as Ctrl-C does
    assert time.monotonic() - start < 5
    held.set()


@pytest.mark.slow
def test_numbers_that_are_not_finite_are_named_out_of_the_gathered_batch():
    data = np.full((50, *SHAPE), np.nan, np.float32)
    state, compiled = setup(preprocess=lambda key, raw: raw)
    with pytest.raises(FloatingPointError, match="the first bad leaf is the batch"):
        list(train(compiled, state, data, 20, max_skipped=3, resident=False))


def test_rows_are_an_array_to_who_takes_some():
    array = np.arange(60, dtype=np.int32).reshape(10, 2, 3)
    some = taken(taken(array, np.arange(10) > 1), np.array([5, 0, 7, 3]))
    expected = array[2:][[5, 0, 7, 3]]
    assert (some.shape, some.dtype, some.ndim, some.size, some.nbytes) == ((4, 2, 3), np.int32, 3, 24, 96)
    for index in (0, -1, slice(1, 3), np.array([3, 3, 0]), np.array([True, False, True, True]), ([1, 2], 0)):
        np.testing.assert_array_equal(some[index], expected[index])
    np.testing.assert_array_equal(some[:, 1, 2], expected[:, 1, 2])
    np.testing.assert_array_equal(np.asarray(some), expected)
    assert len(list(some)) == 4
    with pytest.raises(IndexError):
        some[4]
    with pytest.raises(ValueError, match="which is a copy"):
        np.asarray(some, copy=False)


@pytest.mark.slow
def test_arrays_with_labels_are_gathered_together():
    data = Labelled(images(), np.arange(50, dtype=np.int32))
    state, compiled = made()
    stream = feeds.Stream(compiled, state.key, data, 50)
    found = stream._rows(np.array([4, 2]))
    assert found.context.tolist() == [4, 2]
    np.testing.assert_array_equal(found.value, images()[[4, 2]])
    one_of_many = Gathered(images())
    one_of_many.__class__ = type("First", (Gathered,), {"__getitem__": lambda self, index: self.array[index[0]]})
    with pytest.raises(
        ValueError, match=r"array of 2 indices\] gave an array of shape \(4, 4, 1\), expected \(2, \.\.\.\)"
    ):
        feeds.gathered(one_of_many, np.array([4, 2]))
