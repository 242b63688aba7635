"""`jaxvae COMMAND ...`, also `python -m jaxvae`: the list of commands, and the way to each of them.

Nothing is imported before it is needed: neither JAX nor the command line's reader for the list of commands.
"""

import importlib
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import jaxvae
from jaxvae.commands.parts.launch import launch

COMMANDS = {
    "train": "train a run, or go on with one that was interrupted",
    "sweep": "a grid of options and seeds, trained as one program",
    "search": "trials that Optuna proposes, several as one program",
    "evaluate": "bounds on log p(x) of the test images, with errors",
    "annealed": "log p(x) from both sides, and where the ELBO is lost",
    "compare": "runs side by side, and how they differ image by image",
    "scoreboard": "one contender of each family, trained and scored alike",
    "report": "one HTML page of a run: numbers, curves, pictures",
    "export": "encoder and decoder as StableHLO, which need no jaxvae",
    "sample": "draw images from the prior",
    "reconstruct": "test images above their reconstructions",
    "traverse": "one latent moves while the others stay",
    "interpolate": "walk between the codes of test images",
    "manifold": "decode a grid over the plane of two latents",
    "codes": "the codes of the test images in a plane, by PCA and t-SNE",
    "disentangle": "do the latents match the known factors of the data",
    "animate-training": "a GIF of what more and more training makes of it",
    "animate-traversal": "a GIF of latents that move",
}
COMPLETION = "--tyro-print-completion"


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Runs the command that the first word names, on the other words; by default those of `sys.argv`. Exits."""
    chosen: list[Callable[[Any], int | None]] = []

    def parse(words: Sequence[str]) -> Any:
        first, *rest = words or ["--help"]
        if first in ("-h", "--help", "help", "-V", "--version"):
            print(f"jaxvae {jaxvae.__version__}" if first in ("-V", "--version") else help_text())
            raise SystemExit(0)
        if first == COMPLETION:
            _complete(words)
        name = first.replace("_", "-")
        if name not in COMMANDS:
            raise ValueError(_unknown(first))
        chosen.append(_module(name).main)
        return _read(name, rest)

    launch(lambda options: chosen[0](options), parse, args)


def help_text() -> str:
    """The list of commands, a line each."""
    width = max(map(len, COMMANDS)) + 2
    commands = "\n".join(f"  {name:<{width}}{about}" for name, about in COMMANDS.items())
    return f"""usage: jaxvae COMMAND [OPTIONS]

Trains variational autoencoders, measures them and looks inside.

commands:
{commands}

examples:
  jaxvae train digits
  jaxvae evaluate runs/digits --samples 1 100

Options of a command: jaxvae COMMAND --help. The version: jaxvae --version.
Completion of words in a shell (bash, zsh or tcsh), for this session or in its
start file: eval "$(jaxvae {COMPLETION} bash)"
--traceback, or JAXVAE_TRACEBACK=1, shows where an error was raised."""


def _module(name: str) -> Any:
    return importlib.import_module(f".{name.replace('-', '_')}", __package__)


def _options(name: str) -> type:
    """The dataclass of a command's options, by its name."""
    return getattr(_module(name), f"{name.title().replace('-', '')}Options")


def _read(name: str, words: Sequence[str]) -> Any:
    """The options of a command, from the words after it."""
    from jaxvae.commands.cli import parse_options
    from jaxvae.commands.parts.train_line import parse_train
    from jaxvae.commands.search.line import parse_search
    from jaxvae.commands.sweep.line import parse_sweep

    called, own = f"jaxvae {name}", {"train": parse_train, "sweep": parse_sweep, "search": parse_search}
    return own[name](words, called) if name in own else parse_options(_options(name), words, called)


def _unknown(name: str) -> str:
    from jaxvae.runs.configs.names import show, unknown
    from jaxvae.runs.configs.presets import PRESETS

    if name in PRESETS:
        return f"{name} is a preset, expected a command first. Try jaxvae train {name}"
    if name.startswith("-"):
        return f"the command comes first, before {show(name)}. Valid: {', '.join(COMMANDS)}."
    return unknown("command", name, COMMANDS)


def _complete(words: Sequence[str]) -> NoReturn:
    """Prints what a shell needs to complete commands and options; exits."""
    import contextlib
    import io

    import tyro

    kinds: dict[str, Callable[..., Any]] = {name: _options(name) for name in COMMANDS}
    script = io.StringIO()
    try:
        with contextlib.redirect_stdout(script):
            tyro.extras.subcommand_cli_from_dict(kinds, prog="jaxvae", args=list(words))
    finally:
        for line in script.getvalue().splitlines():
            # A description of two lines would have its second offered as words.
            print(line.replace(r"\n", " ") if line.startswith("COMPLETION_SPEC") else line)
    raise SystemExit(0)
