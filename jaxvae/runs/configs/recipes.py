"""A function of one's own that makes a run: found in its file, its keyword arguments as options. No JAX is imported."""

import functools
import hashlib
import importlib.util
import inspect
import json
import sys
import typing
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from jaxvae.runs.configs.config import Config, RecipeConfig
from jaxvae.runs.configs.names import nearest, show


def is_function_name(text: str) -> bool:
    """Whether a word is FILE.py:FUNCTION.

    Example:
        >>> is_function_name("my_file.py:make"), is_function_name("digits")
        (True, False)
    """
    return text.rpartition(":")[0].endswith(".py")


def import_function(text: str) -> Callable[..., Any]:
    """The function of FILE.py:FUNCTION; the file is run, as `python FILE.py` would, with its folder on the path.

    Raises:
        ValueError: for a word of another form, or no such function in the file.
        FileNotFoundError: no such file. Whatever the file itself raises.
    """
    if not is_function_name(text):
        raise ValueError(f"the recipe is {show(text)}, expected FILE.py:FUNCTION, such as my_file.py:make.")
    file, _, name = text.rpartition(":")
    path = Path(file).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {file}, which should have the function {name} of the recipe.")
    path = path.resolve()
    module_name = f"recipe_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    sys.modules[module_name] = module
    spec.loader.exec_module(module)
    found = getattr(module, name, None)
    if not callable(found):
        guess = nearest(name, [other for other in vars(module) if callable(getattr(module, other))])
        raise ValueError(f"{file} has no function {name!r}" + (f", did you mean {guess!r}?" if guess else "."))
    return found


def arguments_of(make: Callable[..., Any]) -> dict[str, tuple[Any, Any]]:
    """(type, default) of each keyword argument; `inspect.Parameter.empty` where it must be given.

    Raises:
        TypeError: for what is no function; for an argument that has no name, or neither a type nor a default.

    Example:
        >>> arguments_of(lambda latent_dim=8: None)
        {'latent_dim': (<class 'int'>, 8)}
    """
    if not callable(make):
        raise TypeError(f"recipe is {show(make)}, expected a function that returns a jaxvae.runs.Recipe.")
    found, hints = {}, typing.get_type_hints(_plain(make), include_extras=True)
    for name, parameter in inspect.signature(make).parameters.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(f"{_name(make)} takes {parameter}, expected keyword arguments with names.")
        kind = hints.get(name, type(parameter.default))
        if name not in hints and parameter.default in (parameter.empty, None):
            raise TypeError(f"{_name(make)} has the argument {name} without a type. Write {name}: int, or such.")
        found[name] = (kind, parameter.default)
    return found


def noted(make: Callable[..., Any], config: Config, options: Mapping[str, Any] | None = None) -> Config:
    """A config that keeps which function makes the run, a digest of its file, and the values of its arguments.

    Args:
        make: the function, or a `functools.partial` of it.
        config: of the run.
        options: values of some arguments; the others have their defaults.

    Raises:
        ValueError: for an argument without a value, or that the function does not have.
        TypeError: for a value that JSON does not hold.

    Example:
        >>> from functools import partial
        >>> def make(latent_dim: int = 8, hidden: tuple[int, ...] = (400,)): ...
        >>> noted(partial(make, latent_dim=2), Config()).recipe.options
        ('latent_dim=2', 'hidden=[400]')
    """
    given, texts = dict(options or {}), []
    arguments = arguments_of(make)
    for name in given:
        if name not in arguments:
            raise ValueError(f"{_name(make)} has no argument {name!r}; it has {', '.join(arguments) or 'none'}.")
    for name, (_, default) in arguments.items():
        value = given.get(name, default)
        if value is inspect.Parameter.empty:
            raise ValueError(f"{_name(make)} needs a value of {name}: --{name.replace('_', '-')} VALUE.")
        try:
            texts.append(f"{name}={json.dumps(value, allow_nan=False)}")
        except (TypeError, ValueError) as error:
            raise TypeError(f"{name} is {show(value)}, expected numbers, text or lists of them ({error}).") from None
    return replace(config, recipe=RecipeConfig(_name(make), file_digest(make), tuple(texts)))


def options_of(recipe: RecipeConfig) -> dict[str, Any]:
    """The values of the arguments, as a config keeps them.

    Example:
        >>> options_of(RecipeConfig("my_file.py:make", None, ("latent_dim=2", "hidden=[400]")))
        {'latent_dim': 2, 'hidden': (400,)}
    """
    pairs = [text.partition("=") for text in recipe.options]
    return {name: _tuples(json.loads(value)) for name, _, value in pairs}


def file_digest(make: Any) -> str | None:
    """SHA-256 of the file that a function stands in; None where there is no such file, as in a notebook."""
    file = _file(make)
    return None if file is None else hashlib.sha256(file.read_bytes()).hexdigest()


def say_changed(recipe: RecipeConfig, now: str | None, say: Callable[[str], None]) -> None:
    """Says in a line that the digest of the function's file is now another than the one that a run keeps."""
    if now != recipe.sha256:
        before, after = (f"sha256 {text[:16]}..." if text else "no file" for text in (recipe.sha256, now))
        say(f"The file of {recipe.name} has changed since the run began: {before} then, {after} now.")


def _plain(make: Any) -> Any:
    return inspect.unwrap(make.func if isinstance(make, functools.partial) else make)


def _file(make: Any) -> Path | None:
    try:
        file = inspect.getsourcefile(_plain(make))
    except TypeError:  # it is built in
        return None
    return Path(file) if file and Path(file).is_file() else None


def _name(make: Any) -> str:
    """FILE.py:FUNCTION without the folders, which are nobody's business."""
    file, function = _file(make), getattr(_plain(make), "__name__", type(make).__name__)
    return f"{file.name if file else 'a notebook'}:{function}"


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
