"""Sliders without a browser: a value is set, and the image that would be sent is read back."""

import functools
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import LATENTS, SHAPE, Encoder, Linear, small_vae

from jaxvae.evaluation.latents.decoding import decode
from jaxvae.evaluation.plots.widgets import pixels, sliders
from jaxvae.models.conditional import conditional_vae
from jaxvae.models.contexts import Labelled
from jaxvae.networks.conditional import with_context

pytestmark = pytest.mark.quick_compile


@functools.cache
def plain():
    model = small_vae()
    return model, model.init(jax.random.key(0), jnp.zeros(SHAPE))


@functools.cache
def conditional():
    networks = with_context(Encoder()), with_context(Linear(16, SHAPE))
    model = conditional_vae(*networks, event_shape=SHAPE, latent_dim=LATENTS, context=3)
    return model, model.init(jax.random.key(0), Labelled(jnp.zeros(SHAPE), jnp.int32(0)))


def shows(shown, model_and_params, z, context=None):
    """Whether the image is the decoded mean of x at z, each pixel a square."""
    mean = decode(*model_and_params, np.array([z], np.float32), context=context)[0, ..., 0]
    found = pixels(shown.image.value)
    zoom = found.shape[0] // 4
    return np.array_equal(found, np.round(255 * mean).astype(np.uint8).repeat(zoom, 0).repeat(zoom, 1))


@pytest.mark.slow
def test_a_slider_that_moves_draws_the_mean_of_x_at_the_new_code():
    shown = sliders(*plain())
    assert shows(shown, plain(), [0.0, 0.0, 0.0])
    before = shown.image.value
    shown.latents[1].value = 2.5
    assert shown.image.value != before
    assert shows(shown, plain(), [0.0, 2.5, 0.0])
    shown.latents[2].value = -1.0
    assert shows(shown, plain(), [0.0, 2.5, -1.0])


def test_they_begin_at_a_code_move_only_some_latents_and_return():
    z = np.array([0.5, -4.0, 1.0], np.float32)
    shown = sliders(*plain(), z=z, latents=[2, 1])
    assert list(shown.latents) == [2, 1]
    assert shows(shown, plain(), z)
    assert (shown.latents[1].min, shown.latents[2].max) == (-4.0, 3.0)
    shown.latents[2].value = -2.0
    assert shows(shown, plain(), [0.5, -4.0, -2.0])
    shown.reset.click()
    assert shows(shown, plain(), z)
    np.testing.assert_array_equal(z, np.array([0.5, -4.0, 1.0], np.float32))


@pytest.mark.slow
def test_the_menu_of_a_conditional_model_changes_the_class_and_keeps_the_code():
    shown = sliders(*conditional(), contexts=[2, 0])
    shown.latents[0].value = 1.0
    assert shows(shown, conditional(), [1.0, 0.0, 0.0], context=2)
    shown.context.value = 1
    assert shows(shown, conditional(), [1.0, 0.0, 0.0], context=0)
    assert shown.latents[0].value == 1.0


def test_the_image_has_about_the_size_that_was_asked_for_and_all_is_in_the_box():
    shown = sliders(*plain(), side=50)
    assert pixels(shown.image.value).shape == (48, 48)
    controls, image = shown.widget.children
    assert image is shown.image
    assert list(controls.children) == [*shown.latents.values(), shown.reset]


def test_without_ipywidgets_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.raises(ImportError, match=r"pip install 'jaxvae\[notebooks\]'"):
        sliders(*plain())


WRONG = {
    "z": (lambda: sliders(*plain(), z=np.zeros(2)), r"z has shape \(2,\)"),
    "nan": (lambda: sliders(*plain(), z=np.full(3, np.nan)), "one finite code"),
    "latent": (lambda: sliders(*plain(), latents=[3]), "latent is 3"),
    "twice": (lambda: sliders(*plain(), latents=[1, 1]), "each once"),
    "limit": (lambda: sliders(*plain(), limit=0), "limit is 0"),
    "side": (lambda: sliders(*plain(), side=1), "side is 1"),
    "contexts missing": (lambda: sliders(*conditional()), "contexts is missing"),
    "no such context": (lambda: sliders(*conditional(), contexts=[0, 7]), "the label 7"),
    "contexts not taken": (lambda: sliders(*plain(), contexts=[0]), "the model takes none"),
}


@pytest.mark.rows(slow=["contexts not taken"])
@pytest.mark.parametrize("name", WRONG)
def test_wrong_input_is_named(name):
    call, words = WRONG[name]
    with pytest.raises(ValueError, match=words):
        call()
