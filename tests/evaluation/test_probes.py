"""Probes, clusters and label curves against loops by hand."""

import math
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from jaxvae.evaluation.probes.probes import (
    LabelCurve,
    accuracy,
    cluster,
    knn_probe,
    label_curve,
    labelled_rows,
    linear_predictions,
    linear_probe,
)
from jaxvae.evaluation.statistics import in_blocks, share_error

pytestmark = pytest.mark.quick_compile


def blobs(count, seed=0, spread=1.0, classes=3):
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    return 4 * np.eye(classes)[labels] + spread * rng.normal(size=(count, classes)), labels


def test_a_linear_probe_reads_what_is_linear_and_nothing_from_noise():
    assert linear_probe(blobs(300, 0, 0.3), blobs(300, 1, 0.3)).mean == 1
    rng = np.random.default_rng(2)
    noise = linear_probe(
        (rng.normal(size=(300, 4)), np.arange(300) % 3), (rng.normal(size=(600, 4)), np.arange(600) % 3)
    )
    assert abs(noise.mean - 1 / 3) < 4.5 * noise.standard_error
    ring = rng.normal(size=(600, 2))
    inside = (np.linalg.norm(ring, axis=1) < 1.18).astype(int)  # half of them, and no line parts the halves
    found = linear_probe((ring[:300], inside[:300]), (ring[300:], inside[300:]))
    assert found.mean < 0.65


def test_a_linear_probe_is_where_its_own_penalised_loss_is_stationary():
    x, y = blobs(60, 3, 2.0, classes=2)
    from sklearn.linear_model import LogisticRegression

    z = (x - x.mean(0)) / x.std(0)
    model = LogisticRegression(C=1 / 2.0, max_iter=5000, tol=1e-10).fit(z, y)
    p = 1 / (1 + np.exp(-(z @ model.coef_[0] + model.intercept_)))
    assert z.T @ (p - y) + 2.0 * model.coef_[0] == pytest.approx(0, abs=1e-3)  # what `strength` multiplies
    named = (z @ model.coef_[0] + model.intercept_ > 0).astype(int)
    assert linear_probe((x, y), (x, y), strength=2.0).mean == np.mean(named == y)


def test_a_feature_that_never_varied_decides_nothing():
    """0.1 three hundred times has a standard deviation of 5e-16: divided by it, a test row's 0.02 would be 4e13."""
    rng = np.random.default_rng(0)
    x, y = blobs(300, 6)
    train, test = (np.column_stack([part[:, :2], np.full(300, 0.1)]) for part in (x, blobs(300, 7)[0]))
    assert train[:, 2].std() > 0
    moved = test + [0.0, 0.0, 0.02] * rng.normal(size=(300, 1))
    for dtype in (np.float64, np.float32):
        wobble = np.zeros(300) if dtype == np.float64 else np.where(np.arange(300) % 2, 0.0, 7e-9)  # the last bit
        seen = (train + [0.0, 0.0, 1.0] * wobble[:, None]).astype(dtype)
        answers = [linear_predictions((seen, y), part.astype(dtype)) for part in (test, moved)]
        np.testing.assert_array_equal(*answers)


def test_a_scale_or_a_constant_feature_changes_nothing_for_a_linear_probe():
    (x, y), (a, b) = blobs(90, 4, 3.0), blobs(90, 5, 3.0)
    widened = [np.hstack([part * [1e3, 1, 1e-3], np.full((len(part), 1), 7.0)]) for part in (x, a)]
    assert linear_probe((widened[0], y), (widened[1], b)).mean == linear_probe((x, y), (a, b)).mean


@pytest.mark.parametrize("k", [1, 3, 7])
def test_the_vote_of_neighbours_is_the_loop(k):
    (x, y), (a, b) = blobs(60, 6, 2.5), blobs(40, 7, 2.5)
    right = 0
    for point, truth in zip(a, b, strict=True):
        nearest = sorted(range(len(x)), key=lambda i: np.sum((x[i] - point) ** 2))[:k]
        votes = Counter(int(y[i]) for i in nearest)
        right += min(votes, key=lambda label: (-votes[label], label)) == truth
    found = knn_probe((x, y), (a, b), neighbours=k)
    assert found.mean == right / 40
    p = (right + 2) / 44  # two cases more of either kind
    assert found.standard_error == pytest.approx(math.sqrt(p * (1 - p) / 44))


def rand_index(a, b):
    """The adjusted Rand index by its definition, over all pairs of examples."""
    pairs = list(combinations(range(len(a)), 2))
    same_a, same_b = ([labels[i] == labels[j] for i, j in pairs] for labels in (a, b))
    both = sum(x and y for x, y in zip(same_a, same_b, strict=True))
    expected = sum(same_a) * sum(same_b) / len(pairs)
    return (both - expected) / ((sum(same_a) + sum(same_b)) / 2 - expected)


def mutual_information(a, b):
    n, joint = len(a), Counter(zip(a.tolist(), b.tolist(), strict=True))
    entropy = lambda counts: -sum(c / n * math.log(c / n) for c in counts.values())  # noqa: E731
    one, other = entropy(Counter(a.tolist())), entropy(Counter(b.tolist()))
    return (one + other - entropy(joint)) / ((one + other) / 2)


def test_clusters_agree_with_classes_as_counted_pair_by_pair():
    x, y = blobs(60, 8, 1.8)
    found = cluster(x, y, seed=3)
    assert found.ari.value == pytest.approx(rand_index(found.assigned, y))
    assert found.nmi.value == pytest.approx(mutual_information(found.assigned, y))
    left = [rand_index(found.assigned[keep], y[keep]) for keep in (in_blocks(60, 10) != b for b in range(10))]
    assert found.ari.standard_error == pytest.approx(np.sqrt(0.9 * np.sum((left - np.mean(left)) ** 2)))
    assert len(set(cluster(x, y, clusters=5).assigned.tolist())) == 5


def test_clusters_of_noise_agree_by_chance_only():
    rng = np.random.default_rng(9)
    found = cluster(rng.normal(size=(400, 3)), rng.integers(0, 4, 400))
    assert abs(found.ari.value) < 0.03
    assert found.nmi.value < 0.05


def test_labels_are_drawn_evenly_and_differ_from_seed_to_seed():
    labels = np.repeat([0, 1, 2], [50, 30, 5])
    assert np.bincount(labels[labelled_rows(labels, 12, 0)]).tolist() == [4, 4, 4]
    assert np.bincount(labels[labelled_rows(labels, 25, 0)]).tolist() == [10, 10, 5]  # the third has no more
    assert sorted(labelled_rows(labels, 85, 0)) == list(range(85))
    draws = {tuple(sorted(labelled_rows(labels, 12, seed))) for seed in range(20)}
    assert len(draws) == 20
    assert np.array_equal(labelled_rows(labels, 12, 3), labelled_rows(labels, 12, 3))


def test_a_label_curve_has_the_error_of_a_mean_over_draws():
    seen = []
    curve = label_curve(lambda rows, seed: seen.append(rows) or len(rows) + seed, np.arange(40) % 2, (2, 10), seeds=4)
    assert curve.accuracies.tolist() == [[2, 3, 4, 5], [10, 11, 12, 13]]
    assert curve.mean.tolist() == [3.5, 11.5]
    assert curve.standard_error == pytest.approx(np.std([0, 1, 2, 3], ddof=1) / 2)
    assert [len(rows) for rows in seen] == [2] * 4 + [10] * 4
    assert np.isnan(LabelCurve(np.array([2]), np.array([[1.0]])).standard_error).all()


X, Y = blobs(30)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: linear_probe((X, Y), (X[:, :2], Y)), ValueError, ["width 3", "2"]),
        (lambda: linear_probe((X, Y[:9]), (X, Y)), ValueError, ["labels have shape (9,)", "(30,)"]),
        (lambda: linear_probe((X, 0 * Y), (X, Y)), ValueError, ["all 0", "two classes"]),
        (lambda: linear_probe((X, Y), (X, Y), strength=0.0), ValueError, ["strength is 0.0"]),
        (lambda: linear_probe((X, Y / 2), (X, Y)), TypeError, ["labels have dtype float64"]),
        (lambda: knn_probe((X, Y), (X, Y), neighbours=31), ValueError, ["neighbours is 31", "at most 30"]),
        (lambda: cluster(X[:19], Y[:19]), ValueError, ["(19, 3)", "at least 20"]),
        (lambda: cluster(X, Y, clusters=31), ValueError, ["clusters is 31", "at most 30"]),
        (lambda: labelled_rows(Y, 2, 0), ValueError, ["count is 2", "3 (one of each class) to 30"]),
        (lambda: labelled_rows(Y, 31, 0), ValueError, ["count is 31"]),
        (lambda: label_curve(lambda rows, seed: 0.0, Y, (3,), seeds=0), ValueError, ["seeds is 0"]),
    ],
)
def test_what_cannot_be_probed_is_named(call, error, words):
    with pytest.raises(error, match="expected") as found:
        call()
    for word in words:
        assert word in str(found.value)


@pytest.mark.slow
def test_accuracy_counts():
    assert accuracy(np.array([0, 1, 1]), np.array([0, 1, 0])).mean == pytest.approx(2 / 3)


@pytest.mark.parametrize(("truth", "count"), [(0.5, 40), (0.95, 60), (0.99, 30)])
def test_twice_the_standard_error_of_a_share_holds_the_truth_about_as_often_as_a_normal_would(truth, count):
    """By the whole binomial distribution; where all answers are right the error is that of some doubt, not 0."""
    right = np.arange(count + 1)
    error, weight = share_error(right, count), stats.binom.pmf(right, count, truth)
    assert weight[np.abs(right / count - truth) <= 2 * error].sum() > 0.91
    assert error.min() > 0
    everything = accuracy(np.ones(count), np.ones(count))
    assert everything == (1.0, pytest.approx(np.sqrt((count + 2) * 2) / (count + 4) ** 1.5), count)
