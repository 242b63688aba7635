"""The public names: a short flat list, namespaces beside it, one place for each, and texts that name what is there."""

import ast
import importlib
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from types import ModuleType

import pytest

import jaxvae

PACKAGE = Path(jaxvae.__file__).parent
ROOT = PACKAGE.parent
STUBS = sorted(PACKAGE.rglob("__init__.pyi"))
FLAT = 45  # names that a newcomer looks through
# Pictures and what they are of have the same name, in two places.
TWICE = {"reconstructions", "manifold", "partial_draws", "save"}


def package_of(stub):
    return ".".join(stub.parent.relative_to(ROOT).parts)


def listed(stub) -> list[tuple[str, str]]:
    """(module within the package, name) of every line of a stub."""
    lines = [node for node in ast.parse(stub.read_text(encoding="utf-8")).body if isinstance(node, ast.ImportFrom)]
    for line in lines:
        for alias in line.names:
            assert alias.asname == alias.name, f"{stub}: {alias.name} must be written `as {alias.name}` to be exported"
    return [(line.module or "", alias.name) for line in lines for alias in line.names]


@pytest.mark.parametrize("stub", STUBS, ids=package_of)
def test_every_listed_name_is_the_one_of_its_module_and_no_module_takes_its_place(stub):
    package, names = importlib.import_module(package_of(stub)), [name for _, name in listed(stub)]
    assert len(names) == len(set(names)), "a name is listed twice"
    assert set(names) == set(package.__all__)
    for module, name in listed(stub):
        found = getattr(package, name)
        if module:
            assert found is getattr(importlib.import_module(f"{package.__name__}.{module}"), name)
        # Importing jaxvae.flows.planar would put the module where the function planar was.
        beside = any((stub.parent / name).with_suffix(end).exists() for end in (".py", ""))
        assert isinstance(found, ModuleType) or not beside, f"rename the module {package.__name__}.{name}"


def test_the_flat_list_is_short_and_every_name_has_one_place():
    places = defaultdict(set)
    for stub in STUBS:
        package = importlib.import_module(package_of(stub))
        for _, name in listed(stub):
            if not isinstance(getattr(package, name), ModuleType):
                places[name].add(package.__name__)
    flat = {name for name, where in places.items() if "jaxvae" in where}
    assert 30 <= len(flat) <= FLAT
    assert {name: places[name] for name in flat if len(places[name]) != 2} == {}, "each flat name has a namespace too"
    several = {name for name, where in places.items() if len(where - {"jaxvae"}) > 1}
    assert several == TWICE


PAGES = [ROOT / "README.md", ROOT / ".github/CONTRIBUTING.md", *sorted((ROOT / "notebooks").rglob("*.md"))]


def texts():
    yield from PAGES
    for folder in ("jaxvae", "experiments", "notebooks"):
        yield from sorted((ROOT / folder).rglob("*.py"))


def dotted() -> dict[str, str]:
    """Every `jaxvae.a.b` that a text names, but for the modules of import statements, and where."""
    found = {}
    for path in texts():
        for line in path.read_text(encoding="utf-8").splitlines():
            if not re.match(r"\s*(?:>>> |\.\.\. )?(?:from|import) ", line):
                for name in re.findall(r"(?<![\w./])jaxvae(?:\.[A-Za-z_]\w*)+", line):
                    found.setdefault(name, path.relative_to(ROOT).as_posix())
    return found


def in_tables() -> dict[str, str]:
    """Every `priors.vamp_prior` that README or a page of the book writes without the package's name."""
    spaces = "|".join(name for name in jaxvae.__all__ if isinstance(getattr(jaxvae, name), ModuleType))
    found = {}
    for page in PAGES:
        spans = re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8"))
        for name in re.findall(rf"(?<![\w./-])(?:{spaces})(?:\.[a-z_A-Z]\w*)+(?!\.)", " ; ".join(spans)):
            found.setdefault(f"jaxvae.{name}", page.relative_to(ROOT).as_posix())
    return found


RESOLVE = """
import sys, types, jaxvae
for name in sys.argv[1:]:
    value = jaxvae
    for part in name.split(".")[1:]:
        # A module that another name happened to import is no answer: a fresh process may not have it.
        if isinstance(value, types.ModuleType) and part not in value.__all__ and not part.startswith("__"):
            print(name)
            break
        value = getattr(value, part)
"""


def test_every_attribute_that_a_text_names_is_there_after_import_jaxvae_alone():
    names = dotted() | in_tables()
    assert len(names) > 100
    assert {"jaxvae.networks.from_nnx", "jaxvae.priors.vamp_prior"} <= set(names)
    command = [sys.executable, "-c", RESOLVE, *names]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert result.returncode == 0, result.stderr
    assert not result.stdout, [f"{name} in {names[name]}" for name in result.stdout.split()]


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("flow_prior", "jaxvae.priors.flow_prior"),
        ("gan_loss", "jaxvae.losses.gan_loss"),
        ("annealed_bounds", "jaxvae.evaluation.annealing.annealed_bounds"),
        ("save", "jaxvae.plots.save or jaxvae.training.checkpoints.save"),
    ],
)
def test_a_name_that_lives_in_a_namespace_says_so(name, place):
    with pytest.raises(AttributeError, match=rf"no attribute '{name}'\. It is {place}\."):
        getattr(jaxvae, name)


def test_a_name_that_is_nowhere_is_not_there():
    with pytest.raises(AttributeError, match=r"no attribute 'no_such_name'\.$"):
        _ = jaxvae.no_such_name
