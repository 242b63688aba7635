"""Diffusion against what is known exactly: mixtures of Gaussians and independent levels, whose best network has a form.

With that network, an infinite number of steps and ends that reach data and noise, the bound is log p(x) itself.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxvae
from jaxvae.evaluation.latents import generation
from jaxvae.models import diffusion
from jaxvae.models.diffusion.bound import TIME, time_and_weight

KEY = jax.random.key(0)
WEIGHTS, MEANS, STDS = np.array([0.3, 0.7]), np.array([-0.8, 0.6]), np.array([0.15, 0.4])
ENDS = -14.0, 12.0
X = np.array([-0.9, 0.0, 1.1])
BARE = {"denoiser": {}}  # the parameters of a network without any
SCHEDULES = {
    "linear": diffusion.linear_schedule(*ENDS),
    "cosine": diffusion.cosine_schedule(*ENDS),
    "learned": diffusion.learned_schedule(*ENDS, units=4),
}


class Best(NamedTuple):
    """The best network for x of that mixture: noise = -sigma d log q(z) / dz, said as one of the predictions."""

    prediction: str = "noise"

    def init(self, key, z, gamma, context):
        return {}

    def apply(self, variables, z, gamma, context):
        square, noisy = jax.nn.sigmoid(-gamma), jax.nn.sigmoid(gamma)

        def log_q(z):
            var = square * STDS**2 + noisy
            parts = np.log(WEIGHTS) - 0.5 * jnp.log(var) - 0.5 * (z - jnp.sqrt(square) * MEANS) ** 2 / var
            return jax.nn.logsumexp(parts)

        noise = -jnp.sqrt(noisy) * jax.vmap(jax.grad(log_q))(z)
        x = (z - jnp.sqrt(noisy) * noise) / jnp.sqrt(square)
        return {"noise": noise, "x0": x, "v": jnp.sqrt(square) * noise - jnp.sqrt(noisy) * x}[self.prediction]


def exact(x) -> np.ndarray:
    parts = np.log(WEIGHTS / STDS) - 0.5 * ((np.asarray(x)[..., None] - MEANS) / STDS) ** 2
    return np.logaddexp.reduce(parts, -1) - 0.5 * math.log(2 * math.pi)


def mixture(schedule="linear", prediction="noise", steps=None):
    observation = jaxvae.normal("fixed", std=math.exp(ENDS[0] / 2))
    parts = {"event_shape": (1,), "prediction": prediction, "steps": steps}
    return diffusion.diffusion_model(Best(prediction), observation, SCHEDULES[schedule], **parts)


def params_of(model, seed=1):
    """Fresh parameters, those of a schedule moved between its ends."""
    params = jax.jit(model.init)(KEY, jnp.zeros(1))
    if "schedule" in params:
        own = params["schedule"]
        params["schedule"] = own | {
            "log_weight": 0.5 * jax.random.normal(jax.random.key(seed), own["log_weight"].shape)
        }
    return params


def integrated(model, params, steps=None) -> np.ndarray:
    """The expected bound at each of X: Gauss-Hermite over the noise, all steps or times that are dense at the ends."""
    process = diffusion.process_of(model)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    nodes, weights = jnp.float32(nodes), weights / weights.sum()
    u = (np.arange(steps or 2000) + 0.5) / (steps or 2000)
    times, share = (u, np.ones_like(u)) if steps else (u**3 * (10 - 15 * u + 6 * u**2), 30 * u**2 * (1 - u) ** 2)

    @jax.jit
    @jax.vmap
    def square_error(time):
        gamma, weight = time_and_weight(process.schedule, steps, params, time)

        def one(x, noise):
            z = diffusion.signal_scale(gamma) * x + diffusion.noise_scale(gamma) * noise
            return weight * (noise - process.noise(params, z[None], gamma, None)[0]) ** 2

        return jax.vmap(jax.vmap(one, (None, 0)), (0, None))(jnp.float32(X), nodes)

    errors = share[:, None] * (np.float64(square_error(jnp.float32(times))) @ weights)
    first, last = map(float, process.ends(params))
    # log p(x | z_0) has both its noises of std exp(start / 2); KL of N(alpha x, sigma^2) to N(0, 1).
    read = -0.5 * math.log(2 * math.pi) - first / 2 - 0.5
    alpha, var = 1 / (1 + math.exp(last)), 1 / (1 + math.exp(-last))
    prior = 0.5 * (alpha * X**2 + var - 1 - math.log(var))
    return read - prior - errors.mean(0)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_with_the_best_network_the_bound_of_infinitely_many_steps_is_log_p_itself_whatever_the_schedule(schedule):
    model = mixture(schedule)
    np.testing.assert_allclose(integrated(model, params_of(model)), exact(X), atol=5e-3)


def test_the_bound_of_so_many_steps_nears_it_as_one_over_their_number():
    model, params = mixture(), BARE
    gaps = [exact(X) - integrated(model, params, steps) for steps in (100, 200, 400)]
    assert (np.array(gaps) > 0).all()
    np.testing.assert_allclose(gaps[0] / gaps[1], 2.0, atol=0.3)
    np.testing.assert_allclose(gaps[1] / gaps[2], 2.0, atol=0.3)


@pytest.mark.rows(slow=["50"])
@pytest.mark.parametrize("steps", [None, 50])
def test_its_terms_are_an_estimate_of_that_bound(steps):
    model, count = mixture(steps=steps), 20_000
    times = (jnp.arange(count) + 0.5) / count
    terms = jax.jit(jax.vmap(lambda key, time, x: model.terms(BARE | {TIME: time}, key, x), (0, 0, None)))
    for x, expected in zip(X, integrated(model, BARE, steps), strict=True):
        found = terms(jax.random.split(KEY, count), times, jnp.full(1, x, jnp.float32))
        weights = np.float64(found.log_weight)
        assert abs(weights.mean() - expected) < 4 * weights.std() / math.sqrt(count) + 1e-3
        np.testing.assert_allclose(weights, found.log_likelihood - found.kl.sum(-1), rtol=1e-5)


@pytest.mark.rows(slow=["v"], full=["x0"])
@pytest.mark.parametrize("prediction", ["x0", "v"])
def test_what_the_network_predicts_makes_no_difference(prediction):
    keys = jax.random.split(KEY, 500)
    x = jnp.float32(np.resize(X, (500, 1)))
    found, expected = (
        jax.vmap(mixture(prediction=name).terms, (None, 0, 0))(BARE, keys, x).log_weight
        for name in (prediction, "noise")
    )
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=0.02)


class Chances(NamedTuple):
    """The best network for independent elements of known chances, whose levels alone are predicted."""

    log_p: tuple

    def init(self, key, z, gamma, context):
        return {}

    def apply(self, variables, z, gamma, context):
        return jnp.tile(jnp.float32(self.log_p), z.shape[-1])


def chances(levels):
    return np.arange(1.0, levels + 1) / np.arange(1, levels + 1).sum()


def independent(levels, elements):
    observation = jaxvae.bernoulli() if levels == 2 else jaxvae.models.observations.categorical(levels)
    parts = {"event_shape": (elements,), "prediction": "levels"}
    return diffusion.diffusion_model(Chances(tuple(np.log(chances(levels)))), observation, SCHEDULES["linear"], **parts)


@pytest.mark.rows(slow=["2"])
@pytest.mark.parametrize("levels", [2, 5])
def test_independent_levels_are_scored_exactly_where_their_chances_are_predicted(levels):
    p, model = chances(levels), independent(levels, 2)
    x = np.float32([0, levels - 1])
    keys, times = jax.random.split(KEY, 20_000), (jnp.arange(20_000) + 0.5) / 20_000
    terms = jax.jit(jax.vmap(lambda key, time: model.terms(BARE | {TIME: time}, key, x)))(keys, times)
    weights = np.float64(terms.log_weight)
    expected = np.log(p)[x.astype(int)].sum()
    assert abs(weights.mean() - expected) < 4 * weights.std() / math.sqrt(20_000) + 1e-3


METHODS = {"ancestral": 200, "ddim": 200, "flow": 40}


@pytest.mark.rows(slow=["ddim", "flow"])
@pytest.mark.parametrize("method", METHODS)
def test_every_sampler_draws_from_the_data_where_the_network_is_the_best(method):
    model = diffusion.with_sampler(mixture(), method, steps=METHODS[method])
    drawn = np.float64(generation.draw(model, BARE, KEY, 8000, batch_size=8000))[:, 0]
    mean = WEIGHTS @ MEANS
    var = WEIGHTS @ (STDS**2 + MEANS**2) - mean**2
    assert abs(drawn.mean() - mean) < 4 * math.sqrt(var / 8000)
    assert abs(drawn.var() - var) < 0.03
    assert abs((drawn < -0.3).mean() - 0.3 - 0.7 * 0.0122) < 0.02  # of the second component, Phi(-2.25) is below


@pytest.mark.slow
def test_the_probability_flow_has_the_density_of_noisy_data_exactly_and_by_random_directions_on_average():
    model = mixture()
    process = diffusion.process_of(model)
    found = jax.vmap(lambda z: diffusion.flow_log_prob(process, BARE, z, steps=100))(jnp.float32(X)[:, None])
    np.testing.assert_allclose(found, exact(X), atol=2e-3)
    direction = diffusion.flow_log_prob(process, BARE, jnp.float32(X[:1]), steps=100, key=KEY)
    np.testing.assert_allclose(direction, found[0], atol=1e-4)  # in one dimension every direction is right


@pytest.mark.slow
def test_a_bound_is_below_log_p_for_a_network_that_errs_and_nothing_is_weighed():
    class Wrong(NamedTuple):
        def init(self, key, z, gamma, context):
            return {}

        def apply(self, variables, z, gamma, context):
            return 0.7 * Best().apply({}, z, gamma, context)

    model = diffusion.diffusion_model(
        Wrong(), jaxvae.normal("fixed", std=math.exp(-7)), SCHEDULES["linear"], event_shape=(1,), prediction="noise"
    )
    assert (integrated(model, BARE) < exact(X) - 0.05).all()
    values = jaxvae.per_example(model, BARE, KEY, X[:, None].astype(np.float32), samples=(1, 8))
    assert set(values) == {"elbo", "log_likelihood", "kl", "kl_per_latent", "monte_carlo_error"}
    with pytest.raises(ValueError, match=r"iwae_bound needs weights of mean p\(x\).*'bound'"):
        jaxvae.bound_loss(model, jaxvae.iwae_bound)


def test_a_schedule_rises_between_its_ends_and_keeps_the_variance():
    times = jnp.linspace(0.0, 1.0, 200)
    for name, schedule in SCHEDULES.items():
        params = params_of(mixture(name)) if name == "learned" else {}
        gamma = np.float64(jax.vmap(lambda t, s=schedule, p=params: s.gamma(p, t))(times))
        np.testing.assert_allclose(gamma[[0, -1]], ENDS, rtol=1e-4)
        assert (np.diff(gamma) > 0).all()
    gamma = jnp.linspace(-80.0, 80.0, 41)
    alpha, sigma = np.float64(diffusion.signal_scale(gamma)), np.float64(diffusion.noise_scale(gamma))
    np.testing.assert_allclose(alpha**2 + sigma**2, 1.0, rtol=1e-6)
    np.testing.assert_allclose(2 * np.log(sigma / alpha), gamma, rtol=1e-5, atol=1e-5)
    cosine = diffusion.cosine_schedule(-12.0, 12.0)
    middle = [float(diffusion.signal_scale(cosine.gamma({}, jnp.float32(t)))) for t in (0.25, 0.5, 0.75)]
    np.testing.assert_allclose(middle, np.cos(np.pi / 2 * np.array([0.25, 0.5, 0.75])), atol=2e-3)


@pytest.mark.slow
def test_even_times_leave_the_mean_of_the_loss_and_take_half_of_its_noise():
    model, x = independent(5, 8), jnp.float32(np.arange(32 * 8).reshape(32, 8) % 5)
    found = {}
    for name, loss in {"own": jaxvae.bound_loss(model), "even": jaxvae.losses.even_times_loss(model)}.items():
        step = jax.jit(lambda key, loss=loss: loss(BARE, jax.random.split(key, 32), x, 0)[0])
        found[name] = np.float64([step(key) for key in jax.random.split(KEY, 60)])
    error = math.sqrt(sum(values.var() for values in found.values()) / 60)
    assert abs(found["own"].mean() - found["even"].mean()) < 4 * error
    assert found["even"].std() < 0.7 * found["own"].std()


def test_what_is_no_diffusion_is_refused_in_one_line():
    def model(**options):
        options = {"event_shape": (1,), "observation": jaxvae.bernoulli(), **options}
        return diffusion.diffusion_model(options.pop("network", Best()), **options)

    refused = {
        r"t has the value 1\.5.*\[0, 1\]": lambda: SCHEDULES["linear"].gamma({}, 1.5),
        r"start is 2 and stop -1.*start < stop": lambda: diffusion.linear_schedule(2, -1),
        r"prediction is 'velocity'": lambda: model(prediction="velocity"),
        r"prediction is 'levels'.*'normal' has none": lambda: model(prediction="levels", observation=jaxvae.normal()),
        r"steps is 0, expected an integer": lambda: model(steps=0),
        r"observation is 'poisson'": lambda: model(observation=jaxvae.models.observations.poisson()),
        r"value 0\.5.*0 and 1 alone.*categorical": lambda: jaxvae.per_example(model(), BARE, KEY, np.full((2, 1), 0.5)),
        r"method is 'euler'": lambda: diffusion.with_sampler(model(), "euler"),
        r"guidance is 1\.0.*unknown=True": lambda: diffusion.with_sampler(model(context=3), guidance=1.0),
        r"hide_labels is 0\.1.*unknown=True": lambda: jaxvae.losses.even_times_loss(model(context=3), hide_labels=0.1),
    }
    for words, call in refused.items():
        with pytest.raises(ValueError, match=words):
            call()
    with pytest.raises(TypeError, match="schedule is 'linear', expected a NoiseSchedule"):
        model(schedule="linear")
    with pytest.raises(TypeError, match="model is no diffusion"):
        jaxvae.losses.even_times_loss(jaxvae.models.exact.linear_gaussian(jnp.ones((2, 1))))


class Line(NamedTuple):
    """The best network for two numbers of variance 1 and correlation 0.9."""

    def init(self, key, z, gamma, context):
        return {}

    def apply(self, variables, z, gamma, context):
        square, noisy = jax.nn.sigmoid(-gamma), jax.nn.sigmoid(gamma)
        total, difference = z[0] + z[1], z[0] - z[1]  # of variances 2 * 1.9 and 2 * 0.1
        total, difference = total / (1.9 * square + noisy), difference / (0.1 * square + noisy)
        return jnp.sqrt(noisy) * jnp.stack([total + difference, total - difference]) / 2


@pytest.mark.full
def test_inpainting_keeps_what_is_known_and_repeats_bring_the_rest_to_its_conditional_law():
    parts = {"event_shape": (2,), "prediction": "noise"}
    model = diffusion.diffusion_model(Line(), jaxvae.normal("fixed", std=1e-3), SCHEDULES["linear"], **parts)
    x, known = np.tile(np.float32([1.0, 7.0]), (600, 1)), np.array([True, False])
    error = {}
    for repeats in (1, 6):
        found = np.float64(diffusion.inpaint(model, BARE, KEY, x, known, steps=50, repeats=repeats))
        np.testing.assert_array_equal(found[:, 0], 1.0)
        error[repeats] = abs(found[:, 1].mean() - 0.9)
    assert error[6] < 0.12 < error[1]
    assert abs(found[:, 1].std() - math.sqrt(1 - 0.81)) < 0.1
    with pytest.raises(ValueError, match=r"known is bool of shape \(3,\), expected bool of shape \(2,\)"):
        diffusion.inpaint(model, BARE, KEY, x, np.ones(3, bool))


@pytest.mark.full
def test_guidance_of_0_is_the_model_and_more_goes_further_from_the_draw_without_a_label():
    class Told(NamedTuple):
        def init(self, key, z, gamma, context):
            return {}

        def apply(self, variables, z, gamma, context):  # the best for N(label, 1): z = alpha x + sigma noise has var 1
            mean = context @ jnp.array([0.0, 1.0])
            return jnp.sqrt(jax.nn.sigmoid(gamma)) * (z - jnp.sqrt(jax.nn.sigmoid(-gamma)) * mean)

    context = jaxvae.models.class_labels(2, unknown=True)
    parts = {"event_shape": (1,), "prediction": "noise", "context": context}
    model = diffusion.diffusion_model(Told(), jaxvae.normal("fixed", std=1e-3), SCHEDULES["linear"], **parts)
    for guidance in (0.0, 2.0):  # of Gaussians of one variance the means are guided, and nothing else is
        for method, steps in (("ddim", 200), ("ancestral", 100), ("flow", 30)):
            told = diffusion.with_sampler(model, method, steps=steps, guidance=guidance)
            drawn = np.float64(generation.draw(told, BARE, KEY, 800, context=1, batch_size=800))
            assert abs(drawn.mean() - (1 + guidance)) < 0.15
            assert abs(drawn.std() - 1) < 0.1


@pytest.mark.slow
def test_the_path_of_a_draw_begins_in_noise_and_ends_in_what_the_network_sees():
    model = diffusion.with_sampler(mixture(), steps=50)
    z, x = diffusion.denoising_path(model, BARE, KEY, 500, shown=5)
    assert z.shape == x.shape == (500, 5, 1)
    assert abs(z[:, 0].std() - 1) < 0.15
    assert x[:, 0].std() < 0.1
    np.testing.assert_allclose(z[:, -1], x[:, -1], atol=0.05)
    with pytest.raises(ValueError, match="method of the sampler is 'flow'"):
        diffusion.denoising_path(diffusion.with_sampler(model, "flow"), BARE, KEY)


class White(NamedTuple):
    """The best network for N(0, I), whatever the noise."""

    def init(self, key, z, gamma, context):
        return {}

    def apply(self, variables, z, gamma, context):
        return diffusion.noise_scale(gamma) * z


@pytest.mark.full
def test_a_diffusion_of_codes_that_knows_the_prior_has_the_bound_of_the_vae():
    truth = jaxvae.models.exact.linear_gaussian(jnp.array([[1.0, 0.3], [0.2, -0.7], [0.5, 0.5]]))
    white = jaxvae.normal("fixed", std=math.exp(ENDS[0] / 2))
    codes = diffusion.diffusion_model(White(), white, SCHEDULES["linear"], event_shape=(2,), prediction="noise")
    model, x = diffusion.latent_diffusion(truth, codes), jnp.array([0.7, -0.2, 0.4])
    params = jax.jit(model.init)(KEY, x)
    keys, times = jax.random.split(KEY, 4000), (jnp.arange(4000) + 0.5) / 4000
    terms = jax.jit(jax.vmap(lambda key, time: model.terms(params | {TIME: time}, key, x)))(keys, times)
    expected = jax.vmap(truth.terms, (None, 0, None))(truth.init(KEY, x), keys, x)
    elbo = np.float64(expected.log_likelihood - expected.kl.sum(-1)).mean()
    weights = np.float64(terms.log_weight)
    assert abs(weights.mean() - elbo) < 4 * weights.std() / math.sqrt(4000)
    flow = diffusion.with_sampler(model, "flow", steps=25)
    drawn = np.float64(generation.draw(flow, params, KEY, 3000, batch_size=3000))
    plain = np.float64(generation.draw(truth, truth.init(KEY, x), KEY, 3000, batch_size=3000))
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(plain.T), atol=0.2)
    with pytest.raises(ValueError, match="a diffusion of 'bernoulli', expected one of real codes"):
        diffusion.latent_diffusion(truth, diffusion.diffusion_model(White(), event_shape=(2,)))


class Joint(NamedTuple):
    """The best network for two elements of a known joint law: log p(level | the noisy value of the other one)."""

    p: tuple
    trust: float = 1.0

    def init(self, key, z, gamma, context):
        return {}

    def apply(self, variables, z, gamma, context):
        log_p = jnp.log(jnp.float32(self.p))  # [levels, levels]
        levels = jnp.linspace(-1.0, 1.0, len(self.p))
        seen = -0.5 * jnp.exp(-gamma) * (z[:, None] / diffusion.signal_scale(gamma) - levels[None]) ** 2
        first = jax.nn.logsumexp(log_p + seen[1][None], axis=1)
        return self.trust * jnp.concatenate([first, jax.nn.logsumexp(log_p + seen[0][:, None], axis=0)])


@pytest.mark.slow
@pytest.mark.parametrize("trust", [1.0, -1.0])
def test_the_exponentials_of_the_bounds_of_all_pictures_sum_to_1_for_the_best_network_and_to_less_for_another(trust):
    p = np.random.default_rng(0).dirichlet(np.full(9, 0.7)).reshape(3, 3)
    model = diffusion.diffusion_model(
        Joint(tuple(map(tuple, p)), trust), jaxvae.models.observations.categorical(3), SCHEDULES["linear"],
        event_shape=(2,), prediction="levels",
    )  # fmt: skip
    pictures, count = np.float32([(a, b) for a in range(3) for b in range(3)]), 4000
    times = (jnp.arange(count) + 0.5) / count
    terms = jax.vmap(lambda key, time, x: model.terms(BARE | {TIME: time}, key, x).log_weight, (0, 0, None))
    weights = np.float64([jax.jit(terms)(jax.random.split(KEY, count), times, x) for x in pictures])
    bounds, error = weights.mean(1), weights.std(1) / math.sqrt(count)
    if trust < 0:  # it says the contrary
        assert np.exp(bounds).sum() < 0.9
        assert (p.ravel() * (np.log(p.ravel()) - bounds)).sum() > 0.1
    else:
        assert (np.abs(bounds - np.log(p.ravel())) < 4 * error + 2e-3).all()
