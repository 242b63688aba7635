"""A function of one's own as a run: the numbers of the same run by options, and no code that nobody named."""

import functools
import importlib.util
from dataclasses import replace

import jax
import numpy as np
import optax
import pytest
from small import same_bits
from test_rarity_run import Died, cut_at
from test_run import fingerprint, silent

import jaxvae
from jaxvae.commands.cli import UsageError
from jaxvae.commands.parts.train_line import parse_train
from jaxvae.runs import Recipe
from jaxvae.runs import train as runs_train
from jaxvae.runs.comparison import compare_runs
from jaxvae.runs.configs.config import Config, DataConfig, ModelConfig, OptimConfig
from jaxvae.runs.exporting import export_run
from jaxvae.runs.page import report_page
from jaxvae.runs.train import train_run

pytestmark = pytest.mark.quick_compile

FILE = '''
"""A model of my own."""
import optax

import jaxvae
from jaxvae.runs import Recipe


def make(latent_dim: int = 2, lr: float = 1e-2, hidden: tuple[int, ...] = (8,), ema: float | None = None) -> Recipe:
    """A small one."""
    networks = jaxvae.MLPEncoder(latent_dim, hidden), jaxvae.MLPDecoder((8, 8, 1), hidden=hidden)
    model = jaxvae.vae(*networks, event_shape=(8, 8, 1), latent_dim=latent_dim)
    return Recipe(model, "digits", "threshold", optimizer=optax.adam(lr), ema=ema)


def taken(epochs: int = 3) -> Recipe: ...


def needed(depth: int) -> Recipe: ...


def untyped(depth) -> Recipe: ...
'''
SETTINGS = Config(epochs=3, batch_size=250, progress=False, parallel="jit")


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
    monkeypatch.setattr(runs_train, "draw_pictures", lambda *args, **options: None)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("own") / "my_file.py"
    path.write_text(FILE)
    return path


@pytest.fixture(scope="module")
def make(file):
    spec = importlib.util.spec_from_file_location("my_file", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.make


@pytest.fixture(scope="module")
def unbroken(make, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs_train, "draw_pictures", lambda *args, **options: None)
        own = functools.partial(make, latent_dim=3)
        return train_run(SETTINGS, tmp_path_factory.mktemp("runs") / "mine", recipe=own, say=silent)


@pytest.mark.slow
def test_it_has_the_numbers_of_the_same_run_by_options(unbroken, tmp_path):
    by_options = replace(
        SETTINGS,
        data=DataConfig("digits", protocol="threshold"),
        model=ModelConfig(hidden=(8,), latent_dim=3),
        optim=OptimConfig(lr=1e-2),
    )
    outcome = train_run(by_options, tmp_path / "a", say=silent)
    # Up to rounding: the optimizer of a config is a chain with a schedule in it.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), outcome.params, unbroken.params)
    for name in ("negative_elbo", "kl"):
        nats = outcome.summary["test"][name]["nats"]
        assert nats == pytest.approx(unbroken.summary["test"][name]["nats"], abs=1e-3)


def test_its_folder_runs_no_code_by_itself(unbroken, make, file):
    with pytest.raises(ValueError, match=r"my_file\.py:make, and no folder runs code by itself.*recipe=make.*--recipe"):
        jaxvae.load(unbroken.folder)
    for recipe in (make, f"{file}:make"):
        run = jaxvae.load(unbroken.folder, recipe=recipe)
        assert same_bits(run.params, unbroken.params)
        assert run.config.recipe.options == ("latent_dim=3", "lr=0.01", "hidden=[8]", "ema=null")
    values = jaxvae.per_example(run.model, run.params, jax.random.key(0), np.zeros((2, 8, 8, 1), np.float32))
    assert values["kl_per_latent"].shape == (2, 3)


@pytest.mark.slow
def test_it_goes_on_to_the_bit_where_it_was_cut(unbroken, make, tmp_path, monkeypatch):
    own = functools.partial(make, latent_dim=3)
    go_on = cut_at(monkeypatch, unbroken.step // 2 + 1)
    with pytest.raises(Died):
        train_run(SETTINGS, tmp_path / "a", recipe=own, say=silent)
    go_on()
    train_run(SETTINGS, tmp_path / "a", recipe=own, say=silent)
    assert fingerprint(tmp_path / "a") == fingerprint(unbroken.folder)


def test_other_options_are_refused_with_those_that_go_on(unbroken, make):
    with pytest.raises(ValueError, match=r"--latent-dim 3 --lr 0\.01 --hidden 8"):
        train_run(SETTINGS, unbroken.folder, recipe=make, say=silent)


@pytest.mark.slow
def test_a_file_that_has_changed_is_said_when_the_run_goes_on_and_when_it_is_opened(make, file, tmp_path):
    own = tmp_path / "my_file.py"
    own.write_text(FILE)
    train_run(SETTINGS, tmp_path / "a", recipe=jaxvae_function(own), say=silent)
    own.write_text(FILE + "\n# another word\n")
    with pytest.warns(UserWarning, match=r"my_file\.py:make has changed since the run began"):
        jaxvae.load(tmp_path / "a", recipe=f"{own}:make")
    lines = []
    train_run(replace(SETTINGS, epochs=4), tmp_path / "a", recipe=jaxvae_function(own), say=lines.append)
    assert any("has changed since the run began" in line for line in lines)
    lines.clear()
    train_run(replace(SETTINGS, epochs=4), tmp_path / "a", recipe=jaxvae_function(own), say=lines.append)
    assert not any("has changed" in line for line in lines)


def jaxvae_function(path):
    from jaxvae.runs.configs.recipes import import_function

    return import_function(f"{path}:make")


def test_the_command_line_reads_its_arguments_beside_the_settings_of_every_run(file):
    options = parse_train([f"{file}:make", "--latent-dim", "5", "--hidden", "9", "7", "--epochs", "2"])
    assert options.workdir == "runs/my_file"
    assert (options.config.epochs, options.config.recipe.name) == (2, "my_file.py:make")
    assert options.config.recipe.options == ("latent_dim=5", "lr=0.01", "hidden=[9, 7]", "ema=null")
    assert options.recipe().model.event_shape == (8, 8, 1)


WORDS = {
    "no such function": (["my_file.py:mak"], ValueError, "did you mean 'make'"),
    "no such file": (["other.py:make"], FileNotFoundError, "no file other.py"),
    "a name that is taken": (["my_file.py:taken"], ValueError, "'epochs', which is an option of every run"),
    "a value that is missing": (["my_file.py:needed"], UsageError, "depth"),
    "no type": (["my_file.py:untyped"], TypeError, "depth: int"),
    "an option that it has not": (["my_file.py:make", "--model.hidden", "9"], UsageError, "unknown option"),
}


@pytest.mark.parametrize("case", WORDS)
def test_the_command_line_says_what_is_wrong(case, file, monkeypatch):
    monkeypatch.chdir(file.parent)
    words, error, match = WORDS[case]
    with pytest.raises(error, match=match):
        parse_train(words)


def plain(shape=(8, 8, 1), protocol="threshold", **parts):
    networks = jaxvae.MLPEncoder(2, (8,)), jaxvae.MLPDecoder(shape, hidden=(8,))
    return Recipe(jaxvae.vae(*networks, event_shape=shape, latent_dim=2), "digits", protocol, **parts)


REFUSED = {
    "no recipe": (lambda: 3, SETTINGS, TypeError, "returned a int, expected a jaxvae.runs.Recipe"),
    "another shape": (lambda: plain((4, 4, 1)), SETTINGS, ValueError, r"event_shape=\(8, 8, 1\)"),
    "a protocol": (lambda: plain(protocol="gray"), SETTINGS, ValueError, "did you mean 'grey'"),
    "an optimizer": (lambda: plain(optimizer=3), SETTINGS, TypeError, "optimizer"),
    "unread": (lambda: plain(), replace(SETTINGS, optim=OptimConfig(lr=0.5)), ValueError, "optim.lr is 0.5, but"),
    "no function": (3, SETTINGS, TypeError, "expected a function"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_recipe_is_refused_before_any_step(case, tmp_path):
    make, config, error, words = REFUSED[case]
    with pytest.raises(error, match=words):
        train_run(config, tmp_path / "a", recipe=make, say=silent)
    assert not (tmp_path / "a" / "config.json").exists()


@pytest.mark.slow
def test_its_page_and_its_loss_and_average_are_its_own(make, tmp_path):
    def heavy(beta: float = 4.0):
        recipe = make()
        return recipe._replace(loss=jaxvae.bound_loss(recipe.model, beta=beta), optimizer=optax.sgd(1e-3), ema=0.9)

    config = replace(SETTINGS, validation_fraction=0.2, patience=2)
    outcome = train_run(config, tmp_path / "a", recipe=heavy, say=silent)
    page = report_page(outcome.folder, recipe=heavy, samples=2, limit=50)
    assert "heavy makes of beta=4.0" in page
    assert "chosen by validation" in page
    assert "model.hidden" not in page
    _, params, config = jaxvae.load(outcome.folder, recipe=heavy)
    assert same_bits(params, outcome.params)
    assert config.optim.ema == 0.9


@pytest.mark.slow
def test_it_is_compared_with_other_runs_and_exported(unbroken, make, tmp_path):
    pytest.importorskip("flatbuffers")
    by_options = replace(SETTINGS, data=DataConfig("digits", protocol="threshold"), model=ModelConfig(hidden=(8,)))
    other = train_run(by_options, tmp_path / "a", say=silent)
    found = compare_runs([unbroken.folder, other.folder], samples=2, limit=50, recipe=make)
    assert not found.apart
    assert len(next(iter(found.differences.values()))) > 1
    said = export_run(unbroken.folder, tmp_path / "export", recipe=make)["meaning"]
    assert "that of my_file.py:make" in said["z"]
    assert "bernoulli" not in said["mean of x"]
