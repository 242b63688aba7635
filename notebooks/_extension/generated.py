"""Pages that the sources write: `% api: jaxvae.math` becomes that namespace, `% heads: experiments/lectures` its scripts.

These are comments of the page's Markdown, replaced before it is read, so that a new name or script needs no new text.
"""

import ast
import importlib
import inspect
import re
from pathlib import Path
from types import ModuleType

from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]
_API = re.compile(r"^% api: (\S+)$", re.MULTILINE)
_NAMES = re.compile(r"^% names: (\S+)$", re.MULTILINE)
_CODE, _OPTION = re.compile(r"(`[^`]*`)"), re.compile(r"(?<!\S)--[a-z][\w.-]*\w(?: \d+)*")
_HEADS = re.compile(r"^% heads: (\S+)$", re.MULTILINE)


def plain(text: str) -> str:
    """Words and formulas of a docstring as Markdown that shows them as they are, in one line; options are code."""
    parts = _CODE.split(" ".join(text.replace("+-", "\N{PLUS-MINUS SIGN}").split()))
    parts[::2] = [_OPTION.sub(r"`\g<0>`", part) for part in parts[::2]]
    parts = _CODE.split("".join(parts))
    parts[::2] = [re.sub(r"([|*_$<#~])", r"\\\1", part) for part in parts[::2]]
    parts[1::2] = [part.replace("|", r"\|") for part in parts[1::2]]
    return "".join(parts)


def first_line(value: object) -> str:
    """What a name is, for a table's cell; a dict has no docstring of its own, so its keys say it."""
    if isinstance(value, dict):
        return ", ".join(f"`{key}`" for key in value)
    return plain((inspect.getdoc(value) or "").partition("\n")[0])


def table(name: str) -> str:
    """The names that a package lists, and what each is."""
    package = importlib.import_module(name)
    # In full where the names stand for others' homes, and by themselves where they are at home.
    written = "`{}.{}`" if name == "jaxvae" else "{{py:obj}}`~{}.{}`"
    listed = {word: getattr(package, word) for word in sorted(package.__all__, key=str.lower)}
    rows = [
        f"| {written.format(name, word)} | {first_line(value)} |"
        for word, value in listed.items()
        if not isinstance(value, ModuleType) and not word.startswith("__")
    ]
    return "\n".join(["| name | what it is |", "|---|---|", *rows] if rows else [])


def namespace(name: str) -> str:
    """That table, and below it the docstring of each name."""
    return "\n".join([table(name), "", "```{eval-rst}", f".. automodule:: {name}", "   :members:", "```"])


def paragraph(text: str) -> str:
    """What is indented, commands and tables, as it stands; the rest as prose."""
    indented = all(line.startswith("    ") for line in text.splitlines())
    return f"```text\n{inspect.cleandoc(text)}\n```\n" if indented else plain(text) + "\n"


def heads(folder: str, app: Sphinx) -> str:
    """The scripts of a folder: how each is called, how long it takes, what is expected and what was obtained."""
    parts = []
    own = ROOT / folder
    named = {path.stem: path for path in own.glob("*.py")} | {
        path.parent.name: path for path in own.glob("*/__init__.py")
    }
    for name, path in sorted(named.items()):
        app.env.note_dependency(path)  # so that a script that changed is read again
        text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
        if "python -m experiments." in text:
            parts += [f"## {name}", "", *map(paragraph, re.split(r"\n{2,}", text))]
    return "\n".join(parts)


def _replaced(app: Sphinx, page: str, source: list[str]) -> None:
    text = _API.sub(lambda match: namespace(match[1]), source[0])
    text = _NAMES.sub(lambda match: table(match[1]), text)
    source[0] = _HEADS.sub(lambda match: heads(match[1], app), text)


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("source-read", _replaced)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
