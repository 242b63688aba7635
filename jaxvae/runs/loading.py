"""A trained model back from its folder alone."""

import functools
import warnings
from pathlib import Path
from typing import Any, NamedTuple

from jaxvae.models.records import Model, Params
from jaxvae.runs.builders.from_config import abstract_state, build_model
from jaxvae.runs.builders.recipe import Make, opened, training_of
from jaxvae.runs.configs.config import Config, ModelConfig
from jaxvae.runs.configs.recipes import import_function
from jaxvae.runs.configs.serialize import read_config
from jaxvae.runs.folder import run_folder
from jaxvae.runs.folder.run_folder import MEMBERS
from jaxvae.runs.folder.sampling import restore
from jaxvae.runs.folder.saved_config import check_opened
from jaxvae.training.engine.state import averaged_params


class Run(NamedTuple):
    """A trained run: unpack it as `model, params, config`."""

    model: Model
    params: Params
    config: Config


def load(
    workdir: str | Path,
    *,
    step: int | None = None,
    allow_changes: bool = False,
    recipe: Make | str | None = None,
    member: str | None = None,
) -> Run:
    """Opens a run folder: the model its config.json names and the parameters of a checkpoint. Nothing is executed.

    Runs of one architecture share one model, so that what was compiled to measure the first serves them all.

    Args:
        workdir: the run folder, such as "runs/a".
        step: a saved step, whose own parameters are returned; by default the newest whole one, and of a run with
            validation images its best epoch. If the run keeps a moving average, that is returned, not the last
            parameters; summary.json has the -ELBO of both.
        allow_changes: go on where config.json is no longer that of the checkpoint.
        recipe: of a run of your own function that function, or "my_file.py:make"; a folder runs no code by itself.
        member: of a sweep's folder the name of one, such as "beta=4,seed=0".

    Raises:
        FileNotFoundError: if there is no run or no checkpoint there.
        ValueError: if every checkpoint is damaged, or belongs to another model; if config.json names another model
            or other data than the checkpoint was trained with. Another change of it is a `UserWarning`.

    Example:
        >>> model, params, config = load("runs/a")  # doctest: +SKIP
    """
    folder = run_folder.find(workdir if member is None else Path(workdir) / MEMBERS / member)
    config = read_config(folder / run_folder.CONFIG)
    shape, data = config.data.image_shape, config.data
    if shape is None:
        raise ValueError(f"{folder / run_folder.CONFIG} has no data.image_shape: no training has begun in {folder}.")
    make = import_function(recipe) if isinstance(recipe, str) else recipe
    own = opened(config, folder, make, lambda line: warnings.warn(line, stacklevel=4))
    model = (
        _model(config.model, shape, classes=data.classes, levels=data.levels, protocol=data.protocol)
        if own is None
        else own.model
    )
    like = abstract_state(config, model, None if own is None else training_of(own, config).optimizer)
    state, _, best, metadata = restore(folder / run_folder.CHECKPOINTS, config, like, step=step)
    check_opened(folder / run_folder.CONFIG, metadata, config, allow_changes)
    return Run(model, averaged_params(state) if best is None or step is not None else best, config)


@functools.lru_cache(maxsize=8)
def _model(config: ModelConfig, shape: tuple[int, ...], **data: Any) -> Model:
    return build_model(config, shape, **data)
