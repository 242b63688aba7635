"""Codes, paths and grids of the latent space, and the images a model draws from them."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm
from small import LATENTS, SHAPE, Encoder, Linear, images, small_vae

from jaxvae.evaluation import latents
from jaxvae.evaluation.batches import map_batches
from jaxvae.evaluation.latents import generation
from jaxvae.models.observations.discrete import discretized_logistic
from jaxvae.models.variational import vae
from jaxvae.training.losses.bound import bound_loss

pytestmark = pytest.mark.quick_compile


@functools.cache
def setup():
    """(model, params, x [7, 4, 4, 1]) with codes far enough apart to tell examples and latents."""
    model = small_vae()
    params = jax.jit(model.init)(jax.random.key(0), jnp.zeros(SHAPE))
    return model, params, images(7).astype(np.float32) / 255


def by_hand(z):
    """E[x | z] of the small VAE, in NumPy: sigmoid of a linear map."""
    weights = setup()[1]["decoder"]
    logits = np.asarray(z, np.float64) @ np.asarray(weights["w"], np.float64) + np.asarray(weights["b"], np.float64)
    return 1 / (1 + np.exp(-logits.reshape(*np.shape(z)[:-1], *SHAPE)))


def close(a, b, tolerance=1e-5):
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def test_encode_gives_the_posterior_of_each_example():
    model, params, x = setup()
    mean, log_var = latents.encode(model, params, x)
    assert mean.shape == log_var.shape == (7, LATENTS)
    weights = params["encoder"]
    expected = (x.reshape(7, -1) @ np.asarray(weights["w"]) + np.asarray(weights["b"])).reshape(7, 2, LATENTS)
    close(mean, expected[:, 0])
    close(log_var, expected[:, 1])


def test_reconstructions_decode_the_posterior_mean():
    model, params, x = setup()
    close(generation.reconstructions(model, params, x), by_hand(latents.encode(model, params, x).mean))


@pytest.mark.full
def test_no_number_depends_on_the_batching():
    model, params, x = setup()
    key = jax.random.key(3)
    calls = {
        "encode": lambda **options: np.stack(latents.encode(model, params, x, **options), 1),
        "reconstructions": lambda **options: generation.reconstructions(model, params, x, **options),
        "posterior": lambda **options: generation.posterior_reconstructions(model, params, key, x, 2, **options),
        "means": lambda **options: generation.prior_means(model, params, key, 7, **options),
        "samples": lambda **options: generation.prior_samples(model, params, key, 7, **options),
        "interpolate": lambda **options: generation.interpolate(model, params, x[:3], x[3:6], 3, **options),
    }
    for name, call in calls.items():
        found, expected = call(batch_size=3), call()  # one of seven is left over for the last batch
        assert found.shape == expected.shape, name
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.slow
def test_an_example_does_not_depend_on_its_neighbours():
    model, params, x = setup()
    key = jax.random.key(3)
    draw = functools.partial(generation.posterior_reconstructions, model, params, key, samples=2, batch_size=3)
    close(draw(x)[:4], draw(x[:4]))
    means = functools.partial(generation.prior_means, model, params, key, batch_size=3)
    close(means(7)[:4], means(4))


@pytest.mark.slow
def test_the_key_decides_the_draws():
    model, params, x = setup()
    for draw in (
        lambda key: generation.prior_means(model, params, key, 7),
        lambda key: generation.prior_samples(model, params, key, 7),
        lambda key: generation.posterior_reconstructions(model, params, key, x, 2),
    ):
        first, again, other = draw(jax.random.key(1)), draw(jax.random.key(1)), draw(jax.random.key(2))
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()
        assert (first[0] != first[1]).any()
    twins = generation.posterior_reconstructions(model, params, jax.random.key(1), np.repeat(x[:1], 7, 0), 2)
    assert len(np.unique(twins.reshape(14, -1), axis=0)) == 14


def test_several_reconstructions_of_one_example_differ_and_average_to_the_posterior():
    model, params, x = setup()
    many = generation.posterior_reconstructions(model, params, jax.random.key(0), x[:1], 4000)[0]
    assert many.shape == (4000, *SHAPE)
    mean, log_var = (part[0] for part in latents.encode(model, params, x[:1]))
    z = mean + np.exp(log_var / 2) * np.random.default_rng(0).normal(size=(4000, LATENTS))
    error = 5 * math.sqrt(2 / 4000) * many.std()
    np.testing.assert_allclose(many.mean(0), by_hand(z).mean(0), atol=error)


def test_prior_samples_scatter_around_prior_means():
    model, params, _ = setup()
    means = generation.prior_means(model, params, jax.random.key(0), 3000)
    draws = generation.prior_samples(model, params, jax.random.key(0), 3000)
    assert set(np.unique(draws)) == {0.0, 1.0}
    score = (draws - means) / np.sqrt(means * (1 - means))  # standardised, if both come from the same z
    assert abs(score.mean()) < 5 / math.sqrt(score.size)
    assert abs((score**2).mean() - 1) < 0.1
    assert np.corrcoef(draws.ravel(), means.ravel())[0, 1] > 0.2


@pytest.mark.slow
def test_draws_are_in_the_units_of_the_likelihood():
    model = vae(
        Encoder(), Linear(32, (4, 4, 2)), event_shape=SHAPE, latent_dim=LATENTS, observation=discretized_logistic()
    )
    params = jax.jit(model.init)(jax.random.key(0), jnp.zeros(SHAPE))
    draws = generation.prior_samples(model, params, jax.random.key(0), 200)
    assert draws.max() > 128
    np.testing.assert_array_equal(draws, np.round(draws))
    assert 0 <= model.to_unit(draws).min() <= model.to_unit(draws).max() <= 1


@pytest.mark.rows(slow=["spherical_path"])
@pytest.mark.parametrize("path", [latents.linear_path, latents.spherical_path])
def test_interpolations_end_in_the_reconstructions_of_the_ends(path):
    model, params, x = setup()
    a, b = x[:3], x[3:6]
    rows = generation.interpolate(model, params, a, b, 3, path=path, batch_size=3)
    assert rows.shape == (3, 3, *SHAPE)
    close(rows[:, 0], generation.reconstructions(model, params, a))
    close(rows[:, -1], generation.reconstructions(model, params, b))
    assert np.abs(rows[:, 1] - rows[:, 0]).max() > 1e-3
    assert np.abs(rows[:, 1] - rows[:, -1]).max() > 1e-3


def test_the_line_passes_through_the_middle():
    model, params, x = setup()
    middle = generation.interpolate(model, params, x[:3], x[3:6], 3, batch_size=3)[:, 1]
    means = latents.encode(model, params, x).mean
    close(middle, by_hand((means[:3] + means[3:6]) / 2))


@pytest.mark.slow
def test_the_sphere_keeps_the_norm_and_turns_in_equal_angles():
    a, b = jnp.array([3.0, 0.0, 0.0]), jnp.array([0.0, 3.0, 0.0])
    path = latents.spherical_path(a, b, 7)
    close(np.linalg.norm(path, axis=1), np.full(7, 3.0))
    close(np.arctan2(path[:, 1], path[:, 0]), np.linspace(0, np.pi / 2, 7))


def test_the_norm_on_the_sphere_goes_evenly_between_nearly_opposite_ends():
    a, b = np.array([1.0, 0.0]), 3 * np.array([math.cos(3.1), math.sin(3.1)])
    path = np.asarray(latents.spherical_path(jnp.asarray(a, jnp.float32), jnp.asarray(b, jnp.float32), 5), np.float64)
    close(np.linalg.norm(path, axis=1), [1.0, 1.5, 2.0, 2.5, 3.0], 1e-4)
    close(np.arctan2(path[:, 1], path[:, 0]), np.linspace(0, 3.1, 5), 1e-4)


@pytest.mark.parametrize("b", [[2.0, 4.0], [-1.0, -2.0], [0.0, 0.0], [1.0, 2.0]])
def test_the_sphere_is_a_line_where_no_arc_is_defined(b):
    a, b = jnp.array([1.0, 2.0]), jnp.array(b)
    close(latents.spherical_path(a, b, 5), latents.linear_path(a, b, 5))


def test_traverse_moves_one_latent_and_leaves_the_others():
    model, params, _ = setup()
    z, values = np.array([0.3, -0.4, 0.5], np.float32), np.array([-2.0, 0.0, 2.0])
    codes = np.array([[0.3, -2.0, 0.5], [0.3, 0.0, 0.5], [0.3, 2.0, 0.5]])
    close(generation.traverse(model, params, z, 1, values), by_hand(codes))
    np.testing.assert_array_equal(z, np.array([0.3, -0.4, 0.5], np.float32))


def test_the_manifold_decodes_the_quantiles_with_up_and_right_ascending():
    model, params, _ = setup()
    grid = generation.manifold(model, params, (2, 0), 5)
    assert grid.shape == (5, 5, *SHAPE)
    low, high = norm.ppf(0.025), norm.ppf(0.975)
    close(grid[0, 0], by_hand([high, 0.0, low]))  # top left: latent 0 up, latent 2 to the left
    close(grid[0, -1], by_hand([high, 0.0, high]))
    close(grid[-1, 0], by_hand([low, 0.0, low]))
    close(grid[2, 2], by_hand([0.0, 0.0, 0.0]))
    close(grid[2, 1], by_hand([0.0, 0.0, norm.ppf(0.025 + 0.95 / 4)]))


def test_gaussian_quantiles_are_those_of_the_normal_distribution_and_symmetric():
    values = latents.gaussian_quantiles(9, 0.01)
    close(values, norm.ppf(np.linspace(0.01, 0.99, 9)))
    np.testing.assert_array_equal(values, -values[::-1])
    assert latents.gaussian_quantiles(1).tolist() == [0.0]


def test_active_latents_are_those_whose_mean_varies():
    rng = np.random.default_rng(0)
    means = rng.normal(size=(1000, 4)) * np.sqrt([1.0, 0.02, 0.005, 0.0]) + 7
    assert latents.active_latents(means).tolist() == [True, True, False, False]


def test_strongest_latents_averages_over_examples():
    kl = np.array([[0.0, 3.0, 1.0], [2.0, 0.0, 3.0]])  # means 1, 1.5 and 2
    assert latents.strongest_latents(kl, 3) == (2, 1, 0)


def test_map_batches_fills_up_the_last_batch_and_keeps_one_shape():
    shapes = []

    def function(index, x):
        shapes.append(x.shape)
        return {"index": index, "square": x**2}

    result = map_batches(function, np.arange(7.0), batch_size=3)
    assert shapes == [(4,)] * 2  # of three, rounded up to what two devices share equally
    assert result["index"].tolist() == list(range(7))
    assert result["square"].tolist() == [float(i**2) for i in range(7)]


def wrong_calls():
    model, params, x = setup()
    key = jax.random.key(0)
    return {
        "encode, one example": ("x has shape", lambda: latents.encode(model, params, x[0])),
        "encode, no channel axis": ("x has shape", lambda: latents.encode(model, params, x[..., 0])),
        "encode, another size": ("x has shape", lambda: latents.encode(model, params, np.zeros((2, 5, 4, 1)))),
        "encode, empty": ("0 examples", lambda: latents.encode(model, params, x[:0])),
        "encode, levels": ("x has the value", lambda: latents.encode(model, params, x * 255)),
        "encode, batch of 0": ("batch_size is 0", lambda: latents.encode(model, params, x, batch_size=0)),
        "reconstructions": ("x has shape", lambda: generation.reconstructions(model, params, x[0])),
        "posterior": ("x has shape", lambda: generation.posterior_reconstructions(model, params, key, x[0])),
        "posterior, no samples": (
            "samples is 0",
            lambda: generation.posterior_reconstructions(model, params, key, x, 0),
        ),
        "interpolate, a": ("a has shape", lambda: generation.interpolate(model, params, x[0], x)),
        "interpolate, b": ("b has shape", lambda: generation.interpolate(model, params, x, x[0])),
        "interpolate, pairs": ("a has 2 examples", lambda: generation.interpolate(model, params, x[:2], x[:3])),
        "interpolate, one step": ("steps is 1", lambda: generation.interpolate(model, params, x, x, 1)),
        "decode": ("z has shape", lambda: generation.decode(model, params, np.zeros(LATENTS))),
        "traverse, z": ("z has shape", lambda: generation.traverse(model, params, np.zeros(2), 0, [0.0])),
        "traverse, latent": ("latent is 3", lambda: generation.traverse(model, params, np.zeros(3), 3, [0.0])),
        "manifold, latent": ("latent is 5", lambda: generation.manifold(model, params, (0, 5))),
        "manifold, same latent": ("two different", lambda: generation.manifold(model, params, (1, 1))),
        "manifold, tail": ("tail is 0.5", lambda: generation.manifold(model, params, tail=0.5)),
        "prior_means": ("count is 0", lambda: generation.prior_means(model, params, key, 0)),
        "quantiles": ("count is 0", lambda: latents.gaussian_quantiles(0)),
        "strongest": ("only 2 latents", lambda: latents.strongest_latents(np.zeros(2), 3)),
        "paths": ("b has shape", lambda: latents.linear_path(jnp.zeros(2), jnp.zeros(3), 3)),
        "active": ("threshold is -1", lambda: latents.active_latents(np.zeros((2, 2)), -1)),
        "loss": ("x has shape", lambda: bound_loss(model)(params, jax.random.split(key, 4), x[0], jnp.int32(0))),
    }


@pytest.mark.parametrize("name", wrong_calls())
def test_wrong_input_is_named(name):
    words, call = wrong_calls()[name]
    with pytest.raises(ValueError, match=words):
        call()


def test_raw_integers_are_no_example():
    model, params, _ = setup()
    with pytest.raises(TypeError, match="x has dtype uint8"):
        generation.reconstructions(model, params, images(2))


@pytest.mark.slow
def test_a_posterior_without_a_gaussian_is_no_code():
    model, params, x = setup()
    other = model._replace(posterior=model.posterior._replace(distribution=None))
    with pytest.raises(ValueError, match="no diagonal Gaussian"):
        latents.encode(other, params, x)
    close(generation.reconstructions(other, params, x), generation.reconstructions(model, params, x))
