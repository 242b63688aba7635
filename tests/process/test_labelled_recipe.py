"""A function of one's own whose model takes labels, or which brings its data itself, is a run like any other."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from small import same_bits
from test_own_recipe import SETTINGS
from test_rarity_run import Died, cut_at
from test_run import fingerprint, silent

import jaxvae
from jaxvae.data import from_array, load
from jaxvae.runs import Recipe
from jaxvae.runs import train as runs_train
from jaxvae.runs.builders import brought
from jaxvae.runs.configs.config import DataConfig, ModelConfig
from jaxvae.runs.held_out import load_held_out, setting_of
from jaxvae.runs.page import report_page
from jaxvae.runs.train import train_run

pytestmark = pytest.mark.quick_compile


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
    monkeypatch.setattr(runs_train, "draw_pictures", lambda *args, **options: None)


def networks():
    return jaxvae.MLPEncoder(2, (8,)), jaxvae.MLPDecoder((8, 8, 1), hidden=(8,))


def conditional(context=10):
    parts = (jaxvae.with_context(network) for network in networks())
    return jaxvae.conditional_vae(*parts, event_shape=(8, 8, 1), latent_dim=2, context=context)


def some(split="train", **changes):
    found = load("digits", split)
    return found.take(np.arange(250))._replace(**changes)


def named() -> Recipe:
    return Recipe(conditional(), "digits", "threshold")


def bringing() -> Recipe:
    return Recipe(conditional(), (load("digits"), load("digits", "test")), "threshold")


@pytest.mark.full
def test_the_labels_reach_the_model_as_those_of_the_kind_that_takes_them(tmp_path, monkeypatch):
    by_options = replace(
        SETTINGS,
        data=DataConfig("digits", protocol="threshold"),
        model=ModelConfig(kind="conditional", hidden=(8,), latent_dim=2),
    )
    expected, outcome = (
        train_run(config, tmp_path / name, recipe=recipe, say=silent)
        for config, name, recipe in ((by_options, "a", None), (SETTINGS, "b", named))
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), outcome.params, expected.params)
    go_on = cut_at(monkeypatch, outcome.step // 2 + 1)
    with pytest.raises(Died):
        train_run(SETTINGS, tmp_path / "c", recipe=named, say=silent)
    go_on()
    train_run(SETTINGS, tmp_path / "c", recipe=named, say=silent)
    assert fingerprint(tmp_path / "c") == fingerprint(tmp_path / "b")
    run = jaxvae.load(tmp_path / "c", recipe=named)
    assert run.config.data.classes == 10
    test = load_held_out(run.config.data)
    values = jaxvae.per_example(run.model, run.params, jax.random.key(test.seed), test.given(run.model))
    nats = outcome.summary["test"]["negative_elbo"]["nats"]
    assert -values["elbo"].mean(dtype=np.float64) == pytest.approx(nats, abs=1e-4)
    assert "could not be drawn" not in report_page(tmp_path / "c", recipe=named, samples=2, limit=40)


@pytest.mark.slow
def test_data_that_a_recipe_brings_are_those_of_the_name_and_are_found_again(tmp_path, monkeypatch):
    expected = train_run(SETTINGS, tmp_path / "a", recipe=named, say=silent)
    outcome = train_run(SETTINGS, tmp_path / "b", recipe=bringing, say=silent)
    assert same_bits(outcome.params, expected.params)
    monkeypatch.setattr(brought, "_BROUGHT", {})  # as a new process has it
    config = jaxvae.load(tmp_path / "b", recipe=bringing).config
    name = jaxvae.load(tmp_path / "a", recipe=named).config.data
    assert config.data == replace(name, name="recipe:test_labelled_recipe.py:bringing")
    test = load_held_out(config.data)
    assert str(setting_of(config.data, test)).startswith("recipe:test_labelled_recipe.py:bringing/test, all 297")

    def bringing_others() -> Recipe:
        return bringing()._replace(data=(load("digits"), load("digits", "test").take(np.arange(100))))

    bringing_others.__name__ = "bringing"
    opened = jaxvae.load(tmp_path / "b", recipe=bringing_others).config
    with pytest.raises(ValueError, match=r"is not the one that the run was given: sha256.*\(100 images\)"):
        load_held_out(opened.data)
    assert len(load_held_out(opened.data, allow_changes=True).x) == 100
    with pytest.raises(ValueError, match=r"data\.test_sha256"):
        train_run(replace(SETTINGS, epochs=4), tmp_path / "b", recipe=bringing_others, say=silent)


def test_data_of_a_recipe_that_nobody_called_are_not_guessed():
    with pytest.raises(ValueError, match=r"those of my_file\.py:other, which was not called.*recipe=make"):
        load_held_out(DataConfig("recipe:my_file.py:other", protocol="grey"))


REFUSED = {
    "too few classes": (lambda: Recipe(conditional(9), "digits", "grey"), ValueError, "9 classes.* 10. .*context=10"),
    "too many": (lambda: Recipe(conditional(12), "digits", "grey"), ValueError, "12 classes.*has 10.*class_names"),
    "an array": (lambda: Recipe(conditional((3,)), "digits", "grey"), ValueError, "labels of digits has dtype int"),
    "no labels": (
        lambda: Recipe(conditional(), (some(labels=None, class_names=()), some("test")), "grey"),
        ValueError,
        "is told the class of each image, but the split 'train' of .* has no labels.*without a context",
    ),
    "one data set": (lambda: Recipe(conditional(), some(), "grey"), TypeError, r"expected a name.*\(train, test\)"),
    "arrays": (
        lambda: Recipe(conditional(), (some().images, some().images), "grey"),
        TypeError,
        r"jaxvae\.data\.from_array\(images, labels=labels\)",
    ),
    "another shape": (
        lambda: Recipe(conditional(), (some(), from_array(np.zeros((3, 4, 4), np.uint8))), "grey"),
        ValueError,
        r"shape \(8, 8, 1\), the test images \(4, 4, 1\)",
    ),
    "another protocol": (
        lambda: Recipe(conditional(), (from_array([[0.5]], kind="table"),) * 2, "grey"),
        ValueError,
        "are table, of which the protocol 'grey' makes no x, expected standardize",
    ),
    "another kind": (
        lambda: Recipe(conditional(), (some(), from_array([[0.5]], kind="table")), "grey"),
        ValueError,
        "are images to train on and table to test",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_said_in_a_line_before_any_step(case, tmp_path):
    make, error, words = REFUSED[case]
    with pytest.raises(error, match=words) as refusal:
        train_run(SETTINGS, tmp_path / "a", recipe=make, say=silent)
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "a" / "config.json").exists()


@pytest.mark.slow
def test_more_classes_than_labels_are_those_of_the_class_names(tmp_path):
    names = tuple("abcdefghijkl")
    pair = some(class_names=names), some("test", class_names=names)
    outcome = train_run(
        replace(SETTINGS, epochs=1),
        tmp_path / "a",
        recipe=lambda: Recipe(conditional(12), pair, "threshold"),
        say=silent,
    )
    assert outcome.step == 1
