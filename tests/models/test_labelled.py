"""Data with labels through the engine: trees of arrays, the same numbers however they are computed, clear refusals."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small import SHAPE, Encoder, Linear, binarize, grey, host, images, same_bits, small_vae

import jaxvae
from jaxvae.evaluation.batches import map_batches
from jaxvae.models.conditional import conditional_vae
from jaxvae.models.contexts import Labelled, array_context, as_context, class_labels, count_examples
from jaxvae.models.records import check_batch
from jaxvae.networks.conditional import with_context
from jaxvae.training.engine.loop import train
from jaxvae.training.engine.parallel import compile_steps
from jaxvae.training.engine.state import init_state
from jaxvae.training.engine.step import labelled
from jaxvae.training.losses.accumulation import micro_batches
from jaxvae.training.losses.bound import bound_loss

pytestmark = pytest.mark.quick_compile

MODEL = conditional_vae(
    with_context(Encoder()), with_context(Linear(16, SHAPE)), event_shape=SHAPE, latent_dim=3, context=2
)


def data(count=50):
    """Pictures and the side of their bright half."""
    raw = images(count)
    return Labelled(raw, (raw[:, 0, 0, 0] > 100).astype(np.int64))


def run(loss, raw, steps, *, mode="jit", preprocess=binarize, batch_size=10, **options):
    """The last state and the losses of a run of the conditional VAE."""
    example = Labelled(jnp.zeros(SHAPE), jnp.int32(0))
    optimizer = optax.sgd(1e-2)
    state = init_state(MODEL, optimizer, jax.random.key(0), example)
    compiled = compile_steps(
        loss, optimizer, labelled(preprocess), batch_size=batch_size, steps_per_call=8, mode=mode, **options
    )
    reports = [(r.state, r.metrics) for r in train(compiled, state, raw, steps)]
    return reports[-1][0], np.concatenate([m["loss"] for _, m in reports])


@pytest.mark.rows(full=["mesh", "pmap"])
@pytest.mark.parametrize("mode", ["pmap", "mesh"])
def test_two_devices_compute_the_numbers_of_one(mode):
    one, expected = run(bound_loss(MODEL), data(), 30)
    two, found = run(bound_loss(MODEL), data(), 30, mode=mode)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    chex.assert_trees_all_close(host(two.params), host(one.params), rtol=1e-5, atol=1e-6)
    assert len(jax.tree.leaves(two.params)[0].devices()) == 2


@pytest.mark.slow
def test_every_picture_keeps_its_label_and_only_the_picture_is_preprocessed():
    seen = []

    def loss(params, keys, batch, step):
        jax.debug.callback(lambda value, label: seen.append((value, label)), batch.value, batch.context, ordered=True)
        return sum(leaf.sum() for leaf in jax.tree.leaves(params)) * 0.0, {"loss": jnp.float32(0)}

    raw = Labelled(np.arange(50, dtype=np.uint8)[:, None, None, None] * np.ones(SHAPE, np.uint8), np.arange(50) % 2)
    run(loss, raw, 5, preprocess=grey)
    jax.effects_barrier()
    value, label = (np.concatenate(parts) for parts in zip(*seen, strict=True))
    number = np.round(255 * value[:, 0, 0, 0]).astype(int)
    assert sorted(number) == list(range(50))
    np.testing.assert_array_equal(label, number % 2)


@pytest.mark.full
def test_micro_batches_and_the_whole_batch_agree():
    whole, expected = run(bound_loss(MODEL), data(), 5)
    pieces, found = run(micro_batches(bound_loss(MODEL), 5), data(), 5)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    chex.assert_trees_all_close(host(pieces.params), host(whole.params), rtol=1e-4, atol=1e-6)


@pytest.mark.full
def test_a_step_is_skipped_where_the_gradient_is_longer_than_the_limit():
    start = host(init_state(MODEL, optax.sgd(1e-2), jax.random.key(0), Labelled(jnp.zeros(SHAPE), jnp.int32(0))))
    never, _ = run(bound_loss(MODEL), data(), 3, skip_above=1e-3)
    always, _ = run(bound_loss(MODEL), data(), 3, skip_above=1e6)
    assert same_bits(never.params, start.params)
    assert int(never.step) == 3
    assert not same_bits(always.params, start.params)


def test_map_batches_cuts_trees_and_fills_up_the_last_batch():
    shapes = []

    def function(index, x):
        shapes.append(x.value.shape)
        return x.value[:, 0] + x.context + 100 * index

    raw = Labelled(np.arange(14.0).reshape(7, 2), np.arange(7))
    result = map_batches(function, raw, batch_size=3)
    np.testing.assert_array_equal(result, 103.0 * np.arange(7))
    assert set(shapes) == {(4, 2)}  # of three, rounded up to what two devices share equally


@pytest.mark.full
def test_a_fit_with_labels_explains_the_label():
    options = {"epochs": 60, "batch_size": 20, "optimizer": optax.adam(0.03), "progress": False}
    told = jaxvae.fit(MODEL, data().value, labels=data().context, **options)
    untold = jaxvae.fit(small_vae(), data().value, **options)
    # One fair bit, log 2 = 0.69 nats, need not be coded.
    assert told.history[-1]["elbo"] > untold.history[-1]["elbo"] + 0.3


def test_a_one_hot_vector_is_what_networks_see():
    np.testing.assert_array_equal(jax.vmap(class_labels(3).encode)(jnp.arange(3)), np.eye(3))
    np.testing.assert_array_equal(class_labels(3, unknown=True).encode(jnp.int32(-1)), np.zeros(3))
    assert array_context((2, 2)).encode(jnp.ones((2, 2), jnp.bfloat16)).dtype == jnp.float32


def batch(labels):
    return lambda: check_batch(MODEL, Labelled(np.zeros((4, *SHAPE), np.float32), labels))


def fit(**options):
    return lambda: jaxvae.fit(MODEL, images(), epochs=1, batch_size=10, progress=False, **options)


BAD = {
    "labels out of range": (batch(np.array([0, 1, 2, 0])), ValueError, ["label 2 at index (2,)", "0 to 1"]),
    "negative labels": (batch(np.array([0, -1, 0, 0])), ValueError, ["label -1 at index (1,)", "0 to 1"]),
    "float labels": (batch(np.zeros(4)), ValueError, ["float64", "integer labels 0 to 1"]),
    "too few labels": (batch(np.zeros(3, int)), ValueError, ["x.value has 4", "x.context has 3"]),
    "one-hot labels": (batch(np.zeros((4, 2), int)), ValueError, ["(4, 2)", "one integer label"]),
    "one label for a batch": (batch(np.int32(0)), ValueError, ["x.context", "leading axis"]),
    "no labels": (batch(None), ValueError, ["x is Labelled without a context"]),
    "a plain batch": (lambda: check_batch(MODEL, np.zeros((4, *SHAPE))), ValueError, ["x is ndarray", "Labelled"]),
    "a value of another shape": (
        lambda: check_batch(MODEL, Labelled(np.zeros((4, 3)), np.zeros(4, int))), ValueError, ["x.value", "(4, 3)"],
    ),
    "labels for a model without": (
        lambda: check_batch(small_vae(), Labelled(np.zeros((4, *SHAPE)), np.zeros(4, int))),
        ValueError, ["takes no context", "x.value"],
    ),
    "a fit without labels": (fit(), ValueError, ["labels are missing", "labels="]),
    "a fit with too few": (fit(labels=np.zeros(49, int)), ValueError, ["50 examples", "has 49"]),
    "a fit with too large ones": (fit(labels=np.full(50, 2)), ValueError, ["labels has the label 2"]),
    "a fit with labels that nobody takes": (
        lambda: jaxvae.fit(small_vae(), images(), labels=np.zeros(50, int)), ValueError, ["labels were given", "none"],
    ),
    "training on different lengths": (
        lambda: run(bound_loss(MODEL), Labelled(images(50), np.zeros(40, int)), 1),
        ValueError, ["images.value has 50", "images.context has 40"],
    ),
    "batches of different lengths": (
        lambda: map_batches(lambda i, a, b: a, np.zeros(3), np.zeros(4), batch_size=2), ValueError, ["3 ex", "has 4"],
    ),
    "an array without examples": (lambda: count_examples(Labelled(np.zeros(3), 1.0)), ValueError, ["data.context"]),
    "contexts of another shape": (
        lambda: array_context((3,)).check(np.zeros((5, 4)), "c"), ValueError, ["c has shape (5, 4)", "(3,)"],
    ),
    "integer contexts": (lambda: array_context((3,)).check(np.zeros(3, int), "c"), ValueError, ["int64", "classes"]),
    "a NaN in a context": (lambda: array_context((1,)).check(np.array([np.nan]), "c"), ValueError, ["NaN"]),
    "0 classes": (lambda: as_context(0), ValueError, ["context is 0", "at least 1"]),
    "2.5 classes": (lambda: as_context(2.5), TypeError, ["context is 2.5"]),
    "skip_above 0": (lambda: run(bound_loss(MODEL), data(), 1, skip_above=0.0), ValueError, ["skip_above is 0.0"]),
}  # fmt: skip


@pytest.mark.rows(slow=["skip_above 0"])
@pytest.mark.parametrize("what", BAD)
def test_bad_labels_are_refused_with_what_was_passed_and_what_is_expected(what):
    call, error, words = BAD[what]
    with pytest.raises(error) as caught:
        call()
    for word in words:
        assert word in str(caught.value), f"{word!r} is not in: {caught.value}"
