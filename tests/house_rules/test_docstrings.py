"""What the docstrings say: every example runs, every public name is described, every density names its source."""

import doctest
import importlib
import inspect
import pkgutil

import pytest

import jaxvae
import jaxvae.arguments

pytestmark = pytest.mark.quick_compile

MODULES = ["jaxvae", *(module.name for module in pkgutil.walk_packages(jaxvae.__path__, "jaxvae."))]
# The first formulas and data in the quick tier; what compiles long or has to build a model first in the next.
QUICK = ("jaxvae.math.normal", "jaxvae.math.bernoulli", "jaxvae.objectives.bounds", "jaxvae.data.pixels")
# Three seconds of compiling and more for each: the long tier, and whoever changes one (-m full -k NAME).
LONG = {
    *(f"jaxvae.networks.{name}" for name in ("denoisers.unet", "residual.groups", "residual.pictures")),
    *(f"jaxvae.networks.residual.{name}" for name in ("progressive", "stage_players")),
    *(f"jaxvae.training.losses.{name}" for name in ("codebook", "penalties", "even_times", "incomplete")),
    *("jaxvae.evaluation.fitted_priors.trained", "jaxvae.models.priors.codes", "jaxvae.flows.images.multiscale"),
    *("jaxvae.models.deep.top_down", "jaxvae.objectives.total_correlation"),
}
EXAMPLES = [
    pytest.param(name, marks=pytest.mark.full if name in LONG else () if name.startswith(QUICK) else pytest.mark.slow)
    for name in MODULES
]
# Examples that need what only a trained run leaves behind; others try them.
NOT_RUN = {"jaxvae.runs.loading.load"}
DENSITIES = [
    *(f"jaxvae.math.{module}" for module in ("normal", "bernoulli", "categorical", "laplace", "logistic")),
    *("jaxvae.objectives.bounds", *(f"jaxvae.models.observations.{module}" for module in ("continuous", "discrete"))),
]


def own(module) -> dict[str, object]:
    """The public functions and classes that a module defines, wrapped ones too."""
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_") and callable(value) and getattr(value, "__module__", None) == module.__name__
    }


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    runner = doctest.DocTestRunner(verbose=False)
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, name):
        skipped = [example for example in test.examples if example.options.get(doctest.SKIP)]
        assert not skipped or test.name in NOT_RUN, f"{test.name} skips its own example"
        report = []
        runner.run(test, out=report.append)
        assert not runner.failures, "".join(report)


def test_examples_are_found_even_in_wrapped_functions():
    """The finder passes over what it takes for an object: each `>>>` in the source belongs to a test it found."""
    for name in MODULES:
        module = importlib.import_module(name)
        written = sum(line.lstrip().startswith(">>> ") for line in inspect.getsource(module).splitlines())
        found = sum(len(test.examples) for test in doctest.DocTestFinder().find(module, name))
        assert found == written, f"{name} has {written} examples, of which doctest finds {found}"


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_is_described_in_a_sentence(name):
    module = importlib.import_module(name)
    assert (module.__doc__ or "").strip(), f"{name} has no docstring"
    for what, value in own(module).items():
        text = inspect.getdoc(value) or ""
        # A NamedTuple, dataclass or module class without one inherits a line that Python or Flax made up.
        given = getattr(value, "__doc__", None) or ""
        assert text.strip(), f"{name}.{what} has no docstring"
        assert not given.startswith(f"{what}("), f"{name}.{what} has no docstring of its own"


def advertised() -> dict[str, object]:
    """The functions that `jaxvae` and its namespaces list."""
    packages = [module for name in MODULES if hasattr(module := importlib.import_module(name), "__all__")]
    found = {f"{package.__name__}.{name}": getattr(package, name) for package in packages for name in package.__all__}
    return {name: value for name, value in found.items() if inspect.isfunction(value)}


@pytest.mark.parametrize("module", DENSITIES)
def test_every_density_and_bound_names_its_source_its_units_and_shows_itself(module):
    found = own(importlib.import_module(module))
    for name, value in found.items():
        if name == "identity":
            continue
        text = inspect.getdoc(value)
        assert "Source" in text or "arXiv" in text, f"{module}.{name} names no source"
        assert "Example:" in text, f"{module}.{name} has no example"
        if "models" not in module and name not in ("reparameterize", "gumbel_softmax"):  # these return draws
            assert "nats" in text, f"{module}.{name} does not say that it returns nats"
            assert "Args:" in text, f"{module}.{name} does not describe its arguments"
    assert found


def test_the_rule_that_every_formula_keeps_is_said_once():
    """What `arguments` refuses is told there, and what it refuses by no formula's own docstring."""
    assert all(word in jaxvae.arguments.__doc__ for word in ("TypeError", "ValueError", "outside `jit`", "Raises:"))
    for name in MODULES:
        if name.startswith(("jaxvae.math", "jaxvae.objectives")):
            for what, value in own(importlib.import_module(name)).items():
                told = (inspect.getdoc(value) or "").partition("Raises:")[2].partition("\n\n")[0]
                for ritual in ("integer inputs", "holds integers", "shapes that", "a NaN", "not finite", "negative"):
                    assert ritual not in told, f"{name}.{what} repeats what jaxvae.arguments says: {ritual!r}"


@pytest.mark.slow
def test_what_can_be_refused_says_so():
    """An advertised function whose own body raises has a Raises section; impossible arguments need none."""
    silent = []
    for name, function in advertised().items():
        body = inspect.getsource(function).split('"""')[-1]
        if "raise " in body and "Raises:" not in inspect.getdoc(function):
            silent.append(name)
    assert not silent, f"{', '.join(silent)} raise and do not say when"
