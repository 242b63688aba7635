"""Deep hierarchies: exact answers on a linear one, what a group costs, partial draws, and networks of pictures."""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats
from small import SHAPE, images, moved, small_vae

import jaxvae
from jaxvae.evaluation import latents
from jaxvae.evaluation.latents.decoding import decode
from jaxvae.evaluation.latents.generation import reconstructions, traverse
from jaxvae.models.deep import Level, top_down_vae
from jaxvae.models.observations.continuous import normal
from jaxvae.networks.residual.groups import GroupPrior, Look, pyramid

pytestmark = pytest.mark.quick_compile

quick_jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


class Maps(NamedTuple):
    """A network whose weights are given to it: `rule(weights, *inputs)`."""

    rule: object

    def init(self, key, *inputs):
        return {}

    def apply(self, variables, *inputs):
        return self.rule(variables, *inputs)


# A stream h of 3 numbers: z ~ N(a h, s), then h becomes h + m h + b z; two groups below, and one above whose stream of
# 2 numbers u carries down; x ~ N(c h, t I). All of it is linear, and every code is one number.
RNG = np.random.default_rng(0)
D, X_DIM, T = (3, 2), 4, 0.4
TOP_DOWN = [
    {
        "level": level,
        "a": RNG.normal(size=(1, D[level])),
        "m": 0.3 * RNG.normal(size=(D[level], D[level])),
        "b": RNG.normal(size=(D[level], 1)),
        "s": RNG.uniform(0.3, 1.5),
    }
    for level in (1, 0, 0)
]
U, C, H0 = RNG.normal(size=(3, 2)), RNG.normal(size=(X_DIM, 3)), np.array([0.5, -1.0])
X = RNG.normal(size=X_DIM)


def entering(group, index):
    """What the stream is multiplied by on entering a group: the way down from the level above, or nothing."""
    return U if index and TOP_DOWN[index - 1]["level"] != group["level"] else np.eye(D[group["level"]])


def to_x():
    """[(G, S)] of each group: x given the stream that leaves it is N(G h, S)."""
    g, noise, found = C, T * np.eye(X_DIM), []
    for index in reversed(range(len(TOP_DOWN))):
        found.append((g, noise))
        group = TOP_DOWN[index]
        noise = noise + group["s"] * (g @ group["b"]) @ (g @ group["b"]).T
        g = g @ (np.eye(len(group["m"])) + group["m"] + group["b"] @ group["a"]) @ entering(group, index)
    return found[::-1]


def moments(start=0, mean=H0, temperature=1.0):
    """Mean and covariance of the means of x, from the stream that enters group `start`."""
    cov = np.zeros((len(mean), len(mean)))
    for index in range(start, len(TOP_DOWN)):
        group, way = TOP_DOWN[index], entering(TOP_DOWN[index], index)
        step = (np.eye(len(group["m"])) + group["m"] + group["b"] @ group["a"]) @ way
        mean, cov = step @ mean, step @ cov @ step.T + temperature**2 * group["s"] * group["b"] @ group["b"].T
    return C @ mean, C @ cov @ C.T


EVIDENCE = stats.multivariate_normal(moments()[0], moments()[1] + T * np.eye(X_DIM)).logpdf(X)


def linear_model(shift=0.0, widen=0.0):
    """The model with its exact posterior, whose means may be shifted and log-variances raised; and its parameters."""
    networks = {
        "prior": Maps(lambda w, h: (w["a"] @ h, w["log_s"], w["m"] @ h)),
        "posterior": Maps(lambda w, h, x: (w["k"] @ x - w["j"] @ h + w["shift"], w["ratio"])),
        "merge": Maps(lambda w, h, z: h + w["b"] @ z),
    }
    rows = []
    for group, (g, noise) in zip(TOP_DOWN, to_x(), strict=True):
        seen = np.linalg.inv(noise) @ g @ group["b"]
        precision = 1 / group["s"] + (g @ group["b"]).T @ seen
        gain = seen.T / precision / np.sqrt(group["s"])  # of what x says beyond the prior, in units of its spread
        after = np.eye(len(group["m"])) + group["m"] + group["b"] @ group["a"]
        rows.append({
            "prior": {"a": group["a"], "m": group["m"], "log_s": np.log([group["s"]])},
            "posterior": {"k": gain, "j": gain @ g @ after, "shift": np.array([shift]),
                          "ratio": -np.log(precision * group["s"])[0] + widen},
            "merge": {"b": group["b"]},
        })  # fmt: skip
    params = {"encoder": {}, "decoder": {}}
    for level, start in ((0, {"u": U}), (1, {"u": H0})):
        own = [row for row, group in zip(rows, TOP_DOWN, strict=True) if group["level"] == level][::-1]
        params[f"level_{level + 1}"] = {"start": start, **jax.tree.map(lambda *leaves: np.stack(leaves), *own)}
    low = Level(2, Maps(lambda w, h: w["u"] @ h), **networks)
    top = Level(1, Maps(lambda w: w["u"]), **networks)
    options = {"event_shape": (X_DIM,), "observation": normal(std=math.sqrt(T))}
    model = top_down_vae(Maps(lambda w, x: (x, x)), [low, top], Maps(lambda w, h: jnp.float32(C) @ h), **options)
    return model, jax.tree.map(jnp.float32, params)


def draws(count, *options):
    model, params = linear_model(*options)
    keys = jax.random.split(jax.random.key(0), count)
    found = jax.jit(jax.vmap(lambda key: model.terms(params, key, jnp.float32(X))))(keys)
    return jax.tree.map(np.float64, found)


def test_with_the_exact_posterior_every_weight_is_the_evidence():
    terms = draws(200)
    np.testing.assert_allclose(terms.log_weight, EVIDENCE, atol=2e-4)
    elbo = terms.log_likelihood - terms.kl.sum(1)
    assert elbo.std() > 0.05  # a KL in closed form: this sample's ELBO is not its weight
    assert abs(elbo.mean() - EVIDENCE) < 5 * elbo.std() / math.sqrt(200)


def test_with_another_posterior_the_importance_weighted_bound_rises_to_the_evidence():
    weights = draws(100_000, 0.1, 0.3).log_weight.reshape(200, 500)
    means = [np.log(np.exp(weights.reshape(-1, k)).mean(1)).mean() for k in (1, 5, 50, 500)]
    assert means == sorted(means)
    assert EVIDENCE - means[0] > 0.1
    ratio = np.exp(weights.ravel() - EVIDENCE)
    assert abs(ratio.mean() - 1) < 5 * ratio.std() / math.sqrt(ratio.size) < 0.05


def test_each_number_of_the_kl_is_that_of_its_group_and_what_log_q_less_log_p_is_on_average():
    _, params = linear_model(0.1, 0.3)
    terms = draws(20_000, 0.1, 0.3)
    low, top = (part[..., 0] for part in terms.z)  # [N, 2], the group next to x first, and [N, 1]
    codes = [top[:, 0], low[:, 1], low[:, 0]]
    stream, ratios, closed = np.broadcast_to(H0, (len(top), 2)), [], []
    for index, (group, z) in enumerate(zip(TOP_DOWN, codes, strict=True)):
        stream = stream @ entering(group, index).T
        own = jax.tree.map(
            lambda leaf, index=index: np.float64(leaf[0 if index != 1 else 1]),
            {name: params[f"level_{group['level'] + 1}"][name] for name in ("posterior",)},
        )["posterior"]
        shift = X @ own["k"][0] - stream @ own["j"][0] + own["shift"]
        p = stats.norm((stream @ group["a"].T)[:, 0], math.sqrt(group["s"]))
        q = stats.norm(p.mean() + p.std() * shift, p.std() * np.exp(own["ratio"] / 2))
        ratios.append(q.logpdf(z) - p.logpdf(z))
        closed.append(np.log(p.std() / q.std()) + (q.var() + (q.mean() - p.mean()) ** 2) / (2 * p.var()) - 0.5)
        stream = stream + stream @ group["m"].T + z[:, None] * group["b"][:, 0]
    ratios, closed = np.stack(ratios[::-1], 1), np.stack(closed[::-1], 1)
    np.testing.assert_allclose(terms.kl, closed, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(ratios.sum(1), terms.log_likelihood - terms.log_weight, atol=2e-3)
    gap = ratios - terms.kl
    assert (abs(gap.mean(0)) < 5 * gap.std(0) / math.sqrt(len(gap))).all()
    assert gap.std(0).min() > 0.1
    assert terms.kl.min() >= 0


def covariance_agrees(x, mean, cov):
    np.testing.assert_allclose(x.mean(0), mean, atol=6 * np.sqrt(np.diag(cov).max() / len(x)) + 1e-5)
    np.testing.assert_allclose(np.cov(x.T), cov, atol=8 * np.diag(cov).max() / math.sqrt(len(x)) + 1e-5)


@pytest.mark.slow
def test_draws_of_the_prior_have_its_moments_and_partial_ones_those_given_what_is_kept():
    model, params = linear_model()
    keys = jax.random.split(jax.random.key(3), 20_000)
    old, _ = model.prior.sample(params, jax.random.key(4), None)

    @jax.jit
    def drawn(keys, kept, temperature):
        z = jax.vmap(lambda key: model.prior.redraw(params, key, old, kept, temperature, None))(keys)
        return z, jax.vmap(lambda z: model.likelihood.mean(params, z))(z)

    whole = jax.jit(jax.vmap(lambda key: model.likelihood.mean(params, model.prior.sample(params, key, None)[0])))(keys)
    covariance_agrees(np.float64(whole), *moments())
    for temperature in (1.0, 0.5, 0.0):
        covariance_agrees(np.float64(drawn(keys, 0, temperature)[1]), *moments(temperature=temperature))
    z, x = drawn(keys, 1, 0.7)
    assert (np.asarray(z[1]) == np.asarray(old[1])).all()
    assert len(np.unique(z[0])) > 10_000
    top = TOP_DOWN[0]
    leaving = H0 + top["m"] @ H0 + top["b"][:, 0] * float(old[1][0, 0])
    covariance_agrees(np.float64(x), *moments(1, leaving, 0.7))
    kept, _ = drawn(keys[:2], 3, 1.0)
    assert all((np.asarray(new) == np.asarray(part)).all() for new, part in zip(kept, old, strict=True))


@pytest.mark.slow
def test_draws_of_examples_are_reconstructions_with_all_groups_kept_and_draws_of_the_prior_with_none():
    model, params = linear_model()
    x, key = np.float32([X, -X]), jax.random.key(0)
    assert latents.count_groups(model, params) == 3
    everything, nothing = (latents.partial_draws(model, params, key, x, kept, 500) for kept in (3, 0))
    assert everything.shape == (2, 500, X_DIM)
    np.testing.assert_array_equal(everything, np.broadcast_to(everything[:, :1], everything.shape))
    assert np.abs(everything[0, 0] - everything[1, 0]).max() > 0.3
    mean, cov = moments()
    np.testing.assert_allclose(nothing.mean((0, 1)), mean, atol=5 * np.sqrt(np.diag(cov).max() / 1000))
    cold, half = (latents.tempered_draws(model, params, key, 1000, temperature) for temperature in (0.0, 0.5))
    np.testing.assert_allclose(cold, np.broadcast_to(mean, cold.shape), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(half.std(0), 0.5 * np.sqrt(np.diag(cov)), rtol=0.15)


def small_pyramid(groups=(2, 1), **options):
    options = {"features": (4, 6), "factors": (2, 2), "latent_dim": 2, **options}
    return pyramid(SHAPE, groups=groups, **options)


def sized(groups=(2, 1)):
    """The model and the shapes of its parameters."""
    encoder, levels, decoder = small_pyramid(groups)
    model = top_down_vae(encoder, [Level(*level) for level in levels], decoder, event_shape=SHAPE)
    return model, jax.eval_shape(model.init, jax.random.key(0), jnp.zeros(SHAPE))


@functools.cache
def ready():
    model, _ = sized()
    return model, quick_jit(model.init)(jax.random.key(0), jnp.zeros(SHAPE))


@pytest.mark.slow
def test_the_weight_is_what_the_three_conditionals_say_and_at_the_start_nothing_is_told():
    model, params = ready()
    x = jnp.asarray(images(1)[0] > 100, jnp.float32)

    @quick_jit
    def call(params, key, x):
        t = model.terms(params, key, x)
        z, log_q = model.posterior.sample(params, key, x)
        prior_z, log_p = model.prior.sample(params, key, None)
        direct = model.likelihood.log_prob(params, x, t.z) + model.prior.log_prob(params, t.z, None)
        direct -= model.posterior.log_prob(params, t.z, x)
        return t, direct, log_q - model.posterior.log_prob(params, z, x), log_p - model.prior.log_prob(params, prior_z)

    t, direct, *differences = call(moved(params), jax.random.key(1), x)
    np.testing.assert_allclose(direct, t.log_weight, rtol=1e-5)
    np.testing.assert_allclose(differences, 0, atol=1e-4)
    assert [part.shape for part in t.z] == [(2, 2, 2, 2), (1, 1, 1, 2)]
    assert (t.kl > 0).all()
    t, *_ = call(params, jax.random.key(1), x)
    assert t.kl.tolist() == [0, 0, 0]
    np.testing.assert_allclose(t.log_likelihood, -16 * math.log(2), rtol=1e-5)


def test_the_parameters_are_as_many_as_the_layers_say():
    _, params = sized()

    def block(width, out, inner, kernel):
        return width * inner + inner + 2 * (kernel**2 * inner**2 + inner) + inner * out + out

    encoder = 4 * 4 * 4 + 4 + block(4, 4, 1, 1) + 2 * 2 * 4 * 6 + 6 + block(6, 6, 1, 1)
    group = {
        width: block(width, 4 + width, width // 4, 1)  # prior
        + block(2 * width, 4, 2 * width // 8, 1)  # posterior
        + (2 * width + width + block(width, width, width // 4, 1))  # merge
        for width in (4, 6)
    }
    level_1, level_2 = 2 * group[4] + 2 * 2 * 4 + (2 * 2 * 6 * 4 + 4), group[6] + 6
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == encoder + level_1 + level_2 + 4 * 4 * 4 + 1


@pytest.mark.slow
def test_a_program_of_many_groups_is_as_long_as_one_of_few():
    def length(groups):
        model, params = sized(groups)
        loss = lambda params, key, x: model.terms(params, key, x).log_weight  # noqa: E731
        return str(jax.make_jaxpr(jax.grad(loss))(params, jax.random.key(0), jnp.zeros(SHAPE))).count("\n")

    assert length((9, 1)) == length((2, 1))


def test_a_group_sees_neighbours_alone_and_the_same_everywhere():
    network = GroupPrior(2, Look(scale=1.0))
    h = jax.random.normal(jax.random.key(0), (9, 9, 4))
    params = moved(jax.jit(network.init)(jax.random.key(1), h))
    call = quick_jit(lambda h: jnp.concatenate(network.apply(params, h), -1))
    there, shifted = call(h), call(jnp.roll(h, (1, 2), (0, 1)))
    np.testing.assert_allclose(shifted[3:7, 4:7], there[2:6, 2:5], atol=1e-5)  # away from the padding
    changed = np.abs(call(h.at[4, 4].add(1.0)) - there).max(-1) > 0
    assert changed[2:7, 2:7].all()
    assert changed.sum() == 25


@pytest.mark.full
def test_a_fit_falls_below_what_independent_pixels_cost_and_evaluation_understands_the_groups():
    model, _ = ready()
    options = {"epochs": 60, "batch_size": 24, "optimizer": optax.adam(0.02), "progress": False}
    params, history = jaxvae.fit(model, images(), protocol="threshold", **options)
    assert history[-1]["loss"] < 9 < history[0]["loss"]
    x = (images(7) > 100).astype(np.float32)
    assert reconstructions(model, params, x).shape == x.shape
    assert decode(model, params, (np.zeros((4, 2, 2, 2, 2)), np.zeros((4, 1, 1, 1, 2)))).shape == (4, *SHAPE)


def built(groups=1, event_shape=SHAPE, **changes):
    encoder, levels, decoder = small_pyramid((1, 1))
    levels = [Level(*level)._replace(groups=groups, **changes) for level in levels]
    return top_down_vae(encoder, levels, decoder, event_shape=event_shape)


def started(*options, **changes):
    return jax.eval_shape(built(*options, **changes).init, jax.random.key(0), jnp.zeros(SHAPE))


PAIR = Maps(lambda w, *inputs: (inputs[0], inputs[0]))
BAD = {
    "no groups": (lambda: built(0), ValueError, ["groups is 0"]),
    "no levels": (lambda: top_down_vae(PAIR, [], PAIR, event_shape=SHAPE), TypeError, ["levels is []", "Level"]),
    "a network not called": (lambda: built(prior=GroupPrior), TypeError, ["prior is", "pyramid"]),
    "a prior of two": (
        lambda: started(prior=PAIR), ValueError, ["prior of level_2 returned tuple of 2", "(mean, log_var, change)"],
    ),
    "an encoder of one": (
        lambda: top_down_vae(Maps(lambda w, x: (x,)), built_levels(), PAIR, event_shape=SHAPE).init(
            jax.random.key(0), jnp.zeros(SHAPE)),
        ValueError, ["the encoder returned 1 arrays", "tuple of 2"],
    ),
    "unlike lists": (lambda: small_pyramid((1,)), ValueError, ["'groups': (1,)", "as many numbers in each"]),
    "sides that do not divide": (lambda: small_pyramid(factors=(3, 2)), ValueError, ["(4, 4, 1)", "multiples of 6"]),
    "more kept than there are": (
        lambda: latents.partial_draws(*linear_model(), jax.random.key(0), np.float32([X]), 4), ValueError,
        ["kept is 4", "the 3 groups"],
    ),
    "no hierarchy": (
        lambda: latents.tempered_draws(small_vae(), {}, jax.random.key(0), 4), ValueError, ["no hierarchy", "Use draw"],
    ),
    "a temperature below 0": (
        lambda: latents.tempered_draws(*linear_model(), jax.random.key(0), 4, -1.0), ValueError, ["temperature is -1"],
    ),
    "one latent to move": (
        lambda: traverse(*sized(), np.zeros(2), 0, np.zeros(3)), ValueError, ["(2, 2, 2, 2)", "single latent"],
    ),
}  # fmt: skip


def built_levels():
    return [Level(*level) for level in small_pyramid((1, 1))[1]]


@pytest.mark.parametrize("call", BAD)
def test_what_does_not_fit_is_named(call):
    function, error, words = BAD[call]
    with pytest.raises(error) as caught:
        function()
    assert all(word in str(caught.value) for word in words), caught.value
