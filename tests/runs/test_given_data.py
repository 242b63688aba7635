"""A run knows its data and its config: others of the same name are refused with both digests, a changed digit too."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import jaxvae
from jaxvae import data
from jaxvae.runs import given_data, running, train
from jaxvae.runs.builders import described
from jaxvae.runs.configs.config import Config, DataConfig, ModelConfig, OptimConfig
from jaxvae.runs.configs.presets import PRESETS
from jaxvae.runs.given_data import digest, load_split, with_data
from jaxvae.runs.held_out import draw, load_held_out, setting_of
from jaxvae.runs.train import train_run

pytestmark = pytest.mark.quick_compile

MODEL = ModelConfig(hidden=(4,), latent_dim=2)
PIXELS = np.random.default_rng(0).integers(0, 256, (40, 4, 4, 1), dtype=np.uint8)
OTHER = 255 - PIXELS


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
    monkeypatch.setattr(train, "draw_pictures", lambda *args, **options: None)
    given_data._say_unknown.cache_clear()


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """(folder with my.npy and a finished run of it, the config as it was typed)."""
    root = tmp_path_factory.mktemp("start")
    np.save(root / "my.npy", PIXELS)
    config = Config(epochs=1, batch_size=18, progress=False, parallel="jit", data=DataConfig("./my.npy"), model=MODEL)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setattr(train, "draw_pictures", lambda *args, **options: None)
        train_run(config, root / "run", say=lambda line: None)
    return root, config


@pytest.fixture
def own(start, tmp_path, monkeypatch):
    """A copy of both to spoil: its config.json names the copy of the data."""
    root, config = start
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    edit(tmp_path / "run", **{"data.name": str(tmp_path / "my.npy")})
    monkeypatch.chdir(tmp_path)
    return tmp_path, config


def edit(run: Path, **values) -> None:
    content = json.loads((run / "config.json").read_text())
    for path, value in values.items():
        group, _, field = path.rpartition(".")
        (content[group] if group else content)[field] = value
    (run / "config.json").write_text(json.dumps(content))


def said(config, run, **options) -> str:
    lines: list[str] = []
    train_run(config, run, say=lines.append, **options)
    return "\n".join(lines)


@pytest.mark.slow
def test_a_run_keeps_the_path_and_the_digests_of_its_data_and_opens_from_anywhere(own, tmp_path, monkeypatch):
    root, _ = own
    noted = json.loads((root / "run" / "config.json").read_text())["data"]
    assert (noted["name"], noted["protocol"]) == (str(root / "my.npy"), "grey")
    assert noted["train_sha256"] == digest(data.load(root / "my.npy", "train", test_fraction=0.1))
    monkeypatch.chdir("/")
    config = jaxvae.load(root / "run").config
    test = load_held_out(config.data)
    assert (test.x.shape, test.protocol) == ((4, 4, 4, 1), "grey")
    assert str(setting_of(config.data, test)).startswith("my.npy/test, all 4 examples, grey")


@pytest.mark.rows(slow=["rows2", "rows1"])
@pytest.mark.parametrize("rows", [OTHER, PIXELS[:30], np.concatenate([PIXELS, OTHER])])
def test_other_data_of_the_same_name_are_refused_with_both_digests(own, capsys, rows):
    root, config = own
    old = jaxvae.load(root / "run").config.data
    np.save(root / "my.npy", rows)
    new = [digest(data.load("./my.npy", split, test_fraction=0.1)) for split in ("train", "test")]
    with pytest.raises(ValueError, match="holds another run") as refused:
        train_run(replace(config, epochs=2), root / "run", say=print)
    pairs = ((old.train_sha256, new[0]), (old.test_sha256, new[1]))
    for field, (before, now) in zip(("train", "test"), pairs, strict=True):
        assert f"data.{field}_sha256: {before[:16]}... in the folder, {now[:16]}... now" in str(refused.value)
    with pytest.raises(ValueError, match=rf"sha256 {old.test_sha256[:16]}.*{new[1][:16]}.*--allow-changes"):
        load_held_out(old)
    measured = load_held_out(old, allow_changes=True)
    assert len(measured.x) == round(len(rows) * 0.1)
    assert "Going on with these" in capsys.readouterr().err
    words = said(replace(config, epochs=5), root / "run", allow_changes=True)
    assert f"Going on with other values: data.train_sha256 from {old.train_sha256[:16]}" in words
    assert len(load_held_out(jaxvae.load(root / "run").config.data).x) == len(measured.x)  # they are the run's now


def test_the_same_relative_name_in_another_folder_is_another_path(own, tmp_path, monkeypatch):
    root, config = own
    (root / "elsewhere").mkdir()
    monkeypatch.chdir(root / "elsewhere")
    np.save("my.npy", OTHER)
    with pytest.raises(ValueError, match=rf"data.name: {root}/my.npy in the folder, {root}/elsewhere/my.npy now"):
        train_run(config, root / "run", say=print)
    np.save("my.npy", PIXELS)  # data that were moved are the same data
    (root / "my.npy").unlink()
    with pytest.raises(FileNotFoundError, match=r"my\.npy.*--data\.name PATH"):
        load_held_out(jaxvae.load(root / "run").config.data)
    assert "finished" in said(config, root / "run")
    assert jaxvae.load(root / "run").config.data.name == str(root / "elsewhere" / "my.npy")


def test_a_changed_digit_of_the_config_is_found_out(own):
    root, config = own
    edit(root / "run", **{"optim.lr": 0.003})
    changed = replace(config, epochs=2, optim=OptimConfig(lr=0.003))
    with pytest.raises(
        ValueError, match=r"not the config that the checkpoint of step 2 .*optim\.lr from 0\.001 to 0\.003"
    ):
        train_run(changed, root / "run", say=print)
    with pytest.warns(UserWarning, match=r"optim\.lr from 0\.001 to 0\.003"):
        jaxvae.load(root / "run")
    assert "other values: optim.lr from 0.001 to 0.003" in said(changed, root / "run", allow_changes=True)
    assert jaxvae.load(root / "run").config.optim.lr == 0.003  # without a warning: a checkpoint was trained with it
    edit(root / "run", **{"model.activation": "tanh"})  # of the same shapes: nothing else would tell
    with pytest.raises(ValueError, match=r"model\.activation from relu to tanh.*allow_changes=True"):
        jaxvae.load(root / "run")
    with pytest.warns(UserWarning, match="from relu to tanh"):
        jaxvae.load(root / "run", allow_changes=True)


def test_a_finished_run_takes_no_values_that_no_step_was_trained_with(own):
    root, config = own
    before = (root / "run" / "config.json").read_bytes()
    assert "finished" in said(replace(config, seed=7), root / "run", allow_changes=True)
    assert (root / "run" / "config.json").read_bytes() == before


@pytest.mark.slow
def test_a_run_of_an_earlier_version_opens_and_that_is_said_once(own, monkeypatch, capsys):
    root, config = own
    shutil.rmtree(root / "run")
    with monkeypatch.context() as patch:
        patch.setattr(running, "to_metadata", lambda config: {})
        train_run(config, root / "run", say=lambda line: None)
    edit(root / "run", **{"data.train_sha256": None, "data.test_sha256": None, "data.name": "./my.npy"})
    opened = jaxvae.load(root / "run").config
    capsys.readouterr()
    assert load_held_out(opened.data).sha256 == load_held_out(opened.data).sha256
    assert capsys.readouterr().err.count("keeps no digest of its data") == 1
    words = said(replace(config, epochs=2), root / "run")
    assert words.count("An earlier version wrote this run") == 1
    assert jaxvae.load(root / "run").config.data.test_sha256 is not None
    assert "earlier version" not in said(replace(config, epochs=3), root / "run")


# The protocol follows the data


def pictures(kind: str) -> np.ndarray:
    grey = PIXELS if kind != "colour" else np.tile(PIXELS, (1, 1, 1, 3))
    return np.where(grey > 127, 255, 0).astype(np.uint8) if kind == "binary" else grey


PROTOCOLS = [  # name, likelihood, pictures, protocol
    ("mnist", "bernoulli", "grey", "dynamic"),
    ("fashion_mnist:3.0.1", "bernoulli", "grey", "dynamic"),
    ("omniglot", "bernoulli", "binary", "threshold"),
    ("mnist", "bernoulli", "colour", "grey"),
    ("cifar10", "bernoulli", "colour", "grey"),
    ("./my.npy", "bernoulli", "grey", "grey"),
    ("./my.npy", "bernoulli", "binary", "threshold"),
    ("mnist", "discretized_logistic", "grey", "levels"),
    ("./my.npy", "normal", "colour", "grey"),
]


@pytest.mark.parametrize(("name", "likelihood", "kind", "protocol"), PROTOCOLS)
def test_the_protocol_follows_the_data_unless_one_is_asked_for(name, likelihood, kind, protocol):
    preset = PRESETS["mnist"]
    config = replace(preset, data=replace(preset.data, name=name), model=replace(preset.model, likelihood=likelihood))
    split = data.from_array(pictures(kind))
    found = with_data(config, split, split)
    assert found.data.protocol == protocol
    words = described.describe_protocol("auto", found)
    assert ("--data.protocol dynamic binarises" in words) == (likelihood == "bernoulli" and protocol == "grey")
    asked = replace(config, data=replace(config.data, protocol="dynamic"))
    assert with_data(asked, split, split).data.protocol == "dynamic"


def test_originals_are_shown_as_they_came():
    split, model = (
        data.from_array(PIXELS),
        jaxvae.vae(jaxvae.MLPEncoder(2), jaxvae.MLPDecoder((4, 4, 1)), event_shape=(4, 4, 1), latent_dim=2),
    )
    for protocol, expected in (("grey", ["original"]), ("dynamic", ["original", "black and white"])):
        rows = draw(split, DataConfig(protocol=protocol)).rows(model)
        assert list(rows) == expected
        np.testing.assert_array_equal(rows["original"], PIXELS)
    assert set(np.unique(rows["black and white"])) == {0, 1}


def test_some_of_the_test_images_are_of_all_classes(tmp_path):
    labels = np.repeat(np.arange(10), 100)  # sorted by class, as a folder is
    split = data.from_array(np.arange(1000, dtype=np.uint16).view(np.uint8).reshape(1000, 1, 2, 1), labels=labels)
    test = draw(split, DataConfig(protocol="grey"))
    some, more = test.some(100), test.some(200)
    assert set(some.labels) == set(range(10))
    assert some.labels.tolist() == sorted(some.labels)
    assert {image.tobytes() for image in some.raw} < {image.tobytes() for image in more.raw}
    np.testing.assert_allclose(some.x, some.raw / 255, atol=1e-6)
    assert test.some(5000).x.shape == test.x.shape
    words = str(setting_of(DataConfig("digits"), test, 100))
    assert words.startswith("digits/test, a fixed random 100 of 1000 examples")


def test_a_run_trains_on_images_alone(tmp_path):
    (tmp_path / "tokens.py").write_text(
        "import numpy, jaxvae.data\n"
        "def load(split): return jaxvae.data.from_array(numpy.ones((9, 3), int), kind='tokens')\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        (tmp_path / "mine").mkdir()
        shutil.move(tmp_path / "tokens.py", tmp_path / "mine" / "tokens.py")
        with pytest.raises(ValueError, match=r"'mine\.tokens', which holds tokens, .*jaxvae\.fit"):
            load_split(DataConfig("mine.tokens"), "train")


def test_no_command_takes_the_first_images_for_all():
    root = Path(jaxvae.__file__).parents[1]
    folders = ("jaxvae/commands", "jaxvae/runs", "experiments/studies", "experiments/lectures")
    files = [path for folder in folders for path in (root / folder).rglob("*.py")]
    assert len(files) > 30
    first = re.compile(r"(test|train|held_out)\.(x|images|labels)\[\s*:")
    assert first.search("test.x[:limit]")
    found = [path.name for path in files if first.search(path.read_text(encoding="utf-8"))]
    assert not found, "take .some(count): the first images of a folder are all of one class"


@pytest.mark.slow
def test_a_run_of_few_grey_levels_is_told_so_and_scores_those_alone(tmp_path):
    """At the start of training 17 levels alike cost log 17 nats a pixel, and 256 of them log 256."""
    model = replace(MODEL, likelihood="categorical")
    config = Config(epochs=1, batch_size=256, progress=False, parallel="jit", data=DataConfig("digits"), model=model)
    said: list[str] = []
    train_run(config, tmp_path / "all", say=said.append)
    assert any("17 grey levels" in line and "--data.levels 17" in line for line in said)
    said.clear()
    few = replace(config, data=DataConfig("digits", levels=17))
    train_run(few, tmp_path / "few", say=said.append)
    assert not any("grey levels" in line for line in said)
    found = [jaxvae.load(tmp_path / name) for name in ("all", "few")]
    test = [load_held_out(run.config.data) for run in found]
    assert (test[1].protocol, test[1].x.max(), test[0].x.max()) == ("levels (17)", 16.0, 255.0)
    nats = [
        json.loads((tmp_path / name / "summary.json").read_text())["test"]["negative_elbo"] for name in ("all", "few")
    ]
    assert [value["nats"] for value in nats] == pytest.approx([64 * np.log(256), 64 * np.log(17)], rel=0.1)
    with pytest.raises(ValueError, match=r"data\.levels is 17, but the protocol 'grey' tells no levels apart"):
        train_run(replace(few, model=MODEL, data=replace(few.data, protocol="grey")), tmp_path / "grey")
