"""The user's own files: what is read, and that nothing hostile, damaged or ambiguous passes."""

import io
import os
import pickle
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxvae import data

PIXELS = np.random.default_rng(0).integers(0, 256, (10, 6, 5, 1), dtype=np.uint8)
COLOURS = np.random.default_rng(1).integers(0, 256, (4, 6, 5, 3), dtype=np.uint8)


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def zipped(path: Path, *members: tuple[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def save(path: Path, array: np.ndarray, **options) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array).save(path, **options)


def test_an_npy_is_mapped_not_read(tmp_path):
    np.save(tmp_path / "mine.npy", PIXELS)
    own = data.load(tmp_path / "mine.npy")
    np.testing.assert_array_equal(own.images, PIXELS)
    assert isinstance(own.images.base, np.memmap)
    assert (own.name, own.split, own.labels) == ("mine", "train", None)
    np.testing.assert_array_equal(data.load(str(tmp_path / "mine.npy")).images, PIXELS)


def test_a_fraction_held_out_is_a_partition_and_always_the_same(tmp_path):
    np.savez(tmp_path / "mine.npz", images=PIXELS, labels=np.arange(10))
    train, test, every = (
        data.load(tmp_path / "mine.npz", split, test_fraction=0.3) for split in ("train", "test", "all")
    )
    assert (len(train.images), len(test.images), len(every.images)) == (7, 3, 10)
    assert sorted([*train.labels, *test.labels]) == list(range(10))
    for part in (train, test, every):
        np.testing.assert_array_equal(part.images, PIXELS[part.labels])
    np.testing.assert_array_equal(data.load(tmp_path / "mine.npz", "test", test_fraction=0.3).labels, test.labels)


def test_groups_stay_on_one_side_of_a_split(tmp_path):
    people = np.array([7, 7, 7, 3, 3, 9, 9, 9, 1, 1])
    np.savez(tmp_path / "mine.npz", images=PIXELS, labels=np.arange(10), person=people)
    path, told = tmp_path / "mine.npz", {"groups": "person", "test_fraction": 0.25}
    train, test = (data.load(path, split, **told).labels for split in ("train", "test"))
    assert sorted([*train, *test]) == list(range(10))
    assert len({*people[test]}) == 1
    assert not {*people[train]} & {*people[test]}
    with pytest.raises(ValueError, match=r"4 groups and no test split.*test_fraction is 0\.1"):
        data.load(path, "test", groups="person", test_fraction=0.1)
    with pytest.raises(ValueError, match=r"no array 'persons', expected one of: .*person"):
        data.load(path, "test", groups="persons", test_fraction=0.25)
    np.savez(path, x_train=PIXELS, x_test=PIXELS, person=people)
    with pytest.raises(ValueError, match=r"names its splits \(x_train\).*groups='person'"):
        data.load(path, "train", groups="person")
    np.savez(path, images=PIXELS, person=people[:9])
    with pytest.raises(ValueError, match=r"groups of mine have shape \(9,\), expected \(10,\)"):
        data.load(path, "train", **told)


def test_known_factors_of_an_archive_go_with_their_images(tmp_path):
    factors = np.stack([np.arange(10) % 2, np.arange(10)], 1)
    np.savez(tmp_path / "mine.npz", images=PIXELS, factors=factors, factor_names=["parity", "number"])
    test = data.load(tmp_path / "mine.npz", "test", test_fraction=0.3)
    assert test.factor_names == ("parity", "number")
    np.testing.assert_array_equal(test.images, PIXELS[test.factors[:, 1]])
    np.savez(tmp_path / "mine.npz", images=PIXELS, factors=factors[:5], factor_names=["parity", "number"])
    with pytest.raises(ValueError, match=r"mine\.npz: factors have shape \(5, 2\), expected \(10, 2\)"):
        data.load(tmp_path / "mine.npz", "test", test_fraction=0.3)


@pytest.mark.parametrize("fraction", [0, 0.01, 0.99, 1, -0.1, 2, float("nan")])
def test_a_split_without_images_is_refused(tmp_path, fraction):
    np.save(tmp_path / "mine.npy", PIXELS)
    with pytest.raises(ValueError, match=r"10 images.*test_fraction=0\.1"):
        data.load(tmp_path / "mine.npy", "test", test_fraction=fraction)


ARRAYS = {
    "keras": dict(x_train=PIXELS[:7], y_train=np.arange(7), x_test=PIXELS[7:], y_test=np.arange(3)),
    "medmnist": dict(
        train_images=PIXELS[:7, ..., 0],
        train_labels=np.arange(7)[:, None],
        test_images=PIXELS[7:, ..., 0],
        test_labels=np.arange(3)[:, None],
    ),
}


@pytest.mark.parametrize("layout", ARRAYS)
def test_arrays_named_by_split_are_found(tmp_path, layout):
    np.savez_compressed(tmp_path / "mine.npz", **ARRAYS[layout])
    for split, images in (("train", PIXELS[:7]), ("test", PIXELS[7:])):
        own = data.load(tmp_path / "mine.npz", split)
        np.testing.assert_array_equal(own.images, images)
        np.testing.assert_array_equal(own.labels, np.arange(len(images)))


def test_the_only_array_of_images_is_found_under_any_name(tmp_path):
    np.savez(tmp_path / "mine.npz", faces=PIXELS, codes=np.zeros((10, 3)))
    np.testing.assert_array_equal(data.load(tmp_path / "mine.npz").images, PIXELS)


def test_names_can_be_given(tmp_path):
    np.savez(tmp_path / "mine.npz", a=PIXELS, b=PIXELS[::-1], c=np.arange(10))
    own = data.load(tmp_path / "mine.npz", images="b", labels="c")
    np.testing.assert_array_equal(own.images, PIXELS[::-1])
    np.testing.assert_array_equal(own.labels, np.arange(10))


class Bomb:
    """Runs when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("exploded",)


def objects() -> np.ndarray:
    array = np.empty(3, object)
    array[:] = Bomb()
    return array


def lying_header(shape: tuple[int, ...]) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return file.getvalue() + bytes(100)


def twice(path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        zipped(path, ("images.npy", npy(PIXELS)), ("images.npy", npy(PIXELS[::-1])))


def flipped(path: Path) -> None:
    np.savez(path, images=PIXELS)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path, array: np.ndarray = PIXELS) -> None:
    np.save(path, array) if path.suffix == ".npy" else np.savez(path, images=array)
    os.truncate(path, path.stat().st_size - 100)


def with_header(text: str, version: int = 1) -> bytes:
    """An .npy whose header is this text."""
    content = text.encode("latin1") + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + len(content).to_bytes(2 if version == 1 else 4, "little") + content


WRONG_HEADERS = {  # the header is parsed as Python, which has many ways to fail
    "an unclosed bracket": "{'descr': '|u1', 'shape': (3, 4",
    "minus signs": "{'descr': '|u1', 'fortran_order': False, 'shape': (" + "-" * 5000 + "3,)}",
    "brackets": "(" * 5000 + ")" * 5000,
    "no dict": "[1, 2]",
    "a call": "{'descr': __import__('os').mkdir('exploded')}",
    "bytes for a shape": "{'descr': '|u1', 'fortran_order': False, 'shape': b'12'}",
    "no dtype": "{'descr': 'no such', 'fortran_order': False, 'shape': (3,)}",
    "a huge number": "{'descr': '|u1', 'fortran_order': False, 'shape': (" + "9" * 5000 + ",)}",
    "beyond 64 bits": "{'descr': '|u1', 'fortran_order': False, 'shape': (" + "9" * 30 + ", 2, 2)}",
    "no end": "'",
    "a null": "\0",
}
HOSTILE = {
    **{f"{n}.npy": lambda path, t=t: path.write_bytes(with_header(t)) for n, t in WRONG_HEADERS.items()},
    **{f"{n} 2.npy": lambda path, t=t: path.write_bytes(with_header(t, 2)) for n, t in WRONG_HEADERS.items()},
    **{f"{n}.npz": lambda path, t=t: zipped(path, ("images.npy", with_header(t))) for n, t in WRONG_HEADERS.items()},
    "zero bytes.npy": lambda path: path.write_bytes(b""),
    "zero bytes.npz": lambda path: path.write_bytes(b""),
    "wrong magic.npy": lambda path: path.write_bytes(b"\x93NUMPX\x01\x00" + npy(PIXELS)[8:]),
    "text.npy": lambda path: path.write_text("0 1 2 3"),
    "text.npz": lambda path: path.write_text("0 1 2 3"),
    "a zip.npy": lambda path: zipped(path, ("images.npy", npy(PIXELS))),
    "an npy.npz": lambda path: path.write_bytes(npy(PIXELS)),
    "a pickle.npy": lambda path: path.write_bytes(pickle.dumps(Bomb())),
    "a pickle.npz": lambda path: path.write_bytes(pickle.dumps(Bomb())),
    "objects.npy": lambda path: np.save(path, objects(), allow_pickle=True),
    "objects.npz": lambda path: zipped(path, ("images.npy", pickled_npy())),
    "a pickle inside.npz": lambda path: zipped(path, ("images.npy", pickle.dumps(Bomb()))),
    "cut.npy": cut,
    "cut.npz": cut,
    "a flipped bit.npz": flipped,
    "huge header.npy": lambda path: path.write_bytes(lying_header((10**9, 28, 28))),
    "huge header.npz": lambda path: zipped(path, ("images.npy", lying_header((10**9, 28, 28)))),
    "overflowing header.npz": lambda path: zipped(path, ("images.npy", lying_header((2**40, 2**40, 3)))),
    "a longer header.npz": lambda path: zipped(path, ("images.npy", lying_header((30, 28, 28)))),
    "negative header.npz": lambda path: zipped(path, ("images.npy", lying_header((-1, 28, 28)))),
    "two of one name.npz": twice,
    "no arrays.npz": lambda path: zipped(path, ("readme.txt", b"nothing")),
    "a symbolic name.npz": lambda path: zipped(path, ("../images", npy(PIXELS)), ("/etc/images", npy(PIXELS))),
    "two images.npz": lambda path: np.savez(path, a=PIXELS, b=PIXELS),
    "no images.npz": lambda path: np.savez(path, a=np.zeros(3)),
    "empty.npy": lambda path: np.save(path, np.zeros((0, 28, 28), np.uint8)),
    "empty.npz": lambda path: np.savez(path, np.zeros((0, 28, 28), np.uint8)),
    "raw integers.npy": lambda path: np.save(path, PIXELS.astype(np.int64)),
    "raw floats.npz": lambda path: np.savez(path, images=PIXELS.astype(np.float32)),
    "flat.npy": lambda path: np.save(path, PIXELS.reshape(10, -1)),
    "few labels.npz": lambda path: np.savez(path, images=PIXELS, labels=np.arange(9)),
    "records.npy": lambda path: np.save(path, np.zeros(3, [("a", "u1"), ("b", "f4")])),
    "words.csv": lambda path: path.write_text("a,b"),
}


def pickled_npy() -> bytes:
    file = io.BytesIO()
    np.save(file, objects(), allow_pickle=True)
    return file.getvalue()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_bad_file_is_named_and_nothing_runs(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    HOSTILE[name](tmp_path / name)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=name) as error:
        data.load(tmp_path / name)
    assert len(str(error.value)) < 600
    assert sorted(tmp_path.rglob("*")) == before  # nothing exploded, nothing was unpacked


@pytest.mark.slow
def test_a_decompression_bomb_is_refused_before_it_is_read(tmp_path):
    path = zipped(tmp_path / "bomb.npz", ("images.npy", lying_header((300, 1000, 1000)) + bytes(300_000_000)))
    assert path.stat().st_size < 1_000_000
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"bomb\.npz.*300,000,... bytes decompressed.*max_bytes"):
        data.load(path, max_bytes=100_000_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000


def test_a_ten_gigabyte_bomb_is_over_the_ordinary_limit(tmp_path):
    """Only the sizes in the directory of the archive are made large; they are what is looked at first."""
    path = zipped(tmp_path / "bomb.npz", ("images.npy", lying_header((10**4, 1000, 1000))))
    content = path.read_bytes()
    directory = content.index(b"PK\x01\x02")
    size = (2**32 - 2).to_bytes(4, "little")
    path.write_bytes(content[: directory + 24] + size + content[directory + 28 :])
    with pytest.raises(ValueError, match="max_bytes"):
        data.load(path)


@pytest.mark.parametrize("part", ["plain", "Bilder (ü) 時間 with space", "x" * 200])
def test_a_flat_folder_is_read_in_the_order_of_its_names(tmp_path, part):
    for index in range(4):
        save(tmp_path / part / f"{9 - index}.png", PIXELS[index])
    (tmp_path / part / ".hidden.png").write_text("")
    (tmp_path / part / "notes.txt").write_text("none")
    own = data.load(tmp_path / part)
    np.testing.assert_array_equal(own.images, PIXELS[3::-1])
    assert (own.labels, own.name) == (None, part)


def test_sub_folders_are_classes_and_splits(tmp_path):
    for split, indices in (("train", (0, 1, 2)), ("test", (3,))):
        for index in indices:
            save(tmp_path / split / "ba"[index % 2] / f"{index}.bmp", COLOURS[index])
    train = data.load(tmp_path)
    np.testing.assert_array_equal(train.images, COLOURS[[1, 0, 2]])
    assert train.labels.tolist() == [0, 1, 1]
    assert "classes: a, b" in train.source
    assert len(data.load(tmp_path, "test").images) == 1
    with pytest.raises(ValueError, match="no split 'val', expected one of: test, train"):
        data.load(tmp_path, "val")
    flat = data.load(tmp_path / "train", "test", test_fraction=0.34)
    assert len(flat.images) == 1


@pytest.mark.parametrize(("mode", "channels"), [("1", 1), ("L", 1), ("P", 3), ("RGB", 3)])
def test_modes_become_grey_or_colour(tmp_path, mode, channels):
    Image.fromarray(COLOURS[0]).convert(mode).save(tmp_path / "a.png")
    images = data.load(tmp_path).images
    assert images.shape == (1, 6, 5, channels)
    assert images.max() > 1
    if mode == "1":
        assert set(np.unique(images)) == {0, 255}
    if mode == "RGB":
        np.testing.assert_array_equal(images[0], COLOURS[0])


def test_pictures_can_be_made_one_size_and_one_mode(tmp_path):
    save(tmp_path / "a.png", PIXELS[0])
    save(tmp_path / "b.png", np.tile(COLOURS[0], (3, 2, 1)))
    for channels in (1, 3):
        assert data.load(tmp_path, size=(4, 3), channels=channels).images.shape == (2, 4, 3, channels)
    uniform = np.full((40, 90, 3), (10, 200, 30), np.uint8)
    save(tmp_path / "c" / "c.png", uniform)
    np.testing.assert_array_equal(data.load(tmp_path / "c", size=8).images[0], uniform[:8, :8])


def test_a_photograph_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by a quarter
    Image.fromarray(COLOURS[0]).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(data.load(tmp_path).images[0], np.rot90(COLOURS[0], -1))


def animated(path: Path) -> None:
    frames = [Image.fromarray(pixels[..., 0]) for pixels in PIXELS[:3]]
    frames[0].save(path, save_all=True, append_images=frames[1:])


def damaged(path: Path) -> None:
    save(path, np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8))
    os.truncate(path, path.stat().st_size // 2)


BAD_PICTURES = {
    "zero.png": (lambda path: path.write_bytes(b""), "0 bytes"),
    "text.png": (lambda path: path.write_text("not a picture"), "no picture"),
    "magic.png": (lambda path: path.write_bytes(b"\x89PNX" + bytes(100)), "no picture"),
    "header.png": (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100)), "magic|no picture|damaged"),
    "cut.png": (damaged, "damaged or cut short"),
    "cut.jpg": (damaged, "damaged or cut short"),
    "cut.bmp": (damaged, "damaged or cut short"),
    "moving.gif": (animated, r"animated \(3 frames\)"),
    "moving.png": (animated, r"animated \(3 frames\)"),
    "pages.tif": (animated, r"animated \(3 frames\)"),
    "cmyk.jpg": (lambda path: Image.fromarray(COLOURS[0]).convert("CMYK").save(path), "mode CMYK"),
    "cmyk.tif": (lambda path: Image.fromarray(COLOURS[0]).convert("CMYK").save(path), "mode CMYK"),
    "clear.png": (lambda path: Image.fromarray(COLOURS[0]).convert("RGBA").save(path), "transparent"),
    "clear grey.png": (lambda path: Image.fromarray(COLOURS[0]).convert("LA").save(path), "transparent"),
    "clear palette.gif": (
        lambda path: Image.fromarray(PIXELS[0, ..., 0]).save(path, transparency=int(PIXELS[0, 0, 0, 0])),
        "transparent",
    ),
    "deep.png": (lambda path: Image.fromarray(np.zeros((6, 5), np.uint16)).save(path), "mode I;16"),
    "floats.tif": (lambda path: Image.fromarray(np.zeros((6, 5), np.float32)).save(path), "mode F"),
    "larger.png": (lambda path: save(path, np.zeros((7, 5, 3), np.uint8)), r"\(7, 5, 3\).*size="),
    "grey.png": (lambda path: save(path, np.zeros((6, 5, 1), np.uint8)), r"\(6, 5, 1\).*channels="),
    "script.png": (lambda path: path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 5 6\n"), "no picture"),
}


@pytest.mark.parametrize("name", BAD_PICTURES)
def test_a_bad_picture_is_named(tmp_path, name):
    save(tmp_path / "a first one.png", COLOURS[0])
    make, message = BAD_PICTURES[name]
    make(tmp_path / name)
    with pytest.raises(ValueError, match=message) as error:
        data.load(tmp_path)
    assert str(tmp_path / name) in str(error.value)


def test_a_picture_with_too_many_pixels_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    save(tmp_path / "a.png", np.zeros((40, 50, 1), np.uint8))
    for limit in (1999, 900):  # where pillow warns, where it raises
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(ValueError, match=rf"a\.png is too large.*at most {limit} pixels"):
            data.load(tmp_path)


def test_a_folder_too_large_for_memory_is_refused(tmp_path):
    for index in range(4):
        save(tmp_path / f"{index}.png", COLOURS[index])
    with pytest.raises(ValueError, match=r"4 pictures like 0\.png, 360 bytes decoded, expected at most 300"):
        data.load(tmp_path, max_bytes=300)


def test_a_folder_without_pictures_or_with_two_layouts_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no pictures"):
        data.load(tmp_path)
    save(tmp_path / "a.png", PIXELS[0])
    save(tmp_path / "class" / "a.png", PIXELS[0])
    with pytest.raises(ValueError, match=r"holds pictures \(a\.png.*and folders of pictures \(class\)"):
        data.load(tmp_path)


@pytest.mark.parametrize(
    ("option", "value"), [("size", 0), ("size", (4,)), ("size", "4"), ("size", 2.5), ("channels", 2)]
)
def test_bad_options_are_named(tmp_path, option, value):
    save(tmp_path / "a.png", PIXELS[0])
    with pytest.raises(ValueError, match=f"{option} is"):
        data.load(tmp_path, **{option: value})
