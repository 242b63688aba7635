"""`load`: from a name to a data set. A file in this folder with a `load(split)` is one; there is no list to edit."""

import difflib
import functools
import importlib
import inspect
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jaxvae.data.dataset import Dataset, from_array
from jaxvae.data.own.files import reader_of
from jaxvae.data.prepared.converted import load_prepared
from jaxvae.data.prepared.versions import NAME, data_folder, prepared_names

LOADER = re.compile(r"^def load\(\s*split\b", re.MULTILINE)
FILES = (".npy", ".npz", ".csv", ".tsv", ".array_record")
MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


def load(name: str | os.PathLike[str], split: str = "train", **options: Any) -> Dataset:
    """Loads a data set by name, the first that fits of:

    1. built in: "digits", "shapes", "mnist", "fashion_mnist";
    2. the path of an `.npy`, an `.npz`, a table (`.csv`, `.tsv`), an `.array_record`, or a folder of pictures or of
       such records ("./mnist" where a built-in name is in the way);
    3. any image data set that TensorFlow Datasets has prepared: "cifar10", "mnist_corrupted/shot_noise:1.0.0";
    4. "package.module", imported, with a function `load(split) -> Dataset`.

    Args:
        name: which one. A module is code: load one that you trust.
        split: "train", "test", or what else the source has.
        options: of the data set's own `load`, such as size=64 for "shapes".

    Raises:
        ValueError: an unknown name or split (the nearest is suggested), an unknown option, damaged data.
        FileNotFoundError: a path that is not there, or data that TensorFlow Datasets has not prepared yet.

    Example:
        >>> load("digits", "test").images.shape
        (297, 8, 8, 1)
    """
    if not isinstance(name, str | os.PathLike):
        raise TypeError(f"the data set is {name!r} ({type(name).__name__}), expected a name or a path.")
    text = os.fspath(name)
    if isinstance(name, str) and text in built_in():
        return _call(importlib.import_module(f"jaxvae.data.{text}").load, text, options, split)
    if isinstance(name, os.PathLike) or _looks_like_path(text) or (text and os.path.exists(text)):
        path = Path(text).expanduser()
        return _call(reader_of(path), text, options, path, split)
    if MODULE.fullmatch(text):
        return _from_module(text, split, options)
    return _from_tfds(text, split, options)


@functools.cache
def built_in() -> tuple[str, ...]:
    """The names that need no path: every file beside this one with a function `load(split, ...)`.

    Example:
        >>> built_in()
        ('digits', 'fashion_mnist', 'mnist', 'shapes')
    """
    files = sorted(Path(__file__).parent.glob("*.py"))
    return tuple(file.stem for file in files if LOADER.search(file.read_text(encoding="utf-8")))


def _call(function: Callable[..., Dataset], what: str, options: dict[str, Any], *arguments: Any) -> Dataset:
    """Calls a loader after a look at the names of the options."""
    parameters = inspect.signature(function).parameters.values()
    valid = [parameter.name for parameter in parameters if parameter.kind == parameter.KEYWORD_ONLY]
    anything = any(parameter.kind == parameter.VAR_KEYWORD for parameter in parameters)
    for option in () if anything else options:
        if option not in valid:
            expected = f"expected one of: {', '.join(valid)}" if valid else "it takes none"
            raise ValueError(f"{option!r} is no option of the data set {what}, {expected}.{_nearest(option, valid)}")
    return function(*arguments, **options)


def _looks_like_path(text: str) -> bool:
    return text.startswith((".", "~", "/", os.sep)) or text.lower().endswith(FILES)


def _from_module(name: str, split: str, options: dict[str, Any]) -> Dataset:
    """What a user's own module loads, checked like any other array."""
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if not error.name or not f"{name}.".startswith(f"{error.name}."):
            raise  # the module is there and lacks something itself
        raise ValueError(f"there is no module {error.name!r} to import. {_unknown(name, ())}") from error
    if not callable(getattr(module, "load", None)):
        raise ValueError(f"the module {name} has no function load(split), which should return a Dataset.")
    data = _call(module.load, name, options, split)
    if not isinstance(data, Dataset):
        raise ValueError(
            f"{name}.load({split!r}) returned a {type(data).__name__}, expected a jaxvae.data.Dataset. "
            f"Return jaxvae.data.from_array(images, ...)."
        )
    return from_array(**data._asdict())


def _from_tfds(name: str, split: str, options: dict[str, Any]) -> Dataset:
    from jaxvae.data.prepared.tfds import registered

    parts = NAME.fullmatch(name)
    if parts is None:
        raise ValueError(_unknown(name, registered()))
    try:
        return _call(load_prepared, name, options, name, split)
    except FileNotFoundError:
        if parts["name"] in registered():
            raise
    raise ValueError(_unknown(name, registered()))


def _unknown(name: str, registered: Sequence[str]) -> str:
    prepared = prepared_names()
    here = f" ({', '.join(prepared)})" if prepared else ""
    return (
        f"unknown data set {name[:100]!r}.{_nearest(name, [*built_in(), *prepared, *registered])} Expected one of: "
        f"{', '.join(built_in())}; the path of an .npy, .npz, .csv or a folder of pictures; a data set prepared by "
        f"TensorFlow Datasets in {data_folder()}{here}; or package.module with a function load(split)."
    )


def _nearest(name: str, valid: Sequence[str]) -> str:
    close = difflib.get_close_matches(name.lower(), valid, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
