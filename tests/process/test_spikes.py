"""Steps held back where the gradient is far above those just before: which they are, and that they end."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small import grey, host, images, same_bits

from jaxvae.runs import train
from jaxvae.runs.configs.presets import PRESETS
from jaxvae.runs.configs.validate import validate
from jaxvae.training.engine.loop import train as train_steps
from jaxvae.training.engine.parallel import compile_steps
from jaxvae.training.engine.spikes import held_back, skip_spikes
from jaxvae.training.engine.state import TrainState

pytestmark = pytest.mark.quick_compile


def expected(norms, ratio, window):
    """Which steps are held back, counted by hand."""
    held, run = [], 0
    for step, norm in enumerate(norms):
        spike = step >= window and norm > ratio * np.median(norms[step - window : step]) and run < window // 2
        run = run + 1 if spike else 0
        held.append(spike)
    return np.array(held)


@pytest.mark.parametrize("rise", [1.0, 30.0, None], ids=["spikes", "for good", "without end"])
def test_what_is_held_back_is_what_the_median_says_and_a_rise_for_good_is_let_through(rise):
    window, rng = 5, np.random.default_rng(0)
    norms = rng.uniform(1, 2, 60)
    norms[[7, 20, 21]] *= 50
    norms[30:] *= 3.0 ** np.arange(30) if rise is None else rise
    optimizer = skip_spikes(optax.sgd(1.0), 10.0, window=window)

    def step(state, norm):
        update, state = optimizer.update(jnp.stack([norm * 0.6, norm * 0.8]), state)
        return state, (held_back(state), update)

    _, (held, updates) = jax.jit(lambda n: jax.lax.scan(step, optimizer.init(jnp.zeros(2)), n))(jnp.float32(norms))
    wanted = expected(np.float32(norms), 10.0, window)
    np.testing.assert_array_equal(held, wanted)
    assert wanted[[7, 20, 21]].all()
    np.testing.assert_array_equal(np.abs(updates).sum(1) == 0, wanted)
    longest = max(len(part) for part in "".join(".x"[int(flag)] for flag in wanted).split("."))
    assert longest == 2 == window // 2
    assert wanted[30:].sum() < 25  # even of norms that grow for ever, most steps are made


def bumpy(params, keys, batch, step):
    """A loss whose gradient is a thousand times as long at steps 8 and 9."""
    scale = jnp.where((step == 8) | (step == 9), 1e3, 1.0)
    value = scale * ((batch.mean((1, 2, 3)) - params["w"]) ** 2).mean()
    return value, {"loss": value}


def start(optimizer):
    params = {"w": jnp.float32(2.0)}
    return TrainState(jnp.int32(0), params, optimizer.init(params), jax.random.key(0), dict(params))


def test_a_step_held_back_is_counted_and_moves_neither_weights_nor_average_and_a_cut_run_is_the_same():
    optimizer = skip_spikes(optax.adam(0.1), 10.0, window=5)
    compiled = compile_steps(bumpy, optimizer, grey, batch_size=10, steps_per_call=5, ema=0.9, mode="jit")

    def run(state, steps):
        return [(host(r.state), r.metrics["skipped"]) for r in train_steps(compiled, state, images(), steps)]

    whole = run(start(optimizer), 12)
    skipped = np.concatenate([metrics for _, metrics in whole])
    assert np.flatnonzero(skipped).tolist() == [8, 9]
    before, after = (run(start(optimizer), steps)[-1][0] for steps in (8, 10))
    assert same_bits(before.params, after.params)
    assert same_bits(before.ema, after.ema)
    assert same_bits(before.opt_state.inner, after.opt_state.inner)
    assert after.opt_state.norms[9 % 5] > 100  # what is held back enters the median all the same
    cut = run(run(start(optimizer), 9)[-1][0], 12)[-1][0]
    assert same_bits(cut, whole[-1][0])
    assert whole[-1][0].params["w"] != after.params["w"]


@pytest.mark.slow
def test_a_run_counts_and_says_what_was_skipped_and_goes_on_to_the_bit(tmp_path, monkeypatch):
    monkeypatch.setattr(train, "draw_pictures", lambda *args, **options: None)
    digits = PRESETS["digits"]
    config = validate(
        replace(
            digits,
            batch_size=50,
            epochs=3,
            evaluate_every=3,
            progress=False,
            model=replace(digits.model, hidden=(8,), latent_dim=2),
            optim=replace(digits.optim, skip_ratio=1.05, ema=0.9),
        )
    )
    lines = []
    whole = train.train_run(config, tmp_path / "whole", say=lines.append)
    (said,) = [line for line in lines if "steps were skipped" in line]
    assert 0 < int(said.split()[0]) < 60
    assert "of 90 steps" in said
    train.train_run(replace(config, epochs=2), tmp_path / "cut", say=lambda line: None)
    again = train.train_run(config, tmp_path / "cut", say=lambda line: None)
    assert same_bits(whole.params, again.params)


BAD = {
    "a ratio of 1": (lambda: skip_spikes(optax.sgd(1.0), 1.0), ValueError, "ratio is 1"),
    "a window of 2": (lambda: skip_spikes(optax.sgd(1.0), window=2), ValueError, "window is 2"),
    "no optimizer": (lambda: skip_spikes("adam"), TypeError, "optimizer is 'adam'"),
}


@pytest.mark.parametrize("call", BAD)
def test_what_does_not_fit_is_named(call):
    function, error, words = BAD[call]
    with pytest.raises(error, match=words):
        function()
