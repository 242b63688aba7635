"""Features, the classifier that gives them, and scores that say which they saw."""

import jax
import numpy as np
import pytest
from small import Linear, images, small_vae

from experiments.tables import class_table, score_table
from jaxvae.data import load
from jaxvae.evaluation.measured import Measured, SampleSetting
from jaxvae.evaluation.samples.classifiers import (
    Classifier,
    PosteriorMean,
    classifier_features,
    classifier_of,
    classifier_trainer,
    train_classifier,
)
from jaxvae.evaluation.samples.features import Features, check_labels, pca_features, pixel_features
from jaxvae.evaluation.samples.frechet import frechet_estimate
from jaxvae.evaluation.samples.scores import sample_scores
from jaxvae.evaluation.samples.variety import class_shares, class_variety, collapse_in_words
from jaxvae.evaluation.statistics import Estimate

pytestmark = pytest.mark.quick_compile

TRAIN, TEST = load("digits", "train"), load("digits", "test")


@pytest.fixture(scope="module")
def classifier():
    return train_classifier(TRAIN.images, TRAIN.labels, (TEST.images, TEST.labels), steps=300)


@pytest.mark.slow
def test_the_classifier_is_as_accurate_as_it_says_and_as_scikit_learn_is(classifier):
    from sklearn.linear_model import LogisticRegression

    named = classifier.probabilities(TEST.images).argmax(1)
    assert classifier.accuracy.mean == np.mean(named == TEST.labels)
    assert classifier.accuracy.examples == len(TEST.labels)
    share = (297 * classifier.accuracy.mean + 2) / (297 + 4)  # two right and two wrong added (Agresti and Coull, 1998)
    error = np.sqrt(share * (1 - share) / (297 + 4))
    assert classifier.accuracy.standard_error == pytest.approx(error)
    flat = [part.images.reshape(len(part.images), -1) / 255 for part in (TRAIN, TEST)]
    linear = LogisticRegression(max_iter=300).fit(flat[0], TRAIN.labels).score(flat[1], TEST.labels)
    assert classifier.accuracy.mean > linear - 2.5 * error


@pytest.mark.slow
def test_the_softmax_is_that_of_the_features(classifier):
    logits = classifier.features(TEST.images) @ classifier.params["weights"] + classifier.params["bias"]
    expected = np.exp(logits - logits.max(1, keepdims=True))
    assert classifier.probabilities(TEST.images) == pytest.approx(expected / expected.sum(1, keepdims=True), abs=1e-5)


def test_raw_pixels_and_those_divided_by_255_are_the_same_images(classifier):
    assert np.array_equal(classifier.features(TEST.images[:9]), classifier.features(np.float32(TEST.images[:9]) / 255))


def test_a_training_starts_from_the_variables_it_is_given_and_the_same_seed_gives_the_same_bits():
    model, x = small_vae(), np.float32(images(40) > 100)
    params = jax.jit(model.init)(jax.random.key(0), x[0])
    labels = np.arange(40) % 2
    trainer = classifier_trainer(PosteriorMean(model), 2, steps=2, learning_rate=1e-6, size=60)
    found, again = (trainer(x, labels, seed=0, start=params) for _ in range(2))
    fresh = trainer(x, labels, seed=0)
    assert jax.tree.all(jax.tree.map(np.array_equal, found, again))
    weights = [tree["encoder"]["w"] for tree in (params, found["network"], fresh["network"])]
    assert weights[1] == pytest.approx(np.asarray(weights[0]), abs=1e-5)
    assert np.abs(weights[2] - weights[0]).max() > 0.1
    judged = classifier_of(PosteriorMean(model), found, x, labels)
    assert judged.features(x) == pytest.approx(
        np.asarray(jax.vmap(model.posterior.mean, (None, 0))(found["network"], x)), abs=1e-5
    )


def test_few_examples_are_repeated_in_turns_and_learnt():
    x = np.float32(images(50) > 100)
    labels = np.int32(x[:, 0, 0, 0])
    trainer = classifier_trainer(Linear(8, (8,)), 2, steps=100, size=50, learning_rate=0.03)
    params = trainer(x[:8], labels[:8], seed=0)
    assert classifier_of(Linear(8, (8,)), params, x[8:], labels[8:]).accuracy.mean == 1


def test_principal_components_are_scikit_learns_up_to_sign():
    from sklearn.decomposition import PCA

    found = pca_features(TRAIN.images, 5)
    expected = PCA(5, svd_solver="full").fit(TRAIN.images.reshape(1500, -1) / 255)
    codes = expected.transform(TEST.images.reshape(297, -1) / 255)
    assert np.abs(found.vectors(TEST.images)) == pytest.approx(np.abs(codes), abs=1e-6)
    left_out = 100 * (1 - expected.explained_variance_ratio_.sum())
    assert f"{left_out:.0f} % of the variance left out" in found.name


@pytest.mark.slow
def test_a_score_says_its_features_their_accuracy_the_counts_and_the_seed(classifier):
    features = classifier_features(classifier, "classifier of digits")
    x, y = TRAIN.images[:200] / 255, TEST.images / 255
    scores = {
        score.name: score for score in sample_scores(x, y, features, names=("training digits", "digits/test"), seed=7)
    }
    assert list(scores)[:4] == ["recall", "coverage", "precision", "density"]
    assert set(scores) >= {"Frechet distance", "kernel distance", "class variety", "Inception Score"}
    assert 0.9 < scores["class variety"].estimate.mean < 1.05
    for score in scores.values():
        for words in ("200 training digits", "297 of digits/test", "classifier of digits", "accuracy 9", "seed 7"):
            assert words in str(score)
            assert words in f"{[score]}"
    expected = frechet_estimate(classifier.features(x), classifier.features(y))
    found = scores["Frechet distance"]
    assert (*found.estimate[:2], found.bias) == tuple(expected)
    assert f"{expected.bias:.1f}"[:2] in str(found)
    assert 5 < scores["Inception Score"].estimate.mean < 10


def test_a_distance_that_seems_to_contradict_itself_says_what_it_means(capsys):
    setting = SampleSetting("pixels", "draws", 40, "data", 40, 0)
    biased = Measured("Frechet distance", Estimate(3.1, 2.3, 40), "", setting, "lower", bias=8.2)
    negative = Measured("kernel distance", Estimate(-80.0, 37.0, 40), "", setting, "lower")
    plain = Measured("Frechet distance", Estimate(35.0, 5.0, 40), "", setting, "lower", bias=4.0)
    assert "3.1 ± 2.3, estimated bias 8.2 (" in str(biased)
    assert str(biased).endswith("too few samples to tell the distance from 0")
    assert str(negative).endswith("is negative as often as not where the distance is 0")
    assert str(plain).endswith("seed 0)")
    score_table.print_scores({"one": [biased, negative], "two": [plain, negative]}, "scores")
    printed = " ".join(capsys.readouterr().out.split())
    assert "estimated bias" in printed
    assert "Frechet distance: the estimated bias is no smaller" in printed
    assert "kernel distance: an estimate without bias" in printed


def test_draws_that_have_collapsed_are_called_so_in_words(capsys):
    """One picture over and over, with noise no eye sees, against 60 of three classes: a closed form for each number."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    data = np.eye(3)[labels][:, None, :, None] + 0.01 * rng.normal(size=(60, 1, 3, 1))
    one = np.repeat(data[:1], 60, 0) + 1e-4 * rng.normal(size=(60, 1, 3, 1))
    features = Features("sides", lambda x: x.reshape(len(x), -1), lambda x: np.eye(3)[x.reshape(len(x), 3).argmax(1)])
    good, bad = (
        sample_scores(x.clip(0, 1), data.clip(0, 1), features, names=(name, "sides"), seed=0)
        for name, x in (("all", data[::-1]), ("one", one))
    )
    found = {score.name: score.estimate.mean for score in bad}
    assert found["class variety"] == pytest.approx(1 / 3)
    assert (found["recall"], found["precision"]) == (pytest.approx(1 / 60), 1)  # of the one that is copied
    words = collapse_in_words(bad)
    assert words.startswith("collapsed to a few pictures: recall 0.02")
    assert "few classes hold nearly all draws: as many as 33 % of those of the data" in words
    assert collapse_in_words(good) == ""
    assert {score.name: score.estimate.mean for score in good}["class variety"] == 1
    far = [score for score in bad if score.name in ("recall", "coverage")]
    assert collapse_in_words(far).startswith("next to nothing of the data is near a draw")
    score_table.print_scores({"good": good, "bad": bad}, "scores")
    printed = " ".join(capsys.readouterr().out.split())
    assert f"bad: {words[:30]}" in printed
    assert "good: " not in printed
    # Shares 3/4 and 1/4 of two classes are exp H = 4 / 3^(3/4) classes.
    share = np.eye(2)[[0, 0, 0, 1] * 20]
    assert class_variety(share, np.eye(2)[[0, 1] * 20]).mean == pytest.approx(2 / 3**0.75)
    with pytest.raises(ValueError, match=r"shapes \(80, 2\) and \(4, 3\)"):
        class_variety(share, np.eye(3)[[0, 1, 2, 0]])


def test_the_shares_of_classes_and_their_errors_are_those_of_fresh_draws(capsys):
    """Draws of known chances, often: the mean of the shares, and the spread that one of them says of itself."""
    chances, rng = np.array([0.5, 0.3, 0.17, 0.03]), np.random.default_rng(0)
    read = [np.eye(4)[rng.choice(4, 300, p=chances)] for _ in range(400)]
    found = [class_shares(probabilities) for probabilities in read]
    means = np.array([[share.mean for share in one.shares] for one in found])
    errors = np.array([[share.standard_error for share in one.shares] for one in found])
    assert means.mean(0) == pytest.approx(chances, abs=0.01)
    assert errors.mean(0) == pytest.approx(means.std(0), rel=0.15)
    assert [one.present for one in found] == [(one >= 0.04).sum() for one in means]
    assert class_shares(read[0], least=0.4).present == 1
    assert class_shares(np.eye(3)[[0, 0, 0, 1]]).in_words(("cat", "dog", "owl")).startswith("2 of 3 classes at 4 %")
    with pytest.raises(ValueError, match=r"shape \(4,\), expected \[N, C\]"):
        class_shares(np.zeros(4))
    with pytest.raises(ValueError, match=r"least is 1\.5, expected a share"):
        class_shares(read[0], least=1.5)
    # A told generator, whose third draw is of another class than it was asked for.
    features, images = Features("sides", lambda x: x, lambda x: np.eye(3)[x[:, 0, 0, 0]], "exact"), np.array([0, 1, 0])
    rows = {"data": np.arange(3)[:, None, None, None], "draws": images[:, None, None, None]}
    kept = class_table.print_classes(rows, features, ("cat", "dog", "owl"), {"draws": np.arange(3)})
    assert kept["draws"]["shares"]["cat"][0] == pytest.approx(2 / 3)
    assert (kept["draws"]["present"], kept["data"]["present"]) == (2, 3)
    assert kept["draws"]["read_as_asked"][0] == pytest.approx(2 / 3)
    assert kept["data"]["read_as_asked"] is None
    assert "draws: 2 of 3 classes at 4 % or more; rarest owl 0.0" in " ".join(capsys.readouterr().out.split())
    assert class_table.print_classes(rows, Features("sides", lambda x: x)) == {}


def test_without_a_classifier_there_is_no_inception_score_and_any_function_will_do():
    mean = Features("brightness", lambda x: x.mean((1, 2)))
    x = TRAIN.images[:50] / 255
    names = [score.name for score in sample_scores(x, x, mean, seed=0)]
    assert "Inception Score" not in names
    assert pixel_features().vectors(x) == pytest.approx(x.reshape(50, -1))


@pytest.mark.slow
def test_the_same_images_are_perfect_and_noise_is_not():
    x, y = TRAIN.images[:200] / 255, TRAIN.images[200:400] / 255
    noise = np.random.default_rng(0).uniform(size=(200, 8, 8, 1))
    floor, bad = (
        {score.name: score.estimate.mean for score in sample_scores(part, y, pixel_features(), seed=0)}
        for part in (x, noise)
    )
    assert bad["Frechet distance"] > 5 * floor["Frechet distance"]
    assert bad["kernel distance"] > 0.01 > floor["kernel distance"]
    assert bad["precision"] == bad["coverage"] == 0
    assert floor["precision"] > 0.7


MODEL = Classifier(lambda x: x, lambda x: x, Estimate(1.0, 0.0, 1), {})
X = np.zeros((30, 4, 4, 1))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: sample_scores(X[:19], X, pixel_features(), seed=0), ValueError, ["generated has 19 images", "20"]),
        (lambda: sample_scores(X, X, pixel_features(), seed=-1), ValueError, ["seed is -1"]),
        (lambda: pixel_features().vectors(X[..., 0]), ValueError, ["(30, 4, 4)", "(N, H, W, C)"]),
        (lambda: pca_features(X, 17), ValueError, ["components is 17", "at most 16"]),
        (lambda: check_labels("labels", [0.5], 1), TypeError, ["labels have dtype float64"]),
        (lambda: check_labels("labels", [0, 1], 3), ValueError, ["(2,)", "(3,)"]),
        (lambda: check_labels("labels", [-1], 1), ValueError, ["labels hold -1", "Leave out"]),
        (lambda: classifier_trainer(Linear(2, (2,)), 1), ValueError, ["classes is 1"]),
        (lambda: classifier_trainer(Linear(2, (2,)), 2, steps=0), ValueError, ["steps is 0"]),
        (lambda: classifier_trainer(Linear(2, (2,)), 2)(X[:2], [0, 2], seed=0), ValueError, ["go up to 2", "0 to 1"]),
    ],
)
def test_what_cannot_be_done_is_named(call, error, words):
    with pytest.raises(error, match=r"expected|Leave out") as found:
        call()
    for word in words:
        assert word in str(found.value)


def test_the_name_of_the_features_carries_the_accuracy():
    assert classifier_features(MODEL, "net").note == "held-out accuracy 100.0 +- 0.0 %"
