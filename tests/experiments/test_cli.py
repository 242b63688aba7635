"""The command line: what it reads, and how it says no."""

import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from jaxvae.commands.cli import RunFolder, UsageError, parse_options, parser
from jaxvae.commands.parts.launch import launch
from jaxvae.commands.parts.train_line import parse_train, train_help
from jaxvae.runs.configs.config import Config
from jaxvae.runs.configs.fields import FILLED, flag, flatten
from jaxvae.runs.configs.presets import ABOUT, PRESETS
from jaxvae.runs.configs.serialize import write_config
from jaxvae.runs.configs.validate import validate

pytestmark = pytest.mark.quick_compile

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Draw:
    """Draws images from a run."""

    run: RunFolder
    count: int = 64  # Number of images.
    grid: bool = True  # Draw them as one grid.


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_alone_is_its_config(name: str) -> None:
    own = ["--data.name", "pictures"] if not PRESETS[name].data.name else []
    options = parse_train([name, *own])
    preset = PRESETS[name]
    assert options.config == (replace(preset, data=replace(preset.data, name="pictures")) if own else preset)
    assert options.workdir == f"runs/{name}"
    assert not options.allow_changes
    assert not options.overwrite


def test_flags_change_fields() -> None:
    words = "mnist --epochs 20 --optim.lr 3e-4 --workdir runs/a --model.hidden 400 200 --model.latent_dim=2"
    words += " --optim.clip 1 --optim.ema None --no-progress --data.protocol threshold --overwrite --allow-changes"
    options = parse_train(words.split())
    mnist = PRESETS["mnist"]
    expected = replace(
        mnist,
        epochs=20,
        progress=False,
        data=replace(mnist.data, protocol="threshold"),
        model=replace(mnist.model, hidden=(400, 200), latent_dim=2),
        optim=replace(mnist.optim, lr=3e-4, clip=1.0),
    )
    assert options.config == expected
    assert (options.workdir, options.overwrite, options.allow_changes) == ("runs/a", True, True)


@pytest.mark.slow
def test_a_config_file_and_a_run_folder_are_presets_too(tmp_path: Path) -> None:
    config = replace(PRESETS["mnist"], seed=5)
    (tmp_path / "a").mkdir()
    for path in (tmp_path / "a" / "config.json", tmp_path / "mine.json"):
        write_config(path, config)
    run = parse_train([str(tmp_path / "a"), "--epochs", "40"])
    assert run.config == replace(config, epochs=40)
    assert run.workdir == str(tmp_path / "a")
    file = parse_train([str(tmp_path / "mine.json")])
    assert file.config == config
    assert file.workdir == "runs/mine"


# (command line, words that the message must contain)
BAD_LINES = [
    ("", "no preset given; digits, digits-2d"),
    ("mnits", "unknown preset 'mnits'; did you mean 'mnist'; fashion-mnist"),
    ("MNIST_conv", "did you mean 'mnist-conv'"),
    ("x" * 5000, "unknown preset; Valid"),
    ("--epochs 3 mnist", "preset comes first; experiments.train mnist"),
    ("runs/nothing-here", "runs/nothing-here is no run folder; config.json"),
    ("nothing-here.json", "no config file nothing-here.json"),
    ("digits mnist", "unexpected argument 'mnist'"),
    ("digits --epochs 3 4", "unexpected argument '4'"),
    ("digits --epoch 3", "unknown option --epoch; did you mean --epochs?; experiments.train digits --help"),
    ("digits --lr 3", "unknown option --lr; did you mean --optim.lr?"),
    ("digits --lr=3", "unknown option --lr,; did you mean --optim.lr?"),
    ("digits --latent-dims 4", "did you mean --model.latent-dim?"),
    ("digits --model.latent_dims 4", "did you mean --model.latent-dim?"),
    ("digits --work-dir a", "did you mean --workdir?"),
    ("digits --steps abc", "unknown option --steps"),
    ("digits -e 3", "unknown option -e"),
    ("digits --epochs", "--epochs needs a value"),
    ("digits --epochs --seed 3", "--epochs needs a value"),
    ("digits --workdir", "--workdir needs a value"),
    ("digits --seed abc", "--seed; 'abc'; INT"),
    ("digits --seed 1.5", "--seed; '1.5'; INT"),
    ("digits --seed=", "--seed; INT"),
    ("digits --model.hidden 3 a", "--model.hidden; 'a'; INT"),
    ("digits --optim.clip x", "--optim.clip; 'x'; None; FLOAT"),
    ("digits --model.network cnn", "'cnn'; --model.network; 'mlp'; 'conv'"),
    ("digits --epochs 0", "epochs is 0; at least 1"),
    ("digits --optim.lr nan", "optim.lr is nan; finite"),
    ("digits --model.latent-dim -1", "model.latent_dim is -1; at least 1"),
    ("mnist --data.protocol levels", "data.protocol is 'levels'; --data.protocol dynamic"),
    ("digits --workdir ../a", "workdir is '../a'; absolute path"),
    ("digits --seed 4294967296", "seed is 4294967296; at most 4294967295"),
]


@pytest.mark.rows(every=3)
@pytest.mark.parametrize(("line", "words"), BAD_LINES, ids=lambda value: value[:40])
def test_bad_command_line(line: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises((ValueError, TypeError, FileNotFoundError)) as caught:
        parse_train(line.split())
    missing = [part for part in words.split("; ") if part not in str(caught.value)]
    assert not missing, f"{missing} not in {caught.value}"
    assert "\n" not in str(caught.value)
    assert capsys.readouterr() == ("", "")


def test_messages_have_no_colours_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with pytest.raises(UsageError, match=r"^--seed: invalid literal.* expected --seed INT") as caught:
        parse_train(["digits", "--seed", "abc"])
    assert "\x1b" not in str(caught.value)


def test_options_of_a_script_that_reads_a_run() -> None:
    assert parser(Draw)(["runs/a", "--count", "3", "--no-grid"]) == Draw("runs/a", 3, False)
    for line, words in {
        "": "RUN",
        "runs/a --cuont 3": "unknown option --cuont, did you mean --count?",
        "runs/a runs/b": "unexpected argument 'runs/b'",
        "runs/a --count x": "--count",
    }.items():
        with pytest.raises(UsageError, match="--help") as caught:
            parse_options(Draw, line.split())
        assert words in str(caught.value)


def test_help_lists_every_option_with_a_description(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        parse_train(["digits", "--help"])
    assert not stop.value.code
    text = capsys.readouterr().out
    lines = [line.strip("│ ") for line in text.splitlines()]
    for path in (path for path, _ in flatten(Config()) if path not in FILLED):
        at = next(i for i, line in enumerate(lines) if line.startswith(flag(path)))
        at += "{" in lines[at] and "}" not in lines[at]  # its names take two lines
        assert len(lines[at + 1]) > 8, f"{path} has no description"
        assert not lines[at + 1].startswith(("--", "(default"))
    assert text.count("(default: ") >= len(list(flatten(Config()))) - len(FILLED)
    for name, about in ABOUT.items():
        assert f"{name} " in train_help()
        assert about in train_help()
    assert max(map(len, train_help().splitlines())) <= 80


def run(body: Callable[[list[str]], int | None], line: str, monkeypatch: pytest.MonkeyPatch) -> int | str | None:
    monkeypatch.setattr(sys, "argv", ["script", *line.split()])
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # put back after the test
    with pytest.raises(SystemExit) as stop:
        launch(body, list)
    return stop.value.code


def raising(error: BaseException) -> Callable[[list[str]], int | None]:
    def body(_: list[str]) -> int | None:
        raise error

    return body


# (error of the body, exit code, what stderr begins with)
ERRORS: list[tuple[BaseException, int, str]] = [
    (ValueError("three is too few"), 2, "error: ValueError: three is too few (--traceback"),
    (TypeError("no integer"), 2, "error: TypeError: no integer"),
    (FileNotFoundError("no such run"), 2, "error: FileNotFoundError: no such run"),
    (
        OSError(28, "cannot write runs/a: the disk is full"),
        2,
        "error: OSError: cannot write runs/a: the disk",
    ),
    (
        OSError(28, "No space left", "runs/a"),
        2,
        "error: cannot write runs/a: No space left. The disk is full: free some",
    ),
    (OSError(28, "No space left"), 2, "error: cannot write the output: No space left. The disk is full"),
    (OSError(5, "Input/output error", "runs/a"), 2, "error: OSError: [Errno 5] Input/output error: 'runs/a'"),
    (NotImplementedError("no closed form"), 2, "error: NotImplementedError: no closed form"),
    (FloatingPointError("loss is nan"), 1, "error: FloatingPointError: loss is nan"),
    (KeyboardInterrupt(), 130, "interrupted\n"),
    (SystemExit(143), 143, ""),
]


@pytest.mark.parametrize(("error", "code", "text"), ERRORS, ids=lambda value: repr(value)[:40])
def test_errors_become_one_line_and_a_code(
    error: BaseException,
    code: int,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("JAXVAE_TRACEBACK", raising=False)
    assert run(raising(error), "", monkeypatch) == code
    stderr = capsys.readouterr().err
    assert stderr.startswith(text)
    assert stderr.count("\n") <= 1
    assert "Traceback" not in stderr


def test_our_own_errors_say_all_and_hide_where(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def body(_: list[str]) -> None:
        validate(Config(epochs=0))

    assert run(body, "", monkeypatch) == 2
    assert capsys.readouterr().err.startswith("error: epochs is 0, expected an integer of at least 1. The default")


def test_a_traceback_on_request(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(raising(ValueError("three")), "--traceback", monkeypatch) == 2
    assert "Traceback" in capsys.readouterr().err
    monkeypatch.setenv("JAXVAE_TRACEBACK", "1")
    assert run(raising(ValueError("three")), "", monkeypatch) == 2
    assert "Traceback" in capsys.readouterr().err


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["script"])
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    with pytest.raises(KeyError):
        launch(raising(KeyError("a bug")), list)


def test_exit_codes_words_and_warnings(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def body(words: list[str]) -> int | None:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("the warm-up is long", stacklevel=1)
        assert words == ["runs/a", "--count", "3"]  # --traceback is taken out
        return None

    monkeypatch.delenv("JAXVAE_TRACEBACK", raising=False)
    assert run(lambda _: None, "", monkeypatch) == 0
    assert run(lambda _: 143, "", monkeypatch) == 143
    assert run(body, "runs/a --count 3", monkeypatch) == 0
    assert capsys.readouterr().err == "warning: the warm-up is long\n"
    assert run(body, "runs/a --traceback --count 3", monkeypatch) == 0


def command(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "JAXVAE_TRACEBACK": ""}
    return subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )


@pytest.mark.slow
def test_a_mistake_ends_with_code_2_and_one_line() -> None:
    done = command("-m", "experiments.train", "digits", "--steps", "abc")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: unknown option --steps")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_help_needs_neither_jax_nor_numpy() -> None:
    program = """
import runpy, sys
for words in (["--help"], ["digits", "--help"], ["digits", "--epochs", "0"]):
    sys.argv = ["train", *words]
    try:
        runpy.run_module("experiments.train", run_name="__main__")
    except SystemExit as stop:
        print("code", stop.code or 0)
print("heavy", sorted({"jax", "numpy", "flax", "optax", "matplotlib"} & set(sys.modules)))
"""
    done = command("-c", program)
    assert [line for line in done.stdout.splitlines() if line.startswith(("code", "heavy"))] == [
        "code 0",
        "code 0",
        "code 2",
        "heavy []",
    ]


@pytest.mark.slow
def test_a_reader_that_leaves_is_no_error() -> None:
    program = f"{sys.executable} -m experiments.train digits --help | head -1"
    done = subprocess.run(["bash", "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("usage: python -m experiments.train digits")
    assert done.stderr == ""
