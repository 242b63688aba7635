"""A number carries its setting into print, and the numbers are those of the functions that make them."""

import jax
import numpy as np
import pytest
from small import LATENTS, images, small_vae

import jaxvae
from jaxvae.data.splits import some_rows
from jaxvae.evaluation.bounds.likelihood import per_example, summarize
from jaxvae.evaluation.bounds.report import evaluate
from jaxvae.evaluation.measured import Measured, Setting
from jaxvae.evaluation.statistics import Estimate
from jaxvae.runs.configs.config import Config, DataConfig, ModelConfig
from jaxvae.runs.held_out import HeldOut, bin_width, setting_of

pytestmark = pytest.mark.quick_compile

SETTING = Setting("halves/test", 20, 30, "threshold", 7, "0123456789abcdef")


@pytest.fixture(scope="module")
def small():
    """(model, params, x) with 30 examples."""
    model = small_vae()
    x = np.float32(images(30) > 100)
    return model, jax.jit(model.init)(jax.random.key(0), x[0]), x


@pytest.fixture(scope="module")
def rows(small):
    return {row.name: row for row in evaluate(*small, SETTING, samples=(1, 8), bin_width=1.0)}


@pytest.mark.slow
def test_every_number_is_the_one_of_its_function(small, rows):
    model, params, x = small
    found = summarize(per_example(model, params, jax.random.key(7), x[some_rows(30, 20)], samples=(1, 8)))
    expected = {"-IW-1": -found["iwae_1"].mean, "-IW-8": -found["iwae_8"].mean, "rate": found["kl"].mean}
    expected |= {"-ELBO": -found["elbo"].mean, "distortion": -found["log_likelihood"].mean}
    for name, value in expected.items():
        assert rows[name].estimate.mean == value
        assert rows[name].estimate.standard_error > 0
        assert rows[name].estimate.examples == 20
    assert rows["-ELBO"].estimate.mean == pytest.approx(expected["rate"] + expected["distortion"], rel=1e-6)
    bits = rows["bits per dimension"].estimate
    assert bits.mean == pytest.approx(expected["-IW-8"] / 16 / np.log(2))
    assert bits.standard_error == pytest.approx(found["iwae"].standard_error / 16 / np.log(2))
    assert 0 <= rows["active units"].estimate.mean <= LATENTS


def test_printed_or_shown_a_number_says_its_setting(rows):
    for row in rows.values():
        for text in (str(row), repr(row), f"{row}", f"{[row]}"):
            for words in ("a fixed random 20 of 30", "halves/test", "threshold", "seed 7", "sha256 0123456789ab"):
                assert words in text
    assert "K = 8" in str(rows["-IW-8"])
    assert "K = 1," in str(rows["-IW-1"])
    assert "\N{PLUS-MINUS SIGN}" in str(rows["-ELBO"])
    assert rows["active units"].number == f"{rows['active units'].estimate.mean:g}"
    assert "nan" not in str(Measured("-ELBO", Estimate(1.0, np.nan, 1), "nats", SETTING))


@pytest.mark.slow
def test_a_number_says_that_the_factors_were_rounded():
    model = jaxvae.vae(jaxvae.MLPEncoder(2), jaxvae.MLPDecoder((4, 4, 1)), event_shape=(4, 4, 1), latent_dim=2)
    x = np.float32(images(30) > 100)
    params = jax.jit(model.init)(jax.random.key(0), x[0])
    found = {}
    for precision in (None, "bfloat16"):
        with jax.default_matmul_precision(precision):
            found[precision] = evaluate(model, params, x, SETTING, samples=8)[1]
    assert "K = 8, bfloat16 factors, seed 7" in str(found["bfloat16"])
    assert "bfloat16" not in str(found[None])
    assert 0 < abs(found["bfloat16"].estimate.mean - found[None].estimate.mean) < 0.1


@pytest.mark.slow
def test_bits_are_left_out_where_they_mean_nothing(small):
    assert "bits per dimension" not in {row.name for row in evaluate(*small, SETTING, samples=1)}


def test_an_autoencoder_has_a_distortion_only(small):
    model, params, x = small
    plain = model._replace(evidence="none", terms=lambda *a: model.terms(*a)._replace(kl=jax.numpy.zeros(0)))
    (row,) = evaluate(plain, params, x, SETTING)
    assert row.name == "distortion"


@pytest.mark.parametrize(
    ("protocol", "likelihood", "width"),
    [
        ("dynamic", "bernoulli", 1.0),
        ("threshold", "bernoulli", 1.0),
        ("grey", "bernoulli", None),
        ("levels", "discretized_logistic", 1.0),
        ("grey", "normal", None),
        ("dequantize", "normal", 1 / 256),
        ("dequantize", "continuous_bernoulli", 1 / 256),
        ("dequantize", "bernoulli", None),
    ],
)
def test_bits_are_for_discrete_or_dequantised_pixels(protocol, likelihood, width):
    config = Config(data=DataConfig(protocol=protocol), model=ModelConfig(likelihood=likelihood))
    assert bin_width(config) == width


def test_bits_of_fewer_levels_are_for_bins_of_their_width():
    data, model = DataConfig(protocol="dequantize", levels=17), ModelConfig(likelihood="normal")
    assert bin_width(Config(data=data, model=model)) == 1 / 17


def test_the_setting_of_a_run_says_how_much_of_the_draw_was_used():
    x = np.zeros((9, 4, 4, 1))
    test = HeldOut(x, x, None, "grey", 0, "abc")
    assert setting_of(DataConfig("digits"), test)[:5] == ("digits/test", 9, 9, "grey", 0)
    assert setting_of(DataConfig("digits"), test, 4).examples == 4
    assert setting_of(DataConfig("digits"), test, 400).examples == 9
    assert "all 9" in str(setting_of(DataConfig("digits"), test, 400))
    with jax.default_matmul_precision("bfloat16"):
        assert "bfloat16 factors" in str(setting_of(DataConfig("digits"), test))
    with pytest.raises(ValueError, match=r"limit is 0, expected"):
        setting_of(DataConfig("digits"), test, 0)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        (SETTING._replace(of=29), ["x has 30 examples", "20 of 29"]),
        (SETTING._replace(examples=31), ["31 of 30"]),
        (SETTING._replace(examples=0), ["examples is 0"]),
    ],
)
def test_a_setting_that_does_not_fit_is_named(small, setting, words):
    with pytest.raises(ValueError, match="expected") as error:
        evaluate(*small, setting)
    for word in words:
        assert word in str(error.value)
