"""The scikit-learn estimator: scikit-learn's own checks, and a linear model whose likelihood another library knows."""

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from jaxvae.sklearn import VAE, programs

pytestmark = pytest.mark.quick_compile

FULL = pytest.mark.full
IRIS, SPECIES = load_iris(return_X_y=True)


@pytest.mark.rows(every=5)
@pytest.mark.rows(
    slow=[
        "VAE()-check_fit_score_takes_y",
        "VAE()-check_estimators_overwrite_params",
        "VAE()-check_dont_overwrite_parameters",
        "VAE()-check_n_features_in_after_fitting",
        "VAE()-check_estimators_dtypes",
        "VAE()-check_dtype_object",
        "VAE()-check_fit2d_1feature",
        "VAE()-check_fit_idempotent",
        "VAE()-check_pipeline_consistency",
        "VAE()-check_positive_only_tag_during_fit",
        "VAE()-check_f_contiguous_array_estimator",
        "VAE()-check_estimators_fit_returns_self",
        "VAE()-check_estimators_nan_inf",
        "VAE()-check_methods_sample_order_invariance",
    ]
)
@parametrize_with_checks([VAE()])
def test_scikit_learn_accepts_the_estimator(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def linear():
    """A linear VAE of iris, trained to its end: the maximum-likelihood solution is that of probabilistic PCA."""
    return VAE(2, hidden=(), epochs=400, learning_rate=1e-2, random_state=0).fit(IRIS)


@pytest.fixture(scope="module")
def short():
    return VAE(epochs=2, random_state=0).fit(IRIS)


@pytest.mark.slow
def test_a_linear_model_reaches_the_likelihood_of_probabilistic_pca_and_not_more(linear):
    scaler = StandardScaler().fit(IRIS)
    best = PCA(2).fit(scaler.transform(IRIS)).score(scaler.transform(IRIS)) - np.log(scaler.scale_).sum()
    assert best - 0.25 < linear.score(IRIS) < best + 0.02


@pytest.mark.slow
def test_samples_have_the_covariance_of_the_linear_model(linear):
    drawn = linear.sample(20_000, random_state=0)
    assert drawn.shape == (20_000, 4)
    assert np.abs(drawn.mean(0) - IRIS.mean(0)).max() < 0.1
    # of probabilistic PCA: the strongest directions as in the data, the rest shared out equally
    pca = PCA(2).fit(StandardScaler().fit_transform(IRIS))
    expected = pca.get_covariance() * np.outer(IRIS.std(0), IRIS.std(0))
    assert np.abs(np.cov(drawn.T) - expected).max() < 0.15 * np.abs(expected).max()


@pytest.mark.slow
def test_a_constant_column_stays_the_constant_until_it_varies():
    """Also one that no float holds, and whose standard deviation is 5e-16 by rounding, not 0."""
    table = np.column_stack([IRIS[:, 0], np.full(150, 7e-4), IRIS[:, 1], np.full(150, 0.1)])
    model = VAE(epochs=2, random_state=0).fit(table)
    assert model.constant_.tolist() == [False, True, False, True]
    for found in (
        model.sample(50, random_state=0),
        model.reconstruct(table),
        model.inverse_transform(np.zeros((3, 2))),
    ):
        assert (found[:, 1] == 7e-4).all()
        assert (found[:, 3] == 0.1).all()
        assert np.ptp(found[:, 0]) > 0 or len(found) == 3
    assert np.isfinite(model.score(table))
    table[0, 1] = 1.0
    model.partial_fit(table)
    assert model.constant_.tolist() == [False, False, False, True]
    assert np.ptp(model.sample(50, random_state=0)[:, 1]) > 0


@pytest.mark.slow
def test_a_number_whose_square_overflows_is_named(short):
    broken = IRIS.copy()
    broken[3, 2] = 1e200
    with pytest.raises(ValueError, match=r"1e\+200 in column 2.*expected"):
        VAE(epochs=1).fit(broken)
    with pytest.raises(ValueError, match=r"1e\+200 in row 3, column 2"):
        short.transform(broken)


def test_reconstructions_are_nearer_than_the_mean_and_live_in_the_units_of_the_table(linear):
    error = ((linear.reconstruct(IRIS) - IRIS) ** 2).mean(0) / IRIS.var(0)
    assert error.mean() < 0.15
    np.testing.assert_array_equal(linear.reconstruct(IRIS), linear.inverse_transform(linear.transform(IRIS)))


@pytest.mark.slow
def test_a_density_changes_by_the_logarithm_of_the_units(short):
    """p(c x) = p(x) / c: the same rows in millimetres have a score lower by log 10 for each column."""
    other = VAE(epochs=2, random_state=0).fit(IRIS * 10)
    np.testing.assert_allclose(short.score(IRIS) - other.score(IRIS * 10), 4 * np.log(10), atol=1e-3)


@pytest.mark.slow
def test_the_score_of_a_row_depends_on_no_other_row_and_rises_with_the_samples(short):
    scores = short.score_samples(IRIS)
    np.testing.assert_array_equal(scores[[3, 1]], short.score_samples(IRIS[[3, 1]]))
    assert scores.mean() == short.score(IRIS)
    one = clone(short).set_params(importance_samples=1).fit(IRIS)
    assert one.score(IRIS) < short.score(IRIS)


def test_rows_that_differ_have_noise_of_their_own():
    import jax

    rows = np.random.default_rng(0).integers(0, 10, (2000, 6)).astype(np.float32)
    marks = np.asarray(jax.vmap(programs.fingerprint, (None, 0))(jax.random.key(0), rows))
    assert len(set(marks.tolist())) == len(np.unique(rows, axis=0))


def test_partial_fit_begins_as_fit_does_and_goes_on():
    one, parts = (VAE(epochs=1, random_state=0) for _ in range(2))
    one.fit(IRIS)
    parts.partial_fit(IRIS)
    np.testing.assert_array_equal(one.transform(IRIS), parts.transform(IRIS))
    first = parts.score(IRIS)
    for _ in range(20):
        parts.partial_fit(IRIS)
    assert parts.score(IRIS) > first + 0.3
    assert [record["epoch"] for record in parts.history_] == [1] * 21
    parts.partial_fit(IRIS[:1])  # a single row will do, once scales are known
    np.testing.assert_array_equal(parts.fit(IRIS).transform(IRIS), one.transform(IRIS))


def test_passes_of_partial_fit_take_another_order_each():
    a = VAE(random_state=0).partial_fit(IRIS).partial_fit(IRIS)
    b = VAE(random_state=0, epochs=2).fit(IRIS)
    elbos = [record["elbo"] for record in a.history_]
    assert elbos[0] == b.history_[0]["elbo"]
    assert elbos[1] != elbos[0]


def test_a_stored_or_cloned_estimator_is_the_same(short, tmp_path):
    joblib.dump(short, tmp_path / "vae.joblib")
    back, other = joblib.load(tmp_path / "vae.joblib"), joblib.load(tmp_path / "vae.joblib")
    np.testing.assert_array_equal(back.transform(IRIS), short.transform(IRIS))
    np.testing.assert_array_equal(back.score_samples(IRIS), short.score_samples(IRIS))
    assert all(isinstance(leaf, np.ndarray) for leaf in back.params_["encoder"]["params"]["Dense_0"].values())
    assert back.partial_fit(IRIS).score(IRIS) == other.partial_fit(IRIS).score(IRIS) != short.score(IRIS)
    assert clone(short).get_params() == short.get_params()


@pytest.mark.slow
def test_it_works_in_a_pipeline_under_a_grid_search():
    pipeline = make_pipeline(VAE(random_state=0), LogisticRegression())
    search = GridSearchCV(pipeline, {"vae__epochs": [1, 30]}, cv=3).fit(IRIS, SPECIES)
    assert search.best_score_ > 0.6
    # without a classifier the search takes the bound: trained longer explains more
    search = GridSearchCV(VAE(random_state=0), {"epochs": [1, 30]}, cv=3).fit(IRIS)
    assert search.best_params_ == {"epochs": 30}


def test_columns_have_names(short):
    assert short.get_feature_names_out().tolist() == ["vae0", "vae1"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("likelihood", "high"), [("bernoulli", 1), ("poisson", 9), pytest.param("negative_binomial", 9, marks=FULL)]
)
def test_other_tables_are_scored_as_they_are(likelihood, high):
    table = np.random.default_rng(0).integers(0, high + 1, (60, 3)).astype(float)
    model = VAE(likelihood=likelihood, epochs=2, random_state=0).fit(table)
    assert (model.mean_ == 0).all()
    assert (model.scale_ == 1).all()
    assert (model.score_samples(table) < 0).all()  # probabilities, not densities


@pytest.mark.slow
@pytest.mark.parametrize("likelihood", ["bernoulli", pytest.param("poisson", marks=FULL)])
def test_draws_of_discrete_tables_are_whole_numbers(likelihood):
    table = np.random.default_rng(0).integers(0, 2, (60, 3)).astype(float)
    drawn = VAE(likelihood=likelihood, epochs=2, random_state=0).fit(table).sample(50, random_state=0)
    assert (drawn == np.round(drawn)).all()
    assert drawn.min() >= 0


@pytest.mark.parametrize(
    ("options", "exception", "words"),
    [
        ({"likelihood": "norml"}, ValueError, "did you mean 'normal'"),
        ({"latent_dim": 0}, ValueError, "latent_dim is 0"),
        ({"hidden": 64}, TypeError, "expected a tuple"),
        ({"hidden": (0,)}, ValueError, "hidden is 0"),
        ({"beta": -1.0}, ValueError, "beta is -1.0"),
        ({"epochs": 0}, ValueError, "epochs is 0"),
        ({"batch_size": 0}, ValueError, "batch_size is 0"),
        ({"learning_rate": 0.0}, ValueError, "learning_rate is 0.0"),
        ({"importance_samples": 0}, ValueError, "importance_samples is 0"),
        ({"activation": "rely"}, ValueError, "activation is 'rely'"),
        ({"likelihood": "bernoulli"}, ValueError, "X has the value"),
        ({"likelihood": "poisson"}, ValueError, "X has the value"),
    ],
)
def test_bad_parameters_are_refused_when_they_are_used(options, exception, words):
    with pytest.raises(exception) as error:
        VAE(**options).fit(IRIS)
    assert words in str(error.value)


def test_bad_arguments_of_the_methods_are_refused(short):
    with pytest.raises(ValueError, match="Z has 3 columns, expected 2"):
        short.inverse_transform(np.zeros((5, 3)))
    with pytest.raises(ValueError, match="n_samples is 0"):
        short.sample(0)
