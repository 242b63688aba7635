"""Flows as models of data: exact Gaussians, densities that integrate to 1, nats of the pixels themselves."""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal

import jaxvae
from jaxvae.evaluation.latents import generation
from jaxvae.flows.autoregressive import autoregressive_flow, masked_autoregressive
from jaxvae.flows.couplings import real_nvp
from jaxvae.flows.elementary import affine
from jaxvae.flows.events import from_logits, unflatten
from jaxvae.flows.lu import lu_linear
from jaxvae.flows.records import chain
from jaxvae.flows.spline import spline_transform
from jaxvae.models.densities.flow import flow_model
from jaxvae.networks.conditioner import ConditionerMLP
from jaxvae.networks.made import MADE
from jaxvae.runs.builders.from_config import build_model
from jaxvae.runs.configs.config import Config, DataConfig, ModelConfig
from jaxvae.runs.configs.validate import validate
from jaxvae.runs.held_out import bin_width

pytestmark = pytest.mark.quick_compile

quick_jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
small = functools.partial(ConditionerMLP, hidden=(8,))
KEY = jax.random.key(0)


def masked(size):
    return MADE(2, size, hidden=(8,))


def shaken(params, noise=0.3):
    draw = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: leaf + noise * jnp.asarray(draw.normal(size=leaf.shape), jnp.float32), params)


PIXELS = chain(unflatten((1, 2, 1)), from_logits(0.05))
MIXED = {"between": lambda index: lu_linear(2, seed=index)}
FLOWS = {  # of two numbers: (bijection, event shape, where the density is)
    "couplings": (real_nvp(2, small, 2), (2,), (-15.0, 15.0)),
    "splines, mixed": (
        autoregressive_flow(masked_autoregressive, 2, masked, spline_transform(4), 2, **MIXED), (2,), (-15.0, 15.0)
    ),
    "two pixels": (
        chain(autoregressive_flow(masked_autoregressive, 2, masked, layers=2), PIXELS),
        (1, 2, 1),
        (-1 / 18, 19 / 18),
    ),
}  # fmt: skip


@pytest.mark.rows(full=["couplings"], slow=["splines, mixed", "two pixels"])
@pytest.mark.parametrize("name", FLOWS)
def test_the_density_integrates_to_one_and_its_draws_are_scored_as_they_were_drawn(name):
    bijection, shape, (low, high) = FLOWS[name]
    model = flow_model(bijection, event_shape=shape)
    params = shaken(quick_jit(model.init)(KEY, jnp.zeros(shape)), 0.2)
    ticks = low + (high - low) * (np.arange(700) + 0.5) / 700
    grid = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, *shape).astype(np.float32)

    @quick_jit
    def call(params):
        log_p = jax.vmap(lambda x: model.terms(params, KEY, x).log_weight)(grid)
        keys = jax.random.split(jax.random.key(1), 4000)
        x, log_density = jax.vmap(lambda key: model.likelihood.sample(params, key, ()))(keys)
        return log_p, x, jax.vmap(lambda x: model.likelihood.log_prob(params, x, ()))(x) - log_density

    log_p, x, difference = call(params)
    density = np.exp(np.float64(log_p)) * (ticks[1] - ticks[0]) ** 2
    assert density.sum() == pytest.approx(1.0, abs=5e-3)
    mean, spread = density @ grid.reshape(-1, 2), x.reshape(-1, 2).std(0)
    np.testing.assert_allclose(x.reshape(-1, 2).mean(0), mean, atol=5 * spread.max() / 4000**0.5)
    assert np.abs(difference).max() < 2e-3
    assert model.evidence == "exact"


def test_a_linear_flow_is_the_gaussian_that_its_matrices_say():
    flow = chain(lu_linear(3, seed=1), affine(3))
    model = flow_model(flow, event_shape=(3,))
    with jax.enable_x64(True):
        params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), shaken(model.init(KEY, jnp.zeros(3))))
        to_base = jax.jacfwd(lambda v: flow.inverse(params["flow"], v, None)[0])(jnp.zeros(3))
        covariance = np.linalg.inv(to_base.T @ to_base)
        x = np.random.default_rng(0).normal(size=(5, 3))
        found = jax.vmap(lambda x: model.terms(params, KEY, x).log_weight)(jnp.asarray(x))
        expected = multivariate_normal(np.asarray(params["flow"]["layer_1"]["shift"]), covariance).logpdf(x)
    np.testing.assert_allclose(found, expected, rtol=1e-7)


def test_parameters_start_from_data():
    rng = np.random.default_rng(0)
    data = (np.array([5.0, -3.0]) + rng.normal(size=(400, 2)) @ np.array([[2.0, 1.0], [0.0, 0.1]])).astype(np.float32)
    flow = chain(real_nvp(2, small, 1), lu_linear(2))  # data pass the matrix before they meet the affine layer
    model = flow_model(flow, event_shape=(2,), data=data)
    u, _ = jax.vmap(flow.inverse, (None, 0, None))(model.init(KEY, data[0])["flow"], data, None)
    np.testing.assert_allclose(u.mean(0), 0.0, atol=1e-5)
    np.testing.assert_allclose(u.std(0), 1.0, atol=1e-5)
    away = flow_model(flow, event_shape=(2,)).init(KEY, data[0])["flow"]
    assert np.abs(jax.vmap(flow.inverse, (None, 0, None))(away, data, None)[0].mean(0)).max() > 1.0


def test_a_column_without_spread_starts_with_a_small_one_and_no_infinity():
    model = flow_model(affine(2), event_shape=(2,), data=jnp.array([[1.0, 2.0], [1.0, 3.0]]))
    params = jax.jit(model.init)(KEY, jnp.zeros(2))
    assert np.exp(params["flow"]["log_scale"][0]) == pytest.approx(1e-3)


def test_a_flow_told_a_context_has_a_density_for_each():
    class Told:
        """An affine map by twice the context."""

        init, apply = staticmethod(lambda key, h: {}), staticmethod(lambda variables, h: jnp.stack([h[1], h[2]]))

    flow = jaxvae.flows.affine_coupling(Told(), 2)
    model = flow_model(flow, event_shape=(2,), context=2)
    x, log_p = jnp.array([0.3, 0.8]), []
    for label in (0, 1):
        log_p.append(
            float(model.terms({"flow": {"network": {}}}, KEY, jaxvae.Labelled(x, jnp.int32(label))).log_weight)
        )
    scale = 3 * np.tanh(1 / 3)  # class 0 is one-hot (1, 0): the log-scale is softly bounded; class 1 shifts by 1
    by_hand = [
        -0.5 * 0.09 - 0.5 * (0.8 * np.exp(-scale)) ** 2 - scale - np.log(2 * np.pi),
        -0.5 * 0.09 - 0.5 * (0.8 - 1.0) ** 2 - np.log(2 * np.pi),
    ]
    np.testing.assert_allclose(log_p, by_hand, rtol=1e-5)


def test_pixels_beyond_the_margin_have_no_density_and_those_at_the_ends_a_finite_one():
    model = flow_model(PIXELS, event_shape=(1, 2, 1))
    for pixels, finite in (([0.0, 1.0], True), ([0.5, 1.06], False), ([-0.06, 0.5], False)):
        log_p = float(model.terms({}, KEY, jnp.array(pixels).reshape(1, 2, 1)).log_weight)
        assert np.isfinite(log_p) if finite else log_p == -np.inf


def test_logits_keep_their_digits_at_both_ends():
    """Against float64: within a grey level of white as well as of black."""
    layer, v = from_logits(1e-6), np.float32([1e-7, 1e-4, 0.5, 1 - 1e-4, 1 - 2**-24])
    u, log_det = jax.vmap(lambda v: layer.inverse({}, v[None], None))(v)
    s = 1e-6 + (1 - 2e-6) * v.astype(np.float64)
    rest = 1e-6 + (1 - 2e-6) * (1 - v.astype(np.float64))
    np.testing.assert_allclose(u[:, 0], np.log(s / rest), rtol=1e-5)
    np.testing.assert_allclose(log_det, np.log((1 - 2e-6) / (s * rest)), rtol=1e-5)
    back, log_det_back = jax.vmap(lambda u: layer.forward({}, u, None))(u)
    np.testing.assert_allclose(back[:, 0], v, atol=1e-7)
    np.testing.assert_allclose(log_det_back, -log_det, atol=0.02)  # 2^-24 is the last digit of white


@pytest.mark.rows(slow=["attention_flow", "spline_flow"])
@pytest.mark.parametrize("kind", ["maf", "spline_flow", "attention_flow"])
def test_a_kind_of_flow_scores_pixels_and_rows_and_starts_from_them(kind):
    sizes = {"width": 4, "heads": 1, "pixel_layers": 1} if kind == "attention_flow" else {"flow_hidden": (4,)}
    config = ModelConfig(kind=kind, flows=1, **sizes)
    assert bin_width(Config(data=DataConfig(protocol="dequantize"), model=config)) == 1 / 256
    assert bin_width(Config(data=DataConfig(kind="table", protocol="standardize"), model=config)) is None
    rng = np.random.default_rng(0)
    pixels, rows = rng.integers(0, 256, (30, 2, 2, 1)).astype(np.uint8), rng.normal(3.0, 2.0, (30, 4))
    for protocol, raw in (("dequantize", pixels), ("standardize", rows.astype(np.float32))):
        model = build_model(config, raw.shape[1:], raw, protocol=protocol)
        x = np.float32(raw / 256) if raw.dtype == np.uint8 else raw
        params = quick_jit(model.init)(KEY, x[0])
        log_p = jaxvae.per_example(model, params, KEY, x)["log_p"]
        if raw.ndim == 2:  # the independent Gaussians that fit the columns
            assert log_p.mean() == pytest.approx(-2 * np.log(2 * np.pi) - 2.0 - np.log(x.std(0)).sum(), abs=1e-4)
        else:
            assert log_p.mean() > -1.0  # the uniform density has 0
        opened = build_model(config, raw.shape[1:], protocol=protocol)  # as a trained run does
        again = quick_jit(opened.init)(KEY, x[0])
        assert jax.tree.map(jnp.shape, again) == jax.tree.map(jnp.shape, params)


@pytest.mark.slow
def test_a_kind_of_flow_bounds_the_levels_of_pixels_in_their_nats():
    config, images = ModelConfig(kind="maf", flows=1, flow_hidden=(4,)), np.arange(0, 256, 8).astype(np.uint8)
    data, images = DataConfig(protocol="levels", levels=17), np.tile(images.reshape(8, 2, 2, 1), (4, 1, 1, 1))
    assert bin_width(Config(data=data, model=config)) == 1.0
    options = {"levels": 17, "protocol": "levels"}
    model = build_model(config, (2, 2, 1), images, **options)
    x = np.float32(np.round(images / 255 * 16))
    params = quick_jit(model.init)(KEY, x[0])
    values = jaxvae.per_example(model, params, KEY, x, samples=(1, 20))
    density = build_model(config, (2, 2, 1), images, levels=17, protocol="dequantize")
    middle = jaxvae.per_example(density, params, KEY, (x + 0.5) / 17)["log_p"] - 4 * np.log(17)
    assert np.abs(values["iwae"] - middle).max() < 1.0
    assert values["iwae_20"].mean() > values["elbo"].mean()
    drawn = generation.draw(model, params, KEY, 20)
    assert set(np.unique(drawn)) <= set(range(17))
    learned = build_model(replace(config, dequantization="variational"), (2, 2, 1), images, **options)
    own = quick_jit(learned.init)(KEY, x[0])
    assert sorted(own) == ["flow", "noise"]
    gap = jaxvae.per_example(learned, own, KEY, x, samples=20)["elbo"] - values["elbo"]
    assert abs(gap.mean()) < 0.5  # it starts at nearly uniform noise


def test_noise_is_learned_between_whole_levels_alone():
    model = ModelConfig(kind="maf", dequantization="variational")
    with pytest.raises(ValueError, match=r"dequantization is 'variational'.*--data.protocol levels"):
        validate(Config(data=DataConfig(protocol="dequantize"), model=model))
    assert validate(Config(data=DataConfig(protocol="levels"), model=model)).model == model


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: flow_model(affine, event_shape=(2,)), TypeError, "no Bijection"),
        (lambda: from_logits(0.5), ValueError, "margin is 0.5, expected less than 0.5"),
        (lambda: from_logits(-0.1), ValueError, "margin is -0.1"),
        (lambda: lu_linear(0), ValueError, "channels is 0"),
        (
            lambda: lu_linear(3).inverse(lu_linear(3).init(KEY, None, None), jnp.zeros((2, 2)), None),
            ValueError,
            "axis of 3",
        ),
        (lambda: unflatten((2, 1)).inverse({}, jnp.zeros((1, 2)), None), ValueError, "expected one example (2, 1)"),
        (
            lambda:
            flow_model(affine(3), event_shape=(2,)).terms({"flow": {}}, KEY, jnp.zeros(2)),
            ValueError,
            "expected one vector (3,)",
        ),
    ],
)  # fmt: skip
def test_impossible_flows_are_named(call, error, words):
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)
