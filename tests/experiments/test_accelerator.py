"""The command for the minutes on a GPU: bad input in a line, sections that fail alone, and a dry run of all of it."""

import io
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from experiments.benchmarks.accelerator import __main__ as command
from experiments.benchmarks.accelerator import conductor, machine, prepared
from experiments.benchmarks.accelerator.results import Results
from experiments.benchmarks.accelerator.section import OutOfTime, Part, Section, parts_of

ROOT = Path(__file__).parents[2]
CPU = {"backend": "cpu", "devices": ["cpu:0 cpu"], "memory_bytes": None, "card": None, "versions": {"jax": "1"}}


def options(folder, *words):
    return command.parse([*words, "--output", str(folder)])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--only", "sped"], "--only is 'sped', expected some of: right, speed, .* Did you mean 'speed'"),
        (["--minutes", "0"], "--minutes is 0, expected a number above 0"),
        (["--minutes", "nan"], "--minutes is nan, expected"),
        (["--minutes", "soon"], "invalid float value: 'soon'"),
        (["--colour"], "unrecognized arguments: --colour"),
        (["--data", "nowhere"], r"nowhere has no mnist.npz and no digits.npz\. Make them .*--prepare"),
        (["--output", __file__, "--tiny"], "File exists|Not a directory"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(words, said, capsys):
    with pytest.raises(SystemExit) as ended:
        command.main(words)
    printed = capsys.readouterr()
    assert ended.value.code == 2
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert re.search(said, printed.err)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (CPU, "JAX finds no accelerator here, only cpu:0 cpu"),
        ({**CPU, "backend": "gpu", "devices": ["gpu:0 small"], "memory_bytes": 2e9}, "leaves JAX 2.0 GB, expected 8"),
    ],
)
def test_a_machine_that_will_not_do_is_named(found, said, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(machine, "look", lambda environment: found)
    monkeypatch.setattr(prepared, "check", lambda folder: None)
    with pytest.raises(SystemExit) as ended:
        command.main(["--output", str(tmp_path)])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_jax_that_does_not_start_is_said_in_its_own_last_words():
    with pytest.raises(ValueError, match=r"JAX does not start here: .*nonsense"):
        machine.look({**os.environ, "JAX_PLATFORMS": "nonsense"})


def test_what_is_prepared_is_what_is_unpacked(tmp_path, monkeypatch):
    from jaxvae import data

    images = {
        "train": np.arange(100, 160, dtype=np.uint8).reshape(5, 3, 4, 1),
        "test": np.full((2, 3, 4, 1), 255, np.uint8),
    }
    monkeypatch.setattr(
        data, "load", lambda name, split: data.from_array(images[split], labels=np.arange(len(images[split])))
    )
    (tmp_path / "scratch").mkdir()
    prepared.prepare(tmp_path / "kept")
    prepared.check(tmp_path / "kept")
    prepared.unpack(tmp_path / "kept", tmp_path / "scratch")
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["digits.npz", "mnist.npz"]
    for split, expected in images.items():
        np.testing.assert_array_equal(np.load(tmp_path / "scratch" / f"{split}.npy"), expected)


def section(seconds=60.0):
    return Section(True, Path(), time.monotonic() + seconds, sys.executable, io.StringIO())


def said(one):
    found = {}
    for line in one.out.getvalue().splitlines():
        content = json.loads(line)
        found.setdefault(content.pop("part"), {}).update(content)
    return found


def test_a_part_that_fails_or_forgets_a_number_is_said_and_ends_no_other():
    def cut(one):
        one.note(a=1)
        raise OutOfTime("2 s were left")

    parts = {
        "broken": Part(lambda one: 1 / 0, ("a",)),
        "forgetful": Part(lambda one: one.note(a=1), ("a", "b")),
        "cut": Part(cut, ("a", "b")),
        "whole": Part(lambda one: one.note(a=float("nan"), b=np.float32(2)), ("a", "b")),
    }
    one = section()
    for name, part in parts.items():
        one.run(name, part)
    found = said(one)
    assert [found[name]["status"] for name in parts] == ["failed", "failed", "cut", "done"]
    assert found["broken"]["why"].startswith("ZeroDivisionError: ")
    assert found["forgetful"]["why"] == "RuntimeError: not measured: b"
    assert (found["cut"]["a"], found["cut"]["why"]) == (1, "2 s were left")
    assert (found["whole"]["a"], found["whole"]["b"]) == (None, 2.0)
    late = section(-1.0)
    late.run("late", parts["whole"])
    assert said(late)["late"]["status"] == "skipped"


SAY = "import sys, time; say = lambda text: print(text, flush=True); "
PROGRAMS = {
    "crashes": SAY + """say('{"part": "a", "x": 1, "status": "running"}'); sys.exit('no memory')""",
    "hangs": SAY + """say('{"part": "b", "y": 2, "status": "running"}'); time.sleep(60)""",
    "works": SAY + """say('{"row": ["what", "3"]}'); say('{"part": "c", "z": 3, "status": "done"}')""",
}


@pytest.mark.slow
def test_a_section_that_crashes_or_hangs_ends_alone_and_keeps_its_numbers(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(conductor, "SECTIONS", {"crashes": 2.0, "hangs": 2.0, "works": 20.0, "unasked": 1.0})
    monkeypatch.setattr(conductor, "GRACE", 0.0)
    monkeypatch.setattr(conductor, "command", lambda name, *rest: [sys.executable, "-c", PROGRAMS[name]])
    given = options(tmp_path)
    given.only = tuple(PROGRAMS)
    results = Results.begin(tmp_path, [], CPU, given, time.monotonic())
    assert conductor.conduct(given, results, tmp_path) == 1
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "accelerator.json").read_text())
    found = printed["sections"]
    assert {name: record["status"] for name, record in found.items()} == {
        "crashes": "failed", "hangs": "cut", "works": "done", "unasked": "skipped",
    }  # fmt: skip
    assert "no memory" in found["crashes"]["why"]
    assert found["crashes"]["parts"]["a"] == {"x": 1, "status": "failed"}
    assert found["hangs"]["parts"]["b"] == {"y": 2, "status": "cut"}
    assert "| works | what | 3 |" in (tmp_path / "accelerator.md").read_text()
    Results.begin(tmp_path, [], CPU, given, time.monotonic())
    assert json.loads((tmp_path / "accelerator-1.json").read_text()) == printed  # an earlier result is kept


def test_the_sections_and_their_seconds_are_those_of_the_docstring():
    lines = command.__doc__.splitlines()
    for name, seconds in conductor.SECTIONS.items():
        assert any(line.split()[:1] == [name] and line.endswith(f" {seconds} s") for line in lines)
    assert sum(conductor.SECTIONS.values()) < 60 * conductor.MINUTES


def dry_run(tmp_path, *only):
    """What the command prints and writes, where every section that was asked for is done with every number."""
    words = ["--tiny", "--output", str(tmp_path), "--cache", os.environ["JAX_COMPILATION_CACHE_DIR"], "--only", *only]
    result = subprocess.run(
        [sys.executable, "-m", "experiments.benchmarks.accelerator", *words], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr[-2000:]
    found = json.loads(result.stdout)
    assert found == json.loads((tmp_path / "accelerator.json").read_text())
    assert found["tiny"] is True
    assert list(found["sections"]) == list(conductor.SECTIONS)
    for name, record in found["sections"].items():
        assert record["status"] == ("done" if name in only else "skipped"), (name, record["why"])
        if name not in only:
            continue
        parts = parts_of(name, tiny=True)
        assert list(record["parts"]) == list(parts)
        for part, (_, numbers) in parts.items():
            assert set(numbers) <= set(record["parts"][part])
    assert all(line.count("|") >= 4 for line in (tmp_path / "accelerator.md").read_text().splitlines()[2:] if line)
    return found["sections"]


@pytest.mark.full
def test_a_dry_run_of_some_sections_has_every_number_of_theirs(tmp_path):
    sections = dry_run(tmp_path, "convolutions", "sweep")
    assert sections["convolutions"]["parts"]["agreement"]["agree"]


@pytest.mark.full
def test_the_dry_run_ends_every_section_with_every_number(tmp_path):
    sections = dry_run(tmp_path, *conductor.SECTIONS)
    right = sections["right"]["parts"]
    assert right["main_job"]["within_error"]
    assert right["devices"]["equal"]
    assert right["nan_guard"]["right"]
    assert right["kill_and_resume"]["without_flag"]["bit_identical"]
    assert sections["convolutions"]["parts"]["agreement"]["agree"]
    assert set(sections["speed"]["parts"]["mlp_4"]["rates"]) >= {"jaxvae_train@float32", "products@bfloat16"}
