"""The engine: one step, one loop, and what must not change its numbers."""

import itertools
import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small import LATENTS, SHAPE, binarize, grey, host, images, same_bits, setup, small_vae

from jaxvae.models.variational import vae
from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
from jaxvae.objectives.bounds import elbo, iwae_bound
from jaxvae.runs.fitting import fit
from jaxvae.training.engine import averages
from jaxvae.training.engine.loop import train
from jaxvae.training.engine.optimizers import kl_warmup, learning_rate_schedule, make_optimizer
from jaxvae.training.engine.parallel import compile_steps
from jaxvae.training.engine.sampler import epoch_order
from jaxvae.training.engine.state import compiled_init, init_state
from jaxvae.training.engine.step import make_step, steps_left
from jaxvae.training.engine.streams import NOISE, PREPROCESS, example_keys
from jaxvae.training.losses.bound import bound_loss

pytestmark = pytest.mark.quick_compile


def run(state, compiled, steps, **options):
    """The last state and the metrics of all steps."""
    reports = [(r.state, r.metrics) for r in train(compiled, state, images(), steps, **options)]
    metrics = {name: np.concatenate([m[name] for _, m in reports]) for name in reports[0][1]}
    return reports[-1][0], metrics


@pytest.mark.slow
def test_the_loss_falls_to_a_level_only_a_model_of_the_data_reaches():
    state, compiled = setup(optimizer=optax.adam(0.03))
    _, metrics = run(state, compiled, 300)
    # Sixteen fair coins cost 16 log 2 = 11.1 nats; the side of the bright half must be coded to go below 9.
    assert metrics["loss"][:5].mean() > 10
    assert metrics["loss"][-20:].mean() < 8.5


@pytest.mark.slow
@pytest.mark.parametrize("cut", [1, 3, 5])
def test_the_bits_do_not_depend_on_how_a_run_is_cut_into_calls(cut):
    whole, metrics = run(*setup(optimizer=optax.adam(1e-2), ema=0.9), 13, steps_per_call=20)
    parts, pieces = run(*setup(optimizer=optax.adam(1e-2), ema=0.9), 13, steps_per_call=cut)
    assert same_bits(whole, parts)
    assert same_bits(metrics, pieces)


@pytest.mark.rows(every_slow=2)
@pytest.mark.slow
@pytest.mark.parametrize("cut", [1, 5, 7, 12])
def test_a_run_resumed_at_any_step_is_the_unbroken_run(cut):
    unbroken, _ = run(*setup(optimizer=optax.adam(1e-2), ema=0.9), 13)
    state, compiled = setup(optimizer=optax.adam(1e-2), ema=0.9)
    state, _ = run(state, compiled, cut)
    state, _ = run(state, setup(optimizer=optax.adam(1e-2), ema=0.9)[1], 13)
    assert same_bits(unbroken, state)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["pmap", "mesh"])
def test_two_devices_compute_the_numbers_of_one(mode):
    # Plain gradient descent: Adam would hide a gradient that is twice too large.
    one, expected = run(*setup(mode="jit"), 100)
    two, found = run(*setup(mode=mode), 100)
    np.testing.assert_allclose(found["loss"], expected["loss"], rtol=1e-6)
    chex.assert_trees_all_close(host(two.params), host(one.params), rtol=1e-5, atol=1e-6)
    assert len(jax.tree.leaves(two.params)[0].devices()) == 2


@pytest.mark.slow
def test_a_state_moves_between_device_counts():
    state, _ = run(*setup(mode="pmap"), 10)
    state, _ = run(jax.tree.map(lambda leaf: leaf, state), setup(mode="jit")[1], 20)
    unbroken, _ = run(*setup(mode="jit"), 20)
    chex.assert_trees_all_close(host(state.params), host(unbroken.params), rtol=1e-5, atol=1e-6)


def test_the_callers_state_survives_training():
    state, compiled = setup()
    before = host(state)
    run(state, compiled, 3)
    assert same_bits(state, before)


def test_the_chunk_is_compiled_once_for_all_lengths():
    traces = []
    model = small_vae()
    plain = bound_loss(model)

    def loss(*arguments):
        traces.append(1)
        return plain(*arguments)

    state, compiled = setup(loss)
    run(state, compiled, 1)
    first = len(traces)
    for steps in (2, 5, 17):
        run(state, compiled, steps, steps_per_call=3)
    assert len(traces) == first


def test_the_run_key_never_changes_and_the_step_counts():
    state, compiled = setup()
    after, _ = run(state, compiled, 7)
    assert int(after.step) == 7
    assert same_bits(after.key, state.key)


def test_every_epoch_is_another_permutation_and_needs_no_earlier_one():
    key = jax.random.key(3)
    orders = [np.asarray(epoch_order(key, jnp.int32(epoch), 50)) for epoch in range(3)]
    for order in orders:
        assert sorted(order) == list(range(50))
    for a, b in itertools.combinations(orders, 2):
        assert (a != b).any()


def test_the_batches_of_an_epoch_are_its_order():
    seen = []

    def loss(params, keys, batch, step):
        jax.debug.callback(lambda b: seen.append(np.asarray(b)), batch, ordered=True)
        return jnp.sum(params["encoder"]["b"]) * 0.0, {"loss": jnp.float32(0)}

    data = np.arange(50, dtype=np.uint8)[:, None, None, None] * np.ones(SHAPE, np.uint8)
    state, compiled = setup(loss, preprocess=lambda key, x: x.astype(jnp.float32))
    for _ in train(compiled, state, data, 10):
        jax.effects_barrier()
    drawn = np.concatenate([batch[:, 0, 0, 0] for batch in seen]).astype(int)
    for epoch in range(2):
        expected = epoch_order(state.key, jnp.int32(epoch), 50)
        np.testing.assert_array_equal(drawn[50 * epoch : 50 * epoch + 50], expected)


def test_no_two_examples_steps_or_streams_share_noise():
    key = jax.random.key(0)
    keys = [
        jax.random.key_data(example_keys(key, stream, jnp.int32(step), 16, offset))
        for stream in (NOISE, PREPROCESS)
        for step in range(4)
        for offset in (0, 16)
    ]
    rows = np.concatenate([np.asarray(k) for k in keys])
    assert len(np.unique(rows, axis=0)) == len(rows)


def test_an_examples_key_depends_on_its_place_in_the_global_batch_alone():
    key = jax.random.key(0)
    whole = example_keys(key, NOISE, jnp.int32(5), 8)
    half = example_keys(key, NOISE, jnp.int32(5), 4, 4)
    assert same_bits(whole[4:], half)


def poisoned(at, poison):
    """The small loss, whose gradient is spoilt at some steps."""
    plain = bound_loss(small_vae())

    def loss(params, keys, batch, step):
        value, metrics = plain(params, keys, batch, step)
        bad = jnp.isin(step, jnp.asarray(at))
        return value + jnp.where(bad, poison, 0.0) * params["encoder"]["b"].sum(), metrics

    return loss


@pytest.mark.rows(every_slow=3)
@pytest.mark.rows(slow=["pmap-nan", "pmap-inf", "pmap-norm overflows", "jit-norm overflows", "jit-inf"])
@pytest.mark.parametrize("poison", [np.nan, np.inf, 1e30], ids=["nan", "inf", "norm overflows"])
@pytest.mark.parametrize("mode", ["jit", "pmap"])
def test_a_step_that_is_not_finite_is_skipped_and_changes_nothing_but_the_counter(poison, mode):
    optimizer = make_optimizer("adam", 1e-2, clip=1.0)
    state, compiled = setup(poisoned([5], poison), optimizer, ema=0.9, mode=mode)
    before, _ = run(state, compiled, 5)
    before = host(before)
    after, metrics = run(state, compiled, 6)
    assert metrics["skipped"].tolist() == [0, 0, 0, 0, 0, 1]
    assert same_bits(host(after)._replace(step=before.step), before)
    beyond, metrics = run(state, compiled, 12)
    assert metrics["skipped"].sum() == 1
    assert not same_bits(beyond.params, before.params)


def test_without_the_guard_the_same_run_is_lost():
    gradient = jax.jit(jax.grad(lambda params: poisoned([0], np.nan)(params, *arguments)[0]))
    state, _ = setup()
    arguments = (jax.random.split(state.key, 2), jnp.zeros((2, *SHAPE)), jnp.int32(0))
    updated = optax.apply_updates(state.params, gradient(state.params))
    assert not np.isfinite(updated["encoder"]["b"]).all()


@pytest.mark.slow
def test_too_many_bad_steps_in_a_row_stop_with_the_step_and_the_leaf():
    state, compiled = setup(poisoned(range(4, 100), np.nan))
    with pytest.raises(FloatingPointError, match=r"3 steps in a row.*step 7.*loss"):
        run(state, compiled, 50, max_skipped=3, steps_per_call=1)
    spoilt = state._replace(params={**state.params, "decoder": {"b": jnp.full(16, jnp.nan), "w": jnp.zeros((3, 16))}})
    with pytest.raises(FloatingPointError, match="first bad leaf is the parameter decoder/b"):
        run(spoilt, compiled, 50, max_skipped=3)


def test_bad_steps_that_are_not_in_a_row_do_not_stop_a_run():
    state, compiled = setup(poisoned(range(0, 40, 2), np.nan))
    _, metrics = run(state, compiled, 30, max_skipped=2, steps_per_call=4)
    assert metrics["skipped"].sum() == 15


@pytest.mark.slow
def test_the_moving_average_starts_at_the_parameters_and_follows_them():
    state, compiled = setup(ema=0.75)
    assert same_bits(state.ema, state.params)
    one, _ = run(state, compiled, 1)
    expected = jax.tree.map(lambda old, new: 0.1 * old + 0.9 * new, host(state.params), host(one.params))
    chex.assert_trees_all_close(host(one.ema), expected, rtol=1e-6)  # the first steps forget the start


def test_the_moving_average_forgets_its_start_and_then_keeps_the_decay_it_was_given():
    """By hand, in float64: the weight of the start is 9! n! / (n + 9)!, and of the last value 1 - decay in the end."""
    start, impulse = (averages.follow(jnp.float32(v), jnp.float32(0), 0.9999, jnp.int32(0)) for v in (1, 0))
    for step in range(1, 50):
        start = averages.follow(start, jnp.float32(0), 0.9999, jnp.int32(step))
    weight = math.factorial(9) * math.factorial(50) / math.factorial(59)
    np.testing.assert_allclose(start, weight, rtol=1e-4)
    late = averages.follow(impulse, jnp.float32(1), 0.999, jnp.int32(10_000))
    np.testing.assert_allclose(late, 1e-3, rtol=1e-4)


@pytest.mark.parametrize("given", ["state", "step"])
def test_an_average_that_nothing_would_move_and_a_decay_of_nothing_are_refused(given):
    with_average, without = setup(ema=0.9), setup()
    state, compiled = (with_average[0], without[1]) if given == "state" else (without[0], with_average[1])
    with pytest.raises(ValueError, match="moving average of the parameters"):
        run(state, compiled, 1)


def test_a_step_that_is_skipped_leaves_the_moving_average_as_it_is():
    state, compiled = setup(poisoned([0, 1, 2], np.nan), ema=0.9999)
    skipped, metrics = run(state, compiled, 3, max_skipped=9)
    assert metrics["skipped"].all()
    assert same_bits(skipped.ema, state.params)
    assert same_bits(skipped.params, state.params)
    after, _ = run(skipped, compiled, 20, max_skipped=9)
    assert not same_bits(after.ema, skipped.ema)


@pytest.mark.slow
def test_clipping_bounds_the_step():
    state, compiled = setup(optimizer=make_optimizer("sgd", 1.0, clip=1e-3))
    one, metrics = run(state, compiled, 1)
    moved = optax.tree.norm(jax.tree.map(jnp.subtract, host(one.params), host(state.params)))
    assert metrics["gradient_norm"][0] > 1e-2
    np.testing.assert_allclose(moved, 1e-3, rtol=1e-3)


def test_the_kl_warm_up_enters_the_loss_at_its_step():
    model = small_vae()
    state, compiled = setup(bound_loss(model, elbo, beta=kl_warmup(10)))
    _, metrics = run(state, compiled, 15)
    weight = np.minimum(1, np.arange(15) / 10)
    expected = -(metrics["log_likelihood"] - weight * metrics["kl"])
    np.testing.assert_allclose(metrics["loss"], expected, rtol=1e-5)


def test_a_warm_up_that_the_run_cannot_finish_warns():
    with pytest.warns(UserWarning, match="KL warm-up takes 100 steps but the run ends after 50"):
        kl_warmup(100, steps=50)
    with pytest.warns(UserWarning, match="learning-rate warm-up takes 100 steps"):
        learning_rate_schedule("constant", 1e-3, 50, 100)


@pytest.mark.parametrize(("name", "end"), [("constant", 2.0), ("cosine", 0.0), ("linear", 0.0)])
def test_learning_rates_rise_to_the_peak_and_end_where_they_say(name, end):
    rate = learning_rate_schedule(name, 2.0, 100, 10)
    assert float(rate(0)) == 0
    np.testing.assert_allclose(rate(10), 2.0, rtol=1e-6)
    np.testing.assert_allclose(rate(100), end, atol=1e-6)


def test_a_loss_is_minus_the_bound_averaged_over_examples():
    model = small_vae()
    params = jax.jit(model.init)(jax.random.key(0), jnp.zeros(SHAPE))
    keys = jax.random.split(jax.random.key(1), 6)
    batch = (images(6) > 100).astype(np.float32)
    terms = jax.jit(model.terms)
    value, metrics = jax.jit(bound_loss(model, iwae_bound, samples=4))(params, keys, batch, jnp.int32(0))
    bounds = []
    for key, x in zip(keys, batch, strict=True):
        weights = [terms(params, k, x).log_weight for k in jax.random.split(key, 4)]
        bounds.append(np.log(np.mean(np.exp(np.float64(weights)))))
    np.testing.assert_allclose(value, -np.mean(bounds), rtol=1e-5)
    assert metrics["kl_per_latent"].shape == (LATENTS,)
    np.testing.assert_allclose(metrics["elbo"], metrics["log_likelihood"] - metrics["kl"], rtol=1e-6)


@pytest.mark.slow
def test_a_seed_sweep_is_one_vmapped_program():
    model, optimizer = small_vae(), optax.sgd(1e-2)
    step = jax.jit(jax.vmap(make_step(bound_loss(model), optimizer, grey), in_axes=(0, None)))

    @jax.jit
    def start(seed):
        return init_state(model, optimizer, jax.random.key(seed), jnp.zeros(SHAPE))

    states = jax.vmap(start)(jnp.arange(3))
    swept, _ = step(states, images(10))
    alone, _ = jax.jit(make_step(bound_loss(model), optimizer, grey))(start(2), images(10))
    chex.assert_trees_all_close(jax.tree.map(lambda a: a[2], swept.params), alone.params, rtol=1e-5)


def test_keys_are_never_reused():
    model, optimizer = small_vae(), optax.sgd(1e-2)
    with jax.debug_key_reuse(True):
        state = init_state(model, optimizer, jax.random.key(0), jnp.zeros(SHAPE))
        step = make_step(bound_loss(model, samples=2), optimizer, binarize)
        jax.jit(step)(state, images(10))


def test_steps_left_counts_to_the_end_of_the_epoch():
    assert [steps_left(step, 50, 10) for step in (0, 1, 4, 5, 12)] == [5, 4, 1, 5, 3]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_size": 51}, ["batch_size is 51", "50 examples", "at most 50"]),
        ({"batch_size": 0}, ["batch_size is 0", "at least 1"]),
        ({"batch_size": 7, "mode": "pmap"}, ["batch_size is 7", "2 devices", "6 or 8"]),
        ({"mode": "both"}, ["'both'", "jit", "pmap", "mesh"]),
    ],
)
def test_impossible_settings_say_what_was_passed_and_what_to_do(options, words):
    with pytest.raises(ValueError, match=r".") as error:
        run(*setup(**options), 1)
    for word in words:
        assert word in str(error.value)


def test_legacy_keys_are_refused():
    with pytest.raises(TypeError, match=r"jax\.random\.key"):
        init_state(small_vae(), optax.sgd(1.0), jax.random.PRNGKey(0), jnp.zeros(SHAPE))


def test_a_state_compiled_with_fewer_passes_is_the_same_but_for_rounding():
    model, optimizer, key = small_vae(), optax.adam(1e-3), jax.random.key(3)
    one = host(init_state(model, optimizer, key, jnp.zeros(SHAPE), ema=True))
    other = host(compiled_init(model, optimizer, ema=True)(key, np.zeros(SHAPE, np.float32)))
    chex.assert_trees_all_equal_shapes_and_dtypes(one, other)
    chex.assert_trees_all_close(one, other, rtol=1e-5, atol=1e-6)


def test_a_state_larger_than_the_memory_is_refused_before_it_is_computed():
    model = vae(MLPEncoder(900_000, (900_000,)), MLPDecoder(SHAPE), event_shape=SHAPE, latent_dim=900_000)
    init = compiled_init(model, optax.adam(1e-3))
    with pytest.raises(ValueError, match=r"take 19,4\d\d GB.*largest is .*'kernel'\] of shape \(900000, 1800000\)"):
        init(jax.random.key(0), np.zeros(SHAPE, np.float32))


def test_fit_in_several_processes_is_refused_at_the_start(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(NotImplementedError, match=r"2 processes \(jax\.distributed\).*jaxvae train --distributed"):
        fit(small_vae(), images(), protocol="grey")


def test_compiled_steps_need_no_images_to_be_made():
    model = small_vae()
    compiled = compile_steps(bound_loss(model), optax.sgd(1.0), grey, batch_size=4, steps_per_call=8)
    assert compiled.devices == 2  # "auto" takes pmap where there are two


def test_the_memory_of_a_program_is_what_it_is_given_and_what_a_batch_needs():
    """Counted by hand: rows and two numbers for each weight are given, a batch is gathered; a state has no copy."""

    def loss(params, keys, batch, step):
        return ((batch @ params - 1) ** 2).mean(), {}

    rows, weights = jnp.zeros((4000, 500)), jnp.zeros(500)
    optimizer = optax.sgd(0.1, momentum=0.9)
    state = init_state(small_vae(), optimizer, jax.random.key(0), jnp.zeros(SHAPE))
    state = state._replace(params=weights, opt_state=optimizer.init(weights))
    given, batch = rows.nbytes + 2 * weights.nbytes, 500 * 4
    found = {}
    for size in (10, 1000):
        compiled = compile_steps(loss, optimizer, lambda key, raw: raw, batch_size=size, steps_per_call=5, mode="jit")
        found[size] = compiled.memory(state, rows)
        assert given + size * batch < found[size] < given + 3 * size * batch + 200_000
