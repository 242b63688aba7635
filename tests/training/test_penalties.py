"""What only a batch can say: MMD, DIP, the parts of the KL; against double loops, closed forms and float64."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.special import logsumexp
from small import LATENTS, SHAPE, Encoder, Linear, images, setup, small_vae

import jaxvae
from jaxvae.math.kernels import inverse_multiquadric_kernel, rbf_kernel, squared_distance
from jaxvae.models.autoencoders.deterministic import autoencoder
from jaxvae.models.priors.standard import standard_normal
from jaxvae.objectives.bounds import elbo
from jaxvae.objectives.dip import dip_penalty, posterior_covariance
from jaxvae.objectives.discrepancy import mmd, mmd_biased
from jaxvae.objectives.total_correlation import decompose_kl, stratified_log_weights
from jaxvae.training.engine.loop import train
from jaxvae.training.losses.batch import batch_terms
from jaxvae.training.losses.bound import bound_loss
from jaxvae.training.losses.penalties import dip_vae_penalty, mmd_penalty, tc_vae_loss

pytestmark = pytest.mark.quick_compile

KEY = jax.random.key(0)
quick_jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})  # run once or twice
KERNELS = {
    "rbf": (rbf_kernel(1.3), lambda square: np.exp(-square / (2 * 1.3**2))),
    "multiquadric": (
        inverse_multiquadric_kernel(6.0, (0.1, 1.0, 10.0)),
        lambda square: np.mean([6 * f / (6 * f + square) for f in (0.1, 1.0, 10.0)]),
    ),
}


def loop_mmd(x, y, kernel, with_itself):
    """The definition, pair by pair, in float64."""

    def mean(a, b, same):
        pairs = [
            kernel(np.sum((p - q) ** 2)) for i, p in enumerate(a) for j, q in enumerate(b) if not (same and i == j)
        ]
        return np.mean(pairs)

    within = mean(x, x, not with_itself) + mean(y, y, not with_itself)
    return within - 2 * mean(x, y, False)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize(("estimate", "with_itself"), [(mmd, False), (mmd_biased, True)])
@pytest.mark.parametrize("sizes", [(2, 2), (7, 4), (4, 4)])
def test_mmd_is_the_mean_over_pairs(name, estimate, with_itself, sizes):
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(sizes[0], 4)), 0.5 + 2 * draw.normal(size=(sizes[1], 4))
    kernel, plain = KERNELS[name]
    found = jax.jit(lambda x, y: estimate(x, y, kernel))(jnp.float32(x), jnp.float32(y))
    assert float(found) == pytest.approx(loop_mmd(np.float32(x), np.float32(y), plain, with_itself), abs=2e-6)


def test_unbiased_mmd_of_two_gaussians_is_its_closed_form_on_average():
    """E k(x, y) of independent Gaussians is a Gaussian integral; the mean over many small sets must meet it."""
    length, mean, scale, size = 1.3, np.array([0.7, -0.2]), np.array([0.5, 1.5]), 8

    def expected(gap, variance):
        total = length**2 + variance
        return np.prod(np.sqrt(length**2 / total) * np.exp(-(gap**2) / (2 * total)))

    truth = expected(0 * mean, 2 * scale**2) + expected(0 * mean, 2 * np.ones(2)) - 2 * expected(mean, scale**2 + 1)

    @jax.jit
    def estimates(key):
        x, y = jax.random.normal(key, (2, 4000, size, 2))
        x = x * jnp.float32(scale)[None, None] + jnp.float32(mean)[None, None]
        both = jax.vmap(lambda a, b: (mmd(a, b, rbf_kernel(length)), mmd_biased(a, b, rbf_kernel(length))))
        return both(x, y)

    found, biased = (np.float64(a) for a in estimates(KEY))
    assert abs(found.mean() - truth) < 4.5 * found.std() / np.sqrt(found.size)
    too_large = (2 - expected(0 * mean, 2 * scale**2) - expected(0 * mean, 2 * np.ones(2))) / size
    assert abs(biased.mean() - truth - too_large) < 4.5 * biased.std() / np.sqrt(biased.size)


@pytest.mark.parametrize("name", KERNELS)
def test_gradients_are_finite_and_right_at_identical_points(name):
    kernel, plain = KERNELS[name]
    same = jnp.zeros((3, 2))
    assert np.isfinite(jax.jit(jax.grad(lambda x: mmd(x, same, kernel)))(same)).all()
    np.testing.assert_array_equal(jax.grad(lambda x: kernel(x, jnp.ones(2)))(jnp.ones(2)), 0.0)
    step, at = 1e-4, np.array([0.3, -1.0])
    slope = jax.grad(kernel)(jnp.float32(at), jnp.zeros(2))
    for i in range(2):
        move = step * np.eye(2)[i]
        central = (plain(np.sum((at + move) ** 2)) - plain(np.sum((at - move) ** 2))) / (2 * step)
        assert float(slope[i]) == pytest.approx(central, rel=1e-4)


def test_close_points_keep_the_digits_of_their_distance():
    x = jnp.float32([1000.0, 1000.0])
    assert float(squared_distance(x, x + jnp.float32(0.25))) == 0.125
    assert float(squared_distance(jnp.bfloat16(1.0) * jnp.ones(300, jnp.bfloat16), jnp.zeros(300))) == 300.0


@pytest.mark.parametrize("kind", ["I", "II"])
def test_dip_is_the_covariance_of_means_or_of_samples(kind):
    draw = np.random.default_rng(1)
    mean, log_var = draw.normal(size=(9, 3)) @ draw.normal(size=(3, 3)), draw.normal(size=(9, 3))
    covariance = np.cov(mean.T, bias=True)
    if kind == "II":
        covariance += np.diag(np.exp(log_var).mean(0))
    found = jax.jit(lambda m, v: posterior_covariance(m, v, kind))(jnp.float32(mean), jnp.float32(log_var))
    np.testing.assert_allclose(found, covariance, rtol=1e-5, atol=1e-6)
    off, own = covariance - np.diag(np.diag(covariance)), np.diag(covariance)
    expected = 3 * (off**2).sum() + 0.5 * ((own - 1) ** 2).sum()
    penalty = dip_penalty(jnp.float32(mean), jnp.float32(log_var), kind=kind, off_diagonal=3.0, diagonal=0.5)
    assert float(penalty) == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_dip_of_kind_two_is_the_covariance_of_samples():
    draw = np.random.default_rng(2)
    mean, log_var = draw.normal(size=(5, 2)), draw.normal(size=(5, 2)) - 1
    z = mean[None] + np.exp(log_var / 2)[None] * draw.normal(size=(200_000, 5, 2))
    products = z[..., :, None] * z[..., None, :]
    sampled = products.mean((0, 1)) - np.outer(z.mean((0, 1)), z.mean((0, 1)))
    error = products.mean(1).std(0) / np.sqrt(200_000) + 1e-3
    np.testing.assert_array_less(
        np.abs(sampled - np.float64(posterior_covariance(jnp.float32(mean), jnp.float32(log_var)))), 5 * error
    )


# The total correlation of ten independent latents: N(0, 1) made of N posteriors of standard deviation 0.3.
DATASET, BATCH, DIM, WIDTH = 737_280, 64, 10, 0.3
# I = h(z) - h(z | x) of Gaussians of variance 1 and WIDTH^2; independent latents; the aggregate is the prior.
TRUTH = np.array([-DIM * np.log(WIDTH), 0.0, 0.0])


def published_weights():
    """The matrix of the authors' code, which means the diagonal and steps by B instead of B + 1."""
    m = BATCH - 1
    weights = np.full((BATCH, BATCH), 1 / m)
    weights.reshape(-1)[:: m + 1] = 1 / DATASET
    weights.reshape(-1)[1 :: m + 1] = (DATASET - m) / (DATASET * m)
    weights[m - 1, 0] = (DATASET - m) / (DATASET * m)
    return weights


def parts_with(weights, z, mean):
    """The three parts in float64 NumPy, for any weight matrix."""
    density = -0.5 * np.log(2 * np.pi * WIDTH**2) - 0.5 * ((z[:, None] - mean[None]) / WIDTH) ** 2
    joint = logsumexp(np.log(weights) + density.sum(-1), axis=1)
    product = logsumexp(np.log(weights)[..., None] + density, axis=1).sum(-1)
    own = np.einsum("iil->i", density)
    prior = -0.5 * (np.log(2 * np.pi) + z**2).sum(-1)
    return np.array([(own - joint).mean(), (joint - product).mean(), (product - prior).mean()])


@pytest.fixture(scope="module")
def batches():
    draw = np.random.default_rng(0)
    mean = np.sqrt(1 - WIDTH**2) * draw.normal(size=(100, BATCH, DIM))
    return mean + WIDTH * draw.normal(size=mean.shape), mean


@pytest.mark.slow
def test_the_parts_of_the_kl_are_within_a_nat_and_a_half_of_the_truth(batches):
    z, mean = (jnp.float32(a) for a in batches)
    log_var = jnp.full(mean.shape, 2 * np.log(WIDTH), jnp.float32)
    parts = jax.jit(jax.vmap(lambda *a: jnp.stack(decompose_kl(*a, DATASET))))(z, mean, log_var)
    found, error = np.float64(parts).mean(0), np.float64(parts).std(0) / np.sqrt(len(parts))
    assert TRUTH[0] == pytest.approx(12.04, abs=5e-3)
    assert (error < 0.1).all()
    assert (np.abs(found - TRUTH) + 5 * error < 1.5).all(), found
    expected = np.mean(
        [parts_with(np.exp(stratified(BATCH, DATASET)), *pair) for pair in zip(*batches, strict=True)], 0
    )
    np.testing.assert_allclose(found, expected, atol=1e-3)


def stratified(batch, dataset):
    """The weights by counting: how often q(z | x_j) stands for a member of the data set, in float64."""
    weights = np.empty((batch, batch))
    for i in range(batch):
        for j in range(batch):
            members = 1 if i == j else (dataset - 1) / (batch - 1)
            weights[i, j] = members / dataset
    return np.log(weights)


def test_the_published_weights_miss_by_seven(batches):
    found = np.mean([parts_with(published_weights(), *pair) for pair in zip(*batches, strict=True)], axis=0)
    assert abs(found[0] - TRUTH[0]) > 7
    assert abs(found[1] - TRUTH[1]) > 7
    # Where the 1/N belongs on the diagonal, the published matrix has 1 / (B - 1).
    assert np.isclose(np.diag(published_weights()), 1 / (BATCH - 1), rtol=1e-3).sum() >= BATCH - 2
    np.testing.assert_allclose(np.diag(np.exp(stratified_log_weights(BATCH, DATASET))), 1 / DATASET, rtol=1e-5)


@pytest.mark.parametrize(("batch", "dataset"), [(2, 2), (5, 5), (5, 40), (64, 737_280)])
def test_stratified_weights_sum_to_one_and_a_whole_data_set_is_exact(batch, dataset):
    found = np.exp(np.float64(stratified_log_weights(batch, dataset)))
    np.testing.assert_allclose(found, np.exp(stratified(batch, dataset)), rtol=1e-5)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)
    if batch == dataset:
        np.testing.assert_allclose(found, 1 / batch, rtol=1e-6)


def test_the_estimate_of_the_aggregate_is_unbiased():
    """Over all batches that hold example 0 of a data set of six, the mean estimate of q(z_0) is q(z_0) itself."""
    draw = np.random.default_rng(4)
    density = draw.uniform(0.1, 5, size=6)  # q(z_0 | x_n)
    weights = np.exp(np.float64(stratified_log_weights(3, 6)))[0]
    found = [weights @ density[[0, *others]] for others in itertools.combinations(range(1, 6), 2)]
    assert np.mean(found) == pytest.approx(density.mean(), rel=1e-6)


@pytest.mark.parametrize("sampling", ["stratified", "weighted"])
def test_the_parts_add_up_to_the_kl_of_the_samples(sampling):
    draw = np.random.default_rng(5)
    mean, log_var = draw.normal(size=(6, 3)), draw.normal(size=(6, 3))
    z = mean + np.exp(log_var / 2) * draw.normal(size=mean.shape)
    arrays = [jnp.float32(a) for a in (z, mean, log_var)]
    split = jax.jit(decompose_kl, static_argnums=3, static_argnames="sampling")
    parts = split(*arrays, 50, sampling=sampling)
    kl = 0.5 * (z**2 - log_var - (z - mean) ** 2 * np.exp(-log_var)).sum(1).mean()
    assert float(sum(parts)) == pytest.approx(kl, rel=1e-4)
    if sampling == "weighted":  # every weight is N times too small against the exact q(z) of a whole data set
        shift = np.log(50) * np.array([1, 2, -3])
        np.testing.assert_allclose(np.array(parts) - np.array(split(*arrays, 6)), shift, atol=1e-4)


PENALTIES = {
    "mmd": lambda model: mmd_penalty(model, 5.0),
    "mmd with a kernel": lambda model: mmd_penalty(model, 5.0, rbf_kernel(1.5), prior=standard_normal(LATENTS)),
    "dip I": lambda model: dip_vae_penalty(kind="I"),
    "dip II": lambda model: dip_vae_penalty(kind="II", off_diagonal=2.0),
}
LOSSES = {
    **{name: (lambda model, p=p: bound_loss(model, elbo, batch_penalty=p(model))) for name, p in PENALTIES.items()},
    "mmd-vae": lambda model: bound_loss(model, elbo, beta=0.0, batch_penalty=mmd_penalty(model, 10.0)),
    "mmd, three samples": lambda model: bound_loss(model, elbo, samples=3, batch_penalty=mmd_penalty(model)),
    "tc": lambda model: tc_vae_loss(model, 50),
    "tc, weighted": lambda model: tc_vae_loss(model, 50, sampling="weighted", alpha=0.5, samples=2),
    "tc with a schedule": lambda model: tc_vae_loss(model, 50, beta=lambda step: 1.0 + 0.1 * step),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_a_function_of_its_key_with_a_gradient(name):
    model = small_vae()
    params = quick_jit(model.init)(KEY, jnp.zeros(SHAPE))
    batch = jnp.float32(images(6) > 100)
    value_and_grad = quick_jit(jax.value_and_grad(LOSSES[name](model), has_aux=True))

    def at(seed):
        return value_and_grad(params, jax.random.split(jax.random.key(seed), 6), batch, jnp.int32(3))

    (value, metrics), gradient = at(1)
    assert (value.shape, value.dtype) == ((), jnp.float32)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((value, metrics, gradient)))
    assert all(np.any(leaf) for leaf in jax.tree.leaves(gradient))
    assert float(at(1)[0][0]) == float(value)
    assert float(at(2)[0][0]) != float(value)
    plain = metrics["log_likelihood"] - metrics["kl"]  # whatever is minimised, the elbo is the elbo
    assert float(metrics["elbo"]) == pytest.approx(float(plain), rel=1e-6)


@pytest.mark.slow
def test_tc_loss_with_equal_weights_is_the_one_sample_elbo_and_each_weight_counts_its_part():
    model = small_vae()
    params = quick_jit(model.init)(KEY, jnp.zeros(SHAPE))
    batch, keys = jnp.float32(images(6) > 100), jax.random.split(KEY, 6)
    terms = jax.jit(batch_terms, static_argnums=0)(model, params, keys, batch)
    # The schedules read the weights off the step, so that one compiled loss serves all four settings.
    bits = {"alpha": 1, "beta": 2, "gamma": 4}
    weights = {name: lambda step, bit=bit: 1.0 + 2.0 * ((step & bit) > 0) for name, bit in bits.items()}
    loss = jax.jit(tc_vae_loss(model, 50, **weights))
    value, metrics = loss(params, keys, batch, jnp.int32(0))
    assert float(value) == pytest.approx(-float(terms.log_weight.mean()), rel=1e-5)
    names = {"alpha": "mutual_information", "beta": "total_correlation", "gamma": "dimension_wise_kl"}
    for weight, name in names.items():
        more = loss(params, keys, batch, jnp.int32(bits[weight]))[0]
        assert float(more - value) == pytest.approx(2 * float(metrics[name]), rel=1e-3, abs=1e-4)


@pytest.mark.slow
def test_a_conditional_model_is_penalised_as_one_of_its_codes():
    """Its prior is N(0, I) whatever the label, so that the codes of all labels are one batch; each number by hand."""
    networks = (jaxvae.with_context(part) for part in (Encoder(), Linear(16, SHAPE)))
    model = jaxvae.conditional_vae(*networks, event_shape=SHAPE, latent_dim=LATENTS, context=2)
    batch = jaxvae.Labelled(jnp.float32(images(6) > 100), jnp.arange(6) % 2)
    params = quick_jit(model.init)(KEY, jax.tree.map(lambda leaf: leaf[0], batch))
    keys = jax.random.split(KEY, 6)
    terms = quick_jit(batch_terms, static_argnums=0)(model, params, keys, batch)
    mean, log_var = (np.float64(part)[:, 0] for part in terms.posterior)
    value, _ = quick_jit(tc_vae_loss(model, 50, beta=1.0))(params, keys, batch, jnp.int32(0))
    assert float(value) == pytest.approx(-float(terms.log_weight.mean()), rel=1e-5)
    elbos = float((terms.log_likelihood - terms.kl.sum(-1)).mean())
    covariance = np.cov(mean.T, bias=True) + np.diag(np.exp(log_var).mean(0))
    apart = 10 * np.square(covariance - np.eye(LATENTS)).sum()
    value, _ = quick_jit(bound_loss(model, elbo, batch_penalty=dip_vae_penalty()))(params, keys, batch, jnp.int32(0))
    assert float(value) == pytest.approx(apart - elbos, rel=1e-4)
    found = float(quick_jit(mmd_penalty(model, 5.0, rbf_kernel(1.3)))(params, KEY, terms))
    drawn = np.float64(jax.vmap(lambda key: jax.random.normal(key, (LATENTS,)))(jax.random.split(KEY, 6)))
    expected = 5 * loop_mmd(np.float64(terms.z)[:, 0], drawn, KERNELS["rbf"][1], False)
    assert found == pytest.approx(expected, abs=1e-4)


def code_model(prior):
    linear = Linear(LATENTS, (LATENTS,))
    return autoencoder(linear, Linear(16, SHAPE), event_shape=SHAPE, latent_dim=LATENTS, prior=prior)


def loss_of(model):
    loss = bound_loss(model, elbo, batch_penalty=mmd_penalty(model, 10.0))
    params = quick_jit(model.init)(KEY, jnp.zeros(SHAPE))
    arguments = params, jax.random.split(KEY, 6), jnp.float32(images(6) > 100), jnp.int32(0)
    return quick_jit(jax.value_and_grad(loss, has_aux=True))(*arguments)


@pytest.mark.slow
def test_a_wasserstein_autoencoder_is_an_autoencoder_with_an_mmd_penalty():
    (value, metrics), gradient = loss_of(code_model(standard_normal(LATENTS)))
    assert float(value) == pytest.approx(float(metrics["penalty"] - metrics["log_likelihood"]), rel=1e-6)
    assert all(np.isfinite(leaf).all() and np.any(leaf) for leaf in jax.tree.leaves(gradient))
    with pytest.raises(ValueError, match="no prior"):
        loss_of(code_model(None))


@pytest.mark.full
@pytest.mark.parametrize(("name", "mode"), [("dip II", "jit"), ("tc", "pmap")])
def test_every_loss_falls_on_one_device_and_on_two(name, mode):
    state, compiled = setup(LOSSES[name](small_vae()), optax.adam(0.03), mode=mode)
    losses = np.concatenate([r.metrics["loss"] for r in train(compiled, state, images(), 60, steps_per_call=20)])
    assert losses[-10:].mean() < losses[:5].mean() - 1


@pytest.mark.full
def test_mmd_pulls_the_codes_to_the_prior_on_two_devices():
    model = small_vae()
    model = model._replace(prior=standard_normal(LATENTS)._replace(sample=far_draws))
    loss = bound_loss(model, elbo, beta=0.0, batch_penalty=mmd_penalty(model, 100.0))
    state, compiled = setup(loss, optax.adam(0.03), mode="pmap")
    *_, last = train(compiled, state, images(), 100, steps_per_call=20)
    terms = jax.jit(batch_terms, static_argnums=0)(
        model, last.state.params, jax.random.split(KEY, 50), jnp.float32(images() > 100)
    )
    np.testing.assert_allclose(terms.z.mean((0, 1)), 3.0, atol=0.5)


def far_draws(params, key, context):
    z = 3.0 + jax.random.normal(key, (LATENTS,))
    return z, jnp.zeros(())


POINTS = jnp.zeros((3, 2))
BAD = {
    "length scale": (lambda: rbf_kernel(0.0), ValueError, ["length_scale is 0.0", "above 0"]),
    "scale": (lambda: inverse_multiquadric_kernel(-1.0), ValueError, ["scale is -1.0"]),
    "no factors": (lambda: inverse_multiquadric_kernel(1.0, ()), ValueError, ["factors is ()"]),
    "one point": (lambda: mmd(POINTS[:1], POINTS, rbf_kernel()), ValueError, ["x has shape (1, 2)", "at least 2"]),
    "other points": (lambda: mmd(POINTS, jnp.zeros((3, 4)), rbf_kernel()), ValueError, ["shape (3, 4)", "(3, 2)"]),
    "pixels": (lambda: mmd(jnp.zeros((3, 2), int), POINTS, rbf_kernel()), TypeError, ["x has dtype int32"]),
    "no points": (lambda: mmd_biased(POINTS[:0], POINTS, rbf_kernel()), ValueError, ["x has shape (0, 2)"]),
    "kind": (lambda: dip_penalty(POINTS, POINTS, kind="III"), ValueError, ["kind is 'III'", "'I'"]),
    "kind of a penalty": (lambda: dip_vae_penalty(kind=2), ValueError, ["kind is 2"]),
    "batch of one": (lambda: dip_penalty(POINTS[:1], POINTS[:1]), ValueError, ["mean has shape (1, 2)"]),
    "dip shapes": (lambda: dip_penalty(POINTS, POINTS[0]), ValueError, ["log_var has shape (2,)", "(3, 2)"]),
    "dip weight": (lambda: dip_penalty(POINTS, POINTS, diagonal=-1.0), ValueError, ["diagonal is -1.0"]),
    "tc shapes": (lambda: decompose_kl(POINTS, POINTS, POINTS[:, :1], 9), ValueError, ["log_var has shape (3, 1)"]),
    "tc ranks": (lambda: decompose_kl(POINTS[0], POINTS, POINTS, 9), ValueError, ["z has shape (2,)", "[B, Z]"]),
    "few data": (lambda: decompose_kl(POINTS, POINTS, POINTS, 2), ValueError, ["dataset_size is 2", "at least 3"]),
    "sampling": (lambda: decompose_kl(POINTS, POINTS, POINTS, 9, sampling="a"), ValueError, ["sampling is 'a'"]),
    "log prior": (
        lambda: decompose_kl(POINTS, POINTS, POINTS, 9, log_prior=jnp.zeros(())), ValueError, ["shape ()"],
    ),
    "NaN": (lambda: decompose_kl(POINTS * jnp.nan, POINTS, POINTS, 9), ValueError, ["z has the value nan"]),
    "weight": (lambda: mmd_penalty(small_vae(), -1.0), ValueError, ["weight is -1.0"]),
    "no prior": (lambda: mmd_penalty(small_vae()._replace(prior=None)), ValueError, ["no prior", "prior="]),
    "prior": (lambda: mmd_penalty(small_vae(), prior=standard_normal), TypeError, ["expected a Conditional"]),
    "tc weight": (lambda: tc_vae_loss(small_vae(), 50, beta=np.nan), ValueError, ["beta is nan"]),
    "tc data": (lambda: tc_vae_loss(small_vae(), 5.0), TypeError, ["dataset_size is 5.0"]),
    "tc sampling": (lambda: tc_vae_loss(small_vae(), 50, sampling="mws"), ValueError, ["'mws'", "stratified"]),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_inputs_are_answered(name):
    call, error, words = BAD[name]
    with pytest.raises(error) as caught:
        call()
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("penalty", [dip_vae_penalty(), None], ids=["dip", "tc"])
def test_a_posterior_that_is_no_gaussian_is_named(penalty):
    model = small_vae()
    model = model._replace(terms=lambda *a, terms=model.terms: terms(*a)._replace(posterior=None))
    loss = tc_vae_loss(model, 50) if penalty is None else bound_loss(model, batch_penalty=penalty)
    params = quick_jit(model.init)(KEY, jnp.zeros(SHAPE))
    with pytest.raises(ValueError, match="no diagonal Gaussian"):
        jax.eval_shape(loss, params, jax.random.split(KEY, 4), jnp.zeros((4, *SHAPE)), jnp.int32(0))


def test_a_hierarchy_of_codes_is_named():
    model = small_vae()
    model = model._replace(terms=lambda *a, terms=model.terms: (t := terms(*a))._replace(z=(t.z, t.z)))
    params = quick_jit(model.init)(KEY, jnp.zeros(SHAPE))
    loss = bound_loss(model, batch_penalty=mmd_penalty(model))
    with pytest.raises(TypeError, match="expected one array of codes"):
        jax.eval_shape(loss, params, jax.random.split(KEY, 4), jnp.zeros((4, *SHAPE)), jnp.int32(0))


@pytest.mark.slow
def test_public_names():
    assert jaxvae.objectives.mmd is mmd
    assert jaxvae.objectives.decompose_kl is decompose_kl
