"""README and the book name what is there: commands and their options, files, and every list of public names."""

import dataclasses
import importlib.util
import re
import shlex
from pathlib import Path

import pytest

import jaxvae
from jaxvae.commands.cli import parse_options
from jaxvae.commands.parts.train_line import parse_train
from jaxvae.commands.search.line import parse_search
from jaxvae.commands.sweep.line import parse_sweep

ROOT = Path(jaxvae.__file__).parent.parent
BOOK = ROOT / "notebooks"
PAGES = [ROOT / "README.md", ROOT / ".github/CONTRIBUTING.md", *sorted(BOOK.rglob("*.md"))]
# A command that goes on in the next line is one command.
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8").replace("\\\n", " ") for page in PAGES}
CROWDED = 17  # pages in a folder
# `python -m experiments.NAME ...` to the end of the line, of the code or of the cell, without the comment behind it.
COMMAND = re.compile(r"python -m experiments\.([a-z_.]+)([^`#|>\n]*)")
COMMANDS = sorted({(name, words.strip()) for text in TEXTS.values() for name, words in COMMAND.findall(text)})


def test_every_script_that_a_page_calls_is_there():
    names = {name for name, _ in COMMANDS} - {"."}
    assert len(names) > 20
    missing = [name for name in names if importlib.util.find_spec(f"experiments.{name}") is None]
    assert not missing


def parse(name: str, words: str):
    """The options of a script, from the words that a page gives it."""
    if name in ("train", "sweep", "search"):
        return {"train": parse_train, "sweep": parse_sweep, "search": parse_search}[name](shlex.split(words))
    module = importlib.import_module(f"experiments.{name}")
    values = [value for value in vars(module).values() if dataclasses.is_dataclass(value)]
    options = next(value for value in values if value.__name__.endswith("Options"))
    return parse_options(options, shlex.split(words))


@pytest.mark.parametrize("command", [f"{name} {words}" for name, words in COMMANDS if words])
def test_the_options_that_a_page_gives_a_script_are_known(command):
    name, _, words = command.partition(" ")
    assert parse(name, words) is not None


def test_a_command_with_an_option_that_is_gone_is_found():
    with pytest.raises(ValueError, match=r"unknown option --model\.priors"):
        parse("train", "mnist --model.priors vamp")


def test_files_that_readme_points_to_are_there():
    for page in ("README.md", ".github/CONTRIBUTING.md"):
        links = re.findall(r"\]\((?!https?://)([^)#]+)", TEXTS[page])
        assert links or page != "README.md"
        missing = [link for link in links if not ((ROOT / page).parent / link).exists()]
        assert not missing, page


def test_every_list_of_public_names_has_its_page():
    """A new namespace is described, or the book would be silent on it."""
    text = "\n".join(TEXTS.values())
    described = set(re.findall(r"^% (?:api|names): (\S+)$", text, re.MULTILINE))
    listed = {".".join(stub.parent.relative_to(ROOT).parts) for stub in (ROOT / "jaxvae").rglob("__init__.pyi")}
    assert described == listed | {"jaxvae.data", "jaxvae.sklearn"}


def test_no_folder_of_the_book_is_crowded():
    folders = {page.parent for page in BOOK.rglob("*.md")} - {BOOK}
    assert all(len(list(folder.glob("*.md"))) <= CROWDED for folder in folders)


def test_readme_is_read_in_five_minutes():
    assert len(TEXTS["README.md"].split()) < 1000
