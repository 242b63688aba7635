"""Scores of samples against closed forms, loops in float64 and SciPy's own square root of a matrix."""

import itertools

import numpy as np
import pytest
import scipy.linalg

from jaxvae.evaluation.samples.frechet import frechet_distance, frechet_estimate, gaussian_distance
from jaxvae.evaluation.samples.inception import inception_score
from jaxvae.evaluation.samples.kernel import kernel_distance
from jaxvae.evaluation.samples.manifolds import density_coverage, expected_coverage, precision_recall, radii
from jaxvae.evaluation.statistics import in_blocks, jackknife

pytestmark = pytest.mark.quick_compile


def covariance(rng, size, rank=None):
    a = rng.normal(size=(size, size if rank is None else rank))
    return a @ a.T


def test_the_jackknife_of_a_mean_is_the_textbook_standard_error():
    x = np.random.default_rng(0).normal(size=40)
    found = jackknife(np.mean, x, blocks=40 // 2)
    pairs = [x[in_blocks(40, 20) == block].mean() for block in range(20)]
    assert found.standard_error == pytest.approx(np.std(pairs, ddof=1) / np.sqrt(20), rel=1e-10)
    assert found.bias == pytest.approx(0, abs=1e-12)


@pytest.mark.slow
def test_the_jackknife_finds_the_bias_of_the_variance_that_divides_by_n():
    x = np.random.default_rng(1).normal(size=30)
    found = jackknife(np.var, x, blocks=15)
    single = 29 / 30 * np.var(x)  # not what blocks of two find exactly, but in expectation -sigma^2 / N
    assert found.bias == pytest.approx(-single / 29, rel=0.5)
    rng = np.random.default_rng(2)
    corrected = [(f := jackknife(np.var, rng.normal(size=10), blocks=5)).value - f.bias for _ in range(4000)]
    assert abs(np.mean(corrected) - 1) < 4.5 * np.std(corrected) / np.sqrt(4000)


@pytest.mark.parametrize("size", [1, 3, 20])
def test_two_gaussians_are_as_far_apart_as_scipys_square_root_says(size):
    rng = np.random.default_rng(size)
    a, b = covariance(rng, size), covariance(rng, size)
    m, n = rng.normal(size=(2, size))
    root = scipy.linalg.sqrtm(scipy.linalg.sqrtm(a) @ b @ scipy.linalg.sqrtm(a)).real
    expected = np.sum((m - n) ** 2) + np.trace(a + b - 2 * root)
    assert gaussian_distance(m, a, n, b) == pytest.approx(expected, abs=1e-6)
    assert gaussian_distance(n, b, m, a) == pytest.approx(expected, abs=1e-6)


def test_commuting_covariances_have_a_closed_form_singular_ones_too():
    rng = np.random.default_rng(4)
    basis = np.linalg.qr(rng.normal(size=(50, 50)))[0]
    one, other = np.exp(rng.normal(size=(2, 50)))
    one[:30], other[10:40] = 0, 0  # each is singular, in directions of its own
    a, b = ((basis * values) @ basis.T for values in (one, other))
    expected = 9 + np.sum((np.sqrt(one) - np.sqrt(other)) ** 2)
    assert gaussian_distance(np.zeros(50), a, 3 * basis[0], b) == pytest.approx(expected, abs=1e-6)
    assert gaussian_distance(basis[0], a, basis[0], a) == pytest.approx(0, abs=1e-6)


def test_rank_one_covariances_and_fewer_samples_than_features():
    u, v = np.array([1.0, 2.0, 2.0]), np.array([3.0, 0.0, 4.0])
    # The optimal plan moves t u to t v, so the distance is |u - v|^2 for u . v >= 0.
    found = gaussian_distance(np.zeros(3), np.outer(u, u), np.zeros(3), np.outer(v, v))
    assert found == pytest.approx(np.sum((u - v) ** 2), abs=1e-6)
    x = np.random.default_rng(0).normal(size=(5, 40))
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(x + 0.5, x) == pytest.approx(40 * 0.25, abs=1e-6)


@pytest.mark.slow
def test_samples_of_known_gaussians_give_their_distance_within_the_error_once_the_bias_is_taken_off():
    rng = np.random.default_rng(5)
    a, b, zero = np.diag([1.0, 1.5, 2.0, 2.5]), np.eye(4), np.zeros(4)
    exact = gaussian_distance(zero, a, zero, b)
    found = []
    for _ in range(100):
        found.append(frechet_estimate(rng.multivariate_normal(zero, a, 100), rng.multivariate_normal(zero, b, 100)))
    values, errors, biases = np.array(found).T
    raw, corrected = values.mean() - exact, (values - biases).mean() - exact
    deviation = values.std(ddof=1)
    assert raw > 3 * deviation / np.sqrt(100)  # biased upwards
    assert abs(corrected) < 4.5 * (values - biases).std(ddof=1) / np.sqrt(100)
    assert errors.mean() == pytest.approx(deviation, rel=0.35)


def test_the_bias_of_the_frechet_distance_falls_as_one_over_n():
    rng = np.random.default_rng(6)
    few, many = (
        np.mean([frechet_distance(*rng.normal(size=(2, count, 8))) for _ in range(30)]) for count in (100, 400)
    )
    assert few / many == pytest.approx(4, rel=0.15)  # both sets have one distribution: all of it is bias


def loop_kernel_distance(x, y):
    k = lambda a, b: (a @ b / len(a) + 1) ** 3  # noqa: E731
    n, m = len(x), len(y)
    xx = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    yy = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return xx + yy - 2 * sum(k(a, b) for a in x for b in y) / (n * m)


def test_the_kernel_distance_is_the_loop_and_so_is_each_replicate():
    rng = np.random.default_rng(7)
    x, y = rng.normal(size=(13, 5)), 0.3 + rng.normal(size=(11, 5))
    found = kernel_distance(x, y, blocks=4)
    assert found.value == pytest.approx(loop_kernel_distance(x, y), rel=1e-10)
    left = [loop_kernel_distance(*(p[in_blocks(len(p), 4) != b] for p in (x, y))) for b in range(4)]
    assert found.standard_error == pytest.approx(np.sqrt(3 / 4 * np.sum((left - np.mean(left)) ** 2)), rel=1e-8)


def test_the_kernel_distance_has_the_exact_expectation_of_a_distribution_on_three_points():
    points = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 2.0]])
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.2, 0.6])
    kernel = (points @ points.T / 2 + 1) ** 3
    exact = (p - q) @ kernel @ (p - q)
    # Every possible draw of two samples from each, with its probability: the expectation by enumeration.
    total = 0.0
    for i, j, k, l in itertools.product(range(3), repeat=4):
        x, y = points[[i, j]], points[[k, l]]
        total += p[i] * p[j] * q[k] * q[l] * loop_kernel_distance(x, y)
    assert total == pytest.approx(exact, rel=1e-12)
    rng = np.random.default_rng(8)
    draws = [
        kernel_distance(points[rng.choice(3, 40, p=p)], points[rng.choice(3, 40, p=q)], blocks=5) for _ in range(300)
    ]
    values, errors = np.array([(draw.value, draw.standard_error) for draw in draws]).T
    assert abs(values.mean() - exact) < 4.5 * values.std() / np.sqrt(300)
    assert errors.mean() == pytest.approx(values.std(ddof=1), rel=0.3)


def test_the_inception_score_of_known_distributions():
    sure = np.eye(5)[np.arange(100) % 5]
    assert inception_score(sure, splits=1).mean == pytest.approx(5)
    for order in (np.arange(5000) % 10, np.sort(np.arange(5000) % 10)):  # classes in turns, and sorted
        assert inception_score(np.eye(10)[order]).mean == pytest.approx(10, rel=0.02)
    assert inception_score(np.full((100, 5), 0.2)).mean == pytest.approx(1)
    assert inception_score(np.repeat(np.eye(5)[:1], 100, 0)).mean == pytest.approx(1)  # one class only
    # Two kinds of samples, by hand: p(y) = 1/2, KL((a, 1 - a) || 1/2) = log 2 - H(a).
    a = 0.9
    p = np.array([[a, 1 - a], [1 - a, a]] * 50)
    expected = np.exp(np.log(2) + a * np.log(a) + (1 - a) * np.log(1 - a))
    assert inception_score(p, splits=1).mean == pytest.approx(expected)
    assert inception_score(np.tile(p, (50, 1)), splits=5).mean == pytest.approx(expected, rel=2e-3)
    assert np.isnan(inception_score(p, splits=1).standard_error)


def test_the_inception_score_is_the_loop_over_kl_divergences():
    p = np.random.default_rng(9).dirichlet(np.ones(4), size=60)
    scores = []
    for split in range(3):
        rows = p[in_blocks(60, 3) == split]
        kl = [sum(r[c] * np.log(r[c] / rows.mean(0)[c]) for c in range(4)) for r in rows]
        scores.append(np.exp(np.mean(kl)))
    found = inception_score(p, splits=3)
    assert found.mean == pytest.approx(np.mean(scores))
    assert found.standard_error == pytest.approx(np.std(scores, ddof=1) / np.sqrt(3))


def loop_manifolds(x, y, k):
    """(precision, recall, density, coverage) by the definitions, one pair at a time."""
    distance = lambda a, b: np.sqrt(np.sum((a - b) ** 2))  # noqa: E731
    ball = lambda s: [sorted(distance(s[i], s[j]) for j in range(len(s)) if j != i)[k - 1] for i in range(len(s))]  # noqa: E731
    rx, ry = ball(x), ball(y)
    precision = np.mean([any(distance(a, b) <= r for b, r in zip(y, ry, strict=True)) for a in x])
    recall = np.mean([any(distance(a, b) <= r for b, r in zip(x, rx, strict=True)) for a in y])
    density = np.mean([sum(distance(a, b) <= r for b, r in zip(y, ry, strict=True)) / k for a in x])
    coverage = np.mean([any(distance(a, b) <= r for a in x) for b, r in zip(y, ry, strict=True)])
    return precision, recall, density, coverage


@pytest.mark.parametrize("k", [1, 3, 5])
def test_manifolds_are_those_of_the_loops_and_do_not_hang_on_the_blocks(k, monkeypatch):
    rng = np.random.default_rng(10)
    x, y = 100 + 1.5 * rng.normal(size=(30, 3)), 100 + rng.normal(size=(25, 3))
    monkeypatch.setattr("jaxvae.evaluation.samples.manifolds.ROWS", 7)
    improved, density = precision_recall(x, y, neighbours=k), density_coverage(x, y, neighbours=k)
    found = [improved.fidelity.mean, improved.diversity.mean, density.fidelity.mean, density.diversity.mean]
    assert found == pytest.approx(loop_manifolds(x, y, k))
    p = improved.fidelity
    assert p.standard_error == pytest.approx(np.sqrt(p.mean * (1 - p.mean) / 30), abs=0.02)
    assert p.standard_error > 0


def test_binary_images_at_the_edge_of_a_ball_are_in_it():
    rng = np.random.default_rng(11)
    x, y = rng.integers(0, 2, (2, 60, 9)).astype(float)  # distances are roots of small integers: many ties
    found = density_coverage(x, y, neighbours=3), precision_recall(x, y, neighbours=3)
    exact = loop_manifolds(x, y, 3)
    assert [found[1].fidelity.mean, found[1].diversity.mean] == pytest.approx(exact[:2])
    assert [found[0].fidelity.mean, found[0].diversity.mean] == pytest.approx(exact[2:])


def test_samples_of_the_datas_own_distribution_have_density_one_and_the_expected_coverage():
    rng = np.random.default_rng(12)
    found = [density_coverage(*rng.normal(size=(2, 200, 4))) for _ in range(40)]
    density, coverage = (np.array([getattr(f, name).mean for f in found]) for name in ("fidelity", "diversity"))
    assert abs(density.mean() - 1) < 4.5 * density.std() / np.sqrt(40)
    assert abs(coverage.mean() - expected_coverage(200, 200)) < 4.5 * coverage.std() / np.sqrt(40)


def test_collapsed_samples_are_precise_and_recall_little():
    rng = np.random.default_rng(13)
    data = rng.normal(size=(300, 4))
    narrow = 0.05 * rng.normal(size=(300, 4))
    found, better = precision_recall(narrow, data), density_coverage(narrow, data)
    assert found.fidelity.mean == 1
    assert found.diversity.mean < 0.05
    assert better.fidelity.mean > 0.5
    assert better.diversity.mean < 0.3


def test_a_point_is_no_neighbour_of_its_own_but_a_twin_is():
    assert radii(np.array([[0.0], [0.0], [5.0]]), 1).tolist() == [0, 0, 25]


FEATURES = np.random.default_rng(0).normal(size=(20, 3))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: frechet_distance(FEATURES[0], FEATURES), ["generated has shape (3,)", "(N, F)"]),
        (lambda: frechet_distance(FEATURES, FEATURES[:1]), ["reference has shape (1, 3)"]),
        (lambda: frechet_distance(FEATURES[:, :2], FEATURES), ["2 features", "3"]),
        (lambda: frechet_distance(FEATURES * np.nan, FEATURES), ["generated has the value nan", "(0, 0)", "finite"]),
        (lambda: frechet_estimate(FEATURES, FEATURES[:15]), ["15 samples for 10 blocks"]),
        (lambda: gaussian_distance(np.zeros(2), -np.eye(2), np.zeros(2), np.eye(2)), ["cov_a is no covariance"]),
        (lambda: gaussian_distance(np.zeros(2), np.eye(2), np.zeros(2), np.eye(3)), ["cov_b", "(3, 3)", "(2, 2)"]),
        (lambda: gaussian_distance(np.zeros(2), np.eye(2), np.zeros(3), np.eye(3)), ["means", "(2,)", "(3,)"]),
        (lambda: kernel_distance(FEATURES, FEATURES, blocks=1), ["blocks is 1"]),
        (lambda: kernel_distance(FEATURES, FEATURES[:9], blocks=5), ["at least 10"]),
        (lambda: inception_score(FEATURES), ["do not sum to 1", "softmax"]),
        (lambda: inception_score(FEATURES[:, 0]), ["shape (20,)"]),
        (lambda: inception_score(np.eye(4), splits=9), ["4 samples for 9 splits"]),
        (lambda: precision_recall(FEATURES[:3], FEATURES), ["generated has shape (3, 3)", "at least 4"]),
        (lambda: density_coverage(FEATURES, FEATURES, neighbours=0), ["neighbours is 0"]),
        (lambda: expected_coverage(0, 5), ["samples is 0"]),
    ],
)
def test_what_cannot_be_scored_is_named(call, words):
    with pytest.raises(ValueError, match=r"expected|sum to 1|no covariance|not finite") as error:
        call()
    for word in words:
        assert word in str(error.value)
