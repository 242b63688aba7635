"""The callback of a `fit`: it sees the parameters of the end of every epoch, and may end the training."""

import jax
import numpy as np
import optax
import pytest
from small import images, same_bits, small_vae

import jaxvae

pytestmark = pytest.mark.quick_compile

MODEL, OPTIMIZER = small_vae(), optax.adam(0.05)


def fit(**options):
    options = {"optimizer": OPTIMIZER, "epochs": 4, "batch_size": 10, "progress": False, **options}
    return jaxvae.fit(MODEL, images(), **options)


@pytest.mark.rows(slow=["None"])
@pytest.mark.parametrize("ema", [None, 0.9])
def test_it_sees_what_a_fit_of_so_many_epochs_returns_and_may_keep_it(ema):
    seen = []
    params, history = fit(ema=ema, callback=lambda params, record: seen.append((params, record)))
    assert [record for _, record in seen] == history
    assert [record["epoch"] for _, record in seen] == [1, 2, 3, 4]
    for epochs, (kept, _) in enumerate(seen[:3], 1):
        assert same_bits(kept, fit(ema=ema, epochs=epochs).params)
        assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(kept))
    assert same_bits(seen[-1][0], params)


def test_true_ends_the_training_after_that_epoch_and_what_it_does_to_its_copies_is_its_own():
    def spoil(params, record):
        for leaf in jax.tree.leaves(params):
            leaf[...] = np.nan
        record["elbo"] = None
        return np.bool_(record["epoch"] == 2)

    params, history = fit(callback=spoil)
    assert same_bits(params, fit(epochs=2).params)
    assert [record["epoch"] for record in history] == [1, 2]
    assert all(np.isfinite(record["elbo"]) for record in history)


@pytest.mark.slow
def test_beside_validation_the_best_epoch_so_far_is_returned():
    seen = []

    def stop(params, record):
        seen.append(params)
        return record["epoch"] == 3

    params, history = fit(validation=0.2, callback=stop)
    assert same_bits(params, seen[history[-1]["best_epoch"] - 1])
    assert len(history) == 3


def test_what_it_raises_is_raised_and_the_trackers_are_closed():
    class Tracker:
        def __init__(self):
            self.epochs, self.closed = [], False

        def write(self, record):
            self.epochs.append(record["epoch"])

        def close(self):
            self.closed = True

    def broken(params, record):
        raise KeyError("my own mistake")

    tracker = Tracker()
    with pytest.raises(KeyError, match="my own mistake"):
        fit(callback=broken, trackers=[tracker])
    assert (tracker.epochs, tracker.closed) == ([1], True)


@pytest.mark.parametrize(
    ("callback", "words"),
    [(3, r"callback is 3.*function of \(params, record\)"), (lambda params, record: 0.5, "returned 0.5.*True to stop")],
)
def test_what_is_no_callback_is_said(callback, words):
    with pytest.raises(TypeError, match=words):
        fit(callback=callback)
