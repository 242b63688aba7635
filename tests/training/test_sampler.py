"""Draws by weight: their law, what may not change their bits, and that the unweighted path is as it was."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats
from small import SHAPE, images, same_bits, setup

from jaxvae.models.contexts import Labelled
from jaxvae.training.engine.loop import train
from jaxvae.training.engine.sampler import (
    Reweighted,
    Weighted,
    effective_examples,
    epoch_indices,
    epoch_order,
    examples_of,
    weighted,
    weighted_draws,
)

pytestmark = pytest.mark.quick_compile

WEIGHTS = np.random.default_rng(0).gamma(0.5, size=50)


def draws(weights, epochs, key=0):
    data = weighted(np.arange(len(weights)), weights)
    one = jax.jit(jax.vmap(weighted_draws, (None, 0, None)))
    return np.asarray(one(jax.random.key(key), jnp.arange(epochs), jnp.asarray(data.edges)))


def test_the_frequencies_are_those_of_the_weights():
    weights = np.append(np.arange(1.0, 9.0), [0.0, 0.0])  # zeros in the last places
    weights[0] = 0.0  # and in the first
    found = np.bincount(draws(weights, 4000).ravel(), minlength=10)
    assert (found[weights == 0] == 0).all()
    kept = weights > 0
    expected = weights[kept] / weights.sum() * found.sum()
    assert stats.chisquare(found[kept], expected).pvalue > 1e-4


def test_the_probabilities_held_are_the_weights_to_ten_digits_of_the_sum():
    weights = np.random.default_rng(1).gamma(0.1, size=60000)
    edges = weighted(np.arange(60000), weights).edges
    held = np.diff(edges.astype(np.int64), prepend=0)
    assert held.sum() == 2**31
    np.testing.assert_allclose(held / 2**31, weights / weights.sum(), atol=2**-31)


def test_the_draws_are_a_function_of_key_epoch_and_weights():
    first, again, other = draws(WEIGHTS, 3), draws(WEIGHTS, 3), draws(WEIGHTS, 3, key=1)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert (first[0] != first[1]).any()
    np.testing.assert_array_equal(draws(WEIGHTS * 4, 3), first)  # only their ratios count


def test_data_without_weights_is_ordered_as_ever():
    key, data = jax.random.key(2), np.zeros((50, 3))
    np.testing.assert_array_equal(epoch_indices(key, jnp.int32(1), data), epoch_order(key, jnp.int32(1), 50))
    assert examples_of(data) is data
    assert examples_of(weighted(data, np.ones(50))) is data


@functools.cache
def engine(mode):
    return setup(optimizer=optax.adam(1e-2), ema=0.9, mode=mode)


def run(data, steps, mode="jit", state=None, **options):
    start, compiled = engine(mode)
    reports = list(train(compiled, start if state is None else state, data, steps, **options))
    return reports[-1].state, np.concatenate([report.metrics["loss"] for report in reports])


@pytest.mark.rows(slow=["1"])
@pytest.mark.parametrize("cut", [1, 4, 5, 8])
def test_a_weighted_run_is_the_same_however_it_is_cut_or_resumed(cut):
    data = weighted(images(), WEIGHTS)
    whole, losses = run(data, 13)
    parts, pieces = run(data, 13, steps_per_call=cut)
    assert same_bits(whole, parts)
    np.testing.assert_array_equal(losses, pieces)
    resumed, _ = run(data, 13, state=run(data, cut)[0])
    assert same_bits(whole, resumed)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["pmap", "mesh"])
def test_two_devices_draw_what_one_draws(mode):
    data = weighted(images(), WEIGHTS)
    np.testing.assert_allclose(run(data, 10, mode)[1], run(data, 10)[1], rtol=1e-5)


def following(params):
    """Weights that any change of the parameters changes: powers of ratios of theirs."""
    numbers = np.abs(np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(params)])[:50], dtype=np.float64)
    return (numbers + 0.01) ** 2


def by_hand(mode, epochs):
    """The last state, and Kish's number of each epoch: weights fixed for one call of `train` an epoch."""
    state, worth = engine(mode)[0], []
    for epoch in range(epochs):
        weights = following(jax.device_get(state.params))
        worth.append(weights.sum() ** 2 / (weights**2).sum())
        state, _ = run(weighted(images(), weights), 5 * (epoch + 1), mode, state)
    return state, worth


@pytest.mark.rows(slow=["pmap", "mesh"])
@pytest.mark.parametrize("mode", ["jit", "pmap", "mesh"])
def test_weights_that_follow_the_parameters_are_those_of_every_epochs_start(mode):
    expected, worth = by_hand(mode, 3)
    start, compiled = engine(mode)
    reports, logged = train(compiled, start, Reweighted(images(), following), 15, steps_per_call=2), []
    for report in reports:
        state = report.state
        logged += report.metrics["effective_examples"].tolist()
    assert same_bits(state, expected)
    np.testing.assert_allclose(logged, np.repeat(worth, 5), rtol=1e-12)


@pytest.mark.parametrize("cut", [5, 7, 14])
def test_an_epoch_goes_on_from_its_anchor(cut):
    expected, _ = by_hand("jit", 3)
    start, compiled = engine("jit")
    *_, last = train(compiled, start, Reweighted(images(), following), cut)
    data = Reweighted(images(), following, last.anchor)
    state, _ = run(data, 15, state=last.state)
    assert same_bits(state, expected)
    if cut % 5:
        without, _ = run(data._replace(anchor=None), 15, state=last.state)
        assert not same_bits(without, expected)


@pytest.mark.slow
def test_steps_that_are_not_finite_are_counted_across_epochs():
    bad = np.full((50, *SHAPE), np.nan, np.float32)
    state, compiled = setup(preprocess=lambda key, x: x / 255)
    with pytest.raises(FloatingPointError, match="12 steps in a row"):
        list(train(compiled, state, Reweighted(bad, lambda params: np.ones(50)), 30, max_skipped=12))


def test_draws_are_worth_as_many_examples_as_are_alike():
    assert effective_examples(np.full(40, 0.3)) == pytest.approx(40)
    assert effective_examples([0.0, 5.0]) == 1
    assert effective_examples([1.0, 2.0]) == pytest.approx(9 / 5)


def test_training_sees_what_is_drawn_and_new_weights_compile_nothing():
    seen, traces = [], []

    def loss(params, keys, batch, step):
        traces.append(1)
        jax.debug.callback(lambda b: seen.append(np.asarray(b)), batch.value, ordered=True)
        return jnp.sum(params["encoder"]["b"]) * 0.0, {"loss": jnp.float32(0)}

    values = np.arange(50, dtype=np.uint8)[:, None, None, None] * np.ones(SHAPE, np.uint8)
    raw = Labelled(values, np.arange(50))
    state, compiled = setup(loss, preprocess=lambda key, x: Labelled(x.value.astype(jnp.float32), x.context))
    plain = [np.eye(50)[7], np.eye(50)[3] + np.eye(50)[4]]
    for epoch, weights in enumerate(plain):
        for report in train(compiled, state, weighted(raw, weights), 5 * (epoch + 1)):
            state = report.state
            jax.effects_barrier()
        if epoch == 0:
            first = len(traces)
    drawn = np.concatenate([batch[:, 0, 0, 0] for batch in seen]).astype(int)
    assert (drawn[:50] == 7).all()
    assert set(drawn[50:]) == {3, 4}
    assert len(traces) == first


@pytest.mark.slow
def test_the_diagnosis_looks_at_the_batch_that_was_drawn():
    bad = images().astype(np.float32)
    bad[11] = np.nan
    state, compiled = setup(preprocess=lambda key, x: x / 255)
    reports = train(compiled, state, weighted(bad, np.eye(50)[11]), 30, max_skipped=2)
    with pytest.raises(FloatingPointError, match="first bad leaf is the batch"):
        list(reports)


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (np.ones(3), "weights have shape"),
        (np.zeros(50), "the sum 0"),
        (-np.ones(50), "values from -1"),
        (np.full(50, np.nan), "finite numbers"),
        (np.full(50, np.inf), "finite numbers"),
    ],
    ids=["length", "zero", "negative", "nan", "infinite"],
)
def test_weights_that_are_no_probabilities_are_refused(weights, words):
    with pytest.raises(ValueError, match=words):
        weighted(images(), weights)
    assert isinstance(weighted(images(), WEIGHTS), Weighted)
