"""`jaxvae COMMAND`: the list, the way to each command, and what it says to a word that is none."""

import importlib
import pkgutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import jaxvae
from jaxvae import commands
from jaxvae.commands import door

ROOT = Path(jaxvae.__file__).parents[1]


def ended(*words, capsys):
    """(exit code, what was printed, what was complained of)."""
    with pytest.raises(SystemExit) as stop:
        door.main(words)
    return stop.value.code or 0, *capsys.readouterr()


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",), ("help",)], ids=str)
def test_alone_and_with_help_it_lists_every_command_in_a_line(words, capsys):
    code, printed, complaint = ended(*words, capsys=capsys)
    assert (code, complaint) == (0, "")
    lines = {line.split()[0]: line for line in printed.splitlines() if line.startswith("  ")}
    for name, about in door.COMMANDS.items():
        assert lines[name].endswith(about)
    assert max(map(len, printed.splitlines())) <= 80


def test_every_script_with_options_beside_the_door_is_in_its_list():
    modules = [
        importlib.import_module(f"jaxvae.commands.{module.name}") for module in pkgutil.iter_modules(commands.__path__)
    ]
    scripts = {module.__name__.rpartition(".")[2] for module in modules if hasattr(module, "main")} - {"door"}
    assert {name.replace("-", "_") for name in door.COMMANDS} == scripts


def test_the_version_is_that_of_the_package(capsys):
    for words in (("--version",), ("-V",), ("train", "--version"), ("sample", "--version")):
        assert ended(*words, capsys=capsys) == (0, f"jaxvae {jaxvae.__version__}\n", "")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == jaxvae.__version__
    assert project["scripts"] == {"jaxvae": "jaxvae.commands.door:main"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("trian digits", "unknown command 'trian', did you mean 'train'? Valid: train, "),
        ("digits", "digits is a preset, expected a command first. Try jaxvae train digits"),
        ("--epochs 3", "the command comes first, before '--epochs'. Valid: train"),
        ("train", "no preset given. Valid: digits"),
        ("train --epochs 3 mnist", "the preset comes first, before '--epochs': jaxvae train mnist [OPTIONS]"),
        ("train digits --epoch 3", "unknown option --epoch, did you mean --epochs? See jaxvae train digits --help"),
        ("sample runs/a --cuont 3", "unknown option --cuont, did you mean --count? See jaxvae sample --help"),
    ],
)
def test_a_word_that_is_none_is_answered_in_a_line(line, words, capsys):
    code, printed, complaint = ended(*line.split(), capsys=capsys)
    assert (code, printed) == (2, "")
    assert complaint.startswith(f"error: {words}")
    assert complaint.count("\n") == 1


@pytest.mark.parametrize("name", ["animate-training", "animate_training"])
def test_a_command_gets_the_words_after_it_and_its_code_is_the_exit_code(name, monkeypatch, capsys):
    from jaxvae.commands import animate_training

    given = []
    monkeypatch.setattr(animate_training, "main", lambda options: given.append(options) or 3)
    assert ended(name, "runs/a", "--epochs", "5", capsys=capsys) == (3, "", "")
    assert given == [animate_training.AnimateTrainingOptions("runs/a", epochs=5)]


def test_what_a_shell_needs_to_complete_names_every_command_and_option(capsys):
    code, printed, complaint = ended("--tyro-print-completion", "bash", capsys=capsys)
    assert (code, complaint) == (0, "")
    for word in (*door.COMMANDS, "--optim.lr", "--kind", "--neighbours"):
        assert word in printed
    spec = next(line for line in printed.splitlines() if line.startswith("COMPLETION_SPEC"))
    assert r"\n" not in spec, "the second line of a description would be offered as words"


def test_the_list_and_the_version_need_neither_jax_nor_numpy_nor_tyro():
    program = """
import runpy, sys
for word in ("--help", "--version"):
    sys.argv = ["jaxvae", word]
    try:
        runpy.run_module("jaxvae", run_name="__main__")
    except SystemExit as stop:
        print("code", stop.code or 0)
print("heavy", sorted({"jax", "numpy", "flax", "tyro", "matplotlib"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert [line for line in done.stdout.splitlines() if line.startswith(("code", "heavy"))] == [
        "code 0",
        "code 0",
        "heavy []",
    ]
