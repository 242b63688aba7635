"""The optimal-sigma Gaussian: a density by SciPy and by integration, a gradient by the argument it is built on."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import small
from oracles import user_jit
from scipy import integrate, stats

from jaxvae.models.incomplete import Incomplete, observed_log_prob
from jaxvae.models.observations.continuous import normal
from jaxvae.models.observations.marginal import marginal_normal
from jaxvae.models.variational import vae
from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
from jaxvae.runs.builders.from_config import build_model
from jaxvae.runs.configs.config import Config, DataConfig, ModelConfig
from jaxvae.runs.configs.validate import validate


@pytest.mark.parametrize(("std", "freedom"), [(0.1, 3.0), (1.0, 1.0), (0.02, 50.0)])
def test_it_is_the_student_density_of_a_whole_example(std, freedom):
    draw = np.random.default_rng(0)
    x, mean = np.float32(draw.uniform(size=(2, 3, 2))), np.float32(draw.uniform(size=(2, 3, 2)))
    truth = stats.multivariate_t(mean.ravel(), np.eye(12) * std**2, df=freedom)
    assert float(marginal_normal(std, freedom).log_prob({}, x, mean)) == pytest.approx(
        truth.logpdf(x.ravel()), rel=1e-5
    )


@pytest.mark.slow
def test_a_scale_of_each_channel_is_the_product_over_channels():
    draw = np.random.default_rng(0)
    x, mean = np.float32(draw.uniform(size=(2, 4, 3, 2)))
    each = marginal_normal(0.2, 3.0, per_channel=True)
    one = [marginal_normal(0.2, 3.0).log_prob({}, x[..., c], mean[..., c]) for c in range(2)]
    assert float(each.log_prob({}, x, mean)) == pytest.approx(float(one[0] + one[1]), rel=1e-5)
    drawn = jax.vmap(lambda key: each.sample({}, key, jnp.zeros((8, 8, 2))))(jax.random.split(jax.random.key(0), 4000))
    squares = np.square(drawn).mean((1, 2))
    assert abs(np.corrcoef(np.log(squares.T))[0, 1]) < 0.1  # widths of their own
    learned = normal("per_channel", 0.3, channels=2)
    params = learned.init()
    assert params["observation"]["log_scale"].shape == (2,)
    whole = normal(std=0.3).log_prob({}, x, mean)
    assert float(learned.log_prob(params, x, mean)) == pytest.approx(float(whole), rel=1e-5)
    for axis, width in enumerate((0.1, 0.7)):
        params["observation"]["log_scale"] = params["observation"]["log_scale"].at[axis].set(np.log(width - 1 / 256))
    model = build_model(ModelConfig(hidden=(2,), likelihood="normal", scale="per_channel"), (2, 2, 3))
    of_colours = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((2, 2, 3)))
    assert of_colours["observation"]["log_scale"].shape == (3,)
    truth = stats.norm(mean, [0.1, 0.7]).logpdf(x).sum()
    assert float(learned.log_prob(params, x, mean)) == pytest.approx(truth, rel=1e-4)


@pytest.mark.parametrize(("scale", "columns"), [("fixed", [slice(None)]), ("per_channel", [0, 1, 2])])
def test_a_config_finds_a_scale_for_each_example_or_for_each_colour_of_it(scale, columns):
    chosen = ModelConfig(hidden=(4,), latent_dim=2, likelihood="marginal_normal", scale=scale, std=0.2)
    chosen = validate(Config(data=DataConfig(protocol="grey"), model=chosen)).model
    model, z = build_model(chosen, (2, 3, 3)), jnp.float32([0.5, -1.0])
    x = np.random.default_rng(0).uniform(size=(2, 3, 3)).astype(np.float32)
    params = small.moved(jax.jit(model.init)(jax.random.key(0), x))
    found, mean = jax.jit(lambda p: (model.likelihood.log_prob(p, x, z), model.likelihood.mean(p, z)))(params)
    each = [(np.ravel(mean[..., column]), np.ravel(x[..., column])) for column in columns]
    truth = sum(stats.multivariate_t(m, 0.04 * np.eye(len(m)), df=3).logpdf(value) for m, value in each)
    assert float(found) == pytest.approx(truth, rel=1e-5)


def test_it_integrates_to_one_and_the_maximised_gaussian_does_not():
    """Two pixels of radius r around the mean: the area element is 2 pi r."""
    observation = marginal_normal(0.5, 3.0)
    density = user_jit(lambda r: jnp.exp(observation.log_prob({}, jnp.stack([r, 0.0 * r]), jnp.zeros(2))))
    total = integrate.quad(lambda r: float(density(jnp.float32(r))) * 2 * np.pi * r, 0, np.inf, limit=200, epsabs=1e-6)[
        0
    ]
    assert total == pytest.approx(1, abs=1e-4)

    def maximised(r):  # max over sigma of N(x; 0, sigma^2 I) in two dimensions
        sigma = r / np.sqrt(2)
        return np.exp(-1) / (2 * np.pi * sigma**2)

    inside = [integrate.quad(lambda r: maximised(r) * 2 * np.pi * r, 1, end)[0] for end in (1e2, 1e4, 1e6)]
    assert inside[2] - inside[1] == pytest.approx(inside[1] - inside[0], rel=1e-3)  # grows with the logarithm, for ever
    assert inside[2] > 10


def test_the_gradient_is_that_of_the_optimal_sigma_held_fixed_or_not():
    draw = np.random.default_rng(1)
    x, mean = (jnp.float32(draw.normal(size=500)) for _ in range(2))

    def maximised(mean):
        return -0.5 * x.size * jnp.log(jnp.mean((x - mean) ** 2))

    def held(mean):
        variance = jax.lax.stop_gradient(jnp.mean((x - mean) ** 2))
        return -0.5 * jnp.sum((x - mean) ** 2) / variance

    np.testing.assert_allclose(jax.grad(maximised)(mean), jax.grad(held)(mean), rtol=1e-5)
    ours = jax.grad(lambda m: marginal_normal(1e-3, 1e-2).log_prob({}, x, m))(mean)
    np.testing.assert_allclose(ours, jax.grad(held)(mean), rtol=1e-4)
    exact = jax.grad(lambda m: marginal_normal(0.7, 5.0).log_prob({}, x, m))(mean)
    variance = (5 * 0.49 + jnp.sum((x - mean) ** 2)) / 505
    np.testing.assert_allclose(exact, (x - mean) / variance, rtol=1e-4)


def test_a_perfect_fit_stays_finite():
    observation, x = marginal_normal(), jnp.full((4, 4, 1), 0.5)
    value, slope = jax.value_and_grad(lambda o: observation.log_prob({}, x, o))(x)
    assert np.isfinite(value)
    np.testing.assert_array_equal(slope, 0)


@pytest.mark.slow
def test_samples_share_one_sigma_in_an_example_and_follow_the_student():
    observation = marginal_normal(0.3, 4.0)
    keys = jax.random.split(jax.random.key(0), 20_000)
    x = user_jit(jax.vmap(lambda key: observation.sample({}, key, jnp.full((2, 1, 1), 0.5))))(keys)
    x = np.float64(x.reshape(-1, 2))
    for pixel in x.T:
        assert stats.kstest(pixel, stats.t(4, 0.5, 0.3).cdf).pvalue > 1e-5
    size = np.abs(x - 0.5)
    assert stats.spearmanr(size[:, 0], size[:, 1]).statistic > 0.1
    assert (
        np.asarray(observation.sample({}, keys[0], jnp.zeros(3))) != observation.sample({}, keys[1], jnp.zeros(3))
    ).all()


def test_a_loss_falls():
    observation, x = marginal_normal(), jnp.linspace(0, 1, 16)
    optimizer = optax.adam(0.05)
    loss = user_jit(jax.value_and_grad(lambda o: -observation.log_prob({}, x, o)))
    outputs = jnp.zeros(16)
    state, first = optimizer.init(outputs), float(loss(outputs)[0])
    for _ in range(100):
        updates, state = optimizer.update(loss(outputs)[1], state)
        outputs = optax.apply_updates(outputs, updates)
    assert float(loss(outputs)[0]) < first - 20


BAD = [
    (lambda: normal("optimal"), ValueError, ["variance_type is 'optimal'", "no density", "`marginal_normal`"]),
    (lambda: marginal_normal(std=0.0), ValueError, ["std is 0.0", "above 0"]),
    (lambda: marginal_normal(std=-1.0), ValueError, ["std is -1.0"]),
    (lambda: marginal_normal(std=np.inf), ValueError, ["std is inf", "finite"]),
    (lambda: marginal_normal(freedom=0.0), ValueError, ["freedom is 0.0"]),
    (lambda: marginal_normal(freedom="3"), TypeError, ["freedom is '3'", "number"]),
    (lambda: marginal_normal().log_prob({}, jnp.zeros(3), jnp.zeros((3, 1))), ValueError, ["outputs has shape (3, 1)"]),
    (lambda: marginal_normal().check(np.uint8([3]), "x"), TypeError, ["uint8"]),
    (lambda: marginal_normal().check(np.float32([np.nan]), "x"), ValueError, ["nan"]),
]


@pytest.mark.parametrize(("call", "error", "words"), BAD)
def test_impossible_arguments_are_named(call, error, words):
    with pytest.raises(error) as raised:
        call()
    for word in words:
        assert word in str(raised.value)


def test_its_pixels_have_no_densities_of_their_own_and_what_asks_for_some_is_refused():
    model = vae(
        MLPEncoder(1, (4,)),
        MLPDecoder((2, 2, 1), hidden=(4,)),
        event_shape=(2, 2, 1),
        latent_dim=1,
        observation=marginal_normal(),
    )
    assert model.likelihood.log_prob_observed is None
    x = Incomplete(jnp.ones((2, 2, 1)), jnp.ones((2, 2, 1), bool))
    with pytest.raises(ValueError, match="expected one of pixels that are independent"):
        observed_log_prob(model, {}, x, jnp.zeros(1))
