"""The small groups of `experiments.debiasing`, its ways of drawing against counts, and what it refuses."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import softmax
from small import Linear, images, small_vae

import jaxvae
from experiments.studies import debiasing
from experiments.studies.debiasing_runs import make_model, make_weights
from jaxvae.commands.cli import parse_options
from jaxvae.evaluation.latents.codes import encode
from jaxvae.evaluation.latents.rarity import resampling_weights
from jaxvae.evaluation.probes.groups import class_probabilities, predict
from jaxvae.models.players.critic import with_critic

pytestmark = pytest.mark.quick_compile


def options(*args):
    return parse_options(debiasing.DebiasingOptions, ["--data", "digits", "--no-progress", *args])


def test_a_class_is_cut_in_training_and_left_alone_in_the_test():
    chosen = options("--group", "class", "--digit", "3", "--train", "500", "--share", "0.02")
    raw, labels, group = debiasing.split(chosen, "train", 0)
    assert raw.shape == (500, 8, 8, 1)
    assert group.sum() == 10
    np.testing.assert_array_equal(group, labels == 3)
    assert set(labels) == set(range(10))
    originals = {image.tobytes() for image in jaxvae.data.load("digits", "train").images}
    assert len({image.tobytes() for image in raw}) == 500  # none twice, none changed
    assert {image.tobytes() for image in raw} <= originals
    _, labels, group = debiasing.split(chosen, "test", 0)
    np.testing.assert_array_equal(group, labels == 3)
    assert 0.05 < group.mean() < 0.15


def test_where_images_are_few_the_share_is_kept():
    _, _, group = debiasing.split(options("--group", "class", "--train", "100000"), "train", 0)
    assert group.mean() == pytest.approx(0.02, abs=5e-4)
    _, _, group = debiasing.split(options("--group", "class", "--train", "100000", "--share", "0.4"), "train", 0)
    assert group.mean() == pytest.approx(0.4, abs=2e-3)


@pytest.mark.slow
def test_every_way_gives_probabilities_and_that_by_label_draws_classes_alike():
    chosen = options("--group", "class", "--train", "300", "--hidden", "16", "--latent-dim", "3")
    raw, labels, _ = debiasing.split(chosen, "train", 0)
    x = raw.astype(np.float32) / 255
    model, classifier = make_model(chosen, (8, 8, 1), 10)
    params, found = jax.jit(model.init)(jax.random.key(0), x[0]), {}
    for way in ("plain", "rarity", "answers", "labels"):
        found[way] = make_weights(chosen, way, model, classifier, x, labels)(params)
        assert found[way].sum() == pytest.approx(1)
    np.testing.assert_allclose(np.bincount(labels, found["labels"]), 0.1)
    np.testing.assert_allclose(found["plain"], 1 / 300)
    assert len({weights.tobytes() for weights in found.values()}) == 4


def test_by_answers_that_are_sure_a_class_is_drawn_as_its_complement():
    """One-hot answers of shares s: each weight is 1 / s_c prod_{others} 1 / (1 - s), so the draws are as 1 - s_c."""
    counts = np.array([2, 10, 28])
    answers = np.eye(3)[np.repeat(np.arange(3), counts)]
    weights = resampling_weights(answers, alpha=1e-12)
    drawn = np.bincount(np.repeat(np.arange(3), counts), weights)
    np.testing.assert_allclose(drawn, (1 - counts / 40) / 2, rtol=1e-6)


def test_the_probabilities_of_classes_are_those_of_the_logits_at_the_posterior_mean():
    network = Linear(2, (2,))
    model, x = with_critic(small_vae(), network, name="classifier"), (images(30) / 255).astype(np.float32)
    params = jax.jit(model.init)(jax.random.key(0), jnp.asarray(x[0]))
    means = encode(model, params, x).mean.astype(np.float64)
    expected = softmax(means @ params["classifier"]["w"] + np.asarray(params["classifier"]["b"])[None], axis=1)
    found = class_probabilities(model, network, params, x, batch_size=7)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_array_equal(predict(model, network, params, x), expected.argmax(1))


@pytest.mark.rows(slow=["args9-bins is 0"])
@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--group", "klass"], "did you mean 'class'"),
        (["--group", "class", "--digit", "10"], "digit is 10, expected a class of digits: 0 to 9"),
        (["--ways", "plain", "rare"], "'rare'"),
        (["--ways", "rarity", "labels"], "expected plain and others"),
        (["--ways", "plain"], "expected plain and others"),
        (["--ways", "plain", "labels", "labels"], "each once"),
        (["--probe", "liner"], "did you mean 'linear'"),
        (["--probe", "linear", "--ways", "plain", "labels"], "probe is 'linear'"),
        (["--at-least", "1"], "at_least is 1.0"),
        (["--bins", "0"], "bins is 0"),
    ],
)
def test_wrong_options_are_named(args, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        debiasing.main(options(*args, "--workdir", str(tmp_path)))


def test_the_table_counts_the_images_that_there_were(tmp_path, capsys, monkeypatch):
    """There are 1,500 training digits, whatever the default of 5,000 asks for."""
    run = {"large": 0.9, "small": 0.5, "worst": 0.5, "drawn": 0.02, "effective": 100.0}
    monkeypatch.setattr(debiasing, "one_run", lambda *args: (run, np.ones(1500) / 1500))
    debiasing.main(options("--seeds", "2", "--workdir", str(tmp_path)))
    assert "1500 training images" in capsys.readouterr().out
    assert json.loads((tmp_path / "debiasing.json").read_text())["training_images"] == 1500


@pytest.mark.full
@pytest.mark.parametrize(
    ("args", "rows"),
    [
        (["--ways", "plain", "rarity", "answers", "labels"], ["by rarity", "by rarity of answers", "by label"]),
        (["--probe", "linear"], ["by rarity"]),
    ],
    ids=["joint", "linear"],
)
def test_a_cut_class_gives_a_row_for_every_way(args, rows, tmp_path, capsys):
    few = ["--train", "400", "--test", "300", "--epochs", "3", "--seeds", "2", "--hidden", "32", "--latent-dim", "4"]
    debiasing.main(options("--group", "class", "--digit", "0", *few, *args, "--workdir", str(tmp_path)))
    assert rows[-1] in capsys.readouterr().out
    record = json.loads((tmp_path / "debiasing.json").read_text())
    assert list(record["worst_group_rise"]) == rows
    assert list(record["table"]) == ["plain", *rows]
    for way, runs in record["runs"].items():
        assert len(runs) == 2
        assert all(run["worst"] <= min(run["small"], run["large"]) for run in runs)
        drawn = record["table"][way]["drawn"][0]
        assert drawn == pytest.approx({"plain": 0.02, "by label": 0.1}.get(way, drawn), abs=1e-3)
    assert (tmp_path / "most_and_least.png").stat().st_size > 1000
    assert (tmp_path / "answers.png").exists() == ("answers" in args)
