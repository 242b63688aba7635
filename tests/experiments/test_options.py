"""What no script could use is refused as soon as the command line is read: of every option of every script."""

import dataclasses
import importlib
import inspect
import os
import pkgutil
import re
import signal
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import experiments
from jaxvae.commands.cli import UsageError, parse_options
from jaxvae.commands.parts.launch import launch
from jaxvae.runs.configs.options import Ends, Index, Least, check_options


def all_options():
    """(name, an instance with the defaults) of every script that reads its command line by `parser`."""
    found = {}
    for module in pkgutil.iter_modules(experiments.__path__, "experiments."):
        if module.ispkg:
            continue
        for value in vars(importlib.import_module(module.name)).values():
            if (
                dataclasses.is_dataclass(value)
                and value.__name__.endswith("Options")
                and value.__name__ != "TrainOptions"
            ):
                names = {field.name for field in dataclasses.fields(value)}
                given = ["runs/a"] * ("run" in names) + [("runs/a", "runs/b")] * ("runs" in names)
                found[f"{value.__module__}.{value.__name__}"] = value(*given)
    return found


OPTIONS = all_options()


def with_value(options, name, value):
    before = getattr(options, name)
    return dataclasses.replace(options, **{name: (value,) if isinstance(before, tuple) else value})


def kinds(options):
    """{name: whole annotation} of the fields of a script."""
    return typing.get_type_hints(type(options), include_extras=True)


def test_all_scripts_are_looked_at():
    assert len(OPTIONS) > 25
    assert any(name.endswith("sample.SampleOptions") for name in OPTIONS)


@pytest.mark.parametrize("script", OPTIONS)
def test_the_defaults_of_every_script_are_accepted(script):
    check_options(OPTIONS[script])


@pytest.mark.parametrize("script", OPTIONS)
def test_no_script_takes_a_count_a_seed_or_a_number_that_is_none(script):
    options = OPTIONS[script]
    for name, kind in kinds(options).items():
        text = "" if name in ("output", "workdir") else str(kind)
        if name == "seed":
            for seed in (-1, 2**32):
                with pytest.raises(ValueError, match=rf"seed is {seed}, expected an integer from 0 to 4294967295"):
                    check_options(with_value(options, name, seed))
            check_options(with_value(options, name, 2**32 - 1))
        elif "int" in text and "Literal" not in text:
            marked = re.search(r"Least\(low=(\d+)\)", text)
            low = int(marked.group(1)) if marked else 1
            for wrong in (low - 1, -7):
                with pytest.raises(ValueError, match=rf"{name} is {wrong}, expected an integer of at least {low}"):
                    check_options(with_value(options, name, wrong))
        elif "float" in text:
            for wrong in (float("nan"), float("inf")):
                with pytest.raises(ValueError, match=rf"{name} is {wrong}, expected a finite number"):
                    check_options(with_value(options, name, wrong))


@pytest.mark.parametrize("script", OPTIONS)
def test_no_script_takes_a_path_that_cannot_be_written(script, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder.png").mkdir()
    monkeypatch.chdir(tmp_path)
    options = OPTIONS[script]
    for name in {"output", "workdir"} & kinds(options).keys():
        marks = getattr(kinds(options)[name], "__metadata__", ())
        suffixes = next((mark.suffixes for mark in marks if isinstance(mark, Ends)), None)
        for wrong, words in {
            "": "it is empty",
            " ": "it is empty",
            "a\0.png": "control character",
            f"{'x' * 300}.png": "one part has 304 bytes",
            f"file/below/a{(suffixes or [''])[0]}": "is a file, expected a folder",
        }.items():
            with pytest.raises(ValueError, match=f"{name} is .*{words}"):
                check_options(with_value(options, name, wrong))
        if suffixes is None:
            with pytest.raises(ValueError, match="which is a file, expected a folder"):
                check_options(with_value(options, name, "file"))
        else:
            with pytest.raises(ValueError, match=rf"expected a name that ends in \{suffixes[0]}"):
                check_options(with_value(options, name, "a.pdf"))
            (tmp_path / f"folder{suffixes[0]}").mkdir(exist_ok=True)
            with pytest.raises(ValueError, match="which is a folder, expected a file"):
                check_options(with_value(options, name, f"folder{suffixes[0]}"))
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["file"]


@pytest.mark.parametrize("script", OPTIONS)
def test_every_script_takes_a_folder_as_its_output(script, tmp_path):
    options = OPTIONS[script]
    needs_run = ["runs/a"] if hasattr(options, "run") else getattr(options, "runs", ())
    found = parse_options(type(options), [*needs_run, "--output", str(tmp_path)])
    assert getattr(found, "output", getattr(found, "workdir", None)) == str(tmp_path)


def test_marks_inside_a_union_and_a_tuple_count():
    @dataclasses.dataclass
    class Options:
        latents: tuple[Index, Index] | None = (0, 1)

    Options.__annotations__["latents"] = tuple[Index, Index] | None
    check_options(Options())
    with pytest.raises(ValueError, match="latents is -1, expected an integer of at least 0"):
        check_options(Options((0, -1)))
    assert Least(0).low == 0


def ended(body, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["script"])
    with pytest.raises(SystemExit) as stop:
        launch(body, lambda words: None)
    return stop.value.code


def test_an_import_that_ctrl_c_cuts_short_ends_with_130(monkeypatch, capsys):
    before = signal.getsignal(signal.SIGINT)

    def body(_):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise ImportError("Encountered an error while initializing the extension.") from None

    assert ended(body, monkeypatch) == 130
    assert capsys.readouterr().err == "interrupted\n"
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_while_jax_is_imported_waits_for_the_end_of_it(monkeypatch, capsys):
    """Its compiled parts abort the process, without a word that helps, when they are cut short."""
    imported = []

    def slow(name):
        signal.raise_signal(signal.SIGINT)
        imported.append(name)

    monkeypatch.setattr(importlib, "import_module", slow)
    assert ended(lambda _: pytest.fail("the body was run"), monkeypatch) == 130
    assert imported == ["jax"]
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_an_answer_that_finds_no_room_is_an_error_of_one_line():
    program = "from jaxvae.commands.parts.launch import launch; launch(lambda _: print('answer'), list)"
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", program],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(experiments.__path__[0]).parent,
            timeout=120,
        )
    assert done.returncode == 2
    assert done.stderr.startswith(("error: cannot write to standard output: No", "error: cannot write the output: No"))
    assert done.stderr.count("\n") == 1


def test_what_a_run_fills_in_itself_is_no_option_and_stays_in_its_config(capsys):
    from jaxvae.commands.parts.asked import asked
    from jaxvae.commands.parts.train_line import parse_train
    from jaxvae.runs.configs import config as configs
    from jaxvae.runs.configs.config import DataConfig
    from jaxvae.runs.configs.fields import FILLED, flag
    from jaxvae.runs.configs.presets import PRESETS
    from jaxvae.runs.configs.serialize import from_json, to_json

    said = re.findall(r"^    (\w+):.*the run itself fills this in", inspect.getsource(configs), re.MULTILINE)
    assert sorted(said) == sorted(path.rpartition(".")[2] for path in FILLED)
    with pytest.raises(SystemExit):
        parse_train(["digits", "--help"])
    printed = capsys.readouterr().out
    assert "--data.test-fraction" in printed
    assert "Digest" not in printed
    assert "fills this in" not in printed
    for path in FILLED:
        assert flag(path) not in printed
        with pytest.raises(UsageError, match=rf"{flag(path)} is no option: the run itself fills it in"):
            parse_train(["digits", flag(path), "3"])
    given = DataConfig(image_shape=(8, 8, 1), classes=3, train_sha256="0" * 64)
    config = dataclasses.replace(PRESETS["digits"], data=given)
    assert from_json(to_json(asked(config))) == from_json(to_json(config)) == config
