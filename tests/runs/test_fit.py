"""`fit` as a notebook meets it: any numbers that the likelihood scores, nothing compiled twice, collapse is named."""

import warnings
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small import SHAPE, Encoder, Linear, images, small_vae

import jaxvae
from jaxvae.data.protocols import dynamic, grey
from jaxvae.evaluation.latents.collapse import CollapseWarning, LatentUse
from jaxvae.runs import compiled, measure
from jaxvae.runs.configs.config import ObjectiveConfig
from jaxvae.runs.examples import as_examples
from jaxvae.runs.fitting import run_epochs
from jaxvae.runs.held_out import HeldOut
from jaxvae.training.engine.step import labelled

pytestmark = pytest.mark.quick_compile

OPTIMIZER = optax.adam(0.03)


def fit(model, data, **options):
    options = {"optimizer": OPTIMIZER, "epochs": 3, "batch_size": 10, "progress": False, **options}
    return jaxvae.fit(model, data, **options)


def same_bits(a, b):
    leaves = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.asarray(x).tobytes() == np.asarray(y).tobytes() for x, y in leaves)


def close(a, b):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-5), a, b)


def table_vae(observation, columns=6):
    return jaxvae.vae(
        jaxvae.MLPEncoder(2, (16,)),
        jaxvae.MLPDecoder((columns,), observation.channels, hidden=(16,)),
        event_shape=(columns,),
        latent_dim=2,
        observation=observation,
    )


def table_of_counts(rows=300):
    """int64 [rows, 6] counts of two kinds of rows, and the log-density of each row under the truth, nats."""
    from scipy.special import logsumexp
    from scipy.stats import poisson

    rng = np.random.default_rng(0)
    rates = np.array([[1.0, 1, 1, 20, 20, 20], [20.0, 20, 20, 1, 1, 1]])
    counts = rng.poisson(rates[rng.integers(0, 2, rows)])
    both = poisson.logpmf(counts[:, None], rates[None]).sum(-1)
    return counts, logsumexp(both, axis=1) - np.log(2)


# What goes in


@pytest.mark.slow
def test_a_table_of_counts_is_trained_on_as_it_is():
    from scipy.stats import poisson

    counts, truth = table_of_counts()
    model = table_vae(jaxvae.observations.poisson())
    bound = fit(model, counts, epochs=40, batch_size=30).history[-1]["elbo"]
    alone = poisson.logpmf(counts, counts.mean(0)).sum(1).mean()  # one rate for each column
    assert alone + 20 < truth.mean() - 4 < bound < truth.mean() + 0.5
    for dtype in (np.int32, np.uint16, np.float16, np.float32, np.float64):
        data = as_examples(model, counts.astype(dtype)).data
        np.testing.assert_array_equal(data, counts)
        assert data.dtype in (np.int32, np.uint16, np.float32)  # what the device holds without a warning


@pytest.mark.full
def test_columns_that_have_nothing_in_common_need_no_code_but_show_how_spread_they_are():
    rng = np.random.default_rng(1)
    counts = rng.negative_binomial(2, 2 / (2 + 10), (400, 6))  # r = 2, mean 10
    with pytest.warns(CollapseWarning, match="0 of 2 latents"):
        params, _ = fit(table_vae(jaxvae.observations.negative_binomial()), counts, epochs=40, batch_size=40)
    concentration = 1e-3 + np.exp(params["observation"]["log_concentration"])
    assert 1.6 < concentration < 2.5


@pytest.mark.slow
def test_floats_are_taken_as_they_are():
    model, raw = small_vae(), images()
    greys = fit(model, raw / 255).params
    close(greys, fit(model, raw, protocol="grey").params)
    assert same_bits(greys, fit(model, jnp.asarray(raw / 255, jnp.float32)).params)
    assert same_bits(greys, fit(model, (raw / 255)[..., 0]).params)
    assert as_examples(model, raw).preprocess is dynamic  # uint8 are drawn from, unless a protocol says otherwise


def test_booleans_lists_and_pictures_without_a_channel_are_taken():
    model, bright = small_vae(), images() > 100
    for given in (bright, bright.astype(float).tolist(), bright[..., 0]):
        data = as_examples(model, given).data
        np.testing.assert_array_equal(data, bright)
        assert data.dtype == np.float32
    assert as_examples(model, images()[..., 0]).data.shape == (50, *SHAPE)
    assert as_examples(model, images()).data.dtype == np.uint8


@pytest.mark.full
def test_half_precision_is_taken_for_the_numbers_it_holds():
    model, half = small_vae(), jnp.asarray(images() / 255, jnp.bfloat16)
    found = as_examples(model, half, jnp.ones(len(half), jnp.bfloat16), unconditional=True)
    assert found.preprocess.__name__ == "as_it_is"
    np.testing.assert_array_equal(found.data.value, np.asarray(half, np.float32))
    assert found.data.context.dtype == np.float32
    fit(model, half, weights=jnp.ones(len(half), jnp.bfloat16), epochs=1)


ROWS = np.array([[3, 1, 4, 1, 5, 9]] * 10, np.uint8)


def conditional():
    encoder, decoder = (jaxvae.with_context(network) for network in (Encoder(), Linear(16, SHAPE)))
    return jaxvae.conditional_vae(encoder, decoder, event_shape=SHAPE, latent_dim=3, context=2)


TAKEN_FOR = {  # model, data, labels, words
    "tokens in uint8": (
        lambda: table_vae(jaxvae.observations.categorical(10)),
        ROWS,
        None,
        r"uint8.*astype\(numpy\.int32\)",
    ),
    "levels in uint8": (small_vae, images() // 17, None, r"no value above 14.*images / 14"),
    "colours": (
        lambda: jaxvae.vae(Encoder(), Linear(48, (4, 4, 3)), event_shape=(4, 4, 3), latent_dim=3),
        np.tile(images(), (1, 1, 1, 3)),
        None,
        "each of the 3 channels black or white at random.*protocol='grey'",
    ),
    "a count of 33 bits": (
        lambda: table_vae(jaxvae.observations.poisson()),
        ROWS + np.int64(2**32),
        None,
        "value 4294967299 at index",
    ),
    "one-hot labels": (conditional, images(), np.eye(2)[np.arange(50) % 2], r"pass labels\.argmax\(1\)"),
    "a column of labels": (conditional, images(), np.zeros((50, 1), int), r"pass labels\[:, 0\]"),
    "word labels": (conditional, images(), ["a"] * 50, "numpy.unique"),
}


@pytest.mark.parametrize("case", TAKEN_FOR)
def test_numbers_that_would_become_others_are_refused(case):
    model, data, labels, words = TAKEN_FOR[case]
    with pytest.raises((ValueError, TypeError), match=words):
        as_examples(model(), data, labels)
    tokens = as_examples(table_vae(jaxvae.observations.categorical(10)), ROWS.astype(np.int32))
    np.testing.assert_array_equal(tokens.data, ROWS)
    pixels = as_examples(table_vae(jaxvae.bernoulli()), ROWS * 28, protocol="grey")
    assert pixels.preprocess is grey  # said to be pixels


@pytest.mark.slow
def test_a_conditional_model_takes_floats_and_labels():
    raw, labels = images(), np.arange(50) % 2
    model = conditional()
    floats = fit(model, raw / np.float32(255), labels=labels.tolist())
    close(floats.params, fit(model, raw, labels=labels, protocol="grey").params)


# What is compiled


class Counting(NamedTuple):
    """An encoder that notes each time it is traced."""

    traced: list
    encoder: Encoder = Encoder()

    def init(self, key, x):
        self.traced.append("init")
        return self.encoder.init(key, x)

    def apply(self, variables, x):
        self.traced.append("apply")
        return self.encoder.apply(variables, x)


@pytest.mark.slow
def test_a_second_fit_compiles_nothing_and_gives_the_bits_of_a_first():
    traced = []
    model = jaxvae.vae(Counting(traced), Linear(16, SHAPE), event_shape=SHAPE, latent_dim=3)
    first = fit(model, images())
    assert {"init", "apply"} <= set(traced)
    traced.clear()
    again, longer, other = fit(model, images()), fit(model, images(), epochs=5), fit(model, images(seed=2), seed=1)
    assert traced == []
    assert same_bits(first, again)
    assert not same_bits(first.params, longer.params)
    assert not same_bits(first.params, other.params)
    compiled._kept.cache_clear()
    assert same_bits(longer, fit(model, images(), epochs=5))
    assert traced != []


@pytest.mark.parametrize("field", compiled.Request._fields)
def test_all_that_decides_about_a_program_makes_it_another(field):
    changes = {
        "model": small_vae(), "loss": jaxvae.bound_loss(small_vae()), "optimizer": optax.sgd(1.0), "preprocess": grey,
        "with_labels": True, "batch_size": 20, "steps_per_call": 4, "ema": 0.9, "hyper": True,
    }  # fmt: skip
    request = compiled.Request(small_vae(), None, None, dynamic, False, 10, 5, None)
    first = compiled.programs(request)
    assert compiled.programs(request._replace()) is first
    assert compiled.programs(request._replace(**{field: changes[field]})) is not first


def test_few_programs_are_kept():
    for rate in np.linspace(0.01, 0.02, compiled.KEPT + 2):
        compiled.programs(compiled.Request(small_vae(), None, optax.sgd(rate), grey, False, 10, 5, None))
    assert compiled._kept.cache_info().currsize == compiled.KEPT


class Unhashable:
    """A function that compares by value, as an array does."""

    __hash__ = None

    def __call__(self, x):
        return x


@pytest.mark.slow
def test_a_model_that_cannot_be_looked_up_is_trained_all_the_same():
    model = small_vae()
    odd = model._replace(to_unit=Unhashable())
    assert same_bits(fit(model, images()), fit(odd, images()))


# What is said


def collapse_warnings(model, data, **options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = fit(model, data, **options)
    return [warning for warning in caught if warning.category is CollapseWarning], result


@pytest.mark.slow
def test_a_fit_that_is_forced_to_collapse_says_so_once_where_it_was_called_and_how_to_mend_it():
    model = small_vae()
    said, (_, history) = collapse_warnings(
        model, images(200), loss=jaxvae.bound_loss(model, beta=100.0), epochs=12, batch_size=20
    )
    assert len(said) == 1
    text = str(said[0].message)
    epoch = int(text.split()[2].rstrip(":"))
    assert 1 <= epoch < 12
    for words in ("Posterior collapse: 0 of 3 latents", "KL per latent, nats", "kl_warmup(100)", "free_bits_bound"):
        assert words in text
    assert f"{max(history[epoch - 1]['kl_per_latent']):.3f}" in text
    assert said[0].filename.endswith("test_fit.py")
    assert len(history[-1]["kl_per_latent"]) == 3


@pytest.mark.full
def test_the_look_at_a_conditional_model_knows_its_labels():
    raw, labels = images(200), np.arange(200) % 2
    encoder, decoder = (jaxvae.with_context(network) for network in (Encoder(), Linear(16, SHAPE)))
    model = jaxvae.conditional_vae(encoder, decoder, event_shape=SHAPE, latent_dim=3, context=2)
    loss = jaxvae.bound_loss(model, beta=100.0)
    said, _ = collapse_warnings(model, raw, labels=labels, loss=loss, epochs=12, batch_size=20)
    assert len(said) == 1


def test_nothing_is_said_of_a_collapse_before_there_was_time_to_learn(monkeypatch):
    """Four steps after the start no latent carries anything, in any model."""
    monkeypatch.setattr(measure, "latent_use", lambda *args: LatentUse(np.zeros(4), np.zeros(4, bool), "made up"))
    look, said = measure.collapse_warner(small_vae(), images(), grey, warmup_steps=10), []
    held_out = HeldOut(images(4).astype(np.float32), images(4), None, "", 0, "")
    watch = measure.CollapseWatch(small_vae(), ObjectiveConfig(), held_out, said.append)
    for step, words in ((4, 0), (measure.EARLY - 1, 0), (measure.EARLY, 1)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            look({}, {"epoch": 1, "step": step, "kl_per_latent": [0.0] * 4})
        watch.look({}, {"kl_per_latent": np.zeros((2, 4))}, 1, step)
        assert (len(caught), len(said)) == (words, words)


def test_nothing_is_said_of_a_healthy_fit_or_where_there_is_no_kl(monkeypatch, capsys):
    looked = []
    monkeypatch.setattr(measure, "latent_use", lambda *args: looked.append(args))
    look = measure.collapse_warner(small_vae(), images(), grey, warmup_steps=10)
    for record in ({"kl_per_latent": [0.5, 2.0, 0.0]}, {"kl_per_latent": []}, {"kl_per_latent": None}, {"loss": 1.0}):
        look({}, {"epoch": 1, **record})
    assert looked == []  # where KLs are large, not even the encoder is asked

    def shrink(params, keys, batch, step):
        return jnp.sum(params["encoder"]["w"] ** 2), {}  # a loss that reports nothing

    fit(small_vae(), images(), loss=shrink, progress=True)
    assert "epoch 3/3: step 15" in capsys.readouterr().err


@pytest.mark.slow
def test_the_mean_of_the_weights_is_what_is_looked_at():
    model, seen = small_vae(), []
    for ema in (None, 0.99):
        request = compiled.Request(model, None, OPTIMIZER, dynamic, False, 10, 5, ema)
        init, steps = compiled.programs(request)

        def look(params, record):
            seen.append((jax.device_get(params), record["epoch"]))

        state, _ = run_epochs(steps, init(jax.random.key(0), jnp.zeros(SHAPE)), images(), 2, progress=False, look=look)
        assert [epoch for _, epoch in seen] == [1, 2]
        assert same_bits(seen[-1][0], state.params if ema is None else state.ema)
        seen.clear()


def test_labels_beside_a_model_without_context_are_left_out_of_the_look():
    model, data = small_vae(), jaxvae.Labelled(images(), np.zeros(50, int))
    x = measure.seen(model, data, grey)
    np.testing.assert_allclose(x, images() / 255, rtol=1e-6)
    assert labelled(grey)(None, data).context is data.context
