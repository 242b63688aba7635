"""Configs and run folders: what is refused, in which words, and what survives a crash."""

import errno
import json
import os
import tempfile
import typing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from disks import mounted

from jaxvae import files
from jaxvae.runs.choices.likelihoods import LIKELIHOODS
from jaxvae.runs.configs import config as configs
from jaxvae.runs.configs import names, serialize
from jaxvae.runs.configs.config import Config, DataConfig
from jaxvae.runs.configs.fields import flatten
from jaxvae.runs.configs.presets import ABOUT, PRESETS
from jaxvae.runs.configs.ranges import RANGES
from jaxvae.runs.configs.validate import validate
from jaxvae.runs.folder import metrics, run_folder


def changed(**values: object) -> Config:
    """The default config with fields replaced; `model__latent_dim` is model.latent_dim."""
    config = Config()
    for name, value in values.items():
        group, _, field = name.rpartition("__")
        part = {group: replace(getattr(config, group), **{field: value})} if group else {field: value}
        config = replace(config, **part)
    return config


NAN, INFINITY = float("nan"), float("inf")
# (fields, words that the message must contain)
BAD_CONFIGS = [
    ({"seed": -1}, "seed is -1, of at least 0, --seed 0"),
    ({"seed": 2**32}, "seed is 4294967296, at most 4294967295"),
    ({"seed": 1.5}, "seed is 1.5 (float), an integer"),
    ({"seed": "0"}, "seed is '0' (str), an integer"),
    ({"seed": None}, "seed is None, an integer"),
    ({"seed": True}, "seed is True (bool), an integer"),
    ({"epochs": 0}, "epochs is 0, at least 1"),
    ({"epochs": -1}, "epochs is -1, at least 1"),
    ({"epochs": 2**31}, "epochs is 2147483648, at most 2147483647"),
    ({"batch_size": 0}, "batch_size is 0, at least 1, --batch-size 128"),
    ({"batch_size": -4}, "batch_size is -4, at least 1"),
    ({"batch_size": 2.5}, "batch_size is 2.5 (float), an integer"),
    ({"batch_size": "128"}, "batch_size is '128' (str), an integer"),
    ({"save_every": 0}, "save_every is 0, at least 1"),
    ({"save_every": -1}, "save_every is -1, at least 1"),
    ({"evaluate_every": 0}, "evaluate_every is 0, at least 1"),
    ({"test_samples": 0}, "test_samples is 0, at least 1"),
    ({"keep": 0}, "keep is 0, at least 1"),
    ({"progress": 1}, "progress is 1 (int), true or false, --progress"),
    ({"parallel": "gpu"}, "parallel, unknown name 'gpu', auto, jit, pmap, mesh"),
    ({"precision": "float16"}, "precision, unknown name 'float16', bfloat16, float32"),
    ({"model__latent_dim": 0}, "model.latent_dim is 0, at least 1, --model.latent-dim 20"),
    ({"model__latent_dim": -1}, "model.latent_dim is -1, at least 1"),
    ({"model__latent_dim": 2**31 - 1}, "model.latent_dim is 2147483647, at most 1000000"),
    ({"model__hidden": (400, 10**9)}, "model.hidden is 1000000000, at most 1000000"),
    ({"model__hidden": (1,) * 101}, "model.hidden has 101 numbers, at most 100"),
    ({"model__posterior": "full", "model__latent_dim": 5001}, "model.latent_dim is 5001, at most 5000, low_rank"),
    ({"model__latent_dim": 2.5}, "model.latent_dim is 2.5 (float), an integer"),
    ({"model__latent_dim": "4"}, "model.latent_dim is '4' (str), an integer"),
    ({"model__latent_dim": True}, "model.latent_dim is True (bool), an integer"),
    ({"model__latent_dim": np.float32(4)}, "model.latent_dim, float32, an integer"),
    ({"model__hidden": (400, 0)}, "model.hidden is 0, at least 1"),
    ({"model__hidden": 400}, "model.hidden is 400 (int), a list of integers"),
    ({"model__hidden": "400"}, "model.hidden is '400' (str), a list of integers"),
    ({"model__features": (), "model__network": "conv"}, "model.features is empty, --model.features 32 64"),
    ({"model__blocks": 2}, "model.blocks is 2, nothing reads it here, --model.network resnet"),
    ({"model__block_dropout": 0.1}, "model.block_dropout is 0.1, nothing reads it here, --model.network resnet"),
    ({"model__network": "resnet", "model__block_dropout": 1.0}, "model.block_dropout is 1.0, at most 0.99"),
    ({"model__network": "burgess", "model__dense": 9}, "model.dense is 9, --model.network mlp or conv or resnet"),
    ({"model__network": "cnn"}, "model.network, unknown name 'cnn', mlp, conv"),
    ({"model__network": None}, "model.network is None, one of mlp, conv"),
    ({"model__likelihood": "bernouli"}, "model.likelihood, did you mean 'bernoulli', discretized_logistic"),
    ({"model__std": 0.0}, "model.std is 0.0, above 0"),
    ({"model__scale": "learned"}, "model.scale is 'learned', 'bernoulli', --model.likelihood normal"),
    (
        {"model__likelihood": "marginal_normal", "data__protocol": "grey", "model__scale": "learned"},
        "model.scale is 'learned', 'marginal_normal' takes fixed or per_channel, --model.likelihood normal",
    ),
    ({"data__protocol": "levels"}, "data.protocol is 'levels', 'bernoulli', --data.protocol dynamic"),
    (
        {"model__likelihood": "categorical", "data__protocol": "dynamic"},
        "data.protocol is 'dynamic', --data.protocol levels",
    ),
    ({"data__protocol": "binary"}, "data.protocol, unknown name 'binary', threshold"),
    ({"data__name": ""}, "data.name is '', your own pictures"),
    ({"data__name": " "}, "data.name is ' ', a name"),
    ({"data__kind": "tables"}, "data.kind, unknown name 'tables', did you mean 'table', counts"),
    ({"data__kind": "table"}, "model.likelihood is 'bernoulli', scores no table, normal, laplace, --data.kind"),
    ({"data__kind": "counts", "model__likelihood": "normal"}, "scores no counts, poisson, negative_binomial"),
    (
        {"data__kind": "table", "data__protocol": "grey", "model__likelihood": "normal"},
        "data.protocol is 'grey', makes x of images, --data.protocol standardize, --data.kind images",
    ),
    ({"data__protocol": "counts", "model__likelihood": "poisson"}, "makes x of counts, --data.protocol levels"),
    (
        {"data__kind": "table", "model__likelihood": "normal", "model__network": "conv"},
        "model.network is 'conv', data.kind 'table' does not take, --model.network mlp, --data.kind images",
    ),
    (
        {"data__kind": "table", "model__likelihood": "normal", "data__flip": True},
        "data.flip is True, --data.kind images",
    ),
    (
        {"data__kind": "table", "model__likelihood": "normal", "model__kind": "pixel_cnn"},
        "model.kind is 'pixel_cnn', from pixel to pixel, data.kind is 'table', made",
    ),
    (
        {"data__kind": "counts", "model__kind": "maf"},
        "model.kind is 'maf', scores no counts, data.kind is 'counts', vae, pixel_cnn",
    ),
    ({"data__protocol": "grey", "model__kind": "maf"}, "data.protocol is 'grey', 'maf', --data.protocol dequantize"),
    (
        {"model__likelihood": "normal", "model__kind": "spline_flow"},
        "model.likelihood is 'normal', model.kind 'spline_flow' does not take, --model.likelihood bernoulli",
    ),
    ({"data__drop": ("id",)}, "data.drop is id, nothing reads it, --data.kind table or counts"),
    ({"data__std": (1.0, 0.0)}, "data.std is 0.0, above 0"),
    ({"data__name": "a\0b"}, "data.name, a name"),
    ({"data__name": 3}, "data.name is 3 (int), a string"),
    ({"data__image_shape": (28, 0, 1)}, "data.image_shape is 0, at least 1"),
    ({"data__test_fraction": 1.0}, "data.test_fraction is 1.0, above 0 and below 1"),
    ({"data": "mnist"}, "data is 'mnist' (str), an object, protocol"),
    ({"objective__beta": -1.0}, "objective.beta is -1.0, at least 0"),
    ({"objective__beta": NAN}, "objective.beta is nan, finite"),
    ({"objective__beta": INFINITY}, "objective.beta is inf, finite"),
    ({"objective__beta": 10**400}, "objective.beta is inf, finite"),
    ({"objective__samples": 0}, "objective.samples is 0, at least 1"),
    ({"objective__samples": -1}, "objective.samples is -1, at least 1"),
    (
        {"objective__bound": "iwae", "objective__beta": 2.0},
        "objective.beta is 2, 'iwae', --objective.bound elbo",
    ),
    ({"objective__warmup_epochs": -0.5}, "objective.warmup_epochs is -0.5, at least 0"),
    ({"optim__lr": -1.0}, "optim.lr is -1.0, above 0"),
    ({"optim__lr": 0.0}, "optim.lr is 0.0, above 0"),
    ({"optim__lr": NAN}, "optim.lr is nan, finite"),
    ({"optim__lr": INFINITY}, "optim.lr is inf, finite"),
    ({"optim__lr": "1e-3"}, "optim.lr is '1e-3' (str), a number"),
    ({"optim__clip": 0.0}, "optim.clip is 0.0, above 0, None"),
    ({"optim__clip": "norm"}, "optim.clip is 'norm' (str), a number"),
    ({"optim__ema": 1.5}, "optim.ema is 1.5, below 1, None"),
    ({"optim__ema": 1.0}, "optim.ema is 1.0, below 1"),
    ({"optim__name": "Adam"}, "optim.name, did you mean 'adam', sgd"),
    ({"optim__weight_decay": 0.1}, "optim.weight_decay is 0.1, 'adam', --optim.name adamw"),
    ({"optim__max_skipped": 0}, "optim.max_skipped is 0, at least 1"),
]


def assert_words(error: BaseException, words: str) -> None:
    missing = [part for part in words.split(", ") if part not in str(error)]
    assert not missing, f"{missing} not in {error}"


@pytest.mark.parametrize(("values", "words"), BAD_CONFIGS, ids=lambda value: str(value)[:60])
def test_bad_config(values: dict, words: str) -> None:
    with pytest.raises((ValueError, TypeError)) as caught:
        validate(changed(**values))
    assert_words(caught.value, words)


def test_validate_refuses_what_is_no_config() -> None:
    with pytest.raises(TypeError, match=r"config is \{\} \(dict\)"):
        validate({})


def test_numpy_numbers_become_plain() -> None:
    config = validate(changed(batch_size=np.int64(64), optim__lr=np.float32(0.5), model__hidden=[np.int32(3)]))
    assert (config.batch_size, config.optim.lr, config.model.hidden) == (64, 0.5, (3,))
    assert type(config.batch_size) is int
    assert type(config.optim.lr) is float
    assert json.loads(serialize.to_json(config))["model"]["hidden"] == [3]


@pytest.mark.parametrize("seed", [0, 2**31 - 1, 2**32 - 1])
def test_good_seeds(seed: int) -> None:
    assert validate(Config(seed=seed)).seed == seed


def test_every_number_has_a_range_and_every_likelihood_its_protocols() -> None:
    numbers = {path for path, value in flatten(Config()) if isinstance(value, int | float | tuple)}
    optional = {"optim.clip", "optim.ema", "optim.skip_above", "data.image_shape", "micro_batch", "patience"}
    optional |= {"data.size", "data.crop", "data.channels", "data.background", "data.classes", "model.weight"}
    optional |= {"data.mean", "data.std", "model.time_steps", "optim.b1", "optim.skip_ratio", "model.critic_hidden"}
    assert set(RANGES) == (numbers | optional) - {
        "progress",
        "data.flip",
        "data.skip_unreadable",
        "data.drop",
        "model.attention",
        "recipe.options",
    }
    fitting = {name for likelihood in LIKELIHOODS.values() for name in likelihood.protocols}
    assert fitting == set(typing.get_args(configs.Protocol)) - {"auto"}


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_valid_described_and_survive_json(name: str) -> None:
    preset = PRESETS[name]
    if not preset.data.name:  # which waits for the name of one's own pictures
        preset = replace(preset, data=replace(preset.data, name="my_folder"))
    config = validate(preset)
    assert config == preset
    assert serialize.from_json(serialize.to_json(config)) == config
    assert len(f"  fashion-mnist  {ABOUT[name]}") <= 80
    assert list(ABOUT) == list(PRESETS)


# (text of a config file, words that the message must contain)
BAD_FILES = [
    ("", "is empty, {}"),
    (" \n", "is empty"),
    ("[]", "holds [], object"),
    ("3", "holds 3, object"),
    ('{"epochs": 3', "not strict JSON, line 1"),
    ('{"epochs": 3, "epochs": 4}', "'epochs' appears twice"),
    ('{"optim": {"lr": 1, "lr": 2}}', "'lr' appears twice"),
    ('{"optim": {"lr": NaN}}', "NaN is no JSON number"),
    ('{"optim": {"lr": -Infinity}}', "-Infinity is no JSON number"),
    ('{"optim": {"lr": 1e999}}', "optim.lr is inf, finite"),
    ('{"seed": ' + "9" * 5000 + "}", "not strict JSON"),
    ('{"epochs": "20"}', "epochs is '20' (str), an integer"),
    ('{"epochs": 20.0}', "epochs is 20.0 (float), an integer"),
    ('{"epochs": null}', "epochs is None, an integer"),
    ('{"optim": 3}', "optim is 3 (int), an object, lr"),
    ('{"model": {"hidden": [400, "x"]}}', "model.hidden is 'x' (str), an integer"),
    ('{"latent_dim": 4}', "unknown field 'latent_dim', did you mean 'model.latent_dim'"),
    (
        '{"model": {"latent_dims": 4}}',
        "unknown field 'model.latent_dims', did you mean 'model.latent_dim', hidden",
    ),
    ('{"__class__": "os.system"}', "unknown field '__class__'"),
    ('{"jaxvae": "9.0", "rate": 4}', "unknown field 'rate', Written by jaxvae '9.0'"),
    ("[" * 100_000, "nests too deeply"),
    ('{"a": ' * 50_000, "nests too deeply"),
    ("x" * 1_000_001, "over 1000000 bytes"),
    ('"\udcff"', "holds"),
]


@pytest.mark.parametrize(("text", "words"), BAD_FILES, ids=lambda value: value[:40])
def test_bad_config_text(text: str, words: str) -> None:
    with pytest.raises((ValueError, TypeError)) as caught:
        serialize.from_json(text, "a.json")
    assert_words(caught.value, "a.json, " + words)


def test_bad_config_paths(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no config file .*missing\.json"):
        serialize.read_config(tmp_path / "missing.json")
    with pytest.raises(ValueError, match="is no file"):
        serialize.read_config(tmp_path)
    (tmp_path / "huge.json").write_bytes(b" " * 2_000_000)
    with pytest.raises(ValueError, match=r"huge\.json has over 1000000 bytes"):
        serialize.read_config(tmp_path / "huge.json")
    (tmp_path / "latin.json").write_bytes(b'{"data": "\xff"}')
    with pytest.raises(ValueError, match=r"latin\.json is not strict JSON"):
        serialize.read_config(tmp_path / "latin.json")


@pytest.mark.parametrize("text", ["__import__('os').system('true')", "!!python/object:os.system", "${HOME}", "{0}"])
def test_strings_that_look_like_code_stay_strings(text: str) -> None:
    config = replace(Config(), data=DataConfig(name=text))
    assert serialize.from_json(serialize.to_json(config)).data.name == text


def test_fields_left_out_have_their_defaults() -> None:
    assert serialize.from_json('{"epochs": 3, "optim": {"lr": 1}}') == changed(epochs=3, optim__lr=1.0)


# (path, words that the message must contain)
BAD_PATHS = [
    ("", "is empty"),
    ("  ", "is empty"),
    ("../x", "'..', absolute path"),
    ("runs/../../x", "'..', absolute path"),
    ("/etc/x", "/etc, operating system"),
    ("/proc/x", "/proc, operating system"),
    ("/", "root"),
    ("a\0b", "NUL, runs/a"),
    ("a\nb", "control character"),
    ("~", "'~', ~/runs/a"),
    ("~root/a", "'~'"),
    ("runs/~", "'~'"),
    ("CON", "'CON', device"),
    ("runs/nul.txt", "'nul.txt', device"),
    ("x" * 256, "256 bytes, 255"),
    ("é" * 128, "256 bytes, 255"),
    ("x" * 5000, "5000 characters, 4096"),
    ("x/" * 2500, "5000 characters, 4096"),
    (None, "workdir is None (NoneType)"),
    (3, "workdir is 3 (int)"),
]


@pytest.mark.parametrize(("path", "words"), BAD_PATHS, ids=lambda value: str(value)[:20])
def test_bad_run_folder(path: object, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ValueError, TypeError)) as caught:
        run_folder.create(path)
    assert_words(caught.value, "workdir, " + words)
    assert len(str(caught.value)) < 400
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["a", "runs/a", "with space/ü-日本", "x" * 200, "confetti", "./a", "..a", "a~", "comet1"]
)
def test_good_run_folder(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in (name, tmp_path / name):
        made = run_folder.create(path)
        assert (tmp_path / name).is_dir()
        assert list(made.iterdir()) == []  # the probe is gone
    monkeypatch.setenv("HOME", str(tmp_path))
    assert run_folder.create(f"~/{name}") == tmp_path / name


def test_a_folder_that_cannot_be_made_names_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file", tmp_path / "file" / "a"):
        with pytest.raises(OSError, match=rf"{path}.*another folder"):
            run_folder.create(path)
    assert (tmp_path / "file").read_text() == "mine"
    for code, fix in (
        (errno.ENOSPC, "disk is full"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "permission"),
    ):

        def fail(*_: object, code: int = code, **__: object) -> None:
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(tempfile, "TemporaryFile", fail)
        with pytest.raises(OSError, match=fix) as caught:
            run_folder.create(tmp_path / "a")
        assert str(tmp_path / "a") in str(caught.value)
        assert caught.value.errno == code


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_names_the_path(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError, match=r"You have no permission.*another folder"):
        run_folder.create(tmp_path / "a")
    with pytest.raises(PermissionError, match=str(tmp_path)):
        run_folder.create(tmp_path)


def test_a_new_folder_is_claimed_and_the_same_run_resumes(tmp_path: Path) -> None:
    config = changed(seed=3)
    assert run_folder.check(tmp_path, config) is False
    assert list(tmp_path.iterdir()) == [], "nothing is written before the run is known to work"
    run_folder.claim(tmp_path, config)
    assert serialize.read_config(tmp_path / run_folder.CONFIG) == config
    assert run_folder.check(tmp_path, config) is True
    # More epochs, and what does not touch the numbers, may change freely and are recorded.
    free = replace(config, epochs=40, progress=False, save_every=2, keep=9, parallel="jit", evaluate_every=3)
    assert run_folder.check(tmp_path, free) is True
    run_folder.claim(tmp_path, free)
    assert serialize.read_config(tmp_path / run_folder.CONFIG) == free


# (fields, words that the message must contain)
OTHER_RUNS = [
    ({"seed": 1}, "seed: 0 in the folder, 1 now, --seed 0"),
    ({"batch_size": 64}, "batch_size: 128 in the folder, 64 now, --batch-size 128"),
    ({"model__hidden": (10, 20)}, "model.hidden: 400 in the folder, 10 20 now"),
    ({"model__latent_dim": 2}, "model.latent_dim: 20 in the folder, 2 now"),
    (
        {"model__likelihood": "normal", "data__protocol": "grey"},
        "model.likelihood: bernoulli in the folder, normal now, data.protocol: auto in the folder",
    ),
    ({"optim__name": "sgd"}, "optim.name: adam in the folder, sgd now"),
    ({"optim__clip": 1.0}, "optim.clip: None in the folder, 1.0 now"),
    ({"data__name": "mnist"}, "data.name: digits in the folder, mnist now"),
    ({"optim__schedule": "cosine", "epochs": 30}, "epochs: 20 in the folder, 30 now"),
]


@pytest.mark.parametrize(("values", "words"), OTHER_RUNS, ids=lambda value: str(value)[:60])
def test_a_folder_with_another_run_is_refused(values: dict, words: str, tmp_path: Path) -> None:
    run_folder.claim(tmp_path, Config())
    before = (tmp_path / run_folder.CONFIG).read_bytes()
    with pytest.raises(ValueError, match="holds another run") as caught:
        run_folder.check(tmp_path, changed(**values))
    assert_words(caught.value, words + f", {tmp_path}, another --workdir, --allow-changes, --overwrite")
    assert (tmp_path / run_folder.CONFIG).read_bytes() == before
    assert run_folder.check(tmp_path, changed(**values), allow_changes=True) is True
    assert (tmp_path / run_folder.CONFIG).read_bytes() == before, "whether it can go on is not known yet"
    run_folder.claim(tmp_path, changed(**values))
    assert serialize.read_config(tmp_path / run_folder.CONFIG) == changed(**values)


def test_overwrite_removes_the_run_and_nothing_else(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("")
    run = run_folder.create(tmp_path / "a")
    run_folder.claim(run, Config())
    (run / run_folder.CHECKPOINTS / "100").mkdir(parents=True)
    (run / run_folder.METRICS).write_text("{}")
    (run / "notes.txt").write_text("mine")
    (run / run_folder.PICTURES).symlink_to(outside, target_is_directory=True)
    assert run_folder.check(run, changed(seed=1), overwrite=True) is False
    assert (run / run_folder.CHECKPOINTS / "100").exists(), "the old run stays until the new one has taken a step"
    run_folder.claim(run, changed(seed=1), overwrite=True)
    assert sorted(path.name for path in run.iterdir()) == [run_folder.CONFIG, "notes.txt"]
    assert (outside / "kept").exists()
    assert serialize.read_config(run / run_folder.CONFIG).seed == 1


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_foreign_config_is_never_replaced(overwrite: bool, tmp_path: Path) -> None:
    (tmp_path / run_folder.CONFIG).write_text('{"architectures": ["Bert"]}')
    with pytest.raises(ValueError, match=r"unknown field 'architectures'.*another --workdir"):
        run_folder.check(tmp_path, Config(), overwrite=overwrite)
    assert "Bert" in (tmp_path / run_folder.CONFIG).read_text()


def test_remains_without_a_config_are_refused(tmp_path: Path) -> None:
    (tmp_path / run_folder.CHECKPOINTS).mkdir()
    with pytest.raises(ValueError, match=r"holds checkpoints but no config\.json.*another --workdir"):
        run_folder.check(tmp_path, Config())


def test_find_names_the_nearest_run(tmp_path: Path) -> None:
    run_folder.claim(run_folder.create(tmp_path / "digits"), Config())
    assert run_folder.find(tmp_path / "digits") == tmp_path / "digits"
    with pytest.raises(FileNotFoundError, match=r"is no folder\. Did you mean .*digits\? Runs in .*: digits\."):
        run_folder.find(tmp_path / "digit")
    with pytest.raises(FileNotFoundError, match=r"has no config\.json"):
        run_folder.find(tmp_path)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "summary.json"
    files.write_json(path, {"loss": np.float32(1.5), "kl": np.array([1.0, np.inf]), "step": np.int32(3)})
    assert json.loads(path.read_text()) == {"loss": 1.5, "kl": [1.0, None], "step": 3}

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=r"cannot write .*summary\.json.*disk is full.*run the same command again"):
        files.write_text(path, "new")
    assert json.loads(path.read_text())["loss"] == 1.5
    assert [entry.name for entry in tmp_path.iterdir()] == ["summary.json"]


@pytest.mark.skipif(os.name != "posix", reason="modes are a POSIX idea")
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_modes_follow_the_umask(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        run = run_folder.create(tmp_path / "a")
        run_folder.claim(run, Config())
        metrics.append_metrics(run / run_folder.METRICS, {"step": 1})
    finally:
        os.umask(before)
    assert run.stat().st_mode & 0o777 == 0o777 & ~umask
    for name in (run_folder.CONFIG, run_folder.METRICS):
        assert (run / name).stat().st_mode & 0o777 == 0o666 & ~umask


def test_files_hold_nothing_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", "a-secret-token")
    run_folder.claim(tmp_path, Config())
    text = (tmp_path / run_folder.CONFIG).read_text()
    assert "a-secret-token" not in text
    assert str(tmp_path) not in text


def test_metrics_keep_each_step_once_after_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    assert metrics.read_metrics(path) == []
    assert metrics.truncate_after(path, 10) == 0
    for step in (10, 20, 30):
        metrics.append_metrics(path, {"step": step, "loss": step / 10})
    with path.open("a") as file:
        file.write('{"step": 40, "lo')  # killed in the middle of a line
    assert [record["step"] for record in metrics.read_metrics(path)] == [10, 20, 30]
    assert metrics.truncate_after(path, 20) == 1  # the newest checkpoint is of step 20
    for step in (30, 40):
        metrics.append_metrics(path, {"step": step, "loss": step / 10})
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [10, 20, 30, 40]
    before = path.stat().st_mtime_ns
    assert metrics.truncate_after(path, 40) == 0
    assert path.stat().st_mtime_ns == before  # a whole file is left alone


def test_a_line_cut_short_does_not_spoil_the_next(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 2, "lo')
    metrics.append_metrics(path, {"step": np.int64(2), "loss": np.nan})
    assert metrics.read_metrics(path) == [{"step": 1}, {"step": 2, "loss": None}]


@pytest.mark.parametrize("cut", range(0, 36, 5))
def test_metrics_cut_anywhere_can_be_resumed(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    for step in (1, 2, 3):
        metrics.append_metrics(path, {"step": step})
    path.write_bytes(path.read_bytes()[:cut])
    whole = cut // len('{"step": 1}\n')
    metrics.truncate_after(path, whole)
    for step in range(whole + 1, 4):
        metrics.append_metrics(path, {"step": step})
    assert path.read_text() == '{"step": 1}\n{"step": 2}\n{"step": 3}\n'


@pytest.mark.parametrize("record", [{"loss": 1.0}, {"step": 1.5}, {"step": "1"}, {"step": True}, {"step": None}])
def test_metrics_need_a_step(record: dict, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected an integer"):
        metrics.append_metrics(tmp_path / "metrics.jsonl", record)
    assert list(tmp_path.iterdir()) == []


def test_metrics_on_a_full_disk(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "size=4k") as disk:
        path = disk / "metrics.jsonl"
        metrics.append_metrics(path, {"step": 1})
        with pytest.raises(OSError, match=r"cannot append to .*metrics\.jsonl.*disk is full.*same command") as caught:
            metrics.append_metrics(path, {"step": 2, "text": "x" * 5000})
        assert caught.value.errno == errno.ENOSPC
        assert metrics.read_metrics(path) == [{"step": 1}]


def test_a_line_that_fails_half_way_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "metrics.jsonl"
    metrics.append_metrics(path, {"step": 1})
    write = os.write

    def short(descriptor: int, data: bytes) -> int:
        if len(data) < 10:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, data[:5])

    monkeypatch.setattr(os, "write", short)
    with pytest.raises(OSError, match="disk is full"):
        metrics.append_metrics(path, {"step": 2, "loss": 1.0})
    assert path.read_text() == '{"step": 1}\n'


@pytest.mark.parametrize(
    ("name", "guess"),
    [
        ("latent_dims", "latent_dim"),
        ("MNIST", "mnist"),
        ("fashion_mnist", "fashion-mnist"),
        ("zzzz", None),
        ("", None),
    ],
)
def test_nearest(name: str, guess: str | None) -> None:
    assert names.nearest(name, ["latent_dim", "mnist", "fashion-mnist"]) == guess


def test_a_config_written_before_free_bits_had_two_rules_keeps_the_rule_it_had():
    """Then the KL of each example was compared; such a run is not resumed with the other rule unless that is said."""
    written = json.loads(serialize.to_json(changed(objective__bound="free_bits")))
    assert written["objective"].pop("kl_over") == "minibatch"
    old = serialize.from_json(json.dumps(written))
    assert old.objective.kl_over == "example"
    assert serialize.changed_numbers(old, changed(objective__bound="free_bits")) == [
        ("objective.kl_over", "example", "minibatch")
    ]
    assert serialize.from_json('{"objective": {"bound": "free_bits"}}').objective.kl_over == "minibatch"  # by hand
    plain = json.loads(serialize.to_json(changed()))
    del plain["objective"]["kl_over"]
    assert serialize.from_json(json.dumps(plain)) == changed()


def test_levels_that_the_protocol_of_a_recipe_does_not_tell_apart_are_refused_too() -> None:
    config = Config(data=DataConfig(protocol="grey", levels=17), recipe=configs.RecipeConfig("mine.py:make"))
    with pytest.raises(ValueError, match=r"data\.levels is 17, but the protocol 'grey' tells no levels apart"):
        validate(config)
