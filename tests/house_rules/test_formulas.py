"""A formula is what one reads: of the code in math/ and objectives/ at most a fifth checks arguments."""

import ast
from pathlib import Path

import pytest

import jaxvae

ROOT = Path(jaxvae.__file__).parent
CHECKERS = {"arguments", "checks", "roles", "whole_numbers"}  # modules whose names check


def span(node) -> set[int]:
    return set(range(node.lineno, node.end_lineno + 1))


def code_lines(text: str, tree: ast.Module) -> set[int]:
    """Lines that are not blank, not a comment and not in a docstring."""
    lines = {n for n, line in enumerate(text.splitlines(), 1) if line.strip() and not line.lstrip().startswith("#")}
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            lines -= span(node.body[0])
    return lines


def check_lines(tree: ast.Module) -> set[int]:
    """Lines that look at arguments: decorators and statements that call what checks, `raise` with its condition.

    A private function that raises is one whole check, and so is a function that makes a role.
    """
    names = {"Role"}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").rpartition(".")[2] in CHECKERS:
            names |= {alias.asname or alias.name for alias in node.names}
    found = set()

    def visit(body):
        for node in body:
            if isinstance(node, ast.FunctionDef):
                private = node.name.startswith("_") and any(isinstance(part, ast.Raise) for part in ast.walk(node))
                if private or (isinstance(node.returns, ast.Name) and node.returns.id == "Role"):
                    found.update(span(node))
                for decorator in node.decorator_list:
                    found.update(span(decorator) if called(decorator) & names else ())
                visit(node.body)
            elif isinstance(node, ast.If | ast.For | ast.While | ast.With | ast.Try):
                visit(node.body + getattr(node, "orelse", []))
                if span(node.body[0]) <= found:
                    found.update(range(node.lineno, node.body[0].lineno))
            elif isinstance(node, ast.Raise) or called(node) & names:
                found.update(span(node))

    visit(tree.body)
    return found


def called(node) -> set[str]:
    functions = [call.func for call in ast.walk(node) if isinstance(call, ast.Call)]
    return {function.id for function in functions if isinstance(function, ast.Name)}


def share(paths) -> float:
    code = checks = 0
    for path in paths:
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        lines = code_lines(text, tree)
        code, checks = code + len(lines), checks + len(lines & check_lines(tree))
    return checks / code


@pytest.mark.parametrize("folder", ["math", "objectives"])
def test_at_most_a_fifth_of_the_code_checks_arguments(folder):
    paths = sorted((ROOT / folder).rglob("*.py"))
    assert len(paths) > 5
    assert share(paths) <= 0.2


BODY = '''
"""A formula."""
from jaxvae.checks import as_float
from jaxvae.roles import real
from jaxvae.arguments import arguments

@arguments(x=real())
def square(x):
    """The square."""
    return x * x

def root(x):
    x = as_float("x", x)
    if x.ndim:
        # a comment
        raise ValueError(
            "x has axes"
        )
    return x**0.5

def _checked(x):
    if x < 0:
        raise ValueError("negative")
    return x
'''


def test_the_count_sees_decorators_calls_conditions_and_helpers(tmp_path):
    lines = BODY.splitlines()
    seen = {lines[n - 1].strip() for n in check_lines(ast.parse(BODY)) & code_lines(BODY, ast.parse(BODY))}
    assert seen == {
        "@arguments(x=real())",
        'x = as_float("x", x)',
        "if x.ndim:",
        "raise ValueError(",
        '"x has axes"',
        ")",
        "def _checked(x):",
        "if x < 0:",
        'raise ValueError("negative")',
        "return x",
    }
    (tmp_path / "formula.py").write_text(BODY)
    assert share([tmp_path / "formula.py"]) == 10 / 17
