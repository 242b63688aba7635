"""The config that a checkpoint was written with, kept in its metadata: a config.json that says another is found out."""

import contextlib
import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from jaxvae.runs.choices.usual import settled
from jaxvae.runs.configs.config import Config
from jaxvae.runs.configs.fields import flag, flatten, short, words
from jaxvae.runs.configs.serialize import USUAL, changed_numbers, from_json, read_config

KEY = "config"
Changes = list[tuple[str, Any, Any]]


def with_noted(config: Config, file: Path) -> Config:
    """The config of a table's run with the mean and std that the run in a folder began with, if there is one.

    Args:
        config: of the run that is asked for.
        file: the config.json of the folder; one that cannot be read says so when the run is compared with it.
    """
    with contextlib.suppress(ValueError, TypeError, OSError):
        old = read_config(file).data
        if config.data.kind == old.kind == "table" and config.data.std is None:
            return replace(config, data=replace(config.data, columns=old.columns, mean=old.mean, std=old.std))
    return config


def to_metadata(config: Config) -> dict[str, Any]:
    """What a checkpoint's metadata keep of the config of its run."""
    return {KEY: asdict(config)}


def changes_since(metadata: Mapping[str, Any], config: Config) -> Changes | None:
    """(field, value in the checkpoint, value in the config) of what makes another run; None where none was kept.

    Example:
        >>> from dataclasses import replace
        >>> changes_since(to_metadata(Config()), replace(Config(), seed=1)), changes_since({}, Config())
        ([('seed', 0, 1)], None)
    """
    if KEY not in metadata:
        return None
    old = from_json(json.dumps(metadata[KEY]), "the config in a checkpoint", written=True)
    return changed_numbers(old, config)


def other_images(changes: Changes | None) -> bool:
    """Whether a run would choose its epoch by other images than before, so that the two bounds are not comparable.

    Example:
        >>> other_images([("optim.lr", 0.1, 0.2)]), other_images([("validation_fraction", 0.1, 0.2)])
        (False, True)
    """
    fields = [field for field, _, _ in changes or ()]
    return any(field in ("seed", "validation_fraction") or field.startswith("data.") for field in fields)


def check_resumed(
    file: Path, step: int, changes: Changes | None, allow_changes: bool, say: Callable[[str], None]
) -> None:
    """Compares the config that a run goes on with and that of the checkpoint it goes on from.

    Raises:
        ValueError: naming each field with both values, unless changes are allowed.
    """
    if changes is None:
        say(
            f"An earlier version wrote this run, without digests of its data and without a config in its checkpoints: "
            f"{file} is believed, and both are kept from now on."
        )
    elif changes and not allow_changes:
        raise ValueError(
            f"{file} is not the config that the checkpoint of step {step} was trained with: {listed(changes)}. Put the "
            f"old values back, or go on with the new ones: --allow-changes."
        )


def unsaid(old: Config, config: Config) -> list[str]:
    """What to say of the usual numbers that the config.json of an earlier version did not write out, a line each.

    Example:
        >>> unsaid(Config(), replace(Config(), optim=replace(Config().optim, b1=0.9)))[0][:77]
        'An earlier version wrote this run without optim.b1. It goes on with 0.9, what'
    """
    before, usual, now = (dict(flatten(each)) for each in (old, settled(old), config))
    return [
        f"An earlier version wrote this run without {path}. It goes on with {words(now[path])}, what is usual now; if "
        f"it began with another, say which: {flag(path)} NUMBER --allow-changes."
        for path in USUAL
        if before[path] is None and now[path] is not None and now[path] == usual[path]
    ]


def resuming(step: int, steps: int, before: int, now: int, waited: int = 0) -> str:
    """What to say where a run goes on: its step, and the number of devices where that was another.

    `waited` is not 0 for a run that stopped early, after so many epochs without a better validation bound.
    """
    devices = f" It was saved on {before} device(s) and goes on with {now}." if before != now else ""
    if waited and step < steps:
        words = f"step {step} of {steps}, after {waited} epochs without a better validation bound"
        return f"The run stopped early at {words}. Raise --patience to train on.{devices}"
    if step >= steps:
        return f"The run is finished: step {step} of {steps}. Raise --epochs to train on.{devices}"
    return f"Resuming at step {step} of {steps}.{devices}"


def check_opened(file: Path, metadata: Mapping[str, Any], config: Config, allow_changes: bool) -> None:
    """Compares the config with that of a checkpoint which is opened to be looked at.

    Raises:
        ValueError: where the model or the data are others, which gives the parameters another meaning; how it was
            trained can have been changed since, on purpose, and is a `UserWarning`, as is all that is allowed.
    """
    changes = changes_since(metadata, config)
    if not changes:
        return
    said = f"{file} is not the config that the checkpoint was trained with: {listed(changes)}"
    if not allow_changes and any(field.startswith(("model.", "data.", "recipe.")) for field, _, _ in changes):
        raise ValueError(f"{said}. Put the old values back, or go on: --allow-changes (allow_changes=True).")
    warnings.warn(said, stacklevel=3)


def listed(changes: Changes) -> str:
    """The changes in words, digests cut short.

    Example:
        >>> listed([("seed", 0, 1), ("data.test_sha256", "0" * 64, "1" * 64)])
        'seed from 0 to 1, data.test_sha256 from 0000000000000000... to 1111111111111111...'
    """
    return ", ".join(f"{field} from {short(before)} to {short(now)}" for field, before, now in changes)
