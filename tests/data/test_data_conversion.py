"""Folders of many pictures: converted once into the cache, going on where it was cut; the unreadable are counted."""

import numpy as np
import pytest
from PIL import Image

from jaxvae import data
from jaxvae.data.own import decoding, folders, reading
from jaxvae.runs.configs.config import DataConfig
from jaxvae.runs.given_data import load_split

SIZES = [(6, 5), (7, 9), (4, 4), (12, 8), (5, 5), (9, 4), (8, 8), (6, 6), (5, 7)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Nine pictures of nine sizes in two classes, converted two at a time."""
    monkeypatch.setenv("JAXVAE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(decoding, "PART", 2)
    rng, path = np.random.default_rng(0), tmp_path / "pictures"
    for index, size in enumerate(SIZES):
        file = path / ("b" if index > 4 else "a") / f"{index}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8)).save(file)
    return path


@pytest.fixture
def decoded(monkeypatch):
    """The names of the files that were decoded."""
    names, read = [], folders.read_picture
    monkeypatch.setattr(folders, "read_picture", lambda file, *options: names.append(file.name) or read(file, *options))
    return names


def entries(folder):
    return sorted(path.name for path in (folder.parent / "cache" / "folders").iterdir() if path.name[0] != ".")


def test_many_pictures_are_converted_once_for_each_content_and_options(folder, decoded, monkeypatch):
    few = data.load(folder, size=4)
    monkeypatch.setattr(decoding, "LARGE", 0)
    many = data.load(folder, size=4)
    np.testing.assert_array_equal(many.images, few.images)
    np.testing.assert_array_equal(many.labels, few.labels)
    assert many.class_names == few.class_names == ("a", "b")
    decoded.clear()
    again = data.load(folder, size=4, test_fraction=0.3)
    np.testing.assert_array_equal(data.load(folder, "all", size=4).images, few.images)
    assert len(again.images) == 6
    assert decoded == ["0.png", "0.png"]  # looked at for its shape
    assert len(entries(folder)) == 1
    data.load(folder, size=3)
    assert len(entries(folder)) == 2
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(folder / "a" / "0.png")
    assert data.load(folder, size=4).images[0].max() == 0


def test_a_conversion_goes_on_where_it_was_cut(folder, decoded, monkeypatch, capsys):
    monkeypatch.setattr(decoding, "LARGE", 0)
    expected, fit = data.load(folder, size=4).images.copy(), reading.fit
    monkeypatch.setenv("JAXVAE_CACHE", str(folder.parent / "another"))

    def cut(picture, size):
        if picture.shape[:2] == SIZES[7]:
            raise KeyboardInterrupt
        return fit(picture, size)

    monkeypatch.setattr(reading, "fit", cut)
    with pytest.raises(KeyboardInterrupt):
        data.load(folder, size=4)
    monkeypatch.setattr(reading, "fit", fit)
    decoded.clear()
    np.testing.assert_array_equal(data.load(folder, size=4).images, expected)
    assert sorted(decoded) == ["0.png", "6.png", "7.png", "8.png"]
    assert "6 of them were converted before" in capsys.readouterr().err
    assert not [path for path in (folder.parent / "another" / "folders").iterdir() if path.suffix == ".partial"]


@pytest.mark.parametrize("large", [2**28, 0])
def test_what_cannot_be_read_is_named_or_left_out_and_counted(folder, monkeypatch, capsys, large):
    monkeypatch.setattr(decoding, "LARGE", large)
    whole = data.load(folder, size=4)
    (folder / "a" / "0.png").write_bytes(b"")
    (folder / "a" / "3.png").write_bytes((folder / "a" / "3.png").read_bytes()[:60])
    (folder / "b" / "7.png").write_text("no picture")
    with pytest.raises(ValueError, match=r"0\.png is empty.*--data\.skip-unreadable"):
        data.load(folder, size=4)
    (folder / "a" / "0.png").unlink()
    with pytest.raises(ValueError, match=r"3\.png is damaged or cut short.*--data\.skip-unreadable"):
        data.load(folder, size=4)
    config = DataConfig(str(folder), size=(4,), skip_unreadable=True, test_fraction=0.2)
    for _ in range(2):  # of the cache, too
        assert len(load_split(config, "train").images) == 5
        assert "unreadable: 2 of 8 pictures (3.png, 7.png)." in capsys.readouterr().err
    kept = data.load(folder, size=4, skip_unreadable=True)
    np.testing.assert_array_equal(kept.images, whole.images[[1, 2, 4, 5, 6, 8]])
    np.testing.assert_array_equal(kept.labels, whole.labels[[1, 2, 4, 5, 6, 8]])
    with pytest.raises(ValueError, match=r"1\.png has shape.*--data\.size HEIGHT WIDTH|expected one shape"):
        data.load(folder, skip_unreadable=True)  # what an option mends is not left out


def test_a_folder_of_nothing_that_can_be_read_is_refused(tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"b\.png is no picture"):
        data.load(tmp_path, skip_unreadable=True)


def test_a_cache_without_room_is_said_before_anything_is_decoded(folder, decoded, monkeypatch):
    monkeypatch.setattr(decoding, "LARGE", 0)
    monkeypatch.setattr(decoding.cache.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 100})())
    with pytest.raises(ValueError, match=r"only 0 MB are free.*JAXVAE_CACHE"):
        data.load(folder, size=4)
    assert decoded == ["0.png"]
