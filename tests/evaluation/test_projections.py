"""PCA against an eigendecomposition, t-SNE by the neighbours it keeps, and the chart of either."""

import numpy as np
import pytest

from jaxvae.evaluation.latents import projections
from jaxvae.evaluation.plots import code_charts
from jaxvae.evaluation.plots.figures import COLORS, new_axes

pytestmark = pytest.mark.quick_compile


def codes(count=60, seed=0):
    """Codes of three latents with standard deviations 3, 2 and 0.5 along random orthogonal axes."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    return rng.normal(size=(count, 3)) * np.array([[3.0, 2.0, 0.5]]) @ axes + np.array([[10.0, -5.0, 1.0]])


def clusters(seed=0):
    """Three clusters of 15 codes in 6 latents, far apart."""
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1, 2], 15)
    return rng.normal(size=(45, 6)) + 20 * np.eye(6)[labels], labels


def test_pca_is_the_eigendecomposition_of_the_covariance():
    z = codes()
    values, vectors = np.linalg.eigh(np.cov(z.T))
    order = np.argsort(-values)[:2]
    expected = (z - z.mean(0)) @ vectors[:, order]
    found = projections.project(z, "pca")
    assert found.method == "pca"
    for axis in range(2):
        sign = np.sign(found.points[:, axis] @ expected[:, axis])
        np.testing.assert_allclose(found.points[:, axis], sign * expected[:, axis], atol=1e-4)
    np.testing.assert_allclose(found.variance_shares, values[order] / values.sum(), rtol=1e-6)


def test_the_sign_of_an_axis_is_that_of_its_largest_weight():
    line = np.linspace(-1, 1, 9)[:, None] * np.array([[-0.1, 3.0]]) + np.array([[0.0, 7.0]])
    line[:, 0] += 0.01 * np.cos(np.arange(9))
    assert (np.diff(projections.pca(line).points[:, 0]) > 0).all()
    assert (np.diff(projections.pca(line[:, ::-1]).points[:, 0]) > 0).all()


def test_constant_codes_share_no_variance():
    found = projections.pca(np.ones((5, 3)))
    np.testing.assert_array_equal(found.points, 0)
    np.testing.assert_array_equal(found.variance_shares, 0)


@pytest.mark.slow
def test_tsne_keeps_clusters_and_is_repeatable():
    z, labels = clusters()
    first = projections.project(z, "tsne", perplexity=5.0, seed=3)
    assert first.points.shape == (45, 2)
    assert first.variance_shares is None
    assert projections.neighbour_agreement(first.points, labels).mean() == 1
    again = [projections.tsne(z[:9], seed=seed).points for seed in (3, 3)]
    np.testing.assert_array_equal(*again)


def test_neighbour_agreement_counts_as_by_hand():
    rng = np.random.default_rng(0)
    z, labels = rng.normal(size=(30, 2)), rng.integers(0, 3, 30)
    distances = np.square(z[:, None] - z[None]).sum(-1) + np.diag(np.full(30, np.inf))
    nearest = np.argsort(distances, axis=1)[:, :4]
    expected = [np.mean([labels[j] == labels[i] for j in nearest[i]]) for i in range(30)]
    np.testing.assert_allclose(projections.neighbour_agreement(z, labels, neighbours=4), expected)


def test_the_chart_draws_every_code_in_the_colour_of_its_class():
    z, labels = clusters()
    projection = projections.pca(z)
    figure, ax = code_charts.projected_codes(projection, labels)
    (points,) = ax.collections
    np.testing.assert_allclose(points.get_offsets(), projection.points)
    found = points.get_facecolors()[:, :3]
    expected = np.array([[int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)] for color in COLORS])[labels]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert [text.get_text() for text in ax.texts] == ["0", "1", "2"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["0", "1", "2"]
    assert f"{projection.variance_shares[0]:.0%} of the variance" in ax.get_xlabel()
    given = new_axes()[1]
    assert code_charts.projected_codes(projection, ax=given)[1] is given
    assert figure is not given.figure
    assert given.get_legend() is None


def test_the_axes_of_tsne_have_no_ticks_and_names_stand_on_their_class():
    points = np.array([[0.0, 0.0], [1.0, 0.0], [10.0, 0.0], [11.0, 0.0], [5.0, 0.0]], np.float32)
    _, ax = code_charts.projected_codes(projections.Projection(points, "tsne", None), np.array([7, 7, 7, 7, 8]))
    assert list(ax.get_xticks()) == []
    assert ax.texts[0].get_position()[0] in (0.5, 10.5)  # not at 5.5, among the 8s
    assert "t-SNE of 5 codes" in ax.get_title(loc="left")


Z, LABELS = clusters()
PLANE = projections.pca(Z)
WRONG = {
    "method": (lambda: projections.project(Z, "umap"), "'pca' or 'tsne'"),
    "one latent": (lambda: projections.pca(Z[:, :1]), r"codes has shape \(45, 1\)"),
    "two codes": (lambda: projections.pca(Z[:2]), "at least 3 codes"),
    "three codes": (lambda: projections.tsne(Z[:3]), "at least 4 codes"),
    "one code": (lambda: projections.pca(Z[0]), r"codes has shape \(6,\)"),
    "nan": (lambda: projections.tsne(Z * np.nan), "NaN"),
    "perplexity": (lambda: projections.tsne(Z, perplexity=0), "perplexity is 0"),
    "labels": (lambda: projections.neighbour_agreement(Z, LABELS[:3]), r"labels has shape \(3,\)"),
    "neighbours": (lambda: projections.neighbour_agreement(Z, LABELS, 45), "fewer than the 45"),
    "chart, labels": (lambda: code_charts.projected_codes(PLANE, LABELS[:3]), r"labels has shape \(3,\)"),
    "chart, classes": (lambda: code_charts.projected_codes(PLANE, np.arange(45)), "45 classes"),
}


@pytest.mark.rows(slow=["chart, classes"])
@pytest.mark.parametrize("name", WRONG)
def test_wrong_input_is_named(name):
    call, words = WRONG[name]
    with pytest.raises(ValueError, match=words):
        call()
