"""Programs kept between processes: where, which entries, how many bytes, and nothing of it where it is not wanted."""

import os
import subprocess
import sys
import zlib

import pytest
import zstandard

from jaxvae.commands.parts.kept_programs import FOLDER, SHORTEST, is_whole, keep_programs, processor, tidy

ENTRY = os.urandom(3000)
COMPRESSED = {"zlib": zlib.compress(ENTRY), "zstandard": zstandard.ZstdCompressor().compress(ENTRY)}


def test_a_folder_of_this_kind_of_processor_is_named_and_made_with_the_first_program(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXVAE_CACHE", str(tmp_path))
    environ: dict[str, str] = {}
    keep_programs(environ)
    assert environ[FOLDER] == str(tmp_path / f"compiled-{processor()}")
    assert list(tmp_path.iterdir()) == []
    assert float(environ[SHORTEST]) == 0.05


@pytest.mark.parametrize("asked", [{FOLDER: "mine"}, {FOLDER: ""}, {"JAX_ENABLE_COMPILATION_CACHE": "False"}])
def test_what_the_environment_says_stays(asked, tmp_path):
    environ = dict(asked)
    keep_programs(environ, tmp_path)
    assert environ == asked
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_costs_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    environ: dict[str, str] = {}
    keep_programs(environ, tmp_path / "file")
    assert environ == {}


def test_a_full_disk_keeps_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxvae.commands.parts.kept_programs.SPARE", 10**30)
    environ: dict[str, str] = {}
    keep_programs(environ, tmp_path)
    assert environ == {}


@pytest.mark.parametrize("library", COMPRESSED)
def test_an_entry_cut_short_anywhere_is_told(library):
    whole = COMPRESSED[library]
    assert is_whole(whole)
    assert [length for length in range(0, len(whole), 7) if is_whole(whole[:length])] == []


def test_cut_entries_go_and_others_stay_and_are_looked_at_once(tmp_path, monkeypatch):
    for name, entry in COMPRESSED.items():
        (tmp_path / f"{name}-cache").write_bytes(entry)
        (tmp_path / f"{name}-cut-cache").write_bytes(entry[:-1])
    (tmp_path / "notes.txt").write_text("not an entry")
    tidy(tmp_path)
    left = ["notes.txt", "zlib-cache", "zstandard-cache"]
    assert sorted(path.name for path in tmp_path.iterdir() if path.name[0] != ".") == left
    for path in tmp_path.glob("*-cache"):
        os.utime(path, (1e9, 1e9))
    monkeypatch.setattr("jaxvae.commands.parts.kept_programs.is_whole", lambda entry: pytest.fail("looked again"))
    tidy(tmp_path)


def test_entries_not_read_for_longest_go_first(tmp_path):
    for age in range(4):
        (tmp_path / f"{age}-cache").write_bytes(COMPRESSED["zlib"])
        os.utime(tmp_path / f"{age}-cache", (2e9 - age, 1e9))
    tidy(tmp_path, most=2 * len(COMPRESSED["zlib"]) + 100)
    assert sorted(path.name for path in tmp_path.glob("*-cache")) == ["0-cache", "1-cache"]


@pytest.mark.slow
def test_a_second_process_reads_the_programs_and_a_killed_one_leaves_no_warning(tmp_path):
    script = (
        "import os, pathlib; from jaxvae.commands.parts.kept_programs import keep_programs\n"
        f"keep_programs(os.environ, pathlib.Path({str(tmp_path)!r}), 0.0)\n"
        "import jax; print(jax.jit(lambda x: x * 2 + 1)(1.0))"
    )
    environ = {key: value for key, value in os.environ.items() if not key.startswith("JAX_")}
    environ |= {"JAX_PLATFORMS": "cpu"}

    def run():
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", script], env=environ, capture_output=True, text=True, check=True
        )
        assert (done.stdout, done.stderr) == ("3.0\n", "")
        return {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*/jit_*-cache")}

    kept = run()
    assert kept
    assert run() == kept
    for path in tmp_path.glob("*/*-cache"):
        path.write_bytes(path.read_bytes()[:-5])
    again = run()
    assert again.keys() == kept.keys()
    assert all(is_whole(path.read_bytes()) for path in tmp_path.glob("*/*-cache"))
