"""Attribute directions against closed forms, arithmetic on codes, and resynthesis against a decoder by hand."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import LATENTS, SHAPE, Encoder, Linear, images, small_vae

from jaxvae.evaluation import latents
from jaxvae.evaluation.latents import attributes, generation, swap_latents
from jaxvae.evaluation.plots import latent_grids
from jaxvae.models.conditional import conditional_vae
from jaxvae.models.contexts import Labelled
from jaxvae.networks.conditional import with_context

pytestmark = pytest.mark.quick_compile


@functools.cache
def plain():
    model = small_vae()
    params = jax.jit(model.init)(jax.random.key(0), jnp.zeros(SHAPE))
    return model, params, images(5).astype(np.float32) / 255


@functools.cache
def conditional():
    networks = with_context(Encoder()), with_context(Linear(16, SHAPE))
    model = conditional_vae(*networks, event_shape=SHAPE, latent_dim=LATENTS, context=3)
    params = jax.jit(model.init)(jax.random.key(0), Labelled(jnp.zeros(SHAPE), jnp.int32(0)))
    return model, params, Labelled(images(4).astype(np.float32) / 255, np.array([0, 1, 2, 1], np.int32))


def by_hand(weights, z, context=None):
    """E[x | z, c] of a linear decoder, in float64: sigmoid of a linear map of z and the one-hot context."""
    inputs = np.asarray(z, np.float64)
    if context is not None:
        inputs = np.concatenate([inputs, np.eye(3)[context]], axis=-1)
    logits = inputs @ np.asarray(weights["w"], np.float64) + np.asarray(weights["b"], np.float64)
    return 1 / (1 + np.exp(-logits.reshape(*inputs.shape[:-1], *SHAPE)))


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@functools.cache
def gaussian_groups(count=4000):
    """Codes of two groups N(0, S) and N(d, S), S correlated, so that the best normal is not d but S^-1 d."""
    rng = np.random.default_rng(0)
    covariance, difference = np.array([[1.0, 0.8], [0.8, 1.0]]), np.array([1.5, 0.0])
    present = np.arange(count) % 2 == 1
    noise = rng.normal(size=(count, 2)) @ np.linalg.cholesky(covariance).T
    return noise + present[:, None] * difference, present, covariance, difference


def test_the_mean_direction_is_the_difference_of_two_gaussians():
    codes, present, _, difference = gaussian_groups()
    found = attributes.attribute_vector(codes, present)
    assert found.shape == (2,)
    np.testing.assert_allclose(found, difference, atol=5 * np.sqrt(2 / 2000))
    np.testing.assert_allclose(attributes.attribute_vector(codes, ~present), -found)


def test_the_logistic_direction_is_fishers_and_not_the_difference_of_means():
    codes, present, covariance, difference = gaussian_groups()
    fisher = np.linalg.solve(covariance, difference)
    found = attributes.logistic_attribute_vector(codes, present, regularization=1e-6)
    cosine = found @ fisher / np.linalg.norm(found) / np.linalg.norm(fisher)
    assert cosine > 0.999
    assert difference @ fisher / np.linalg.norm(fisher) / np.linalg.norm(difference) < 0.8


def test_a_strength_of_one_along_the_normal_reaches_the_other_mean():
    codes, present, _, _ = gaussian_groups()
    for regularization in (1e-6, 1.0):
        found = attributes.logistic_attribute_vector(codes, present, regularization=regularization)
        gap = codes[present].mean(0) - codes[~present].mean(0) - found
        assert abs(gap @ found) < 1e-5 * (found @ found)


def test_a_class_direction_takes_one_mean_to_the_other_and_ignores_other_classes():
    rng = np.random.default_rng(1)
    codes, labels = rng.normal(size=(90, 4)), np.repeat([3, 8, 5], 30)
    direction = attributes.class_attribute_vector(codes, labels, source=3, target=8)
    close(codes[:30].mean(0) + direction, codes[30:60].mean(0))
    codes[60:] += 100
    close(attributes.class_attribute_vector(codes, labels, source=3, target=8), direction)


def test_shift_adds_the_direction_by_strength():
    codes, direction = np.array([[1.0, 2.0], [0.0, -1.0]]), np.array([2.0, -4.0])
    moved = attributes.traverse_attribute(codes, direction, [-1, 0, 0.5])
    expected = [[[-1.0, 6.0], [1.0, 2.0], [2.0, 0.0]], [[-2.0, 3.0], [0.0, -1.0], [1.0, -3.0]]]
    close(moved, np.array(expected))


def test_arithmetic_brings_an_attribute_to_another_class():
    """Codes made of a class and an attribute: what a has and b lacks, given to c, is the fourth corner exactly."""
    base = {
        name: np.array(value)
        for name, value in {"three": [1.0, 0, 0], "eight": [0, 1.0, 0], "bold": [0, 0, 2.0]}.items()
    }
    found = attributes.arithmetic(base["three"] + base["bold"], base["three"], base["eight"])
    close(found, base["eight"] + base["bold"])
    a, b, c = np.random.default_rng(0).normal(size=(3, 6, 4))
    close(attributes.arithmetic(a, b, c), a - b + c)


def test_set_latents_changes_those_and_leaves_its_argument():
    codes = np.random.default_rng(0).normal(size=(3, 4))
    before = codes.copy()
    found = attributes.set_latents(codes, {1: 2.0, 3: -1.0})
    assert (found[:, 1] == 2).all()
    assert (found[:, 3] == -1).all()
    close(found[:, [0, 2]], codes[:, [0, 2]])
    np.testing.assert_array_equal(codes, before)


@pytest.mark.slow
def test_resynthesis_without_a_change_is_reconstruction():
    for model, params, x in (plain(), conditional()):
        found = swap_latents.resynthesize(model, params, x, lambda z: z)
        close(found, generation.reconstructions(model, params, x))


def test_resynthesis_decodes_the_changed_codes():
    model, params, x = plain()
    direction, strengths = np.array([1.0, -2.0, 0.5]), [0.0, 1.0, 3.0]
    found = swap_latents.resynthesize(
        model, params, x, lambda z: attributes.traverse_attribute(z, direction, strengths), batch_size=4
    )
    assert found.shape == (5, 3, *SHAPE)
    z = latents.encode(model, params, x).mean
    close(found, by_hand(params["decoder"], z[:, None] + np.array(strengths)[None, :, None] * direction))


def test_resynthesis_keeps_each_context_or_takes_another():
    model, params, x = conditional()
    z = latents.encode(model, params, x).mean
    codes = np.stack([z, z + 1], axis=1)
    own = swap_latents.resynthesize(model, params, x, lambda z: np.stack([z, z + 1], axis=1))
    close(own, by_hand(params["decoder"], codes, np.repeat(x.context[:, None], 2, axis=1)))
    other = swap_latents.resynthesize(model, params, x, lambda z: z, context=2)
    close(other, by_hand(params["decoder"], z, np.full(4, 2)))
    assert np.abs(other[0] - own[0, 0]).max() > 1e-3


def test_across_contexts_decodes_every_code_with_every_context():
    model, params, _ = conditional()
    z = np.random.default_rng(0).normal(size=(2, LATENTS)).astype(np.float32)
    found = swap_latents.across_contexts(model, params, z, np.array([2, 0]))
    assert found.shape == (2, 2, *SHAPE)
    close(found, by_hand(params["decoder"], np.repeat(z[:, None], 2, 1), np.array([[2, 0], [2, 0]])))


def test_posterior_means_serve_models_without_a_gaussian():
    model, params, x = plain()
    other = model._replace(posterior=model.posterior._replace(distribution=None))
    close(latents.posterior_means(other, params, x, batch_size=2), latents.encode(model, params, x).mean)


def test_the_picture_of_shifts_holds_the_originals_and_every_step():
    steps = np.random.default_rng(0).uniform(size=(2, 3, 4, 4, 1)).astype(np.float32)
    originals = np.random.default_rng(1).uniform(size=(2, 4, 4, 1)).astype(np.float32)
    _, ax = latent_grids.attribute_traversals(steps, [-1, 0, 0.25], originals, ["0 %", "50 %", "90 %"])
    picture = np.asarray(ax.images[0].get_array())
    for row in range(2):
        np.testing.assert_array_equal(picture[5 * row :, :4][:4], originals[row, ..., 0])
        for column in range(3):  # one white pixel between steps, four before the first
            np.testing.assert_array_equal(picture[5 * row :, 8 + 5 * column :][:4, :4], steps[row, column, ..., 0])
    words = [text.get_text() for text in ax.get_xticklabels()]
    assert words == ["original", "\N{MINUS SIGN}1\n0 %", "0\n50 %", "0.25\n90 %"]


CODES, LABELS = np.zeros((4, 2)), np.array([3, 3, 8, 8])
WRONG = {
    "present, integers": (lambda: attributes.attribute_vector(CODES, LABELS), TypeError, "booleans"),
    "present, length": (lambda: attributes.attribute_vector(CODES, LABELS[:3] == 3), ValueError, r"present \(3,\)"),
    "all have it": (lambda: attributes.attribute_vector(CODES, LABELS > 0), ValueError, "4 of 4"),
    "none has it": (lambda: attributes.logistic_attribute_vector(CODES, LABELS < 0), ValueError, "0 of 4"),
    "nan": (lambda: attributes.attribute_vector(CODES * np.nan, LABELS == 3), ValueError, "NaN"),
    "regularization": (
        lambda: attributes.logistic_attribute_vector(CODES, LABELS == 3, regularization=0),
        ValueError,
        "regularization is 0",
    ),
    "no such class": (
        lambda: attributes.class_attribute_vector(CODES, LABELS, 3, 5),
        ValueError,
        r"target is 5.*\[3, 8\]",
    ),
    "one class": (lambda: attributes.class_attribute_vector(CODES, LABELS, 3, 3), ValueError, "both 3"),
    "labels, length": (
        lambda: attributes.class_attribute_vector(CODES[:3], LABELS, 3, 8),
        ValueError,
        r"labels has shape",
    ),
    "one code": (lambda: attributes.traverse_attribute(CODES[0], CODES[0], [1]), ValueError, r"codes\[None\]"),
    "direction": (lambda: attributes.traverse_attribute(CODES, np.zeros(3), [1]), ValueError, r"direction \(3,\)"),
    "strengths": (lambda: attributes.traverse_attribute(CODES, CODES[0], []), ValueError, "strengths has shape"),
    "arithmetic": (lambda: attributes.arithmetic(CODES, CODES[0], CODES), ValueError, "a, b and c"),
    "latent": (lambda: attributes.set_latents(CODES, {2: 1.0}), ValueError, "latent is 2"),
    "latents of one code": (lambda: attributes.set_latents(CODES[0], {0: 1.0}), ValueError, r"codes\[None\]"),
    "change": (lambda: swap_latents.resynthesize(*plain(), lambda z: z[:, :2]), ValueError, r"change made codes"),
    "context not taken": (
        lambda: swap_latents.resynthesize(*plain(), lambda z: z, context=1),
        ValueError,
        "the model takes none",
    ),
    "picture, strengths": (
        lambda: latent_grids.attribute_traversals(np.zeros((1, 2, 4, 4, 1)), [1]),
        ValueError,
        "strengths has 1 entries",
    ),
    "picture, verdicts": (
        lambda: latent_grids.attribute_traversals(np.zeros((1, 2, 4, 4, 1)), [0, 1], verdicts=["a"]),
        ValueError,
        "verdicts has 1 entries",
    ),
    "picture, originals": (
        lambda: latent_grids.attribute_traversals(np.zeros((1, 2, 4, 4, 1)), [0, 1], np.zeros((2, 4, 4, 1))),
        ValueError,
        "originals has shape",
    ),
    "no such context": (
        lambda: swap_latents.across_contexts(*conditional()[:2], np.zeros((1, LATENTS)), np.array([3])),
        ValueError,
        "expected 0 to 2",
    ),
}


@pytest.mark.rows(slow=["no such context"])
@pytest.mark.parametrize("name", WRONG)
def test_wrong_input_is_named(name):
    call, error, words = WRONG[name]
    with pytest.raises(error, match=words):
        call()


def test_codes_that_are_sums_of_their_factors_change_into_those_of_the_other_value():
    rng = np.random.default_rng(0)
    factors = np.indices((3, 4)).reshape(2, -1).T
    parts = rng.normal(size=(3, 5)), rng.normal(size=(4, 5))
    codes = parts[0][factors[:, 0]] + parts[1][factors[:, 1]]
    known, changed = latents.factor_codes(codes, factors[:, 1], codes[5], own=int(factors[5, 1]))
    assert known.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(changed, parts[0][factors[5, 0]] + parts[1], rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match=r"own is 7, expected one of the values of the factor, \[0, 1, 2, 3\]"):
        latents.factor_codes(codes, factors[:, 1], codes[5], own=7)
    with pytest.raises(ValueError, match=r"values \(11,\) and z \(5,\), expected \(N, Z\), \(N,\) and \(Z,\)"):
        latents.factor_codes(codes, factors[1:, 1], codes[5], own=0)
