"""A config as strict JSON and back, and the difference of two configs."""

import json
from dataclasses import asdict
from os.path import abspath
from pathlib import Path
from typing import Any

from jaxvae import __version__
from jaxvae.files import explain, write_text
from jaxvae.runs.choices.bounds import BOUNDS
from jaxvae.runs.choices.kinds import KINDS
from jaxvae.runs.choices.usual import settled
from jaxvae.runs.configs.config import Config
from jaxvae.runs.configs.fields import flatten, typed
from jaxvae.runs.configs.names import show
from jaxvae.runs.configs.validate import validate

LIMIT = 1_000_000  # bytes; a config has about two thousand
VERSION = "jaxvae"  # the key under which config.json keeps the version that wrote it
# What may change between two parts of one run without changing its numbers.
FREE = (
    "epochs",
    "evaluate_every",
    "test_samples",
    "patience",
    "save_every",
    "keep",
    "parallel",
    "progress",
    "data.resident",
    "optim.max_skipped",
    "recipe.name",
    "recipe.sha256",
)

DIGESTS = ("train_sha256", "test_sha256")
# None where nobody says them, and then a kind's usual number, which a run writes out (choices/usual.py).
USUAL = ("model.weight", "model.critic_hidden", "optim.b1")


def to_json(config: Config) -> str:
    """The validated config as indented JSON, the version of the library first.

    Example:
        >>> from_json(to_json(Config())) == Config()
        True
    """
    content = {VERSION: __version__, **asdict(validate(config))}
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def from_json(text: str | bytes, source: str = "the config", *, written: bool = False) -> Config:
    """A validated config from strict JSON; fields left out have their defaults, strings are never evaluated.

    Args:
        text: a JSON object of at most 1 MB, without duplicate keys, NaN or Infinity.
        source: what the messages call it, such as a path.
        written: whether a run wrote it, as it is where it says a version: then fields mean what they meant to that run.

    Raises:
        ValueError: naming the source and the fault, or the field, as `validate` does.
        TypeError: for a value of the wrong type.
    """
    if len(text) > LIMIT:
        raise ValueError(f"{source} has over {LIMIT} bytes, expected a config of a few thousand.")
    if not text.strip():
        raise ValueError(f"{source} is empty, expected a JSON object. Write {{}} for a config of defaults.")
    try:
        decoded = text if isinstance(text, str) else text.decode("utf-8")
        content = json.loads(decoded, object_pairs_hook=_without_duplicates, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError(f"{source} nests too deeply, expected a JSON object of plain fields.") from None
    except ValueError as error:
        raise ValueError(f"{source} is not strict JSON: {error}. Mend that place in the file.") from None
    if not isinstance(content, dict):
        raise ValueError(f'{source} holds {show(content)}, expected an object such as {{"epochs": 20}}.')
    if written or VERSION in content:
        _keep_old_meanings(content)
    version = content.pop(VERSION, __version__)
    try:
        return validate(typed("", Config, content))
    except (TypeError, ValueError) as error:
        other = f" Written by jaxvae {show(version)}, this is {__version__}." if version != __version__ else ""
        raise type(error)(f"{source}: {error}{other}") from None


def _keep_old_meanings(content: dict[str, Any]) -> None:
    """Writes out what a config.json meant before a field said it; the file itself stays as it is.

    Before `objective.kl_over` there were free bits and a capacity of each example's KL only. Before
    `model.critic_hidden` was a kind's usual number, a run without a critic wrote 128 too.
    """
    model = content.get("model")
    if isinstance(model, dict) and model.get("critic_hidden") == [128] and not _has_critic(model.get("kind")):
        del model["critic_hidden"]
    objective = content.get("objective")
    if isinstance(objective, dict) and (bound := objective.get("bound")) in BOUNDS and BOUNDS[bound].of_batch:
        objective.setdefault("kl_over", "example")


def _has_critic(kind: object) -> bool:
    return isinstance(kind, str) and kind in KINDS and "model.critic_hidden" in KINDS[kind].reads


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ValueError(f"the key {show(key)} appears twice")
        result[key] = value
    return result


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def read_config(path: str | Path) -> Config:
    """The config in a file, such as the config.json of a run folder.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError, TypeError, OSError: as `from_json`, and for what is no readable file, naming the path.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no config file {path}. A run writes config.json into its folder.")
    if not path.is_file():
        raise ValueError(f"{path} is no file, expected a config file such as {path / 'config.json'}.")
    try:
        with path.open("rb") as file:
            text = file.read(LIMIT + 1)
    except OSError as error:
        raise explain(error, "read the config", path) from error
    return from_json(text, str(path))


def write_config(path: str | Path, config: Config) -> None:
    """Writes the validated config, atomically."""
    write_text(Path(path), to_json(config))


def difference(old: Config, new: Config) -> list[tuple[str, Any, Any]]:
    """The fields in which two configs differ: (dotted field, old value, new value).

    Example:
        >>> from dataclasses import replace
        >>> difference(Config(), replace(Config(), seed=1))
        [('seed', 0, 1)]
    """
    after = dict(flatten(new))
    return [(path, value, after[path]) for path, value in flatten(old) if value != after[path]]


def changed_numbers(old: Config, new: Config) -> list[tuple[str, Any, Any]]:
    """The part of `difference` that makes `new` another run, so that it must not be resumed in silence.

    The number of epochs is free as long as the learning rate does not depend on it; where the digests say that the data
    are the same, so is their path, and that of the network which judges pictures. A run of an earlier version keeps no
    digest to compare, and does not say the usual number of its kind: any other is another run.
    """
    free = list(FREE if new.optim.schedule == "constant" else FREE[1:])
    known = [(getattr(old.data, field), getattr(new.data, field)) for field in DIGESTS]
    free += [f"data.{field}" for field, pair in zip(DIGESTS, known, strict=True) if None in pair]
    if all(before == after is not None for before, after in known) or abspath(old.data.name) == new.data.name:
        free.append("data.name")
    judges = (old.objective.features_sha256, new.objective.features_sha256)
    if None in judges:
        free.append("objective.features_sha256")
    elif judges[0] == judges[1]:
        free.append("objective.features")
    before, usual, now = (dict(flatten(config)) for config in (old, settled(old), new))
    free += [path for path in USUAL if before[path] is None and now[path] in (None, usual[path])]
    return [entry for entry in difference(old, new) if entry[0] not in free]
