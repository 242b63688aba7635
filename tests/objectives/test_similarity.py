"""Structural similarity against loops over windows in float64, and the model that pays for it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxvae
from jaxvae.evaluation.samples import feature_distance
from jaxvae.models.autoencoders import compared
from jaxvae.objectives import multiscale_similarity, structural_similarity

pytestmark = pytest.mark.quick_compile
RNG = np.random.default_rng(0)
X = RNG.uniform(size=(25, 23, 2))
Y = np.clip(X + RNG.normal(0, 0.2, X.shape), 0, 1)


def slow(x, y):
    """(mean SSIM, mean contrast-structure), window after window."""
    offset = np.arange(11) - 5
    weights = np.exp(-(offset[:, None] ** 2 + offset[None] ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    whole, contrast = [], []
    for c in range(x.shape[2]):
        for i in range(x.shape[0] - 10):
            for j in range(x.shape[1] - 10):
                a, b = (image[i : i + 11, j : j + 11, c].ravel() for image in (x, y))
                (m, n), cov = (
                    (np.average(v, weights=weights.ravel()) for v in (a, b)),
                    np.cov(a, b, aweights=weights.ravel(), ddof=0),
                )
                contrast.append((2 * cov[0, 1] + 0.0009) / (cov[0, 0] + cov[1, 1] + 0.0009))
                whole.append(contrast[-1] * (2 * m * n + 0.0001) / (m**2 + n**2 + 0.0001))
    return np.mean(whole), np.mean(contrast)


def test_one_scale_is_the_mean_over_windows():
    found = structural_similarity(jnp.float32(X), jnp.float32(Y))
    np.testing.assert_allclose(found, slow(X, Y)[0], atol=2e-6)
    np.testing.assert_allclose(found, structural_similarity(jnp.float32(Y), jnp.float32(X)), atol=1e-6)


def test_several_scales_are_the_product_of_powers_and_an_odd_column_is_left_out():
    halves = [image[:24, :22].reshape(12, 2, 11, 2, 2).mean((1, 3)) for image in (X, Y)]
    first, last = 0.0448 / (0.0448 + 0.2856), 0.2856 / (0.0448 + 0.2856)
    expected = slow(X, Y)[1] ** first * slow(*halves)[0] ** last
    np.testing.assert_allclose(multiscale_similarity(jnp.float32(X), jnp.float32(Y)), expected, atol=2e-6)


def test_its_slope_is_finite_where_pictures_are_equal_and_where_they_are_opposite():
    x = jnp.float32(X)
    for y in (x, 1 - x, jnp.zeros_like(x)):
        value, slope = jax.value_and_grad(multiscale_similarity)(y, x)
        assert 0 <= value <= 1 + 1e-6
        assert np.isfinite(slope).all()


def test_pictures_smaller_than_the_window_are_refused_with_their_size():
    with pytest.raises(ValueError, match=r"\(8, 8, 1\).*11"):
        multiscale_similarity(jnp.zeros((8, 8, 1)), jnp.zeros((8, 8, 1)))


def test_a_compared_model_pays_in_its_loss_and_in_no_bound():
    networks = jaxvae.MLPEncoder(2, (8,)), jaxvae.MLPDecoder((12, 12, 1), hidden=(8,))
    model = jaxvae.vae(*networks, event_shape=(12, 12, 1), latent_dim=2)
    x = jnp.float32(RNG.uniform(size=(3, 12, 12, 1)) > 0.5)
    params, keys = jax.jit(model.init)(jax.random.key(0), x[0]), jax.random.split(jax.random.key(1), 3)
    paid = compared(model, lambda a, b: 1 - structural_similarity(a, b), 10.0)
    (plain, before), (value, after) = (
        jax.jit(jaxvae.bound_loss(m, jaxvae.elbo))(params, keys, x, jnp.int32(0)) for m in (model, paid)
    )
    made = jax.jit(jax.vmap(lambda k, one: model.likelihood.mean(params, model.terms(params, k, one).z)))(keys, x)
    expected = np.mean([10 * (1 - slow(np.float64(a), np.float64(b))[0]) for a, b in zip(x, made, strict=True)])
    np.testing.assert_allclose(value - plain, expected, rtol=1e-4)
    np.testing.assert_allclose(after["elbo"], before["elbo"], rtol=1e-6)
    assert after["penalty"] == pytest.approx(expected, rel=1e-4)


def test_a_model_of_a_table_has_no_pictures_to_compare():
    networks = jaxvae.MLPEncoder(2, ()), jaxvae.MLPDecoder((4, 1), hidden=())
    model = jaxvae.vae(*networks, event_shape=(4, 1), latent_dim=2)
    with pytest.raises(ValueError, match=r"shape \(4, 1\), expected pictures"):
        compared(model, multiscale_similarity)


@pytest.mark.slow
def test_a_distance_of_features_is_summed_over_rectified_layers(tmp_path):
    kernel, dense = RNG.normal(size=(1, 1, 1, 2)).astype(np.float32), RNG.normal(size=(2, 3)).astype(np.float32)
    np.savez(
        tmp_path / "judge.npz", kernel_0=kernel, bias_0=np.float32([0.1, 0]), stride_0=np.array(1),
        kernel_1=dense, bias_1=np.zeros(3, np.float32), mean=np.float32([0.5]), std=np.float32([2.0]),
    )  # fmt: skip
    a, b = RNG.uniform(size=(2, 4, 4, 1))

    def said(x):
        first = np.maximum((x - 0.5) / 2 * kernel[0, 0, 0] + [0.1, 0], 0)
        return first, np.maximum(first.mean((0, 1)) @ dense, 0)

    expected = sum(0.5 * ((p - q) ** 2).mean() for p, q in zip(said(a), said(b), strict=True))
    found = feature_distance(tmp_path / "judge.npz")(jnp.float32(a), jnp.float32(b))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
