"""Files with bytes changed at random: read, or refused by a `ValueError` that names the file; nothing else."""

import io
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from jaxvae import data
from jaxvae.data.own.pictures import read_picture

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 5, 4, 3), dtype=np.uint8)


def npy() -> bytes:
    file = io.BytesIO()
    np.save(file, PIXELS)
    return file.getvalue()


def npz() -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, images=PIXELS, labels=np.arange(6))
    return file.getvalue()


def picture(kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(PIXELS[0]).save(file, kind)
    return file.getvalue()


PICTURES = ("png", "gif", "bmp", "tiff", "webp", "jpeg")
FILES = {"npy": npy, "npz": npz} | {kind: lambda kind=kind: picture(kind) for kind in PICTURES}


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    array = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        place = int(rng.integers(len(array)))
        how = rng.integers(4)
        if how == 0:
            array[place] ^= 1 << int(rng.integers(8))
        elif how == 1:
            array[place : place + int(rng.integers(1, 9))] = rng.bytes(int(rng.integers(0, 9)))
        elif how == 2:
            array[place] = int(rng.choice([0, 255, ord("("), ord("-"), ord("'"), ord("{")]))
        else:
            del array[place:]
        array = array or bytearray(b"\0")
    return bytes(array)


def refusal(path):
    """What `ValueError` says of a file, or None where it can be read."""
    try:
        data.load(path) if path.suffix in (".npy", ".npz") else read_picture(path)
    except ValueError as error:
        return str(error)
    return None


@pytest.mark.rows(every=3)
@pytest.mark.parametrize("kind", FILES)
def test_a_mutated_file_is_read_or_named(tmp_path, kind):
    rng, content, said = np.random.default_rng(len(kind)), FILES[kind](), []
    path = tmp_path / f"mine.{kind}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(300):
            path.write_bytes(mutated(content, rng))
            said.append(refusal(path))
    refused = [words for words in said if words is not None]
    assert len(refused) > 30
    assert all(str(path) in words and len(words) < 700 for words in refused)


def test_a_picture_with_a_huge_text_is_named(tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(80_000_000)))
    Image.fromarray(PIXELS[0]).save(tmp_path / "mine.png", pnginfo=info)
    with pytest.raises(ValueError, match=r"mine\.png is damaged or cut short \(Decompressed data too large"):
        data.load(tmp_path)
