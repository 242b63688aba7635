"""Where TensorFlow Datasets keeps what it has prepared: looked up on the disk alone, in no time.

Asked for data that it has not prepared, TensorFlow Datasets tries the network for minutes; this answers at once.
"""

import json
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

from jaxvae.data.prepared.cache import digest

NAME = re.compile(r"(?P<name>\w{1,100})(/(?P<config>[\w.\-]{1,100}))?(:(?P<version>\d+\.\d+\.\d+))?")
VERSION = re.compile(r"\d+\.\d+\.\d+")


class Prepared(NamedTuple):
    """One prepared version of a data set: its name as `tfds` takes it, the data folder, its own, dataset_info.json."""

    name: str
    root: Path
    folder: Path
    info: dict[str, Any]

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(split["name"] for split in self.info["splits"])

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes of "label", () where the data set keeps none, or has two classes of one name."""
        path = self.folder / "label.labels.txt"
        names = path.read_text(encoding="utf-8").strip().split("\n") if path.is_file() else []
        return tuple(names) if len(set(names)) == len(names) else ()

    def digests(self, split: str) -> dict[str, str]:
        """The SHA-256 of every file of a split, and of those that describe it: a thousandth of a second a megabyte."""
        files = sorted(path for path in self.folder.iterdir() if path.is_file())
        data_set = self.name.split("/")[0].split(":")[0]
        shards = [path for path in files if path.name.startswith(f"{data_set}-{split}.")]
        chosen = [*shards, *(path for path in files if path.suffix == ".json")] if shards else files
        return {path.name: digest(path) for path in chosen}


def data_folder(data_dir: str | os.PathLike[str] | None = None) -> Path:
    """`data_dir`, else $TFDS_DATA_DIR, else ~/tensorflow_datasets, as TensorFlow Datasets itself chooses."""
    return Path(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser().absolute()


def prepared_names(data_dir: str | os.PathLike[str] | None = None) -> list[str]:
    """The data sets with a complete version in the data folder."""
    root = data_folder(data_dir)
    if not root.is_dir():
        return []
    return sorted({path.relative_to(root).parts[0] for path in root.glob("*/**/dataset_info.json")})


def find(name: str, data_dir: str | os.PathLike[str] | None = None) -> Prepared:
    """The newest prepared version of `name[/config][:version]`.

    Raises:
        FileNotFoundError: it is not there; the message holds the command that prepares it.
        ValueError: several configs are and none was named, or dataset_info.json is damaged.
    """
    parts = NAME.fullmatch(name)
    if parts is None:
        raise ValueError(f"{name!r} is no data set name, expected name[/config][:version], such as mnist:3.0.1.")
    base = data_folder(data_dir) / parts["name"]
    if parts["config"]:
        base = base / parts["config"]
    versions = _versions(base, parts["version"])
    if not versions and not parts["config"] and base.is_dir():
        configs = [child for child in sorted(base.iterdir()) if _versions(child, parts["version"])]
        if len(configs) > 1:
            choices = ", ".join(f"{parts['name']}/{config.name}" for config in configs)
            raise ValueError(f"{name} is prepared in several variants, expected one of: {choices}.")
        versions = [version for config in configs for version in _versions(config, parts["version"])]
    if not versions:
        raise FileNotFoundError(how_to_prepare(name, data_dir))
    folder = max(versions, key=lambda path: tuple(map(int, path.name.split("."))))
    middle = f"/{folder.parent.name}" if folder.parent.name != parts["name"] else ""
    full_name = f"{parts['name']}{middle}:{folder.name}"
    return Prepared(full_name, data_folder(data_dir), folder, _info(folder / "dataset_info.json"))


def how_to_prepare(name: str, data_dir: str | os.PathLike[str] | None = None) -> str:
    """What is missing, where, and the commands that make it."""
    root = data_folder(data_dir)
    code = (
        f"import tensorflow_datasets as tfds; "
        f"tfds.builder({name!r}, data_dir={str(root)!r}, file_format='array_record').download_and_prepare()"
    )
    quoted = re.sub(r'([\\"$`])', r"\\\1", code)
    return (
        f"the data set {name!r} is not prepared in {root} (no version folder with a dataset_info.json there). "
        f"Prepare it once, with a network; most image data sets need TensorFlow for that, and only for that:\n"
        f"    pip install tensorflow\n"
        f'    python -c "{quoted}"\n'
        f"Or set TFDS_DATA_DIR to the folder that has it. 'digits' and 'shapes' need no download."
    )


def _versions(base: Path, version: str | None) -> list[Path]:
    """Complete version folders; TensorFlow Datasets writes dataset_info.json last, and works in incomplete.*."""
    if not base.is_dir():
        return []
    return [
        child
        for child in base.iterdir()
        if (child.name == version if version else VERSION.fullmatch(child.name))
        and (child / "dataset_info.json").is_file()
    ]


def _info(path: Path) -> dict[str, Any]:
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
        names = [split["name"] for split in info["splits"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(
            f"{path} is damaged ({type(error).__name__}: {error}), expected a JSON object with splits. "
            f"Delete the folder {path.parent} and prepare the data set again."
        ) from error
    if not names:
        raise ValueError(f"{path} lists no splits. Delete the folder {path.parent} and prepare the data set again.")
    return info
