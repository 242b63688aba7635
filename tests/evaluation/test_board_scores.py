"""The numbers of a scoreboard that no other module has: copies, paths, probabilistic PCA; and how cells are told."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from jaxvae.evaluation.fitted_priors import fit_ppca
from jaxvae.evaluation.plots import board_chart
from jaxvae.evaluation.scoreboard import Cell, Standing, copied_share, decoded_paths
from jaxvae.evaluation.scoreboard.judged import as_pictures
from jaxvae.evaluation.scoreboard.scoring import findings
from jaxvae.models.categorical_latents import uniform_categories
from jaxvae.models.densities import density_model
from jaxvae.models.priors.exchange import with_prior
from jaxvae.models.priors.standard import standard_normal
from jaxvae.models.variational import vae
from jaxvae.networks.mlp import MLPEncoder

pytestmark = pytest.mark.quick_compile
RNG = np.random.default_rng(0)


def test_copies_are_told_from_draws_of_the_same_distribution_and_the_share_is_that_of_a_nearest_neighbour_search():
    draws, train, test = (RNG.normal(size=(count, 3)) for count in (400, 150, 50))
    found = copied_share(draws, train, test)
    nearest = NearestNeighbors(n_neighbors=1).fit(np.concatenate([train, test])).kneighbors(draws)[1][:, 0]
    share = (nearest >= len(train)).mean()
    assert found.mean == pytest.approx(1 - share * 200 / 50)
    assert abs(found.mean) < 4 * found.standard_error  # exchangeable: 0 on average
    assert copied_share(train[:40] + 1e-6, train, test).mean == 1.0
    assert copied_share(test, train, test).mean == pytest.approx(1 - 200 / 50)
    with pytest.raises(ValueError, match="train"):
        copied_share(draws, train[:, 0], test)


def test_an_image_that_is_both_trained_and_tested_on_counts_half_on_either_side():
    train, test = np.array([[0.0], [10.0]]), np.array([[0.0], [20.0]])
    assert copied_share(np.array([[0.1], [0.2]]), train, test).mean == pytest.approx(1 - 0.5 * 2)


class Circle:
    """z [1] -> a point on the unit circle, as the mean of a normal."""

    def init(self, key, z):
        return {"still": jnp.zeros(())}

    def apply(self, variables, z):
        return jnp.stack([jnp.cos(z[0]), jnp.sin(z[0])])


def circle(decoder):
    from jaxvae.models.observations.continuous import normal

    return vae(MLPEncoder(1, (2,)), decoder, event_shape=(2,), latent_dim=1, observation=normal())


def test_the_way_along_a_circle_is_as_long_as_its_chords():
    model = circle(Circle())
    params = jax.jit(model.init)(jax.random.key(0), jnp.zeros(2))
    keys = jax.random.split(jax.random.key(3), 6)
    ends = np.array([[model.prior.sample(params, k, None)[0][0] for k in jax.random.split(key)] for key in keys])
    angle = np.abs(ends[:, 1] - ends[:, 0])
    length = 8 * np.sin(angle / 16) / np.abs(np.sin(angle / 2))  # 8 chords over the one between the ends
    found = decoded_paths(model, params, jax.random.key(3), pairs=6, steps=8)
    np.testing.assert_allclose(found.length.mean, length.mean(), rtol=1e-4)
    np.testing.assert_allclose(found.jump.mean, 1.0, rtol=1e-3)


class Step(Circle):
    """z -> one of two points, all at once."""

    def apply(self, variables, z):
        return jnp.stack([10 * z[0] * 0 + jnp.tanh(1e4 * z[0]), z[0] * 1e-3])


def test_a_decoder_that_jumps_has_one_step_as_long_as_all():
    model = circle(Step())
    params = jax.jit(model.init)(jax.random.key(0), jnp.zeros(2))
    found = decoded_paths(model, params, jax.random.key(0), pairs=20, steps=8)
    assert found.jump.mean > 3  # 8 where the ends lie on either side, about 1 where on one


def test_where_there_are_no_codes_to_walk_between_it_is_said_why():
    model = density_model(standard_normal(2), event_shape=(2,))
    with pytest.raises(ValueError, match="no code to walk from"):
        decoded_paths(model, {}, jax.random.key(0))
    other = circle(Circle())
    params = jax.jit(other.init)(jax.random.key(0), jnp.zeros(2))
    classes = other._replace(prior=uniform_categories(1, 3))
    with pytest.raises(ValueError, match="the codes are on 'one_hot'"):
        decoded_paths(classes, params, jax.random.key(0))
    assert with_prior(other, standard_normal(1)).prior.support == "real"


def test_probabilistic_pca_is_that_of_scikit_learn():
    x = RNG.normal(size=(300, 5)) @ RNG.normal(size=(5, 5)) + 2
    theirs = PCA(2).fit(x)
    # Theirs divides by N - 1, ours by N: the likeliest.
    truth = multivariate_normal(x.mean(0), theirs.get_covariance() * 299 / 300)
    density = fit_ppca(x, 2)
    found = jax.vmap(lambda v: density.log_prob({}, v, None))(jnp.asarray(x[:9], jnp.float32))
    np.testing.assert_allclose(found, truth.logpdf(x[:9]), rtol=2e-4)
    with pytest.raises(ValueError, match="components is 5, expected fewer than 5"):
        fit_ppca(x, 5)


def test_a_limit_is_marked_and_a_collapse_is_said_in_words():
    assert Cell(91.04, 0.6, "bound").text.startswith("\N{LESS-THAN OR EQUAL TO} 91.0")
    assert Cell(1234.5, 67.0).text == "1,234 \N{PLUS-MINUS SIGN} 67"
    assert (Cell(1234567.0).text, Cell(0.123).text, Cell(None).text) == ("1,234,567", "0.123", "")
    assert findings({"coverage": Cell(0.5, 0.1), "copied": Cell(0.1, 0.1)}) == ()
    said = findings({"coverage": Cell(0.004, 0.001), "copied": Cell(0.9, 0.1)})
    assert [words.partition(":")[0] for words in said] == ["collapsed", "copies"]
    assert as_pictures(np.arange(3), 3).tolist() == [0.0, 0.5, 1.0]


def test_the_picture_rings_the_best_and_not_the_data():
    draws = np.zeros((8, 4, 4, 1), np.uint8)
    rows = [
        Standing("real", "data", "", {"coverage": Cell(1.0, 0.1)}, draws=draws),
        Standing("a", "VAE", "", {"coverage": Cell(0.2, 0.1)}, draws=draws),
        Standing("b", "GAN", "", {"coverage": Cell(0.7, 0.1)}),
        Standing("c", "GAN", "", failed="it broke."),
    ]
    _, axes = board_chart(rows, columns=("coverage", "nats"))
    rings = [line for line in axes[1].lines if line.get_markersize() == 12]
    assert [(ring.get_xdata()[0], ring.get_ydata()[0]) for ring in rings] == [(0.7, 2)]
    with pytest.raises(ValueError, match="unknown columns"):
        board_chart(rows, columns=("beauty",))
