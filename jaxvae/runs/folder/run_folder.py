"""The run folder: made and tried before any work, never shared by two different runs."""

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from jaxvae.files import explain
from jaxvae.runs.configs.config import Config
from jaxvae.runs.configs.fields import flag, short, words
from jaxvae.runs.configs.names import folder_path, nearest, path_text, show
from jaxvae.runs.configs.serialize import changed_numbers, read_config, write_config

CONFIG, METRICS, SUMMARY = "config.json", "metrics.jsonl", "summary.json"
CHECKPOINTS, PICTURES, WEIGHTS, REPORT = "checkpoints", "pictures", "weights.safetensors", "report.html"
TENSORBOARD, TRACKERS, PROFILE = "tensorboard", "trackers.json", "profile"
MEASURED, EXPORT = "measured", "export"  # of the commands that opened the run
MEMBERS = "members"  # of a sweep: the folders of its runs
# The config comes last: while it is there, the folder is a run that can be removed.
_OURS = (CHECKPOINTS, PICTURES, METRICS, SUMMARY, WEIGHTS, REPORT, TENSORBOARD, TRACKERS, PROFILE, CONFIG)
_NUMBERS = (
    MEASURED,
    EXPORT,
    *(f"results.{end}" for end in ("json", "csv", "tex")),
)  # go with it, and alone are no run's


def create(workdir: str | os.PathLike[str]) -> Path:
    """Makes the run folder with its parents, unless it is there, and tries to write into it.

    Raises:
        ValueError, TypeError: for an impossible path, as `folder_path`.
        OSError: naming the path and a remedy, if it is a file, may not be written to, or the disk is full.
    """
    path = folder_path(workdir)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path) as probe:
            probe.write(b"\0" * 4096)
            probe.flush()
    except OSError as error:
        raise explain(error, "write into the run folder", path) from error
    return path


def check(folder: Path, config: Config, *, allow_changes: bool = False, overwrite: bool = False) -> bool:
    """Whether a folder may become, or already is, the home of the run `config`; nothing is written.

    Args:
        folder: as `create` made it.
        config: the run to start or to resume.
        allow_changes: go on with the new values where they differ from those of the run in the folder.
        overwrite: the run in the folder is to be removed.

    Returns:
        True if the folder already holds this run, which is then to be resumed.

    Raises:
        ValueError: if the folder holds another run, naming each differing field with both values, or files
            of a run without its config.
    """
    file = folder / CONFIG
    if not file.exists():
        left = [name for name in _OURS if (folder / name).exists()]
        if left:
            raise ValueError(
                f"{folder} holds {', '.join(left)} but no {CONFIG}, so nobody can tell whose they are. Choose"
                f" another --workdir, or move them away."
            )
        return False
    try:
        old = read_config(file)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{error} Choose another --workdir, or move that file away.") from error
    differing = changed_numbers(old, config)
    if differing and not allow_changes and not overwrite:
        raise ValueError(other_run(folder, differing))
    return not overwrite


def changes(folder: Path, config: Config) -> list[tuple[str, Any, Any]]:
    """(field, old value, new value) of what makes `config` another run than the one in the folder."""
    return changed_numbers(read_config(folder / CONFIG), config)


def claim(folder: Path, config: Config, *, overwrite: bool = False) -> None:
    """Writes config.json, once it is known that the run can go on: what `check` allowed may still prove impossible.

    Args:
        folder: held by its lock, and passed by `check`.
        config: the run in it from now on.
        overwrite: remove the run in the folder first, its own files and nothing else.
    """
    file = folder / CONFIG
    if overwrite:
        _remove_run(folder)
    if not file.exists() or read_config(file) != config:
        write_config(file, config)


def flag_of(path: str, value: Any) -> str:
    """How a value is given on the command line; those of a recipe's arguments have options of their own.

    Example:
        >>> flag_of("optim.lr", 0.1), flag_of("recipe.options", ("latent_dim=2", "lr=0.1"))
        ('--optim.lr 0.1', '--latent-dim 2 --lr 0.1')
    """
    if path != "recipe.options":
        return f"{flag(path)} {words(value)}"
    found = [(name, json.loads(text)) for name, _, text in (pair.partition("=") for pair in value)]
    return " ".join(f"{flag(name)} {words(tuple(item) if isinstance(item, list) else item)}" for name, item in found)


def other_run(folder: Path, changes: list[tuple[str, Any, Any]]) -> str:
    """What to say when a folder holds a run with other values."""
    lines = [f"  {path}: {short(old)} in the folder, {short(new)} now" for path, old, new in changes]
    digests = [path for path, _, _ in changes if path.endswith("_sha256")]
    options = [flag_of(path, old) for path, old, _ in changes if path not in digests][:4]
    back = " ".join(options + ["with the data or the file it was given"] * bool(digests))
    return (
        "\n".join([f"{folder} holds another run:", *lines])
        + f"\nChoose another --workdir; or go on with that run: {back}; or go on with the new values: "
        f"--allow-changes; or remove it and start afresh: --overwrite."
    )


def _remove_run(folder: Path) -> None:
    for name in (*_NUMBERS, *_OURS):
        path = folder / name
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise explain(error, "remove", path) from error


def find(workdir: str | os.PathLike[str]) -> Path:
    """The folder of a run that exists; it is not written to.

    Raises:
        FileNotFoundError: if there is no such folder or it holds no run, naming the nearest runs beside it.
        ValueError, TypeError: for an impossible path.
    """
    path = Path(path_text("workdir", workdir))  # what is only read may lie anywhere, above this folder too
    if (path / CONFIG).is_file():
        return path
    try:
        beside = sorted(other.name for other in path.parent.iterdir() if (other / CONFIG).is_file())
    except OSError:
        beside = []
    why = f"has no {CONFIG}" if path.is_dir() else "is no folder"
    guess = nearest(path.name, beside)
    hint = f" Did you mean {path.parent / guess}?" if guess else ""
    runs = f" Runs in {path.parent}: {', '.join(beside[:10])}." if beside else ""
    raise FileNotFoundError(f"no run in {show(str(path))}: it {why}.{hint}{runs} Train one: --workdir {path}.")
