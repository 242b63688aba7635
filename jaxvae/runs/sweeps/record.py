"""sweep.json: what a sweep is, which of its members stopped early, and why."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jaxvae.files import read_bytes, write_json
from jaxvae.runs.configs.config import Config
from jaxvae.runs.configs.fields import flatten, words
from jaxvae.runs.folder import run_folder
from jaxvae.runs.sweeps.grid import Grid, Member

SWEEP = "sweep.json"


def claim(folder: Path, config: Config, grid: Grid, members: list[Member], halving: int | None) -> dict[str, Any]:
    """Writes what the sweep is, or compares it with what the folder holds; returns its record.

    Raises:
        ValueError: for a folder that holds another sweep, or a run.
    """
    asked: dict[str, dict[str, Any]] = {
        "grid": {path: [words(member) for member in values] for path, values in _values(members).items()},
        "config": {path: words(value) for path, value in flatten(config) if path not in grid and path != "progress"},
    }
    if halving is not None:
        asked["config"]["halving"] = words(halving)
    return claim_as(folder, asked, [member.name for member in members])


def claim_as(folder: Path, asked: dict[str, dict[str, Any]], members: list[str]) -> dict[str, Any]:
    """The same of a sweep in words: its grid, and the config of all members."""
    if (folder / run_folder.CONFIG).exists():
        raise ValueError(f"{folder} holds a run, expected an empty folder or one of a sweep. Choose another --workdir.")
    if not (folder / SWEEP).exists():
        record = {**asked, "members": members, "stopped": {}, "rungs": []}
        write_json(folder / SWEEP, record)
        return record
    found = read_record(folder)
    for part, wanted in asked.items():
        held: Mapping[str, Any] = found.get(part, {})
        if part == "config":
            held, wanted = _as_it_meant(held, wanted), _as_it_meant(wanted, ())
        for path in {**wanted, **held}:
            if held.get(path) != wanted.get(path):
                raise ValueError(
                    f"{folder} holds another sweep: {path} is {held.get(path)} there and {wanted.get(path)} here. "
                    f"Choose another --workdir, or remove the folder."
                )
    return {"stopped": {}, "rungs": [], **found}


def _as_it_meant(config: Mapping[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    """The config of a sweep, whose version may not have had all fields: they are as they are where nobody says them.

    Before `model.critic_hidden` was a kind's usual number every sweep wrote 128, which is the usual one but of vae_gan.
    """
    defaults = {path: words(value) for path, value in flatten(Config())}
    meant = {path: defaults[path] for path in fields if path in defaults} | dict(config)
    if meant.get("model.critic_hidden") == words((128,)) and meant.get("model.kind", "vae_gan") != words("vae_gan"):
        meant["model.critic_hidden"] = words(None)
    return meant


def _values(members: list[Member]) -> dict[str, list[Any]]:
    return {path: list(dict.fromkeys(member.values[path] for member in members)) for path in members[0].values}


def read_record(folder: Path) -> dict[str, Any]:
    """The record of a sweep: grid, config, members, and which of them stopped early.

    Raises:
        FileNotFoundError, ValueError: for a folder without one, or where it is damaged.
    """
    try:
        found: dict[str, Any] = json.loads(read_bytes(folder / SWEEP))
    except ValueError as error:
        raise ValueError(f"{folder / SWEEP} cannot be read ({error}). Choose another --workdir.") from error
    return found


def dropped_in(record: Mapping[str, Any]) -> dict[str, int]:
    """{name: after which epoch} of the members that halving left behind."""
    return {name: rung["epoch"] for rung in record["rungs"] for name in rung["dropped"]}
