"""Vector quantisation: a literal moving average, brute force and closed forms as judges."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small import SHAPE, Linear, grey, images, moved, same_bits

import jaxvae
from jaxvae.math.quantization import nearest_code, perplexity, straight_through
from jaxvae.models.observations.continuous import normal
from jaxvae.models.priors.codes import code_prior
from jaxvae.models.priors.standard import standard_normal
from jaxvae.models.vq import vq_vae
from jaxvae.networks.causal import causal_transformer
from jaxvae.networks.vq import ConvGridDecoder, ConvGridEncoder
from jaxvae.objectives.bounds import iwae_bound
from jaxvae.training.engine.loop import train
from jaxvae.training.engine.parallel import compile_steps
from jaxvae.training.engine.state import init_state
from jaxvae.training.losses.codebook import moving_averages, vq_loss, vq_optimizer

pytestmark = pytest.mark.quick_compile

quick_jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
X = jnp.asarray(images(20) / 255, jnp.float32)
K, D = 8, 2
CODES = {"one vector": (D,), "a grid": (2, 3, D)}


def small(code_shape=(D,), codes=K, **options):
    encoder, decoder = Linear(math.prod(code_shape), code_shape), Linear(16, SHAPE)
    return vq_vae(encoder, decoder, **{"event_shape": SHAPE, **options}, code_shape=code_shape, codes=codes)


@pytest.mark.slow
@pytest.mark.rows(full=["a grid"])
@pytest.mark.parametrize("name", CODES)
def test_a_code_keeps_the_contract_of_a_model(name):
    shape = CODES[name]
    model, key = small(shape), jax.random.key(1)
    params = quick_jit(model.init)(jax.random.key(0), X[0])
    terms = quick_jit(model.terms)(params, key, X[0])
    np.testing.assert_array_equal(terms.z.vectors, params["codebook"]["vectors"][terms.z.indices])
    assert terms.z.vectors.shape == shape
    positions = math.prod(shape[:-1])
    assert terms.kl.shape == (1,)
    assert float(terms.kl[0]) == pytest.approx(positions * math.log(K), rel=1e-6)
    z, log_p = model.prior.sample(params, key, None)
    assert z.shape == model.prior.mean(params, None).shape == shape
    assert not same_bits(z, model.prior.sample(params, jax.random.key(2), None)[0])
    q_z, log_q = model.posterior.sample(params, key, X[0])
    np.testing.assert_array_equal(q_z, terms.z.vectors)
    assert log_q == model.posterior.log_prob(params, q_z, X[0]) == 0
    assert model.posterior.log_prob(params, q_z + 1, X[0]) == -np.inf
    by_hand = model.likelihood.log_prob(params, X[0], q_z) + model.prior.log_prob(params, q_z, None) - log_q
    assert log_p == model.prior.log_prob(params, q_z, None)
    assert float(terms.log_weight) == pytest.approx(float(by_hand), rel=1e-6)
    exact = jnp.square(terms.z.encoding - terms.z.vectors).sum()
    assert float(terms.penalty) == pytest.approx(1.25 * float(exact), rel=1e-5)


def test_the_bound_is_below_the_evidence_of_an_enumerated_codebook():
    model = small(codes=5)
    params = jax.jit(model.init)(jax.random.key(0), X[0])
    score = quick_jit(lambda e: model.likelihood.log_prob(params, X[0], e) - math.log(5))
    each = [score(e) for e in params["codebook"]["vectors"]]
    evidence = np.logaddexp.reduce(np.float64(each))
    keys = jax.random.split(jax.random.key(1), 2)
    terms = quick_jit(jax.vmap(model.terms, (None, 0, None)))(params, keys, X[0])
    assert iwae_bound(terms) <= evidence
    np.testing.assert_allclose(terms.log_weight, each[int(terms.z.indices[0])], rtol=1e-6)


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_the_nearest_code_is_that_of_brute_force_in_float64(offset):
    rng = np.random.default_rng(0)
    z, codebook = (np.float32(rng.normal(size=size) + offset) for size in ((300, 5), (40, 5)))
    distance = np.square(np.float64(z)[:, None] - np.float64(codebook)[None]).sum(-1)
    found = nearest_code(z, codebook)
    np.testing.assert_array_less(distance[np.arange(300), found], distance.min(1) + 1e-2 * (offset > 0) + 1e-5)
    assert (found == distance.argmin(1)).mean() > 0.99


@pytest.mark.full
def test_ties_go_to_the_lowest_index_and_identical_points_have_finite_gradients():
    assert nearest_code(jnp.zeros((1, 2)), jnp.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])).tolist() == [0]
    model = small()
    params = jax.jit(model.init)(jax.random.key(0), X[0])
    params["codebook"]["vectors"] = jnp.tile(model.terms(params, jax.random.key(0), X[0]).z.encoding, (K, 1))
    slope = jax.grad(lambda p: model.terms(p, jax.random.key(0), X[0]).penalty)(params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slope))


def test_gradients_go_where_the_paper_sends_them():
    """Encoder: through the decoder as if z were its output, and commitment. Codebook: only its own squared distance."""
    model = small(commitment=0.5, observation=normal(std=1.0))
    params = jax.jit(model.init)(jax.random.key(0), X[0])
    z = model.terms(params, jax.random.key(0), X[0]).z
    slope = jax.grad(lambda p: (t := model.terms(p, jax.random.key(0), X[0])).penalty - t.log_likelihood)(params)
    at_code = jax.grad(lambda code: -model.likelihood.log_prob(params, X[0], code))(z.vectors)
    np.testing.assert_allclose(slope["encoder"]["b"], at_code + 2 * 0.5 * (z.encoding - z.vectors), rtol=1e-4)
    expected = np.zeros((K, D))
    expected[int(z.indices)] = 2 * (z.vectors - z.encoding)
    np.testing.assert_allclose(slope["codebook"]["vectors"], expected, rtol=1e-5)
    np.testing.assert_allclose(slope["codebook"]["usage"], -np.eye(K)[int(z.indices)])


def test_a_straight_through_value_is_exact():
    value, slope = jax.value_and_grad(lambda x: straight_through(jnp.float32(0.1), 1e8 * x))(1.2345)
    assert value == np.float32(0.1)
    assert slope == 1e8


def literal_averages(vectors, usage, batches, decay):
    """Appendix A.1 of the paper as it stands, in float64: N, m and e = m / N for codes that were ever used."""
    total, usage = vectors * usage[:, None], usage.copy()
    vectors = vectors.copy()
    for z in batches:
        index = np.square(z[:, None] - vectors[None]).sum(-1).argmin(1)
        hits = np.eye(len(vectors))[index]
        usage = decay * usage + (1 - decay) * hits.sum(0) / len(z)
        total = decay * total + (1 - decay) * hits.T @ z / len(z)
        vectors = np.where(usage[:, None] > 0, total / np.where(usage > 0, usage, 1)[:, None], vectors)
    return vectors, usage


@pytest.mark.rows(slow=["0.0"])
@pytest.mark.parametrize("start", [0.0, 0.3])
def test_the_optimizer_is_the_literal_moving_average(start):
    model = vq_vae(Linear(D, (D,)), Linear(D, (D,)), event_shape=(D,), code_shape=(D,), codes=K, observation=normal())
    params = jax.jit(model.init)(jax.random.key(0), jnp.zeros(D))
    params["encoder"] = {"w": jnp.eye(D), "b": jnp.zeros(D)}
    params["codebook"]["usage"] = jnp.full(K, start)
    rng = np.random.default_rng(0)
    batches = rng.normal(size=(30, 16, D)).astype(np.float32)
    frozen = vq_optimizer(optax.set_to_zero(), decay=0.8)
    loss, state, moved = vq_loss(model, restart_below=0.0), frozen.init(params), params

    @jax.jit
    def step(params, state, batch):
        keys = jax.random.split(jax.random.key(0), len(batch))
        updates, state = frozen.update(jax.grad(loss, has_aux=True)(params, keys, batch, 0)[0], state, params)
        return optax.apply_updates(params, updates), state

    for batch in batches:
        moved, state = step(moved, state, batch)
    vectors, usage = literal_averages(
        np.float64(params["codebook"]["vectors"]), np.full(K, start), np.float64(batches), 0.8
    )
    np.testing.assert_allclose(moved["codebook"]["vectors"], vectors, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(moved["codebook"]["usage"], usage, rtol=1e-4, atol=1e-6)
    assert same_bits(moved["encoder"], params["encoder"])


def test_the_step_of_a_code_is_one_minus_decay_only_while_its_count_is_its_average():
    optimizer = moving_averages(0.9)

    def moved(count, usage):
        gradient = {"vectors": jnp.full((1, 1), 2.0 * count), "usage": jnp.array([usage - count])}
        params = {"vectors": jnp.ones((1, 1)), "usage": jnp.array([usage])}  # `count` encodings at 0
        return -float(optimizer.update(gradient, (), params)[0]["vectors"][0, 0])

    assert moved(2.0, 2.0) == pytest.approx(0.1)
    assert moved(4.0, 2.0) == pytest.approx(0.4 / 2.2)
    assert moved(0.0, 2.0) == 0


def trained(codebook, *, codes=64, steps=60, data=None, **options):
    model = small(codes=codes)
    optimizer = vq_optimizer(optax.adam(0.01), codebook=codebook, decay=0.9)
    loss = vq_loss(model, **options)
    compiled = compile_steps(loss, optimizer, grey, batch_size=10, steps_per_call=5, mode="jit")
    state = init_state(model, optimizer, jax.random.key(0), X[0])
    reports = [r.metrics for r in train(compiled, state, images(50) if data is None else data, steps, steps_per_call=5)]
    history = {name: np.concatenate([r[name] for r in reports]) for name in reports[0]}
    return model, state, history


@pytest.mark.slow
@pytest.mark.rows(full=["gradient"])
@pytest.mark.parametrize("codebook", ["moving_average", "gradient"])
def test_training_improves_the_bound(codebook):
    _, _, history = trained(codebook)
    assert not history["skipped"].any()
    assert history["elbo"][-5:].mean() > history["elbo"][:5].mean() + 0.5
    np.testing.assert_allclose(history["code_usage"].sum(1), 1.0, rtol=1e-5)


@pytest.mark.full
def test_ten_inputs_use_at_most_ten_of_512_codes_and_the_rest_are_reported_dead():
    data = np.random.default_rng(0).integers(0, 256, (10, *SHAPE), np.uint8)
    _, _, history = trained("moving_average", codes=512, steps=40, data=data)
    assert not history["skipped"].any()
    assert 1 <= perplexity(history["code_usage"][-5:].mean(0)) <= 10.01 * 5
    assert history["dead_codes"][0] == 512
    _, _, still = trained("moving_average", codes=512, steps=40, data=data, restart_below=0.0)
    assert 1 <= perplexity(still["code_usage"][-1]) <= 10.01
    assert not still["dead_codes"].any()  # nothing is below a threshold of 0


@pytest.mark.slow
def test_dead_codes_are_moved_onto_encodings_in_one_step():
    model = small(codes=4)
    params = jax.jit(model.init)(jax.random.key(0), X[0])
    params["codebook"] = {"vectors": jnp.full((4, D), 100.0), "usage": jnp.array([0.0, 0.25, 1e-4, 0.0])}
    optimizer = vq_optimizer(optax.set_to_zero())
    keys = jax.random.split(jax.random.key(0), len(X))
    (value, metrics), slope = quick_jit(jax.value_and_grad(vq_loss(model), has_aux=True))(params, keys, X, 0)
    updates, _ = optimizer.update(slope, optimizer.init(params), params)
    after = optax.apply_updates(params, updates)["codebook"]
    encodings = quick_jit(jax.vmap(lambda x: model.terms(params, keys[0], x).z.encoding))(X)
    away = np.abs(np.float64(after["vectors"])[:, None] - np.float64(encodings)[None]).max(-1).min(1)
    assert metrics["dead_codes"] == 3
    assert away[[2, 3]].max() < 0.05  # what is left of the old vector is its old usage
    assert away[0] < 1.0  # the whole batch was nearest to this one, the first of equals: its mean has a say
    np.testing.assert_allclose(after["usage"][np.array([2, 3])], 0.25, rtol=0.01)
    assert float(metrics["loss"]) == pytest.approx(float(metrics["penalty"] - metrics["elbo"]), rel=1e-6)
    assert np.isfinite(value)


def test_perplexity_counts_what_is_in_use():
    assert float(perplexity(jnp.array([3.0, 3.0, 3.0, 0.0]))) == pytest.approx(3.0, rel=1e-6)
    assert perplexity(jnp.zeros(4)) == 0
    p = np.array([0.7, 0.2, 0.1])
    assert float(perplexity(jnp.asarray(p))) == pytest.approx(math.exp(-(p * np.log(p)).sum()), rel=1e-6)
    assert np.isfinite(jax.grad(perplexity)(jnp.array([1.0, 0.0]))).all()


@pytest.mark.slow
def test_a_run_by_fit_keeps_the_usage_of_each_epoch():
    model, data = small(codes=4), images(40)
    optimizer = vq_optimizer(optax.adam(0.01))
    _, history = jaxvae.fit(
        model, data, protocol="grey", loss=vq_loss(model), optimizer=optimizer, epochs=2, batch_size=10, progress=False
    )
    assert np.shape(history[-1]["code_usage"]) == (4,)
    assert 1 <= perplexity(np.asarray(history[-1]["code_usage"], np.float32)) <= 4.001


BAD = [
    (lambda: small(codes=0), ValueError, ["codes is 0"]),
    (lambda: small(codes=2.5), TypeError, ["codes is 2.5"]),
    (lambda: vq_vae(None, None, event_shape=(1,), code_shape=2, codes=2), TypeError, ["code_shape is 2"]),
    (lambda: small(event_shape=(0,)), ValueError, ["event_shape is 0"]),
    (lambda: small(commitment=-1.0), ValueError, ["commitment is -1.0"]),
    (lambda: small(observation=normal), TypeError, ["observation is", "Call one"]),
    (lambda: vq_loss(small(), restart_below=-0.1), ValueError, ["restart_below is -0.1"]),
    (lambda: vq_optimizer(optax.sgd(1.0), decay=1.0), ValueError, ["decay is 1", "below 1"]),
    (lambda: vq_optimizer(optax.sgd(1.0), decay=-0.5), ValueError, ["decay is -0.5"]),
    (lambda: vq_optimizer(optax.sgd(1.0), codebook="ema"), ValueError, ["'ema'", "'moving_average' or 'gradient'"]),
    (lambda: vq_optimizer(optax.sgd(1.0)).init({"encoder": {}}), ValueError, ["['encoder']", "vq_vae"]),
    (lambda: nearest_code(jnp.zeros(3), jnp.zeros((4, 2))), ValueError, ["codebook has shape (4, 2)", "(4, 3)"]),
    (lambda: ConvGridEncoder(0), ValueError, ["size is 0"]),
    (lambda: ConvGridEncoder(2, features=()), ValueError, ["features is ()"]),
    (lambda: ConvGridDecoder((6, 6, 1), features=(4, 8)), ValueError, ["(6, 6, 1)", "multiples of 4"]),
    (lambda: ConvGridDecoder((8, 8, 1), 1, (4,)).init(jax.random.key(0), jnp.zeros(3)), ValueError, ["(4, 4, D)"]),
    (lambda: wrong_encoder(), ValueError, ["the encoder returned (3,)", "(2,)", "code_shape"]),
]  # fmt: skip


def wrong_encoder():
    model = vq_vae(Linear(3, (3,)), Linear(16, SHAPE), event_shape=SHAPE, code_shape=(2,), codes=4)
    model.terms(model.init(jax.random.key(0), X[0]), jax.random.key(0), X[0])


@pytest.mark.parametrize(("call", "error", "words"), BAD)
def test_what_cannot_be_is_refused_with_the_way_out(call, error, words):
    with pytest.raises(error) as raised:
        call()
    for word in words:
        assert word in str(raised.value)


def with_prior(codes=3, grid=(2, 2)):
    """A VQ-VAE whose prior sees something in every code, on 2x2 codes that can be listed."""
    network = causal_transformer(grid, codes, width=8, layers=1, heads=2, levels=codes)
    shape = (*grid, D)
    model = small(shape, codes, prior=code_prior(network, shape, codes), observation=normal())
    params = quick_jit(model.init)(jax.random.key(0), X[0])
    return model, params | {"code_prior": moved(params["code_prior"], 0.5)}


@pytest.mark.slow
def test_a_learned_prior_of_codes_is_a_distribution_over_all_of_them_and_the_rate_is_its_nats():
    model, params = with_prior()
    numbers = jnp.asarray(list(itertools.product(range(3), repeat=4))).reshape(-1, 2, 2)
    vectors = params["codebook"]["vectors"]
    log_p = quick_jit(jax.vmap(model.prior.log_prob, (None, 0, None)))(params, vectors[numbers], None)
    assert float(jnp.exp(log_p).sum()) == pytest.approx(1.0, abs=1e-5)
    assert float(log_p.std()) > 0.1
    terms = quick_jit(model.terms)(params, jax.random.key(1), X[0])
    place = int((terms.z.indices.ravel() * jnp.array([27, 9, 3, 1])).sum())
    assert float(terms.kl[0]) == pytest.approx(-float(log_p[place]), abs=1e-5)
    assert float(terms.log_weight) == pytest.approx(float(terms.log_likelihood - terms.kl.sum()), abs=1e-5)
    drawn, told = quick_jit(jax.vmap(model.prior.sample, (None, 0, None)))(
        params, jax.random.split(jax.random.key(2), 3000), None
    )
    places = nearest_code(drawn, vectors).reshape(-1, 4) @ jnp.array([27, 9, 3, 1])
    np.testing.assert_allclose(told, log_p[places], atol=1e-5)
    expected = 3000 * np.exp(np.float64(log_p))
    chi = ((np.bincount(places, minlength=81) - expected) ** 2 / expected).sum()
    assert chi < 81 + 4 * np.sqrt(2 * 81)


@pytest.mark.slow
def test_the_encoder_and_the_codebook_have_no_gradient_of_the_learned_prior_and_the_prior_has_its_own():
    model, params = with_prior()
    slopes = quick_jit(jax.grad(lambda params: model.terms(params, jax.random.key(1), X[0]).kl.sum()))(params)
    norms = {name: max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(slopes[name])) for name in slopes}
    assert norms.pop("code_prior") > 0
    assert set(norms.values()) == {0.0}


def test_a_prior_that_does_not_fit_the_codes_is_named():
    network = causal_transformer((3,), 4, width=4, layers=1, heads=1)
    with pytest.raises(ValueError, match=r"events \(3,\), expected 4 element\(s\), one for each vector of a code"):
        code_prior(network, (2, 2, D), 4)
    with pytest.raises(ValueError, match=r"emits 4 number\(s\) for an element, expected the 5"):
        code_prior(network, (3, D), 5)
    with pytest.raises(ValueError, match="over 'real', expected one over the vectors of a codebook"):
        small((3, D), prior=standard_normal(3))
    with pytest.raises(TypeError, match="expected a Conditional, such as code_prior"):
        small((3, D), prior=3)
