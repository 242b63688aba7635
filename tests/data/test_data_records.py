"""Files of records: pictures at their index, in the order of the file; a broken record is named or counted."""

import io

import numpy as np
import pytest
from array_record.python.array_record_module import ArrayRecordWriter
from PIL import Image
from tensorflow_datasets.proto import tf_example_pb2

from jaxvae import data
from jaxvae.data.own import decoding
from jaxvae.data.rows import from_source, stays
from jaxvae.runs.configs.config import DataConfig
from jaxvae.runs.given_data import digest, load_split
from jaxvae.training.feeding.feeds import gathered

PIXELS = np.random.default_rng(0).integers(0, 256, (9, 6, 5, 3), dtype=np.uint8)


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


def example(picture, **classes):
    made = tf_example_pb2.Example()
    made.features.feature["image"].bytes_list.value.append(picture)
    for name, value in classes.items():
        made.features.feature[name].int64_list.value.append(value)
    return made.SerializeToString()


def write(path, records):
    path.parent.mkdir(exist_ok=True, parents=True)
    writer = ArrayRecordWriter(str(path), "group_size:1")
    for record in records:
        writer.write(record)
    writer.close()
    return path


@pytest.fixture
def cached(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXVAE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(decoding, "PART", 2)


def test_records_are_the_pictures_of_their_indices(tmp_path):
    path = write(tmp_path / "some.array_record", map(png, PIXELS))
    found = data.load(path)
    np.testing.assert_array_equal(found.images, PIXELS)
    assert found.labels is None
    parts = [data.load(path, split, test_fraction=0.3) for split in ("train", "test")]
    assert sorted(map(bytes, np.concatenate([part.images for part in parts]))) == sorted(map(bytes, PIXELS))
    assert data.load(path, size=3, channels=1).images.shape == (9, 3, 3, 1)


def test_examples_of_shards_have_labels_splits_and_the_cache_of_folders(tmp_path, cached, monkeypatch):
    records = [example(png(pixels), label=index % 3, other=7) for index, pixels in enumerate(PIXELS)]
    folder = tmp_path / "shards"
    write(folder / "x-train.array_record-00000-of-00002", records[:3])
    write(folder / "x-train.array_record-00001-of-00002", records[3:7])
    write(folder / "x-test.array_record-00000-of-00001", records[7:])
    few = load_split(DataConfig(str(folder)), "train")
    monkeypatch.setattr(decoding, "LARGE", 0)
    for _ in range(2):  # converted, and out of the cache
        many = load_split(DataConfig(str(folder)), "train")
        np.testing.assert_array_equal(many.images, PIXELS[:7])
        assert many.labels.tolist() == few.labels.tolist() == [0, 1, 2, 0, 1, 2, 0]
        assert digest(many) == digest(few)
    assert data.load(folder, "test").labels.tolist() == [1, 2]
    assert set(load_split(DataConfig(str(folder), label_column="other"), "test").labels) == {7}
    with pytest.raises(ValueError, match=r"without an integer 'colour'"):
        data.load(folder, labels="colour")
    with pytest.raises(ValueError, match=r"no split 'val', expected one of: train, test"):
        data.load(folder, "val")
    write(folder / "more.array_record", records)
    with pytest.raises(ValueError, match=r"more\.array_record, which names no split, beside files that do"):
        data.load(folder)


@pytest.mark.parametrize("large", [2**28, 0])
def test_a_broken_record_is_named_or_left_out_and_counted(tmp_path, cached, monkeypatch, capsys, large):
    monkeypatch.setattr(decoding, "LARGE", large)
    records = [example(png(pixels), label=index) for index, pixels in enumerate(PIXELS)]
    records[4] = example(png(PIXELS[4])[:60], label=4)
    path = write(tmp_path / "some.array_record", records)
    content = bytearray(path.read_bytes())
    content[content.index(records[7]) + 30] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"some\.array_record, record 4, is damaged.*--data\.skip-unreadable"):
        data.load(path)
    found = data.load(path, skip_unreadable=True)
    assert "unreadable: 2 of 9 pictures (some.array_record, record 4, some.array_record, record 7)" in (
        capsys.readouterr().err
    )
    assert found.labels.tolist() == [0, 1, 2, 3, 5, 6, 8]
    np.testing.assert_array_equal(found.images, PIXELS[found.labels])


def test_what_is_no_file_of_pictures_is_refused_by_name(tmp_path):
    pixels = PIXELS[0]
    refused = {
        "word": ([b"no picture"], r"word\.array_record, record 0, is no picture that can be read"),
        "sizes": ([png(pixels), png(pixels[:4])], r"record 1, has shape \(4, 5, 3\).*--data\.size"),
        "labels": ([example(png(pixels), label=1), example(png(pixels))], r"record 1, has no integer 'label'"),
        "none": ([], "holds no records"),
    }
    for name, (records, why) in refused.items():
        with pytest.raises(ValueError, match=why):
            data.load(write(tmp_path / f"{name}.array_record", records))
    whole = write(tmp_path / "cut.array_record", map(png, PIXELS)).read_bytes()
    (tmp_path / "cut.array_record").write_bytes(whole[:-40])
    with pytest.raises(ValueError, match=r"cut\.array_record is no whole file of records"):
        data.load(tmp_path / "cut.array_record")


def test_a_source_of_single_examples_is_read_by_index(tmp_path):
    from array_record.python.array_record_data_source import ArrayRecordDataSource

    path = write(tmp_path / "raw.array_record", map(bytes, PIXELS))
    source = ArrayRecordDataSource([str(path)])
    rows = from_source(source, lambda record: np.frombuffer(record, np.uint8).reshape(6, 5, 3))
    assert (rows.shape, rows.dtype, stays(rows)) == (PIXELS.shape, np.uint8, True)
    np.testing.assert_array_equal(gathered(rows, np.array([8, 0, 3])), PIXELS[[8, 0, 3]])
    assert rows[[]].shape == (0, 6, 5, 3)
    uneven = from_source([np.zeros(2), np.zeros(2), np.zeros(3)])
    with pytest.raises(ValueError, match="the example at index 2 cannot be read"):
        gathered(uneven, np.array([0, 2]))
