"""Scores of anomalies against closed forms; AUROC, precision-recall and their intervals against scikit-learn,
enumeration and the bootstrap."""

import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, stats
from sklearn import metrics
from small import images, small_vae

from jaxvae.evaluation import anomaly
from jaxvae.evaluation.anomaly import complexity, detection_metrics, regret
from jaxvae.evaluation.anomaly.roc import auroc, auroc_interval, hanley_mcneil_variance
from jaxvae.evaluation.bounds.likelihood import per_example
from jaxvae.evaluation.plots import detection_charts
from jaxvae.evaluation.plots.figures import new_axes
from jaxvae.models.exact.linear import linear_gaussian

pytestmark = pytest.mark.quick_compile


def drawn(inliers=60, outliers=40, shift=1.0, seed=0, decimals=None):
    """Normal scores of unit variance; rounded they have ties."""
    rng = np.random.default_rng(seed)
    pair = rng.normal(size=inliers), rng.normal(shift, size=outliers)
    return pair if decimals is None else tuple(np.round(part, decimals) for part in pair)


def labelled(inliers, outliers):
    return np.repeat([0, 1], [len(inliers), len(outliers)]), np.concatenate([inliers, outliers])


# ROC and precision-recall


@pytest.mark.parametrize("decimals", [None, 0], ids=["distinct", "ties"])
def test_the_curves_and_their_areas_are_those_of_scikit_learn(decimals):
    inliers, outliers = drawn(decimals=decimals)
    labels, scores = labelled(inliers, outliers)
    points = detection_metrics.curve(inliers, outliers)
    false, true, threshold = metrics.roc_curve(labels, scores, drop_intermediate=False)
    np.testing.assert_allclose(points.false_positive_rate, false[1:])  # theirs begins at (0, 0)
    np.testing.assert_allclose(points.true_positive_rate, true[1:])
    np.testing.assert_array_equal(points.threshold, threshold[1:])
    precision, recall, _ = metrics.precision_recall_curve(labels, scores)
    np.testing.assert_allclose(points.precision, precision[:-1][::-1])
    np.testing.assert_allclose(points.true_positive_rate, recall[:-1][::-1])
    assert auroc(inliers, outliers) == pytest.approx(metrics.roc_auc_score(labels, scores), abs=1e-12)
    assert auroc(inliers, outliers) == pytest.approx(
        stats.mannwhitneyu(outliers, inliers).statistic / (len(inliers) * len(outliers)), abs=1e-12
    )
    expected = metrics.average_precision_score(labels, scores)
    assert detection_metrics.average_precision(inliers, outliers) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("rate", [0.2, 0.95, 1.0])
def test_the_false_positive_rate_is_that_of_the_strictest_threshold_that_catches_enough(rate):
    inliers, outliers = drawn(outliers=20, decimals=1)
    by_hand = min(
        np.mean(inliers >= threshold) for threshold in np.unique(outliers) if np.mean(outliers >= threshold) >= rate
    )
    assert detection_metrics.false_positive_rate_at(inliers, outliers, rate) == by_hand


def test_scores_turned_round_turn_the_area_round():
    inliers, outliers = drawn()
    assert auroc(-inliers, -outliers) == pytest.approx(1 - auroc(inliers, outliers), abs=1e-12)
    assert auroc(outliers, inliers) == pytest.approx(1 - auroc(inliers, outliers), abs=1e-12)


def delong_by_sums(inliers, outliers):
    """The variance as the paper writes it, all pairs by a loop: psi = 1, 1/2 or 0."""
    psi = np.array([[(y > x) + 0.5 * (y == x) for x in inliers] for y in outliers])
    by_outlier, by_inlier, area = psi.mean(1), psi.mean(0), psi.mean()
    s10 = ((by_outlier - area) ** 2).sum() / (len(outliers) - 1)
    s01 = ((by_inlier - area) ** 2).sum() / (len(inliers) - 1)
    return area, s10 / len(outliers) + s01 / len(inliers)


@pytest.mark.parametrize("spread", [1.0, 3.0])
def test_each_end_of_the_interval_is_delongs_or_newcombes_whichever_is_farther(spread):
    inliers, outliers = drawn(decimals=1)
    outliers = 1.0 + spread * (outliers - outliers.mean())
    area, variance = delong_by_sums(inliers, outliers)
    logit, width = np.log(area / (1 - area)), 1.959964 * np.sqrt(variance) / (area * (1 - area))
    delong = [1 / (1 + np.exp(-(logit + side * width))) for side in (-1, 1)]

    def beyond(a):  # Newcombe's ends are the roots of this, his method 5
        half = (len(inliers) + len(outliers)) / 2 - 1
        numerator = a * (1 - a) * (1 + half * (1 - a) / (2 - a) + half * a / (1 + a))
        return (area - a) ** 2 - 1.959964**2 * numerator / (len(inliers) * len(outliers))

    newcombe = [optimize.brentq(beyond, end, area) for end in (1e-9, 1 - 1e-9)]
    value, low, high = auroc_interval(inliers, outliers)
    assert value == pytest.approx(area, abs=1e-12)
    assert (low, high) == pytest.approx((min(delong[0], newcombe[0]), max(delong[1], newcombe[1])), abs=1e-7)


def test_the_bootstrap_agrees_with_delong():
    inliers, outliers = drawn(200, 150)
    exact = auroc_interval(inliers, outliers)
    resampled = detection_metrics.bootstrap_interval(auroc, inliers, outliers, resamples=1500)
    assert exact.value == resampled.value
    width = exact.high - exact.low
    assert resampled.low == pytest.approx(exact.low, abs=0.12 * width)  # of 1500 quantiles: sd 0.03 of the width
    assert resampled.high == pytest.approx(exact.high, abs=0.12 * width)


def test_the_interval_covers_the_true_area_as_often_as_it_says():
    truth = stats.norm.cdf(2.0 / np.sqrt(2))  # two unit normals, 2 apart
    covered = np.mean(
        [low <= truth <= high for _, low, high in (auroc_interval(*drawn(40, 30, 2.0, seed)) for seed in range(1000))]
    )
    assert covered == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / 1000))


def test_few_scores_near_the_edge_are_covered_too():
    """100 inliers, 20 outliers, an area of 0.96: DeLong's variance alone covers 91 %."""
    apart = np.sqrt(2) * stats.norm.ppf(0.96)
    found = [auroc_interval(*drawn(100, 20, apart, seed)) for seed in range(600)]
    assert np.mean([low <= 0.96 <= high for _, low, high in found]) > 0.95
    assert np.mean([high - low for _, low, high in found]) < 0.13


def test_hanley_and_mcneils_variance_is_that_of_exponential_scores():
    rng = np.random.default_rng(0)  # P(y > x) = r / (1 + r) for y of mean r and x of mean 1
    areas = [auroc(rng.exponential(1.0, 30), rng.exponential(4.0, 20)) for _ in range(4000)]
    assert np.var(areas) == pytest.approx(hanley_mcneil_variance(0.8, 30, 20), rel=0.1)  # sd of a variance: 2.2 %


def test_scores_that_separate_have_an_interval_all_the_same():
    value, low, high = auroc_interval(np.arange(30.0), np.arange(100.0, 120.0))
    assert (value, high) == (1.0, 1.0)
    assert abs(1 - low) == pytest.approx(1.959964 * np.sqrt(hanley_mcneil_variance(low, 25, 25) * 625 / 600), rel=1e-6)
    assert 0.8 < low < 1
    assert auroc_interval(np.arange(100.0, 120.0), np.arange(20.0)).high > 0
    same = auroc_interval(np.zeros(30), np.zeros(30))  # a score that says nothing
    assert same.value == 0.5
    assert same.low < 0.45 < 0.55 < same.high


def test_an_infinite_score_is_the_highest_and_the_report_holds_every_number():
    inliers, outliers = drawn()
    found = detection_metrics.detection(inliers, np.append(outliers, np.inf), resamples=20)
    larger = detection_metrics.detection(inliers, np.append(outliers, 1e9), resamples=20)
    assert found == larger
    assert found.auroc == auroc_interval(inliers, np.append(outliers, np.inf))
    assert found.average_precision.low < found.average_precision.value < found.average_precision.high
    assert found.false_positive_rate.value == detection_metrics.false_positive_rate_at(
        inliers, np.append(outliers, np.inf)
    )


# Scores


def test_complexity_is_the_length_of_the_compressed_bytes_in_nats():
    x = np.random.default_rng(0).integers(0, 9, (3, 28, 28, 1)).astype(np.uint8)
    expected = [8 * np.log(2) * len(zlib.compress(image.tobytes(), 9)) for image in x]
    np.testing.assert_allclose(complexity.compressed_nats(x, "zlib"), expected)


def test_no_codec_compresses_noise_below_its_entropy_and_every_codec_sees_structure():
    rng = np.random.default_rng(0)
    noise, flat = rng.integers(0, 256, (4, 28, 28, 3)).astype(np.uint8), np.full((4, 28, 28, 3), 7, np.uint8)
    entropy = noise[0].size * np.log(256)
    each = {name: complexity.compressed_nats(noise, name) for name in complexity.CODECS}
    for name, nats in each.items():
        assert (nats > entropy).all(), name
        assert (complexity.compressed_nats(flat, name) < entropy / 5).all(), name
    shortest = complexity.compressed_nats(noise, list(complexity.CODECS))
    np.testing.assert_array_equal(shortest, np.min(list(each.values()), axis=0))


@pytest.mark.parametrize("name", ["png", "webp", "jpeg2000"])
def test_the_codecs_of_pictures_lose_nothing(name):
    import io

    from PIL import Image

    x = np.random.default_rng(0).integers(0, 256, (28, 28, 1)).astype(np.uint8)
    with Image.open(io.BytesIO(complexity.CODECS[name](x))) as picture:
        np.testing.assert_array_equal(np.asarray(picture.convert("L")), x[..., 0])


def test_the_regret_is_the_distance_from_the_posterior_where_that_can_be_reached():
    """Columns at right angles: the exact posterior is a diagonal Gaussian, so max ELBO = log p(x)."""
    weights = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 0.0], [0.0, 1.0]], np.float32)
    model = linear_gaussian(weights)
    params = jax.jit(model.init)(jax.random.key(0), jnp.zeros(4))  # its encoder says N(0, I) whatever x is
    x = np.random.default_rng(1).normal(size=(6, 4)).astype(np.float32) * 2
    log_p = stats.multivariate_normal.logpdf(x, np.zeros(4), weights @ weights.T + np.eye(4))
    elbo = stats.norm.logpdf(x).sum(1) - 0.5 * np.trace(weights.T @ weights)  # E |x - W z|^2, and a KL of 0
    found = regret.likelihood_regret(
        model, params, jax.random.key(1), x, steps=300, fit_samples=8, samples=4000, batch_size=3
    )
    # The noise of 4000 draws of the ELBO of N(0, I), whose sd is at most 15 nats here, and what the fit misses.
    np.testing.assert_allclose(found, log_p - elbo, atol=1.0)
    assert np.corrcoef(found, log_p - elbo)[0, 1] > 0.99


@pytest.mark.slow
def test_the_regret_does_not_depend_on_the_batches():
    model, x = small_vae(), (images(5) > 100).astype(np.float32)
    params = jax.jit(model.init)(jax.random.key(0), x[0])
    options = {"steps": 3, "samples": 4, "fit_samples": 2}
    whole = regret.likelihood_regret(model, params, jax.random.key(1), x, **options)
    parts = regret.likelihood_regret(model, params, jax.random.key(1), x, batch_size=2, **options)
    np.testing.assert_allclose(whole, parts, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_every_score_is_what_it_says():
    model, raw = small_vae(), images(6)
    x = (raw > 100).astype(np.float32)
    params, key = jax.jit(model.init)(jax.random.key(0), x[0]), jax.random.key(1)
    done = []
    scores = anomaly.anomaly_scores(
        model, params, key, x, training=x[:4], samples=3, codecs="zlib", regret_steps=2, progress=done.append
    )
    values = per_example(model, params, jax.random.split(key)[0], x, samples=3)
    np.testing.assert_allclose(scores["negative_elbo"], scores["reconstruction"] + scores["kl"], rtol=1e-5)
    np.testing.assert_array_equal(scores["negative_elbo"], -values["elbo"])
    np.testing.assert_array_equal(scores["negative_iw_bound"], -values["iwae"])
    lengths = complexity.compressed_nats((255 * x).astype(np.uint8), "zlib")
    np.testing.assert_array_equal(scores["simplicity"], -lengths)
    np.testing.assert_allclose(scores["complexity_ratio"], -values["iwae"] - lengths, rtol=1e-6)
    assert (scores["squared_error"] <= 16).all()
    assert scores["typicality"].shape == scores["regret"].shape == (6,)
    assert done[-1] == 6
    few = anomaly.anomaly_scores(model, params, key, x, codecs=None, regret_steps=None)
    assert set(scores) - set(few) == {"simplicity", "complexity_ratio", "regret", "typicality"}


@pytest.mark.slow
def test_an_image_unlike_any_seen_in_training_scores_high():
    """A model that has learnt left or right half bright, shown the top half bright."""
    import optax

    import jaxvae

    model, inliers = small_vae(), images(300)
    params, _ = jaxvae.fit(
        model, inliers[:200], protocol="threshold", epochs=60, batch_size=50, optimizer=optax.adam(0.03), progress=False
    )
    other = np.moveaxis(inliers[200:], 1, 2)
    found = [
        anomaly.anomaly_scores(model, params, jax.random.key(1), (x > 127).astype(np.float32), regret_steps=10)
        for x in (inliers[200:], other)
    ]
    for name in ("negative_elbo", "negative_iw_bound", "reconstruction", "squared_error"):
        assert auroc(found[0][name], found[1][name]) > 0.95, name


# Charts


def test_the_charts_draw_what_they_are_given_where_they_are_told():
    inliers, outliers = drawn()
    _, mine = new_axes(columns=3)
    _, first = detection_charts.score_histograms(inliers, outliers, bins=10, tail=0.0, ax=mine[0])
    _, second = detection_charts.roc_curves({"worse": (outliers, inliers), "better": (inliers, outliers)}, ax=mine[1])
    _, third = detection_charts.precision_recall_curves({"only": (inliers, outliers)}, ax=mine[2])
    assert [first, second, third] == list(mine)
    shares = [patch.get_data().values for patch in first.patches]
    assert [float(share.sum()) for share in shares] == pytest.approx([1.0] * 4)
    assert [text.get_text().split()[1] for text in second.get_legend().get_texts()] == ["better", "worse"]
    chance, best, _ = second.lines
    points = detection_metrics.curve(inliers, outliers)
    np.testing.assert_array_equal(best.get_xdata()[1:], points.false_positive_rate)
    np.testing.assert_array_equal(best.get_ydata()[1:], points.true_positive_rate)
    assert list(chance.get_xdata()) == list(chance.get_ydata()) == [0, 1]
    assert third.lines[-1].get_ydata()[0] == 0.4  # 40 outliers of 100


def wrong_calls():
    one, nan = np.zeros(1), np.array([0.0, np.nan])
    ok, x = np.zeros(3), np.zeros((2, 8, 8, 1), np.uint8)
    return {
        "shape": (lambda: auroc(np.zeros((2, 2)), ok), "inliers has shape"),
        "nan": (lambda: detection_metrics.curve(ok, nan), "outliers has shape .* with NaN"),
        "none": (lambda: detection_metrics.average_precision(ok, []), "outliers has shape"),
        "few": (lambda: auroc_interval(one, ok), "1 inliers and 3 outliers"),
        "level": (lambda: auroc_interval(ok, ok, 1.0), "level is 1.0"),
        "area": (lambda: hanley_mcneil_variance(1.5, 3, 3), "area is 1.5"),
        "rate": (lambda: detection_metrics.false_positive_rate_at(ok, ok, 0.0), "true_positive_rate is 0.0"),
        "resamples": (lambda: detection_metrics.bootstrap_interval(auroc, ok, ok, resamples=0), "resamples is 0"),
        "log_p": (lambda: anomaly.typicality(nan, ok), "log_p has shape"),
        "lengths": (lambda: anomaly.complexity_ratio(ok, one), "complexity has shape"),
        "float images": (lambda: complexity.compressed_nats(x / 255.0), "expected uint8"),
        "codec": (lambda: complexity.compressed_nats(x, "jpeg"), "expected some of png"),
        "no codec": (lambda: complexity.compressed_nats(x, []), "expected some of png"),
        "bins": (lambda: detection_charts.score_histograms(ok, ok, bins=1), "bins is 1"),
        "no scores": (lambda: detection_charts.roc_curves({}), "scores is empty"),
    }


@pytest.mark.parametrize("name", wrong_calls())
def test_wrong_input_is_named(name):
    call, words = wrong_calls()[name]
    with pytest.raises(ValueError, match=words):
        call()


def test_a_model_without_what_a_score_needs_is_refused():
    model, x = small_vae(), (images(3) > 100).astype(np.float32)
    params = jax.jit(model.init)(jax.random.key(0), x[0])
    other = model._replace(posterior=model.posterior._replace(distribution=None))
    with pytest.raises(ValueError, match="no diagonal Gaussian"):
        regret.likelihood_regret(other, params, jax.random.key(0), x)
