"""`fit` with validation examples: the best epoch's parameters come back, by the rule of a run."""

import jax
import numpy as np
import optax
import pytest
from small import SHAPE, Encoder, Linear, images, same_bits, small_vae

import jaxvae
from jaxvae.data.splits import validation_rows

pytestmark = pytest.mark.quick_compile

OPTIMIZER = optax.adam(0.2)
MODEL = small_vae()
NOISE = np.random.default_rng(0).integers(0, 2, (50, *SHAPE)).astype(np.float32)  # of which nothing can be learned


def fit(data, model=MODEL, **options):
    options = {"optimizer": OPTIMIZER, "epochs": 8, "batch_size": 10, "progress": False, **options}
    return jaxvae.fit(model, data, **options)


def test_the_epoch_of_the_best_validation_bound_is_returned():
    """The oracle trains on the rows alone, once for each number of epochs, and measures each of these fits itself."""
    data = NOISE
    rows, held = validation_rows(len(data), 0.2, seed=3)
    found = fit(data, validation=0.2, seed=3)
    bounds = [record["validation"] for record in found.history]
    assert [record["best_epoch"] for record in found.history] == [1 + np.argmax(bounds[: n + 1]) for n in range(8)]
    best = int(np.argmax(bounds))
    assert best < 7, "no test of anything but the last epoch"
    alone = fit(data[rows], seed=3, epochs=best + 1).params
    assert same_bits(found.params, alone)
    values = jaxvae.per_example(MODEL, alone, jax.random.key(0), data[held])["elbo"]
    assert bounds[best] == pytest.approx(values.mean(dtype=np.float64), rel=1e-6)


def test_patience_ends_the_training_and_images_of_their_own_choose_as_well():
    data = NOISE
    rows, held = validation_rows(len(data), 0.2, seed=0)
    whole, short, own = (
        fit(data, validation=0.2),
        fit(data, validation=0.2, patience=1),
        fit(data[rows], validation=data[held], patience=1),
    )
    bounds = [record["validation"] for record in whole.history]
    worse = next(n for n in range(1, 8) if bounds[n] <= bounds[n - 1])
    assert len(short.history) == worse + 1 < 8
    assert short.history[-1]["best_epoch"] == worse
    assert same_bits(short.params, own.params)


@pytest.mark.slow
def test_labels_and_weights_are_set_apart_with_their_images():
    encoder, decoder = (jaxvae.with_context(network) for network in (Encoder(), Linear(16, SHAPE)))
    model = jaxvae.conditional_vae(encoder, decoder, event_shape=SHAPE, latent_dim=3, context=2)
    data, labels, weights = images(), np.arange(50) % 2, np.linspace(1, 2, 50)
    rows, held = validation_rows(50, 0.2, seed=0)
    both = fit(data, model, labels=labels, weights=weights, validation=0.2, epochs=2)
    own = fit(
        data[rows],
        model,
        labels=labels[rows],
        weights=weights[rows],
        validation=(data[held], labels[held]),
        epochs=2,
    )
    assert both.history[-1]["elbo"] == own.history[-1]["elbo"]
    assert both.history[-1]["validation"] == own.history[-1]["validation"]


REFUSED = {
    "patience alone": ({"patience": 2}, "validation=0.1"),
    "nothing left": ({"validation": 0.001}, "at least 2"),
    "another shape": ({"validation": np.zeros((3, 2, 2, 1), np.float32)}, "expected"),
    "a function of weights": ({"validation": 0.2, "weights": lambda params: np.ones(50)}, "Split the data before"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_choose_is_refused_in_words(case):
    options, words = REFUSED[case]
    with pytest.raises(ValueError, match=words):
        fit(NOISE, **options)
