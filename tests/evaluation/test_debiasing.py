"""Sampling probabilities from rare codes, against enumeration by hand; what they do in training."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small import SHAPE, Linear, binarize, images, same_bits, small_vae

import jaxvae
from jaxvae.data.protocols import grey
from jaxvae.evaluation.latents import rarity
from jaxvae.evaluation.latents.codes import encode
from jaxvae.models.contexts import Labelled
from jaxvae.models.players.critic import with_critic
from jaxvae.training.losses.bound import bound_loss
from jaxvae.training.losses.outliers import outlier_exposure_loss
from jaxvae.training.losses.supervised import supervised_loss

pytestmark = pytest.mark.quick_compile

CODES = np.random.default_rng(0).normal(size=(40, 3)) ** 3


def by_hand(means, bins, alpha):
    """Equation 4 of the paper by numpy.histogram: a product over latents of 1 / (Q + alpha), scaled to the sum 1."""
    weights = np.ones(len(means))
    for column in means.T:
        counts, edges = np.histogram(column, bins)
        for i, value in enumerate(column):
            inside = [low <= value < high for low, high in itertools.pairwise(edges)]
            place = inside.index(True) if any(inside) else bins - 1
            weights[i] /= counts[place] / len(means) + alpha
    return weights / weights.sum()


@pytest.mark.parametrize(("bins", "alpha"), [(10, 0.01), (3, 1.0), (7, 1e-6)])
def test_the_weights_are_those_of_the_paper(bins, alpha):
    found = rarity.resampling_weights(CODES, bins=bins, alpha=alpha)
    np.testing.assert_allclose(found, by_hand(CODES, bins, alpha), rtol=1e-9)
    assert abs(found.sum() - 1) < 1e-12
    assert (found > 0).all()


def test_a_large_alpha_makes_all_alike_and_a_small_one_the_draws_uniform_over_bins():
    np.testing.assert_allclose(rarity.resampling_weights(CODES, alpha=1e9), 1 / 40, rtol=1e-6)
    one = np.concatenate([np.full(97, 0.05), np.full(3, 0.95)])[:, None]
    weights = rarity.resampling_weights(one, bins=2, alpha=1e-9)
    assert weights[97:].sum() == pytest.approx(0.5, abs=1e-6)
    assert rarity.effective_examples(np.ones(40)) == 40
    assert rarity.effective_examples(weights) == pytest.approx(1 / (97 * (0.5 / 97) ** 2 + 3 * (0.5 / 3) ** 2))


def test_the_maximum_is_of_each_latents_own_probabilities():
    found = rarity.resampling_weights(CODES, combine="maximum", alpha=0.02)
    each = np.stack([by_hand(column[:, None], 10, 0.02) for column in CODES.T]).max(0)
    np.testing.assert_allclose(found, each / each.sum(), rtol=1e-9)


def test_an_alpha_added_to_a_density_is_one_over_the_width_of_a_bin():
    """The course notebook smooths densities, per unit of the latent, where this smooths shares."""
    column, smoothing = 7.0 * CODES[:, 0], 0.003
    density, edges = np.histogram(column, 10, density=True)
    place = np.clip(np.searchsorted(edges, column, side="right") - 1, 0, 9)
    inverse = 1 / (density + smoothing)[place]
    found = rarity.resampling_weights(column[:, None], alpha=smoothing * (edges[1] - edges[0]))
    np.testing.assert_allclose(found, inverse / inverse.sum(), rtol=1e-9)


def test_alpha_is_raised_until_the_draws_are_worth_the_share_asked_for_and_no_further():
    plain = rarity.resampling_weights(CODES, alpha=1e-3)
    assert rarity.effective_examples(plain) < 20
    raised = rarity.resampling_weights(CODES, alpha=1e-3, at_least=0.5)
    assert rarity.effective_examples(raised) == pytest.approx(20, rel=1e-3)
    alphas = np.geomspace(1e-3, 1e3, 20001)
    by_search = next(a for a in alphas if rarity.effective_examples(by_rule(a)) >= 20)
    np.testing.assert_allclose(raised, by_rule(by_search), rtol=0.01)
    np.testing.assert_array_equal(rarity.resampling_weights(CODES, alpha=1e-3, at_least=0.01), plain)


def by_rule(alpha):
    return rarity.resampling_weights(CODES, alpha=alpha)


def test_a_latent_that_says_nothing_changes_nothing():
    constant = np.c_[CODES, np.full(40, 3.0)]
    np.testing.assert_allclose(rarity.resampling_weights(constant), rarity.resampling_weights(CODES))
    np.testing.assert_array_equal(rarity.resampling_weights(np.zeros((5, 0))), np.full(5, 0.2))


def test_many_latents_do_not_overflow():
    many = np.random.default_rng(0).normal(size=(100, 500))
    weights = rarity.resampling_weights(many, alpha=1e-6)
    assert np.isfinite(weights).all()
    assert weights.sum() == pytest.approx(1)


def test_the_resampler_reads_the_codes_of_the_parameters_it_is_given_and_leaves_out_idle_latents():
    model, x = small_vae(), (images(30) / 255).astype(np.float32)
    params = jax.jit(model.init)(jax.random.key(0), x[0])
    means = encode(model, params, x).mean
    np.testing.assert_allclose(
        rarity.latent_resampler(model, x, threshold=0.0, at_least=0.0)(params), rarity.resampling_weights(means)
    )
    spread = np.sort(means.var(0))
    some = rarity.latent_resampler(model, x, threshold=float(spread[0] + spread[1]) / 2, at_least=0)(params)
    np.testing.assert_allclose(some, rarity.resampling_weights(means[:, means.var(0) > spread[0]]))
    none = rarity.latent_resampler(model, x, threshold=100.0)(params)
    np.testing.assert_array_equal(none, np.full(30, 1 / 30))


# In training


def fitted(**options):
    return jaxvae.fit(
        small_vae(),
        images(),
        protocol="grey",
        epochs=3,
        batch_size=10,
        progress=False,
        optimizer=optax.sgd(1e-2),
        **options,
    )


def test_raw_examples_are_drawn_once_alike_in_every_call_and_in_any_batch(monkeypatch):
    model, raw = small_vae(), images(30)
    params = jax.jit(model.init)(jax.random.key(0), jnp.zeros(SHAPE))
    options = {"threshold": 0.0, "at_least": 0.0}
    found = rarity.latent_resampler(model, raw, preprocess=grey, **options)(params)
    plain = rarity.latent_resampler(model, (raw / 255).astype(np.float32), **options)(params)
    np.testing.assert_allclose(found, plain, rtol=1e-6)
    drawn = rarity.latent_resampler(model, raw, preprocess=binarize, **options)
    np.testing.assert_array_equal(drawn(params), drawn(params))
    assert (drawn(params) != found).any()
    real = rarity.map_batches
    monkeypatch.setattr(rarity, "map_batches", lambda *args, batch_size: real(*args, batch_size=7))
    np.testing.assert_allclose(
        rarity.latent_resampler(model, raw, preprocess=binarize, **options)(params), drawn(params)
    )


@pytest.mark.full
def test_fit_draws_by_weights_that_follow_the_parameters_epoch_by_epoch():
    model, x = small_vae(), (images() / 255).astype(np.float32)
    resampler, seen = rarity.latent_resampler(model, x), []

    def weights(params):
        seen.append(resampler(params))
        return seen[-1]

    params, history = fitted(weights=weights)
    assert [record["epoch"] for record in history] == [1, 2, 3]
    assert len(seen) == 3
    assert (seen[0] != seen[2]).any()
    assert same_bits(params, fitted(weights=resampler).params)
    assert not same_bits(params, fitted().params)
    assert not same_bits(fitted(weights=np.ones(50)).params, fitted().params)  # with replacement, and without
    only = fitted(weights=np.eye(50)[4])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(only.params))


def classified():
    network = Linear(2, (2,))
    return with_critic(small_vae(), network, name="classifier"), network


@pytest.mark.slow
def test_the_classifier_learns_beside_the_model_which_half_is_bright():
    model, network = classified()
    raw = images(200)
    labels = (raw[:, 0, 0, 0] > 100).astype(int)
    loss = supervised_loss(model, network, weight=3.0)
    _, history = jaxvae.fit(
        model, raw, labels=labels, loss=loss, protocol="grey", epochs=20, batch_size=20, progress=False,
        optimizer=optax.adam(0.03),
    )  # fmt: skip
    assert history[-1]["accuracy"] > 0.98
    assert history[-1]["cross_entropy"] < 0.1 < history[0]["cross_entropy"]


@pytest.mark.slow
def test_the_joint_loss_is_the_bound_and_the_cross_entropy_of_scikit_learn():
    from scipy.special import softmax
    from sklearn.metrics import log_loss

    model, network = classified()
    x, labels = (images(8) / 255).astype(np.float32), np.arange(8) % 2
    params, keys = jax.jit(model.init)(jax.random.key(0), x[0]), jax.random.split(jax.random.key(1), 8)
    loss = supervised_loss(model, network, weight=2.0)
    value, metrics = loss(params, keys, Labelled(jnp.asarray(x), jnp.asarray(labels)), jnp.int32(0))
    plain, expected = bound_loss(model)(params, keys, jnp.asarray(x), jnp.int32(0))
    z = jax.vmap(model.terms, (None, 0, 0))(params, keys, x).z
    logits = z @ params["classifier"]["w"] + params["classifier"]["b"][None]
    entropy = log_loss(labels, softmax(np.asarray(logits, np.float64), axis=1))
    assert float(metrics["cross_entropy"]) == pytest.approx(entropy, rel=1e-5)
    assert float(value) == pytest.approx(float(plain) + 2 * entropy, rel=1e-5)
    assert float(metrics["elbo"]) == pytest.approx(float(expected["elbo"]), rel=1e-6)
    assert float(metrics["accuracy"]) == np.mean(np.argmax(logits, 1) == labels)


@pytest.mark.full
def test_outliers_end_a_margin_below_those_of_a_set_never_seen_too():
    model = small_vae()
    inliers, outliers = images(200), np.moveaxis(images(50, seed=1), 1, 2)
    found = {}
    for margin in (None, 5.0):
        loss = None if margin is None else outlier_exposure_loss(model, outliers, margin=margin, preprocess=grey)
        params, history = jaxvae.fit(
            model, inliers, loss=loss, protocol="grey", epochs=40, batch_size=50, progress=False,
            optimizer=optax.adam(0.02),
        )  # fmt: skip
        values = [
            jaxvae.per_example(model, params, jax.random.key(1), (raw / 255).astype(np.float32), samples=20)["elbo"]
            for raw in (inliers, np.moveaxis(images(50, seed=2), 1, 2))
        ]
        found[margin] = values[0].mean() - values[1].mean()
    assert history[-1]["ranking_loss"] < 0.5
    assert found[5.0] > 4.0
    assert found[5.0] > found[None] + 1


@pytest.mark.slow
def test_the_ranking_loss_is_the_hinge_of_each_pair():
    model, x = small_vae(), jnp.asarray((images(6) / 255).astype(np.float32))
    params, keys = jax.jit(model.init)(jax.random.key(0), x[0]), jax.random.split(jax.random.key(1), 6)
    outlier = jnp.ones((1, *SHAPE))  # the only one, so that it is the one drawn
    for margin in (0.0, 1000.0):
        value, metrics = outlier_exposure_loss(model, outlier, margin=margin, weight=0.5)(params, keys, x, jnp.int32(0))
        assert float(value) == pytest.approx(float(0.5 * metrics["ranking_loss"] - metrics["elbo"]), rel=1e-5)
    assert float(metrics["ranking_loss"]) == pytest.approx(
        float(1000 + metrics["outlier_bound"] - metrics["elbo"]), rel=1e-5
    )


def wrong_calls():
    model, network = classified()
    x = images(3)
    batch = jnp.asarray((x / 255).astype(np.float32))
    keys, params = jax.random.split(jax.random.key(0), 3), jax.jit(model.init)(jax.random.key(0), batch[0])
    return {
        "means": (lambda: rarity.resampling_weights(np.zeros(3)), "means has shape"),
        "nan": (lambda: rarity.resampling_weights(np.full((3, 2), np.nan)), "means has shape"),
        "alpha": (lambda: rarity.resampling_weights(CODES, alpha=0.0), "alpha is 0.0"),
        "at least": (lambda: rarity.resampling_weights(CODES, at_least=1.0), "at_least is 1.0"),
        "bins": (lambda: rarity.resampling_weights(CODES, bins=0), "bins is 0"),
        "combine": (lambda: rarity.resampling_weights(CODES, combine="sum"), "combine is 'sum'"),
        "outliers": (lambda: outlier_exposure_loss(model, x[..., 0], margin=1.0), "outliers have shape"),
        "no outliers": (lambda: outlier_exposure_loss(model, x[:0], margin=1.0), "outliers have shape"),
        "margin": (lambda: outlier_exposure_loss(model, x, margin=-1.0), "margin is -1.0"),
        "weight": (lambda: supervised_loss(model, network, weight=-1.0), "weight is -1.0"),
        "no labels": (lambda: supervised_loss(model, network)(params, keys, batch, jnp.int32(0)), "no labels"),
        "fit, weights": (lambda: fitted(weights=np.ones(3)), "weights have shape"),
        "fit, labels": (lambda: fitted(labels=np.zeros(50, int)), "labels were given"),
    }


@pytest.mark.rows(every=3)
@pytest.mark.rows(slow=["fit, labels"])
@pytest.mark.parametrize("name", wrong_calls())
def test_wrong_input_is_named(name):
    call, words = wrong_calls()[name]
    with pytest.raises(ValueError, match=words):
        call()
