"""Prepared TFDS data: read once through `tfds.data_source`, cached whole or not at all, every damage named.

Most tests run on a tiny data set written here in the very format that TFDS prepares, without TensorFlow.
"""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from array_record.python.array_record_module import ArrayRecordWriter
from PIL import Image
from tensorflow_datasets.proto import tf_example_pb2

from jaxvae import data
from jaxvae.data.prepared import cache, converted
from jaxvae.files import cache_folder

SHARDS = {"train": [10, 10, 5], "test": [7]}
HIGHEST = 29


def pixels(index: int, height: int = 6) -> np.ndarray:
    return np.random.default_rng(index).integers(0, 256, (height, 5, 1), dtype=np.uint8)


def example(image: np.ndarray, label: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image[..., 0]).save(file, "PNG")
    record = tf_example_pb2.Example()
    record.features.feature["image"].bytes_list.value.append(file.getvalue())
    record.features.feature["label"].int64_list.value.append(label)
    return record.SerializeToString()


def prepare(root: Path, name: str = "tiny", image=pixels, shards=SHARDS) -> Path:
    """Writes what TFDS writes: shards, features.json, dataset_info.json. Labels are the index modulo 3."""
    folder = root / name / "1.0.0"
    folder.mkdir(parents=True)
    splits = []
    index = 0
    for split, lengths in shards.items():
        for number, length in enumerate(lengths):
            file = f"{name}-{split}.array_record-{number:05d}-of-{len(lengths):05d}"
            writer = ArrayRecordWriter(str(folder / file), "group_size:1")
            for _ in range(length):
                writer.write(example(image(index), index % 3))
                index += 1
            writer.close()
        splits.append(
            {
                "name": split,
                "shardLengths": [str(n) for n in lengths],
                "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
                "numBytes": "1",
            }
        )
    core = "tensorflow_datasets.core.features"
    size = {"dimensions": ["-1", "-1", "1"]}
    features = {
        "image": {
            "image": {"dtype": "uint8", "shape": size, "encodingFormat": "png"},
            "pythonClassName": f"{core}.image_feature.Image",
        },
        "label": {
            "classLabel": {"numClasses": "3"},
            "pythonClassName": f"{core}.class_label_feature.ClassLabel",
        },
    }
    all_features = {
        "featuresDict": {"features": features},
        "pythonClassName": f"{core}.features_dict.FeaturesDict",
    }
    info = {"name": name, "version": "1.0.0", "fileFormat": "array_record", "splits": splits}
    (folder / "features.json").write_text(json.dumps(all_features))
    (folder / "dataset_info.json").write_text(json.dumps(info))
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    return prepare(tmp_path_factory.mktemp("prepared"))


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXVAE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def copy(tiny, tmp_path, monkeypatch) -> Path:
    """A copy to damage, in the data folder that TFDS_DATA_DIR names."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    return Path(shutil.copytree(tiny, tmp_path / "tfds" / "tiny" / "1.0.0"))


def cached() -> list[str]:
    """What the cache holds besides lock files."""
    return [path.name for path in cache_folder().glob("tfds/*") if path.suffix != ".lock"]


def test_images_labels_and_order_are_those_prepared(copy):
    train, test = data.load("tiny"), data.load("tiny", "test")
    np.testing.assert_array_equal(train.images, np.stack([pixels(i) for i in range(25)]))
    np.testing.assert_array_equal(test.images, np.stack([pixels(i) for i in range(25, 32)]))
    np.testing.assert_array_equal(train.labels, np.arange(25) % 3)
    assert (train.name, train.split, train.factors) == ("tiny", "train", None)
    assert "tensorflow" not in sys.modules


def test_the_second_call_maps_the_cache_and_imports_nothing(copy, tmp_path, capsys):
    data.load("tiny")
    assert str(tmp_path / "cache") in capsys.readouterr().err
    code = (
        "import sys; from jaxvae import data; d = data.load('tiny'); assert d.images.shape == (25, 6, 5, 1);"
        "import numpy; assert isinstance(d.images.base, numpy.memmap);"
        "assert not {'tensorflow_datasets', 'PIL', 'jax', 'sklearn', 'filelock'} & set(sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], env=dict(os.environ), capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")


def test_data_that_is_prepared_no_longer_is_read_from_the_cache(copy):
    before = np.array(data.load("tiny").images)
    shutil.rmtree(copy)
    np.testing.assert_array_equal(data.load("tiny").images, before)
    np.testing.assert_array_equal(data.load("tiny:1.0.0").images, before)
    with pytest.raises(FileNotFoundError, match="tiny"):
        converted.load_prepared("tiny", "test")  # that split was never read


def test_data_prepared_anew_is_converted_anew(copy, tmp_path):
    data.load("tiny")
    shutil.rmtree(copy)
    prepare(tmp_path / "tfds", image=lambda i: pixels(i + 100))
    np.testing.assert_array_equal(data.load("tiny").images[0], pixels(100))


def test_absent_data_is_answered_at_once_with_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError) as error:
        data.load("mnist")
    for part in ("'mnist'", str(tmp_path / "nowhere"), "pip install tensorflow", "download_and_prepare()"):
        assert part in str(error.value)
    assert not (tmp_path / "nowhere").exists()
    assert not (tmp_path / "cache").exists()


def test_an_unfinished_preparation_is_not_taken_for_data(copy):
    copy.rename(copy.parent / "incomplete.ABC_1.0.0")
    with pytest.raises(FileNotFoundError, match="not prepared"):
        converted.load_prepared("tiny")
    (copy.parent / "incomplete.ABC_1.0.0").rename(copy)
    (copy / "dataset_info.json").unlink()
    with pytest.raises(FileNotFoundError, match="not prepared"):
        converted.load_prepared("tiny")


SHARD = "tiny-train.array_record-00001-of-00003"


def rewrite(path: Path, change) -> None:
    content = bytearray(path.read_bytes())
    changed = change(content)
    path.write_bytes(content if changed is None else changed)


def flip(at: int):
    def change(content: bytearray) -> None:
        content[content.find(b"\x89PNG", at) + 40] ^= 1

    return change


def edit_info(old: str, new: str):
    return lambda folder: rewrite(folder / "dataset_info.json", lambda c: c.replace(old.encode(), new.encode()))


DAMAGE = {
    "missing": (lambda d: (d / SHARD).unlink(), SHARD),
    "empty": (lambda d: (d / SHARD).write_bytes(b""), SHARD),
    "cut to a little": (lambda d: os.truncate(d / SHARD, 1000), SHARD),
    "cut in the middle": (lambda d: os.truncate(d / SHARD, (d / SHARD).stat().st_size // 2), SHARD),
    "one bit flipped": (lambda d: rewrite(d / SHARD, flip(0)), SHARD),
    "one bit flipped later": (lambda d: rewrite(d / SHARD, flip(600)), SHARD),
    "zeros": (lambda d: (d / SHARD).write_bytes(bytes((d / SHARD).stat().st_size)), SHARD),
    "another shard": (lambda d: shutil.copy(d / "tiny-test.array_record-00000-of-00001", d / SHARD), SHARD),
    "fewer counted": (edit_info('["10", "10", "5"]', '["10", "9", "5"]'), SHARD),
    "more counted": (edit_info('["10", "10", "5"]', '["10", "11", "5"]'), SHARD),
    "none counted": (edit_info('["10", "10", "5"]', '["0", "0", "0"]'), "dataset_info.json"),
    "broken info": (lambda d: os.truncate(d / "dataset_info.json", 50), "dataset_info.json"),
    "info of no splits": (lambda d: (d / "dataset_info.json").write_text('{"splits": []}'), "dataset_info.json"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_names_data_set_split_and_file_and_leaves_no_cache(copy, damage):
    change, file = DAMAGE[damage]
    change(copy)
    with pytest.raises(ValueError, match=r"tiny.*1\.0\.0") as error:
        data.load("tiny")
    assert file in str(error.value)
    assert "train" in str(error.value) or file == "dataset_info.json"
    assert cached() == []


def test_damage_done_after_the_conversion_is_seen_too(copy):
    data.load("tiny")
    os.truncate(copy / SHARD, 100)
    with pytest.raises(ValueError, match=SHARD):
        data.load("tiny")


def test_data_prepared_as_tfrecord_says_so(copy):
    edit_info('"array_record"', '"tfrecord"')(copy)
    with pytest.raises(ValueError, match="file_format='array_record'"):
        data.load("tiny")


def test_mixed_sizes_need_a_size(tmp_path):
    prepare(tmp_path, "mixed", lambda i: pixels(i, 6 + i % 2), {"train": [4]})
    with pytest.raises(ValueError, match=r"\(6, 5, 1\) and \(7, 5, 1\).*size="):
        data.load("mixed", data_dir=tmp_path)
    assert data.load("mixed", data_dir=tmp_path, size=(4, 3)).images.shape == (4, 4, 3, 1)
    assert data.load("mixed", data_dir=tmp_path, size=8).images.shape == (4, 8, 8, 1)
    with pytest.raises(ValueError, match="size is 0"):
        data.load("mixed", data_dir=tmp_path, size=0)


def test_images_of_zero_and_one_become_black_and_white(tmp_path):
    prepare(tmp_path, "binary", lambda i: pixels(i) & 1, {"train": [4]})
    images = data.load("binary", data_dir=tmp_path).images
    np.testing.assert_array_equal(images, np.stack([(pixels(i) & 1) * 255 for i in range(4)]))


def test_an_unknown_split_lists_those_there(copy):
    with pytest.raises(ValueError, match="train, test"):
        data.load("tiny", "validation")


def test_a_read_only_data_folder_will_do(copy):
    for path in (*copy.iterdir(), copy, copy.parent):
        path.chmod(0o555 if path.is_dir() else 0o444)
    files = sorted(copy.parent.rglob("*"))
    assert len(data.load("tiny").images) == 25
    assert sorted(copy.parent.rglob("*")) == files
    for path in (copy.parent, copy):
        path.chmod(0o755)


@pytest.mark.parametrize("part", ["Zeit (ü) 時間", "with  space", "x" * 200])
def test_any_folder_name_will_do(tiny, tmp_path, monkeypatch, part):
    monkeypatch.setenv("JAXVAE_CACHE", str(tmp_path / part / "cache"))
    shutil.copytree(tiny, tmp_path / part / "tiny" / "1.0.0")
    for _ in range(2):
        assert len(data.load("tiny", data_dir=tmp_path / part).images) == 25


@pytest.mark.parametrize("file", ["images.npy", "label.npy", "about.json"])
@pytest.mark.parametrize("change", [lambda c: c[: len(c) // 2], lambda c: c[:-1] + bytes([c[-1] ^ 1]), lambda c: b""])
def test_a_damaged_cache_is_found_and_made_again(copy, capsys, file, change):
    before = np.array(data.load("tiny").images)
    entry = cache_folder() / "tfds" / "tiny-1.0.0-train"
    rewrite(entry / file, change)
    with pytest.raises(ValueError, match=file):
        cache.read(entry)
    np.testing.assert_array_equal(data.load("tiny").images, before)
    assert file in capsys.readouterr().err
    rewrite(entry / file, change)
    shutil.rmtree(copy)
    with pytest.raises(ValueError, match=file):  # nothing to make it from
        data.load("tiny")


def test_no_cache_is_left_where_there_is_no_room(copy, monkeypatch):
    usage = shutil.disk_usage(copy)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=100))
    with pytest.raises(ValueError, match="JAXVAE_CACHE"):
        data.load("tiny")
    assert cached() == []


def test_a_cache_folder_that_cannot_be_written_is_named(copy, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("JAXVAE_CACHE", str(tmp_path / "file"))
    with pytest.raises(ValueError, match=r"file.*JAXVAE_CACHE"):
        data.load("tiny")


SLOW = """
import resource, sys, time
from jaxvae import data
from jaxvae.data.prepared import tfds
tfds.BATCH = 2
if sys.argv[1] == "slow":
    read = tfds.read
    def slow(*arguments):
        print("reading", flush=True)
        time.sleep(0.05)
        return read(*arguments)
    tfds.read = slow
else:
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))
data.load("tiny")
"""


@pytest.mark.slow
def test_a_write_error_in_the_middle_leaves_nothing(copy):
    run = subprocess.run([sys.executable, "-c", SLOW, "full"], env=dict(os.environ), capture_output=True, text=True)
    assert "ValueError" in run.stderr
    assert "JAXVAE_CACHE" in run.stderr
    assert cached() == []
    assert len(data.load("tiny").images) == 25


@pytest.mark.rows(slow=["9"])
@pytest.mark.parametrize("batches", [1, 9])
def test_a_kill_leaves_no_half_cache(copy, batches):
    with subprocess.Popen(
        [sys.executable, "-c", SLOW, "slow"], env=dict(os.environ), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout
        for _ in range(batches + 1):
            assert process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    assert cached() == [".tiny-1.0.0-train.partial"]
    start = time.monotonic()
    np.testing.assert_array_equal(data.load("tiny").images[24], pixels(24))
    assert time.monotonic() - start < 60  # the dead process holds no lock
    assert cached() == ["tiny-1.0.0-train"]


def real_data() -> str:
    folders = [os.environ.get("TFDS_DATA_DIR"), Path(__file__).parents[3] / "shared" / "tfds"]
    found = next((str(folder) for folder in folders if folder and (Path(folder) / "mnist").is_dir()), None)
    return found or ""


REAL = real_data()


@pytest.mark.slow
@pytest.mark.skipif(not REAL, reason="MNIST is not prepared: TFDS_DATA_DIR does not name a folder that has it")
def test_the_real_test_set_and_its_fixed_draw():
    test = data.load("mnist", "test", data_dir=REAL)
    assert np.bincount(test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert round(float(test.images.mean()) / 255, 4) == 0.1325
    _, digest = data.fixed_binarization(test.images, seed=0)
    assert digest == "5912b5c507347a9c002e8ce12ac87f3b446ad7bc674f05506ef96dc85e103c28"


@pytest.mark.full
@pytest.mark.skipif(not REAL, reason="MNIST is not prepared: TFDS_DATA_DIR does not name a folder that has it")
def test_the_real_training_set():
    train = data.load("mnist", "train", data_dir=REAL)
    assert train.images.shape == (60_000, 28, 28, 1)
    assert np.bincount(train.labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert round(float(train.images.mean()) / 255, 4) == 0.1307
