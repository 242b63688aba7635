"""Writers of files: on a full disk they name path and remedy and leave no part; a link in their way leads nowhere."""

import ast
import errno
import os
import uuid
from pathlib import Path

import numpy as np
import pytest
from disks import mounted

import jaxvae
from jaxvae.commands.parts.output import write_images
from jaxvae.evaluation import plots
from jaxvae.evaluation.plots.animations import save_gif
from jaxvae.files import whole_file, write_json, write_text
from jaxvae.training.checkpoints.weights import save_weights

IMAGES = np.random.default_rng(0).random((30, 8, 8, 1))
FRAMES = np.random.default_rng(0).integers(0, 256, (60, 64, 64), np.uint8)
WRITERS = {
    "a.txt": lambda path: write_text(path, "a" * 100_000),
    "a.json": lambda path: write_json(path, {"a": IMAGES}),
    "a.png": lambda path: plots.save(plots.image_grid(IMAGES)[0], path),
    "a.gif": lambda path: save_gif(FRAMES, path),
    "a.safetensors": lambda path: save_weights(path, {"w": IMAGES}),
    "b.npy": lambda path: write_images("run", "samples", str(path), IMAGES, lambda: None),
    "b.png": lambda path: write_images("run", "samples", str(path), IMAGES, lambda: plots.image_grid(IMAGES)),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_leaves_the_old_file_no_part_of_a_new_one_and_says_what_to_do(tmp_path, monkeypatch, name):
    path = tmp_path / name
    path.write_bytes(b"old")

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=rf"cannot write .*{name}: No space left.*free some space and run") as caught:
        WRITERS[name](path)
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename is None, "the message says all"
    assert [entry.name for entry in tmp_path.iterdir()] == [name]
    assert path.read_bytes() == b"old"


def test_a_disk_that_is_really_full(tmp_path):
    with mounted(tmp_path / "disk", "size=4k") as disk:
        for name, write in WRITERS.items():
            with pytest.raises(OSError, match=rf"cannot write .*{name}.*free some space"):
                write(disk / name)
            assert list(disk.iterdir()) == [], name


@pytest.mark.parametrize("name", WRITERS)
def test_a_link_laid_in_the_way_is_not_followed(tmp_path, monkeypatch, name):
    precious, path = tmp_path / "precious", tmp_path / "run" / name
    precious.write_text("mine")
    path.parent.mkdir()
    path.symlink_to(precious)
    WRITERS[name](path)
    assert precious.read_text() == "mine"
    assert not path.is_symlink()

    guessed = uuid.UUID(int=0)  # even who knew the name of the file written aside could not have it written to
    monkeypatch.setattr(uuid, "uuid4", lambda: guessed)
    (path.parent / f".{guessed.hex}.tmp").symlink_to(precious)
    with pytest.raises(OSError, match=f"cannot write .*{name}"):
        WRITERS[name](path)
    assert precious.read_text() == "mine"


def test_no_folder_and_no_device_is_replaced(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(OSError, match=r"cannot write .*a: Not a regular file"):
        write_text(tmp_path / "a", "text")
    with pytest.raises(OSError, match="cannot write /dev/null"):
        write_text(Path("/dev/null"), "text")
    assert Path("/dev/null").is_char_device()


def test_an_interrupt_leaves_nothing(tmp_path):
    def interrupted():
        with whole_file(tmp_path / "a") as file:
            file.write(b"part")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


ROOT = Path(jaxvae.__file__).parents[1]
# Who may write otherwise: the one helper, a log that grows, and files of a folder that is renamed once it is whole.
OTHERS = {
    "jaxvae/files.py",
    "jaxvae/runs/folder/metrics.py",
    "jaxvae/data/prepared/cache.py",
    "jaxvae/training/checkpoints/arrays.py",
    "jaxvae/training/checkpoints/snapshot.py",
    "jaxvae/runs/scoreboard/peers/conductor.py",  # both sides write to a temporary folder, and the other one runs
    "jaxvae/runs/scoreboard/peers/worker.py",  # where jaxvae is not installed
}
WRITES = {"write_text", "write_bytes", "savetxt", "savez", "savez_compressed", "tofile"}


def test_all_files_are_written_by_one_helper():
    for path in [*(ROOT / "jaxvae").rglob("*.py"), *(ROOT / "experiments").rglob("*.py")]:
        name = path.relative_to(ROOT).as_posix()
        if name in OTHERS or name.startswith("experiments/benchmarks/"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            if isinstance(node.func, ast.Attribute):
                assert node.func.attr not in WRITES, f"{name}:{node.lineno} writes by {node.func.attr}"
            words = [word.value for word in node.args if isinstance(word, ast.Constant)]
            if ast.unparse(node.func).endswith("open"):
                assert not {"w", "wb", "a", "ab", "x", "xb"} & set(words), f"{name}:{node.lineno} opens to write"
