"""Compression: bits against sums of -log2 p and against the bound, images that come back, files that are refused.

The judges are SciPy's distributions, `log_prob` of the same model, and its ELBO.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from small import moved, small_vae

pytest.importorskip("constriction")

from jaxvae.evaluation.bounds.likelihood import per_example
from jaxvae.evaluation.compression import Stream, check_made, compress, decompress, pack, rival_bytes, unpack
from jaxvae.evaluation.compression.buckets import Buckets
from jaxvae.evaluation.compression.stack import Stack, random_words
from jaxvae.evaluation.fitted_priors import fit_histogram
from jaxvae.models.conditional import conditional_vae
from jaxvae.models.densities import autoregressive, density_model
from jaxvae.models.hierarchical import hierarchical_vae
from jaxvae.models.ladder import ladder_vae
from jaxvae.models.likelihoods import decoder_likelihood
from jaxvae.models.observations.continuous import bernoulli, normal
from jaxvae.models.observations.counts import poisson
from jaxvae.models.observations.discrete import categorical, discretized_logistic, logistic_mixture
from jaxvae.models.priors.mixture import gaussian_mixture_prior
from jaxvae.models.variational import vae
from jaxvae.networks.causal import gated_pixel_cnn, masked_network
from jaxvae.networks.conditional import with_context
from jaxvae.networks.hierarchical import MLPLevel
from jaxvae.networks.mlp import MLPDecoder, MLPEncoder

pytestmark = pytest.mark.quick_compile

SHAPE = (4, 4, 1)


def plain(observation, shape=SHAPE, **options):
    networks = MLPEncoder(2, (8,)), MLPDecoder(shape, observation.channels, (8,))
    return vae(*networks, event_shape=shape, latent_dim=2, observation=observation, **options)


def chain(**options):
    networks = [MLPEncoder(3, (8,)), MLPEncoder(2, (8,))], [MLPEncoder(3, (8,))], MLPDecoder(SHAPE, hidden=(8,))
    return hierarchical_vae(*networks, event_shape=SHAPE, latent_dims=(3, 2), **options)


def density(observation, shape=SHAPE):
    network = gated_pixel_cnn(shape, observation.channels, features=2, layers=2, hidden=4)
    return density_model(autoregressive(network, observation), observation, event_shape=shape)


def pixel_vae():
    told = MLPDecoder((4, 4, 1), 2, (8,))
    p = autoregressive(gated_pixel_cnn(SHAPE, features=2, layers=2, hidden=4), told=told)
    return vae(MLPEncoder(2, (8,)), p, event_shape=SHAPE, latent_dim=2)


def made(observation):
    p = autoregressive(masked_network(SHAPE, observation.channels, hidden=(16,)), observation)
    return density_model(p, observation, event_shape=SHAPE)


def histogram():
    x = np.random.default_rng(0).binomial(4, np.linspace(0, 1, 16).reshape(SHAPE), (50, *SHAPE)).astype(np.float32)
    return density_model(fit_histogram(x, 5, smoothing=0.1), categorical(5), event_shape=SHAPE)


def away(model, seed=1, scale=0.3):
    """Parameters some way from fresh ones, so that no output is the same everywhere; codes within the prior's reach."""
    params = moved(jax.jit(model.init)(jax.random.key(0), jnp.zeros(model.event_shape)), scale, seed)
    return params | {"encoder": jax.tree.map(lambda a: 0.3 * a, params["encoder"])} if "encoder" in params else params


def drawn(model, params, count, seed=2):
    """Images of the model itself."""

    def one(key):
        key_z, key_x = jax.random.split(key)
        return model.likelihood.sample(params, key_x, model.prior.sample(params, key_z, None)[0])[0]

    return np.asarray(jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(seed), count)))


def words(stack):
    return 32 * len(stack.words())


def test_symbols_take_their_bits_and_come_back():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.full(17, 0.3), 4000)
    symbols = np.array([rng.choice(17, p=row) for row in p])
    stack = Stack(random_words(9))
    stack.push(symbols, p)
    assert words(stack) - 9 * 32 == pytest.approx(-np.log2(p[np.arange(4000), symbols]).sum(), abs=40)
    np.testing.assert_array_equal(stack.pop(p), symbols)
    assert stack.words().tolist() == random_words(9).tolist()


def test_a_pop_from_random_words_is_a_draw():
    p = np.array([0.5, 0.3, 0.15, 0.05])
    found = Stack(random_words(3000)).pop(np.broadcast_to(p, (20000, 4)))
    assert stats.chisquare(np.bincount(found, minlength=4), 20000 * p).pvalue > 1e-3


@pytest.mark.parametrize("bits", [2, 5, 12, 16])
def test_buckets_draw_the_posterior_and_give_its_bits_back(bits):
    buckets = Buckets(np.array([0.5]), np.array([2.0]), bits)
    mean, log_var = np.full((3000, 1), 1.5), np.full((3000, 1), -2.0)
    stack = Stack(random_words(6000))
    k = buckets.pop(stack, mean, log_var)
    given_back = 6000 * 32 - words(stack)
    edges = stats.norm.ppf(np.arange(2**bits + 1) / 2**bits, 0.5, 2.0)
    masses = np.diff(stats.norm.cdf(edges, 1.5, np.exp(-1.0)))
    assert given_back == pytest.approx(-np.log2(masses[k.ravel()]).sum(), abs=60)
    if bits >= 12:
        z = buckets.codes(k).ravel()
        assert stats.kstest(z, stats.norm(1.5, np.exp(-1.0)).cdf).pvalue > 1e-3
        kl = 0.5 * (np.exp(-2.0) / 4 + 1 / 4 - 1 - np.log(np.exp(-2.0) / 4))  # of N(1.5, e^-2) from N(0.5, 4)
        assert bits - given_back / 3000 == pytest.approx(kl / np.log(2), abs=0.06)
    buckets.push(stack, k, mean, log_var)
    assert stack.words().tolist() == random_words(6000).tolist()


def test_a_posterior_far_off_all_buckets_still_comes_back():
    buckets, far = Buckets(np.zeros(2), np.ones(2), 12), np.array([[50.0, -1e6]])
    stack, narrow = Stack(random_words(50)), np.full((1, 2), -30.0)
    k = buckets.pop(stack, far, narrow)
    assert k.tolist() == [[4095, 0]]
    buckets.push(stack, np.array([[7, 4000]]), far, narrow)
    assert buckets.pop(stack, far, narrow).tolist() == [[7, 4000]]


TABLES = {
    "bernoulli": (bernoulli(), SHAPE),
    "logistic": (discretized_logistic(17), SHAPE),
    "logistic, colour": (discretized_logistic(5), (3, 2, 3)),
    "mixture, colour": (logistic_mixture(2, 5), (3, 2, 3)),
    "categorical, colour": (categorical(4), (3, 2, 3)),
}


@pytest.mark.rows(slow=["logistic", "mixture, colour", "categorical, colour"])
@pytest.mark.parametrize("name", TABLES)
def test_the_probabilities_of_all_levels_are_those_of_log_prob(name):
    observation, shape = TABLES[name]
    p = decoder_likelihood(MLPDecoder(shape, observation.channels, (8,)), observation, shape)
    params = jax.jit(p.init)(jax.random.key(0), jnp.zeros(2))
    z = 3 * jax.random.normal(jax.random.key(1), (20, 2))
    x = jax.random.randint(jax.random.key(2), (20, *shape), 0, observation.levels).astype(jnp.float32)
    tables = np.asarray(jax.jit(jax.vmap(p.level_log_probs, (None, 0)))(params, z))
    assert tables.shape == (20, *shape, observation.levels)
    chosen = np.take_along_axis(tables, np.asarray(x, int)[..., None], -1)
    expected = jax.jit(jax.vmap(p.log_prob, (None, 0, 0)))(params, x, z)
    np.testing.assert_allclose(chosen.reshape(20, -1).sum(1), expected, rtol=2e-5)


MODELS = {
    "vae": lambda: small_vae(),
    "vae, 17 levels": lambda: plain(discretized_logistic(17)),
    "vae, colour": lambda: plain(logistic_mixture(2, 5), (3, 2, 3)),
    "hierarchy": lambda: chain(),
    "histogram": lambda: histogram(),
    "pixel cnn": lambda: density(categorical(3)),
    "pixel cnn, colour": lambda: density(categorical(3), (2, 2, 3)),
    "made": lambda: made(bernoulli()),
    "pixel vae": lambda: pixel_vae(),
}


@pytest.mark.rows(
    slow=["vae, 17 levels", "vae, colour", "pixel cnn"], full=["hierarchy", "pixel cnn, colour", "pixel vae"]
)
@pytest.mark.parametrize("name", MODELS)
def test_images_come_back_bit_for_bit_at_the_rate_of_the_bound(name):
    """The code of an image is one sample, so that its bits vary as its log-weights do; a density has no such noise."""
    model, count = MODELS[name](), 30 if name == "pixel vae" else 200
    params = away(model)
    x = drawn(model, params, count)
    stream = compress(model, params, x, bits=14)
    np.testing.assert_array_equal(decompress(model, params, stream), x)
    found = 32 * (len(stream.words) - stream.initial) * np.log(2)
    if model.evidence == "exact":
        assert stream.initial == 0
        assert found == pytest.approx(-per_example(model, params, jax.random.key(3), x)["log_p"].sum(), abs=60)
        return
    weights = jax.jit(
        jax.vmap(
            lambda key, x: jax.vmap(lambda k: model.terms(params, k, x).log_weight)(jax.random.split(key, 100)), (0, 0)
        )
    )(jax.random.split(jax.random.key(3), count), x)
    noise = np.sqrt(np.asarray(weights, np.float64).var(1).sum())
    assert 0 < stream.initial < 20
    assert found == pytest.approx(-np.asarray(weights, np.float64).mean(1).sum(), abs=4 * noise + 30)


def test_untrained_models_and_images_of_nothing_come_back_too():
    model = plain(discretized_logistic(17))
    params = jax.jit(model.init)(jax.random.key(0), jnp.zeros(SHAPE))
    x = np.random.default_rng(0).integers(0, 17, (23, *SHAPE)).astype(np.float32)
    for group in (1, 5, 40):
        np.testing.assert_array_equal(decompress(model, params, compress(model, params, x, group=group)), x)
    for same in (0.0, 16.0):
        x = np.full((3, *SHAPE), same, np.float32)
        np.testing.assert_array_equal(decompress(model, params, compress(model, params, x, bits=2)), x)


def test_another_model_and_words_that_changed_do_not_pass_for_images():
    model = small_vae()
    params = away(model)
    stream = compress(model, params, drawn(model, params, 20))
    with pytest.raises(ValueError, match="does not come back to the words it began with"):
        decompress(model, away(model, seed=5), stream)
    changed = stream.words.copy()
    changed[2] ^= 1
    with pytest.raises(ValueError, match="does not come back"):
        decompress(model, params, stream._replace(words=changed))


def test_a_file_that_is_damaged_anywhere_is_refused():
    data = pack(Stream(np.arange(5, dtype=np.uint32), 2, 7, 12, 1), {"model": "c0ffee", "jax": "1"})
    stream, told = unpack("a", data)
    assert (stream.words.tolist(), *stream[1:]) == ([0, 1, 2, 3, 4], 2, 7, 12, 1)
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 4
        for wrong in (bytes(changed), data[:place]):
            with pytest.raises(ValueError, match=r"^a is (damaged|no file)"):
                unpack("a", wrong)
    check_made("a", told, {"model": "c0ffee", "jax": "1"})
    with pytest.raises(ValueError, match="a was made with jax 1, and here is 2"):
        check_made("a", told, {"model": "c0ffee", "jax": "2"})
    with pytest.raises(ValueError, match="a was made with model c0ffee"):
        check_made("a", told, {"model": "bad", "jax": "1"})


def told_the_class():
    networks = with_context(MLPEncoder(2, (8,))), with_context(MLPDecoder(SHAPE, hidden=(8,)))
    return conditional_vae(*networks, event_shape=SHAPE, latent_dim=2, context=10)


def ladder():
    up, down = [MLPLevel(3, (8,)), MLPLevel(2, (8,))], [MLPEncoder(3, (8,))]
    return ladder_vae(up, down, MLPDecoder(SHAPE, hidden=(8,)), event_shape=SHAPE, latent_dims=(3, 2))


REFUSED = {
    "told a context": told_the_class,
    "no whole numbers with an end": lambda: plain(normal(std=1.0)),
    "whole numbers with an end": lambda: plain(poisson()),
    "no Gaussians under both": lambda: plain(bernoulli(), prior=gaussian_mixture_prior(3, 2)),
    "a hierarchical one": ladder,
}


@pytest.mark.parametrize("words", REFUSED)
def test_models_that_are_no_coder_say_why(words):
    model = REFUSED[words]()
    with pytest.raises(ValueError, match=words):
        compress(model, {}, np.zeros((3, *SHAPE), np.float32))


def test_values_and_options_that_cannot_be_coded_are_refused():
    model = small_vae()
    params = away(model)
    with pytest.raises(ValueError, match=r"values between 0.5 and 0.5, expected whole numbers 0 .. 1.*'dynamic'"):
        compress(model, params, np.full((3, *SHAPE), 0.5, np.float32))
    for bits in (1, 21):
        with pytest.raises(ValueError, match=f"bits is {bits}, expected 2 .. 20"):
            compress(model, params, np.zeros((3, *SHAPE), np.float32), bits=bits)
    broken = jax.tree.map(lambda a: a * jnp.nan, params)
    with pytest.raises(FloatingPointError, match="probabilities that are not finite"):
        compress(model, broken, np.zeros((3, *SHAPE), np.float32))
    with pytest.raises(ValueError, match="group"):
        compress(model, params, np.zeros((3, *SHAPE), np.float32), group=0)


def test_others_are_given_the_same_images():
    rng = np.random.default_rng(0)
    found = rival_bytes(rng.integers(0, 2, (500, 8, 8, 1)).astype(np.float32), 2)
    assert found["raw"] == 4000
    assert all(4000 <= size < 4600 for size in found.values()), found  # noise: nobody can, and nobody loses much
    colour = rival_bytes(rng.integers(0, 256, (50, 8, 8, 3)).astype(np.float32), 256)
    assert colour["raw"] == 9600
    assert {"PNG", "bz2"} <= set(colour)
    assert set(rival_bytes(np.zeros((5, 3)), 256)) <= {"raw", "bz2", "zstd"}
