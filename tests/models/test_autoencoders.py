"""Deterministic autoencoders: PCA, finite differences and closed forms as judges of what they compute."""

import functools
import math

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import optax
import pytest
from small import LATENTS, SHAPE, Encoder, Linear, grey, images, same_bits

import jaxvae
from jaxvae.models.autoencoders.denoising import denoising_autoencoder, gaussian_noise, masking, salt_and_pepper
from jaxvae.models.autoencoders.deterministic import autoencoder, no_prior, point_posterior
from jaxvae.models.autoencoders.regularized import contractive_autoencoder, regularized_autoencoder, sparse_autoencoder
from jaxvae.models.observations.continuous import normal
from jaxvae.models.priors.standard import standard_normal
from jaxvae.networks.deterministic import ConvDeterministicEncoder, MappedInput, MLPDeterministicEncoder
from jaxvae.objectives.bounds import iwae_bound
from jaxvae.objectives.codes import bernoulli_kl_penalty, jacobian_penalty, l1_penalty, sparse_activations
from jaxvae.training.engine.loop import train
from jaxvae.training.engine.parallel import compile_steps
from jaxvae.training.engine.state import init_state
from jaxvae.training.losses.bound import bound_loss

pytestmark = pytest.mark.quick_compile

quick_jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
X = jnp.asarray(images(1)[0] / 255, jnp.float32)
MEMBERS = {
    "plain": autoencoder,
    "with a prior": functools.partial(autoencoder, prior=standard_normal(LATENTS)),
    "sparse": functools.partial(sparse_autoencoder, weight=0.5),
    "contractive": contractive_autoencoder,
    "rae l2": regularized_autoencoder,
    "rae gradient": functools.partial(regularized_autoencoder, decoder_penalty="gradient"),
    "masking": denoising_autoencoder,
    "gaussian": functools.partial(denoising_autoencoder, corruption=gaussian_noise()),
    "salt and pepper": functools.partial(denoising_autoencoder, corruption=salt_and_pepper()),
}
CORRUPTED = ("masking", "gaussian", "salt and pepper")


class Curved(Linear):
    """A linear layer and a tanh, so that a Jacobian depends on where it is taken."""

    def apply(self, variables, x):
        return jnp.tanh(super().apply(variables, x))


def small(constructor=autoencoder, **options):
    options = {"event_shape": SHAPE, "latent_dim": LATENTS, "observation": normal(std=0.5), **options}
    return constructor(Curved(LATENTS, (LATENTS,)), Curved(16, SHAPE), **options)


@pytest.mark.rows(every=2)
@pytest.mark.rows(quick=["with a prior", "rae l2", "gaussian", "rae gradient"])
@pytest.mark.parametrize("name", MEMBERS)
def test_every_member_keeps_the_contract_of_a_model(name):
    model = small(MEMBERS[name])
    params = quick_jit(model.init)(jax.random.key(0), X)
    call = quick_jit(jax.value_and_grad(lambda p, k: (t := model.terms(p, k, X)).penalty - t.log_likelihood))
    terms = quick_jit(model.terms)(params, jax.random.key(1), X)
    assert terms.kl.shape == (0,)
    assert terms.z.shape == (LATENTS,)
    assert terms.posterior is None
    assert terms.log_weight == -np.inf
    assert same_bits(terms, quick_jit(model.terms)(params, jax.random.key(1), X))
    other = quick_jit(model.terms)(params, jax.random.key(2), X)
    assert same_bits(terms, other) == (name not in CORRUPTED)
    clean = model.posterior.mean(params, X)
    assert np.allclose(terms.z, clean, atol=1e-6) == (name not in CORRUPTED)
    np.testing.assert_allclose(terms.log_likelihood, model.likelihood.log_prob(params, X, terms.z), rtol=1e-5)
    assert (float(terms.penalty) > 0) == (name in ("sparse", "contractive", "rae l2", "rae gradient"))
    value, slope = call(params, jax.random.key(1))
    assert np.isfinite(value)
    assert all(np.isfinite(leaf).all() and (leaf != 0).any() for leaf in jax.tree.leaves(slope))


@pytest.mark.slow
def test_an_autoencoder_has_no_bound_and_an_importance_weighted_one_says_so():
    model = small()
    params = jax.jit(model.init)(jax.random.key(0), X)
    keys = jax.random.split(jax.random.key(1), 3)
    terms = quick_jit(jax.vmap(model.terms, (None, 0, None)))(params, keys, X)
    assert iwae_bound(terms) == -np.inf
    z, log_density = model.posterior.sample(params, jax.random.key(0), X)
    assert log_density == model.posterior.log_prob(params, z, X) == np.inf
    assert model.posterior.log_prob(params, z + 0.1, X) == -np.inf


def test_half_precision_networks_still_score_in_float32():
    model = small()
    params = jax.jit(model.init)(jax.random.key(0), X)
    half = model.terms(jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), params), jax.random.key(0), X)
    assert half.log_likelihood.dtype == half.z.dtype == half.kl.dtype == half.penalty.dtype == jnp.float32


def pca(x, rank):
    """(mean, the first principal axes [rank, D], mean squared reconstruction error summed over pixels), in float64."""
    mean = x.mean(0)
    _, _, axes = np.linalg.svd(x - mean, full_matrices=False)
    rest = (x - mean) - (x - mean) @ axes[:rank].T @ axes[:rank]
    return mean, axes[:rank], (rest**2).sum(1).mean()


@pytest.mark.full
def test_a_trained_linear_autoencoder_spans_the_principal_subspace():
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(200, 3)) @ rng.normal(size=(3, 6)) + 0.3 * rng.normal(size=(200, 6))).astype(np.float32)
    model = autoencoder(
        MLPDeterministicEncoder(2, ()), Linear(6, (6,)), event_shape=(6,), latent_dim=2, observation=normal(std=1.0)
    )
    optimizer = optax.adam(optax.cosine_decay_schedule(0.05, 1500))
    compiled = compile_steps(
        bound_loss(model), optimizer, lambda key, x: x, batch_size=200, steps_per_call=1500, mode="jit"
    )
    state = init_state(model, optimizer, jax.random.key(0), jnp.zeros(6))
    *_, report = train(compiled, state, x, 1500)
    params = report.state.params
    z = jax.vmap(model.posterior.mean, (None, 0))(params, x)
    again = jax.vmap(model.likelihood.mean, (None, 0))(params, z)
    _, axes, best = pca(np.float64(x), 2)
    assert best * (1 - 1e-6) < np.square(x - np.float64(again)).sum(1).mean() < best * 1.001
    span, _ = np.linalg.qr(np.float64(params["decoder"]["w"]).T)
    cosines = np.linalg.svd(span.T @ axes.T)[1]
    assert np.degrees(np.arccos(np.clip(cosines, -1, 1))).max() < 1


@pytest.mark.full
def test_the_jacobian_penalty_is_that_of_finite_differences():
    model = small(functools.partial(contractive_autoencoder, weight=0.7))
    with jax.enable_x64(True):
        x = jnp.asarray(X, jnp.float64)
        params = jax.tree.map(lambda p: jnp.asarray(p, jnp.float64), model.init(jax.random.key(0), x))
        steps = 1e-5 * np.eye(x.size).reshape(-1, *SHAPE)
        up, down = (np.stack([model.posterior.mean(params, x + s * h) for h in steps]) for s in (1, -1))
        expected = 0.7 * np.square((up - down) / 2e-5).sum()
        assert float(model.terms(params, jax.random.key(0), x).penalty) == pytest.approx(expected, rel=1e-8)
        # One layer with tanh has the closed form of Rifai et al.: sum_i (1 - h_i^2)^2 |w_i|^2.
        h, w = model.posterior.mean(params, x), params["encoder"]["w"]
        assert expected == pytest.approx(0.7 * float(((1 - h**2) ** 2 * (w**2).sum(0)).sum()), rel=1e-8)


@pytest.mark.full
def test_the_gradient_penalty_of_a_decoder_is_that_of_finite_differences():
    model = small(
        functools.partial(regularized_autoencoder, decoder_penalty="gradient", code_weight=0.3, decoder_weight=0.7)
    )
    with jax.enable_x64(True):
        x = jnp.asarray(X, jnp.float64)
        params = jax.tree.map(lambda p: jnp.asarray(p, jnp.float64), model.init(jax.random.key(0), x))
        z = model.posterior.mean(params, x)
        up, down = (
            np.stack([model.likelihood.mean(params, z + s * 1e-5 * h) for h in np.eye(LATENTS)]) for s in (1, -1)
        )
        expected = 0.5 * 0.3 * np.square(z).sum() + 0.7 * 0.5 * np.square((up - down) / 2e-5).sum()
        assert float(model.terms(params, jax.random.key(0), x).penalty) == pytest.approx(expected, rel=1e-8)


@pytest.mark.slow
def test_the_decoder_weights_are_decayed_and_the_encoder_s_are_not():
    model = small(functools.partial(regularized_autoencoder, code_weight=0.0, decoder_weight=2.0))
    params = jax.jit(model.init)(jax.random.key(0), X)
    slope = jax.grad(lambda p: model.terms(p, jax.random.key(0), X).penalty)(params)
    np.testing.assert_allclose(slope["decoder"]["w"], 4.0 * params["decoder"]["w"], rtol=1e-5)
    assert not np.any(slope["encoder"]["w"])


def bernoulli_kl(rate, *logits):
    """From the definition, at 100 digits."""
    mean = mpmath.fsum(1 / (1 + mpmath.exp(-l)) for l in logits) / len(logits)
    return rate * mpmath.log(rate / mean) + (1 - rate) * mpmath.log((1 - rate) / (1 - mean))


@pytest.mark.rows(slow=["logits0"])
@pytest.mark.parametrize("logits", [(0.3, -2.0, 1.0), (-90.0, -95.0, -100.0), (90.0, 95.0, 100.0), (-2.9444, -2.9444)])
def test_sparsity_from_logits_is_right_where_activations_round_to_0_or_1(logits):
    column = jnp.array(logits, jnp.float32)[:, None]
    value, slope = jax.value_and_grad(bernoulli_kl_penalty)(column, 0.05)
    with mpmath.workdps(100):
        exact = [mpmath.mpf(float(l)) for l in column[:, 0]]
        rate, step = mpmath.mpf(0.05), mpmath.mpf(10) ** -25
        expected = bernoulli_kl(rate, *exact)
        slopes = [
            (bernoulli_kl(rate, *exact[:i], l + step, *exact[i + 1 :]) - expected) / step for i, l in enumerate(exact)
        ]
    assert float(value) == pytest.approx(float(expected), rel=1e-5, abs=1e-6)
    np.testing.assert_allclose(slope[:, 0], [float(s) for s in slopes], rtol=1e-4, atol=1e-6)


@pytest.mark.full
def test_the_sparsity_of_a_batch_pulls_its_mean_activation_to_the_rate():
    model = autoencoder(
        MLPDeterministicEncoder(LATENTS, ()),
        MappedInput(Linear(16, SHAPE), jax.nn.sigmoid),
        event_shape=SHAPE,
        latent_dim=LATENTS,
    )
    data = images()
    loss = bound_loss(model, batch_penalty=sparse_activations(0.1, weight=300.0))
    params, history = jaxvae.fit(
        model, data, protocol="grey", loss=loss, optimizer=optax.adam(0.05), epochs=60, batch_size=50, progress=False
    )
    z = jax.vmap(model.posterior.mean, (None, 0))(params, jnp.asarray(data / 255, jnp.float32))
    np.testing.assert_allclose(jax.nn.sigmoid(z).mean(0), 0.1, atol=0.02)
    assert history[-1]["loss"] < history[0]["loss"] - 10


@pytest.mark.slow
def test_corruptions_hit_as_often_as_they_say():
    x, count = jnp.full(20_000, 0.5), 20_000
    key = jax.random.key(3)
    wide = 5 / math.sqrt(count)
    masked = masking(0.3)(key, x)
    assert set(np.unique(masked)) == {0.0, 0.5}
    assert abs(float((masked == 0).mean()) - 0.3) < 0.46 * wide
    salted = salt_and_pepper(0.3)(key, x)
    assert set(np.unique(salted)) == {0.0, 0.5, 1.0}
    for level in (0.0, 1.0):
        assert abs(float((salted == level).mean()) - 0.15) < 0.36 * wide
    noise = gaussian_noise(0.2)(key, x) - x
    assert abs(float(noise.mean())) < 0.2 * wide
    assert float(noise.std()) == pytest.approx(0.2, rel=0.71 * wide)
    for corruption in (masking, salt_and_pepper):
        assert same_bits(corruption(0.0)(key, x), x)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["contractive", "masking"])
def test_a_loss_falls(name):
    model = small(MEMBERS[name])
    optimizer = optax.adam(0.02)
    compiled = compile_steps(bound_loss(model), optimizer, grey, batch_size=50, steps_per_call=1, mode="jit")
    state = init_state(model, optimizer, jax.random.key(0), X)
    metrics = [report.metrics for report in train(compiled, state, images(), 60)]
    losses = [float(step["loss"][0]) for step in metrics]
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 1
    assert metrics[0]["kl_per_latent"].shape == (1, 0)
    assert not any(step["skipped"].any() for step in metrics)


def test_a_network_may_see_its_input_through_a_function():
    network = MappedInput(Linear(4, (4,)), jax.nn.sigmoid)
    variables = jax.jit(network.init)(jax.random.key(0), jnp.zeros(3))
    expected = Linear(4, (4,)).apply(variables, jnp.full(3, 0.5))
    np.testing.assert_array_equal(network.apply(variables, jnp.zeros(3)), expected)


def test_norm_like_penalties_have_finite_slopes_at_0():
    assert np.isfinite(jax.grad(l1_penalty)(jnp.zeros(3))).all()
    assert np.isfinite(jax.grad(lambda x: jacobian_penalty(jnp.tanh, x))(jnp.zeros(3))).all()


BAD = [
    (lambda: small(latent_dim=0), ValueError, ["latent_dim is 0"]),
    (lambda: small(event_shape=784), TypeError, ["event_shape is 784", "tuple"]),
    (lambda: small(observation=normal), TypeError, ["observation is", "Call one"]),
    (lambda: small(sparse_autoencoder, weight=-1.0), ValueError, ["weight is -1.0", "at least 0"]),
    (lambda: small(contractive_autoencoder, weight=math.nan), ValueError, ["weight is nan"]),
    (lambda: small(regularized_autoencoder, decoder_weight=-1), ValueError, ["decoder_weight is -1"]),
    (lambda: small(regularized_autoencoder, code_weight=math.inf), ValueError, ["code_weight is inf"]),
    (lambda: small(regularized_autoencoder, decoder_penalty="L2"), ValueError, ["'L2'", "'l2' or 'gradient'"]),
    (lambda: small(denoising_autoencoder, corruption=0.3), TypeError, ["corruption is 0.3", "masking(0.25)"]),
    (lambda: masking(1.5), ValueError, ["probability is 1.5"]),
    (lambda: salt_and_pepper(-0.1), ValueError, ["probability is -0.1"]),
    (lambda: gaussian_noise(-1.0), ValueError, ["std is -1.0"]),
    (lambda: sparse_activations(0.0), ValueError, ["rate is 0.0", "above 0"]),
    (lambda: sparse_activations(1.0), ValueError, ["rate is 1", "below 1"]),
    (lambda: bernoulli_kl_penalty(jnp.zeros(3), 0.1), ValueError, ["logits has shape (3,)", "[N, Z]"]),
    (lambda: no_prior().sample({}, jax.random.key(0), None), ValueError, ["no prior", "standard_normal"]),
    (lambda: MLPDeterministicEncoder(0), ValueError, ["latent_dim is 0"]),
    (lambda: ConvDeterministicEncoder(2, features=()), ValueError, ["features is ()"]),
    (lambda: tried(small(), jnp.zeros((2, *SHAPE))), ValueError, ["x has shape (2, 4, 4, 1)", "jax.vmap"]),
    (lambda: tried(small(), jnp.zeros(SHAPE, jnp.int32)), TypeError, ["int32"]),
    (
        lambda: point_posterior(Encoder(), LATENTS).mean({"encoder": Encoder().init(jax.random.key(0), X)}, X),
        ValueError,
        ["the encoder returned tuple", "MLPDeterministicEncoder"],
    ),
]


def tried(model, x):
    return model.terms(model.init(jax.random.key(0), X), jax.random.key(0), x)


@pytest.mark.parametrize(("call", "error", "words"), BAD)
def test_what_cannot_be_is_refused_with_the_way_out(call, error, words):
    with pytest.raises(error) as raised:
        call()
    for word in words:
        assert word in str(raised.value)
