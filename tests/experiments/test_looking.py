"""The commands that look into a run: what they write, what they say, and how they refuse."""

import importlib
import json
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

import jaxvae
from jaxvae.commands.cli import parse_options
from jaxvae.evaluation import latents
from jaxvae.evaluation.latents import generation
from jaxvae.evaluation.plots import code_charts
from jaxvae.runs import train
from jaxvae.runs.builders.from_config import build_model
from jaxvae.runs.configs.config import ModelConfig
from jaxvae.runs.configs.presets import PRESETS
from jaxvae.runs.configs.validate import validate
from jaxvae.runs.held_out import load_held_out

pytestmark = pytest.mark.quick_compile


def trained(folder, model, **options):
    config = replace(
        PRESETS["digits"], epochs=3, batch_size=500, evaluate_every=3, save_every=1, parallel="jit", progress=False
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "draw_pictures", lambda *args, **options: None)  # others try them
        train.train_run(validate(replace(config, model=model, **options)), folder, say=lambda line: None)
    return str(folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of three epochs on digits, three latents."""
    model = ModelConfig(hidden=(16,), latent_dim=3, likelihood="discretized_logistic")
    return trained(tmp_path_factory.mktemp("looking") / "a", model)


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """A run on unlabelled grey images that are no squares, from a file, as with the Frey faces."""
    folder = tmp_path_factory.mktemp("faces")
    rng = np.random.default_rng(0)
    images = 150 + rng.integers(0, 50, (60, 7, 5, 1)) * np.linspace(0, 1, 7)[None, :, None, None]
    np.savez(folder / "faces.npz", images=images.astype(np.uint8))
    data = replace(PRESETS["digits"].data, name=str(folder / "faces.npz"), protocol="grey")
    model = ModelConfig(hidden=(8,), latent_dim=2, likelihood="normal", std=0.3, output_bias="data_mean")
    return trained(folder / "run", model, data=data, batch_size=20)


def call(script: str, *args: str) -> None:
    """Runs the body of an experiment with the words of a command line."""
    module = importlib.import_module(f"experiments.{script}")
    options = getattr(module, "".join(word.capitalize() for word in script.split("_")) + "Options")
    module.main(parse_options(options, args))


@pytest.mark.slow
def test_attributes_writes_a_picture_for_each_and_the_verdicts(run, tmp_path, capsys):
    call(
        "attributes", run, "--attribute", "3:8", "7", "--strengths", "0", "1", "--count", "2", "--output", str(tmp_path)
    )
    assert {path.name for path in tmp_path.iterdir()} == {
        "attribute_3_to_8.png",
        "attribute_others_to_7.png",
        "attributes.json",
    }
    found = json.loads((tmp_path / "attributes.json").read_text())
    assert found["judge_accuracy"]["share"] > 0.95
    assert [(row["source"], row["target"], row["strength"]) for row in found["verdicts"]] == [
        (3, 8, 0.0),
        (3, 8, 1.0),
        (None, 7, 0.0),
        (None, 7, 1.0),
    ]
    for row in found["verdicts"]:
        judged = row["judged_target"]
        assert judged["low"] <= judged["share"] <= judged["high"]
    labels = jaxvae.data.load("digits", "test").labels
    assert [row["images"] for row in found["verdicts"]][::2] == [(labels == 3).sum(), (labels != 7).sum()]
    assert "from 3 towards 8" in capsys.readouterr().out


@pytest.mark.full
def test_the_logistic_direction_is_another_one(run, tmp_path):
    for name in ("mean", "logistic"):
        call("attributes", run, "--direction", name, "--strengths", "2", "--output", str(tmp_path / name))
    pictures = [(tmp_path / name / "attribute_3_to_8.png").read_bytes() for name in ("mean", "logistic")]
    assert pictures[0] != pictures[1]


@pytest.mark.slow
def test_codes_writes_a_picture_for_each_method_and_what_it_keeps(run, tmp_path, capsys, monkeypatch):
    draw, drawn = code_charts.projected_codes, []
    monkeypatch.setattr(code_charts, "projected_codes", lambda *a, **k: drawn.append(a[1]) or draw(*a, **k))
    call("codes", run, "--limit", "60", "--output", str(tmp_path))
    assert all(set(labels) <= set("0123456789") for labels in drawn)  # the names of the classes, not their numbers
    found = json.loads((tmp_path / "codes.json").read_text())
    assert (found["images"], found["run"]) == (60, "a")
    assert set(found["agreement"]) == {"codes", "pca", "tsne"}
    assert all(0 <= value["mean"] <= 1 for value in found["agreement"].values())
    assert {path.name for path in tmp_path.iterdir()} == {"codes_pca.png", "codes_tsne.png", "codes.json"}
    assert "60 test images" in capsys.readouterr().out


@pytest.mark.slow
def test_codes_without_labels_are_points_of_one_colour(faces, tmp_path):
    call("codes", faces, "--method", "pca", "--output", str(tmp_path))
    assert json.loads((tmp_path / "codes.json").read_text())["agreement"] == {"codes": None, "pca": None}


@pytest.mark.slow
def test_interpolate_walks_both_paths_between_different_classes(run, tmp_path, capsys):
    call("interpolate", run, "--pairs", "4", "--steps", "5", "--output", str(tmp_path / "a.npy"))
    images = np.load(tmp_path / "a.npy", allow_pickle=False)
    assert images.shape == (8, 5, 8, 8, 1)
    np.testing.assert_allclose(images[::2][:, [0, -1]], images[1::2][:, [0, -1]], atol=1e-5)  # the same ends
    assert np.abs(images[::2] - images[1::2]).max() > 1e-3  # by other ways
    assert "3 latents" in capsys.readouterr().out
    module = importlib.import_module("experiments.interpolate")
    labels = np.array([0, 0, 0, 1, 2])
    first, second = module.chosen_pairs(labels, 5, 5, seed=0)
    assert (labels[first] != labels[second]).all()
    call("interpolate", run, "--path", "linear")
    assert (Path(run) / "pictures" / "interpolate.png").stat().st_size > 4000


@pytest.mark.slow
def test_the_manifold_of_a_run_is_that_of_its_decoder(run, tmp_path, capsys):
    call("manifold", run, "--count", "4", "--latents", "2", "0", "--tail", "0.1", "--output", str(tmp_path / "a.npy"))
    model, params, _ = jaxvae.load(run)
    expected = model.to_unit(generation.manifold(model, params, (2, 0), 4, tail=0.1))
    np.testing.assert_allclose(np.load(tmp_path / "a.npy", allow_pickle=False), expected, atol=1e-6)
    assert "between neighbours" in capsys.readouterr().out


@pytest.mark.slow
def test_faces_from_a_file_start_at_their_mean_and_give_a_manifold(faces, tmp_path):
    call("manifold", faces, "--count", "3", "--output", str(tmp_path / "a.npy"))
    grid = np.load(tmp_path / "a.npy", allow_pickle=False)
    assert grid.shape == (3, 3, 7, 5, 1)
    images = jaxvae.data.load(str(Path(faces).parent / "faces.npz")).images
    assert np.abs(grid[1, 1] - images.mean(0) / 255).max() < 0.1  # z = 0, after a few steps


@pytest.mark.slow
def test_a_gaussian_decoder_starts_at_the_mean_image():
    images = np.random.default_rng(0).integers(0, 256, (9, 7, 5, 1)).astype(np.uint8)
    model = build_model(ModelConfig(hidden=(8,), likelihood="normal", output_bias="data_mean"), (7, 5, 1), images)
    params = jax.jit(model.init)(jax.random.key(0), np.zeros((7, 5, 1), np.float32))
    found = generation.decode(model, params, np.zeros((1, 20), np.float32))[0]
    np.testing.assert_allclose(found, images.mean(0) / 255, atol=1e-6)
    wrong = replace(PRESETS["digits"].model, likelihood="normal", scale="per_pixel", output_bias="data_mean")
    with pytest.raises(ValueError, match=r"output_bias.*of one scale"):
        validate(replace(PRESETS["digits"], model=wrong, data=replace(PRESETS["digits"].data, protocol="grey")))


def frames(path):
    with Image.open(path) as image:
        return image.n_frames


@pytest.mark.slow
def test_a_traversal_goes_there_and_back(run, tmp_path):
    small = ["--latents", "2", "--images", "1", "--frames", "3"]
    call("animate_traversal", run, *small, "--output", str(tmp_path / "a.gif"))
    assert frames(tmp_path / "a.gif") == 4


@pytest.mark.slow
@pytest.mark.parametrize(
    "show", ["samples", *(pytest.param(name, marks=pytest.mark.full) for name in ("reconstructions", "manifold"))]
)
def test_a_training_is_animated_from_its_first_epoch(run, show, tmp_path):
    small = ["--epochs", "2", "--frames", "3", "--count", "2"]
    call("animate_training", run, "--show", show, *small, "--output", str(tmp_path / "a.gif"))
    assert frames(tmp_path / "a.gif") == 3


@pytest.mark.slow
def test_training_anew_in_memory_is_the_run_itself(run, tmp_path):
    module = importlib.import_module("experiments.animate_training")
    model, params, config = jaxvae.load(run)
    *_, (again, title) = module.anew(config, [0, 1, 3])
    assert jax.tree.all(jax.tree.map(np.array_equal, again, params))
    assert title.startswith("epoch 3: \N{MINUS SIGN}ELBO")
    assert [words for _, words in module.kept(run)] == ["step 3 of 9", "step 6 of 9", "step 9 of 9"]
    assert module.schedule(100, 6) == [0, 1, 3, 10, 32, 100]
    call("animate_training", run, "--kept", "--count", "2", "--output", str(tmp_path / "a.gif"))
    assert frames(tmp_path / "a.gif") == 3
    assert latents.encode(model, params, np.zeros((1, 8, 8, 1), np.float32)).mean.shape == (1, 3)


WRONG = {
    "attribute": (("attributes", "--attribute", "3:x"), "attribute is '3:x'"),
    "no such class": (("attributes", "--attribute", "3:11"), "SOURCE:TARGET"),
    "one class": (("attributes", "--attribute", "3:3"), "two different classes"),
    "path twice": (("interpolate", "--path", "linear", "linear"), "each once"),
    "latents": (("manifold", "--latents", "0", "9"), "latent is 9"),
    "tail": (("manifold", "--tail", "0.7"), "tail is 0.7"),
    "method": (("codes", "--method"), "method"),
    "frames": (("animate_traversal", "--frames", "1"), "frames is 1"),
    "ending": (("animate_traversal", "--frames", "2", "--output", "a.png"), ".gif"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WRONG)
def test_wrong_options_are_named(name, run):
    (script, *args), words = WRONG[name]
    with pytest.raises(ValueError, match=words):
        call(script, run, *args)


@pytest.mark.slow
def test_attributes_of_data_without_labels_are_refused(faces):
    with pytest.raises(ValueError, match="no labels"):
        call("attributes", faces)


@pytest.mark.slow
def test_compress_writes_a_file_that_only_its_own_run_reads_and_the_bits_beside_others(run, tmp_path, capsys):
    from experiments.studies import compress

    call("compress", run, "--images", "30", "--samples", "5", "--output", str(tmp_path))
    printed = capsys.readouterr().out
    for word in ("all 30 images come back bit for bit", "-ELBO / log 2", "PNG", "initial bits come back"):
        assert word in printed
    path = tmp_path / "images.bits"
    call("compress", run, "--decode", str(path), "--restored", str(tmp_path / "a.npy"))
    config = jaxvae.load(run).config
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), load_held_out(config.data).some(30).x)
    made = compress.made_by(jaxvae.load(run).params, config)
    other = compress.made_by(jax.tree.map(lambda a: a + 1, jaxvae.load(run).params), config)
    assert [key for key in made if made[key] != other[key]] == ["model"]
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"images.bits is damaged or cut off"):
        call("compress", run, "--decode", str(path))
