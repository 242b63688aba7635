"""A config as the command line asks for it: without the fields that a run fills in itself, which config.json keeps."""

from dataclasses import dataclass, fields
from typing import Annotated, Any

import tyro
from tyro.conf import Suppress

from jaxvae.commands.cli import TrainOptions
from jaxvae.runs.configs.config import Config, DataConfig, ObjectiveConfig, RecipeConfig

NO_RECIPE = RecipeConfig()


@dataclass(frozen=True)
class AskedData(DataConfig):
    __doc__ = DataConfig.__doc__
    image_shape: Suppress[tuple[int, ...] | None] = None
    columns: Suppress[tuple[str, ...] | None] = None
    mean: Suppress[tuple[float, ...] | None] = None
    std: Suppress[tuple[float, ...] | None] = None
    classes: Suppress[int | None] = None
    train_sha256: Suppress[str | None] = None
    test_sha256: Suppress[str | None] = None


@dataclass(frozen=True)
class AskedObjective(ObjectiveConfig):
    __doc__ = ObjectiveConfig.__doc__
    features_sha256: Suppress[str | None] = None


@dataclass(frozen=True)
class AskedConfig(Config):
    __doc__ = Config.__doc__
    data: AskedData = AskedData()
    objective: AskedObjective = AskedObjective()
    recipe: Suppress[RecipeConfig] = NO_RECIPE


@dataclass(frozen=True, kw_only=True)
class AskedOptions(TrainOptions):
    __doc__ = TrainOptions.__doc__
    config: Annotated[AskedConfig, tyro.conf.arg(name="")]


def asked(config: Config) -> AskedConfig:
    """The same values; `validate` makes a plain `Config` of it again.

    Example:
        >>> asked(Config(seed=3)).seed
        3
    """
    data, objective = AskedData(**_values(config.data)), AskedObjective(**_values(config.objective))
    return AskedConfig(**_values(config) | {"data": data, "objective": objective})


def _values(config: Any) -> dict[str, Any]:
    return {field.name: getattr(config, field.name) for field in fields(config)}
