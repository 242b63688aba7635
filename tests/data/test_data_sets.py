"""The built-in data sets against one table of promises, `load` and its names, and what importing touches."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import jaxvae
from jaxvae import data
from jaxvae.data import shapes
from jaxvae.data.splits import stable_permutation

REAL = next(
    (
        str(folder)
        for folder in (os.environ.get("TFDS_DATA_DIR"), Path(__file__).parents[3] / "shared" / "tfds")
        if folder and (Path(folder) / "mnist").is_dir()
    ),
    None,
)
# name: shape of a picture, train, test, classes
TABLE = {
    "digits": ((8, 8, 1), 1500, 297, 10),
    "shapes": ((32, 32, 1), 5120, 1024, 3),
    "mnist": ((28, 28, 1), 60_000, 10_000, 10),
    "fashion_mnist": ((28, 28, 1), 60_000, 10_000, 10),
}


def test_the_table_holds_every_built_in_data_set():
    assert sorted(TABLE) == list(data.built_in())


@pytest.mark.rows(slow=["mnist", "fashion_mnist"])
@pytest.mark.parametrize("name", TABLE)
def test_every_data_set_keeps_its_promises(name, tmp_path, monkeypatch):
    shape, train_count, test_count, classes = TABLE[name]
    splits = {"train": train_count, "test": test_count}
    if "mnist" in name:
        if not REAL:
            pytest.skip(f"{name} is not prepared: TFDS_DATA_DIR does not name a folder that has it")
        monkeypatch.setenv("TFDS_DATA_DIR", REAL)
        monkeypatch.setenv("JAXVAE_CACHE", str(tmp_path))
        del splits["train"]  # ten seconds
    seen = []
    for split, count in splits.items():
        one, again = data.load(name, split), data.load(name, split)
        assert isinstance(one, data.Dataset)
        assert (one.images.shape, one.images.dtype) == ((count, *shape), np.uint8)
        assert (one.labels.shape, one.labels.dtype) == ((count,), np.int64)
        assert set(one.labels) == set(range(classes))
        assert (one.name, one.split) == (name, split)
        assert one.source
        assert len(one.factor_names) == (0 if one.factors is None else one.factors.shape[1])
        assert one.images.min() == 0
        assert one.images.max() == 255
        np.testing.assert_array_equal(one.images, again.images)
        np.testing.assert_array_equal(one.labels, again.labels)
        seen.append({image.tobytes() for image in one.images})
    assert not set.intersection(*seen) or len(seen) == 1
    with pytest.raises(ValueError, match=rf"no split 'valid', expected one of: {', '.join(('train', 'test'))}"):
        data.load(name, "valid")


def test_the_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    parts = [data.load("digits", split) for split in ("train", "test")]
    images = np.concatenate([part.images for part in parts]).reshape(-1, 64)
    order = np.concatenate([part.labels for part in parts])
    ours = sorted((image.tobytes(), label) for image, label in zip(images, order, strict=True))
    levels = np.rint(pixels / 16 * 255).astype(np.uint8)
    assert ours == sorted((image.tobytes(), label) for image, label in zip(levels, labels, strict=True))
    expected = np.bincount(labels) * 297 / 1797
    assert np.abs(np.bincount(parts[1].labels) - expected).max() < 1


def test_a_stable_permutation_is_one_and_never_changes():
    np.testing.assert_array_equal(np.sort(stable_permutation(1000, seed=3)), np.arange(1000))
    assert stable_permutation(8, seed=3).tolist() == [6, 1, 5, 2, 7, 4, 3, 0]
    assert (stable_permutation(1000, seed=3) != stable_permutation(1000, seed=4)).any()


def test_factors_place_the_shape_where_they_say():
    every = data.load("shapes", "all", size=48)
    assert every.factor_names == ("shape", "scale", "orientation", "x", "y")
    assert len(np.unique(every.factors, axis=0)) == len(every.factors) == 3 * 4 * 8 * 8 * 8
    np.testing.assert_array_equal(every.labels, every.factors[:, 0])
    mass = every.images[..., 0].astype(np.float64) / 255
    area = mass.sum((1, 2))
    centre = (np.arange(48) + 0.5) / 48
    x, y = (mass.sum(1) * centre).sum(1) / area, (mass.sum(2) * centre).sum(1) / area
    position = 0.24 + 0.52 * np.linspace(0, 1, 8)
    symmetric = every.labels < 2  # the middle of a heart is not its centre of mass
    assert np.abs(x - position[every.factors[:, 3]])[symmetric].max() < 0.002
    assert np.abs(y - position[every.factors[:, 4]])[symmetric].max() < 0.002
    assert np.abs(x - position[every.factors[:, 3]]).max() < 0.05
    scale = np.array([0.5, 0.65, 0.8, 1.0])[every.factors[:, 1]]
    radius = 0.22 * 48 * scale
    for label, unit_area in enumerate((2.0, np.pi / 2)):
        of_shape = every.labels == label
        np.testing.assert_allclose(area[of_shape], (unit_area * radius**2)[of_shape], rtol=0.04)


@pytest.mark.parametrize("shape", ["square", "ellipse", "heart"])
def test_drawings_are_antialiased_as_by_brute_force(shape):
    """Each pixel against the mean of 16 x 16 hard samples of the same outline, drawn at sixteen times the size."""
    options = dict(shapes=[shape], scales=[0.6, 1.0], orientations=[0.0, 0.3, 1.1], columns=[0.4], rows=[0.0, 1.0])
    small = data.load("shapes", "all", size=28, **options).images[..., 0] / 255
    large = data.load("shapes", "all", size=28 * 16, **options).images[..., 0] >= 128
    exact = large.reshape(-1, 28, 16, 28, 16).mean((2, 4))
    assert np.abs(small - exact).max() < 0.3
    assert (np.abs(small - exact).sum((1, 2)) < 0.05 * exact.sum((1, 2))).all()


def test_the_shape_turns_with_its_orientation():
    quarter = data.load("shapes", "all", shapes=["heart"], scales=[1.0], orientations=[0, np.pi / 2], columns=[0.5],
                        rows=[0.5]).images[..., 0]  # fmt: skip
    difference = np.rot90(quarter[0], -1).astype(int) - quarter[1]
    assert np.abs(difference).max() <= 2
    assert (quarter[0] != quarter[1]).any()
    widths = (quarter[0] > 128).sum(1)
    assert widths[:16].max() > widths[18:].max()  # upright: wide above, pointed below


def test_the_grid_of_dsprites_is_at_hand():
    assert np.prod([len(values) for values in shapes.DSPRITES.values()]) == 737_280
    some = {**shapes.DSPRITES, "columns": [0.5], "rows": [0.5], "orientations": shapes.DSPRITES["orientations"][:3]}
    assert data.load("shapes", "all", size=64, **some).images.shape == (3 * 6 * 3, 64, 64, 1)


def test_some_pictures_of_a_large_grid_are_drawn_alone_and_are_those_of_the_whole():
    every, some = (data.load("shapes", "test", size=8, **options) for options in ({}, {"count": 300}))
    rows = {tuple(factors): image for factors, image in zip(every.factors, every.images, strict=True)}
    assert len({tuple(factors) for factors in some.factors}) == 300
    for factors, image in zip(some.factors, some.images, strict=True):
        np.testing.assert_array_equal(image, rows[tuple(factors)])
    large = data.load("shapes", "all", size=8, count=2000, **shapes.DSPRITES)
    correlation = np.corrcoef(large.factors.T) - np.eye(5)
    assert np.abs(correlation).max() < 5 / np.sqrt(2000)
    for factor, count in enumerate((3, 6, 40, 32, 32)):
        assert len(np.unique(large.factors[:, factor])) == count


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(count=0), "count is 0, expected 1 to 5120, the pictures of the split 'train'"),
        (dict(count=5121), "count is 5121"),
        (dict(size=3), "size is 3"),
        (dict(size="64"), "size is '64'"),
        (dict(size=True), "size is True"),
        (dict(shapes=["square", "star"]), "expected some of square, ellipse, heart"),
        (dict(shapes="heart"), "expected some of square"),
        (dict(shapes=[]), "expected some of square"),
        (dict(scales=[0.0]), r"scales are \[0.0\], expected a list of numbers in \[0.001, 1\]"),
        (dict(scales=[]), "scales are"),
        (dict(scales=0.5), "scales are"),
        (dict(orientations=[float("nan")]), "orientations are"),
        (dict(columns=[1.1]), r"columns are \[1.1\]"),
        (dict(rows=["top"]), "rows are"),
        (dict(scale=[0.5]), "'scale' is no option of the data set shapes.*Did you mean 'scales'"),
    ],
)
def test_bad_options_of_shapes_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        data.load("shapes", **options)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("digit", "digits"), ("MNIST", "mnist"), ("fashion-mnist", "fashion_mnist"), ("cifr10", "cifar10"), ("", None),
     ("no such thing", None), ("x" * 5000, None), ("a\0b", None), ("../x", None), ("no.such.module", None)],
)  # fmt: skip
def test_an_unknown_name_lists_the_valid_ones_and_suggests(name, nearest):
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        data.load(name)
    if name != "../x":
        assert "digits, fashion_mnist, mnist, shapes" in str(error.value)
        assert "package.module" in str(error.value)
    assert ("Did you mean" in str(error.value)) == (nearest is not None)
    assert nearest is None or f"Did you mean {nearest!r}" in str(error.value)
    assert len(str(error.value)) < 1000


@pytest.mark.parametrize("name", [3, None, ["digits"], b"digits"])
def test_a_name_that_is_none_is_a_type_error(name):
    with pytest.raises(TypeError, match="expected a name or a path"):
        data.load(name)


def test_a_known_data_set_not_prepared_is_told_from_an_unknown_one(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("JAXVAE_CACHE", str(tmp_path))
    for name in ("mnist", "cifar10", "mnist_corrupted/shot_noise"):
        with pytest.raises(FileNotFoundError, match=f"{name}.*not prepared"):
            data.load(name)


@pytest.mark.parametrize("name", ["./x.npy", "x.npz", "~/x", "/no/such/folder", Path("x")])
def test_a_path_that_is_not_there_is_a_missing_file(name):
    with pytest.raises(FileNotFoundError, match="there is no file or folder"):
        data.load(name)


USER = """
import numpy as np
from jaxvae.data import Dataset, from_array

def load(split, *, size=4):
    if split == "raw":
        return Dataset("raw", np.zeros((2, size, size, 1)) + 300.0, "images", None, None, (), (), split, "")
    if split == "array":
        return np.zeros((2, size, size, 1), np.uint8)
    return from_array(np.full((3, size, size), 77, np.uint8), name="user", split=split)
"""


def test_a_module_of_the_user_is_a_data_set(tmp_path, monkeypatch):
    (tmp_path / "userpackage").mkdir()
    (tmp_path / "userpackage" / "sevens.py").write_text(USER)
    (tmp_path / "userpackage" / "broken.py").write_text("import not_there_at_all")
    (tmp_path / "userpackage" / "idle.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    assert data.load("userpackage.sevens", "test", size=5).images.shape == (3, 5, 5, 1)
    with pytest.raises(ValueError, match=r"'sise' is no option.*Did you mean 'size'"):
        data.load("userpackage.sevens", sise=5)
    with pytest.raises(ValueError, match=r"returned a ndarray, expected a jaxvae\.data\.Dataset"):
        data.load("userpackage.sevens", "array")
    with pytest.raises(ValueError, match=r"value 300\.0"):
        data.load("userpackage.sevens", "raw")
    with pytest.raises(ModuleNotFoundError, match="not_there_at_all"):
        data.load("userpackage.broken")
    with pytest.raises(ValueError, match="no function load"):
        data.load("userpackage.idle")


OFFLINE = """
import os, sys

def audit(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
        raise SystemExit(f"network: {event}")

sys.addaudithook(audit)
import numpy as np
from jaxvae import data
assert not {"jax", "sklearn", "tensorflow_datasets", "matplotlib", "PIL"} & set(sys.modules)
data.load("digits"), data.load("shapes"), data.load("mine.npy")
assert "jax" not in sys.modules
try:
    data.load("mnist")
except FileNotFoundError:
    pass
try:
    data.load("nothing")
except ValueError:
    pass
data.PROTOCOLS
assert "jax" in sys.modules
"""


@pytest.mark.slow
def test_import_and_local_data_touch_neither_network_nor_home(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    np.save(tmp_path / "mine.npy", np.zeros((3, 4, 4), np.uint8))
    environment = {k: v for k, v in os.environ.items() if k not in ("TFDS_DATA_DIR", "JAXVAE_CACHE", "XDG_CACHE_HOME")}
    package = str(Path(jaxvae.__file__).parents[1])
    environment |= {"HOME": str(home), "LC_ALL": "C", "PYTHONPATH": package, "TZ": "Pacific/Apia"}
    run = subprocess.run([sys.executable, "-c", OFFLINE], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    assert list(home.iterdir()) == []


def calls(tree: ast.AST):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def test_nothing_in_the_package_runs_or_unpickles_what_it_reads():
    modules = {"pickle", "cPickle", "cloudpickle", "dill", "marshal", "shelve", "joblib"}
    functions = {"eval", "exec", "os.system", "yaml.load", "yaml.unsafe_load"}
    files = sorted(Path(jaxvae.__file__).parent.rglob("*.py"))
    assert len(files) > 20
    for file in files:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                assert not modules & {alias.name.split(".")[0] for alias in node.names}, file
            if isinstance(node, ast.ImportFrom):
                assert (node.module or "").split(".")[0] not in modules, file
        for name, call in calls(tree):
            keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
            assert name not in functions, (file, name)
            assert keywords.get("shell", "False") == "False", (file, name)
            assert keywords.get("allow_pickle", "False") == "False", (file, name)
            assert name not in ("np.load", "numpy.load") or "allow_pickle" in keywords, (file, name)
            assert name.split(".")[-1] not in ("extract", "extractall") or keywords.get("filter"), (file, name)
