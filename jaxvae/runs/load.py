"""A trained model back from its folder alone."""

from pathlib import Path
from typing import NamedTuple

from jaxvae.models.records import Model, Params
from jaxvae.runs import folder as run_folder
from jaxvae.runs.build import abstract_state, build_model
from jaxvae.runs.config import Config
from jaxvae.runs.serialize import read_config
from jaxvae.training import checkpoint


class Run(NamedTuple):
    """A trained run: unpack it as `model, params, config`."""

    model: Model
    params: Params
    config: Config


def load(workdir: str | Path, *, step: int | None = None) -> Run:
    """Opens a run folder: the model its config.json names and the parameters of a checkpoint. Nothing is executed.

    Args:
        workdir: the run folder, such as "runs/a".
        step: a saved step; by default the newest whole one. If the run keeps a moving average, that is returned.

    Raises:
        FileNotFoundError: if there is no run or no checkpoint there.
        ValueError: if every checkpoint is damaged, or belongs to another model.

    Example:
        >>> model, params, config = load("runs/a")  # doctest: +SKIP
    """
    folder = run_folder.find(workdir)
    config = read_config(folder / run_folder.CONFIG)
    shape = config.data.image_shape
    if shape is None:
        raise ValueError(f"{folder / run_folder.CONFIG} has no data.image_shape: no training has begun in {folder}.")
    model = build_model(config.model, shape)
    like = abstract_state(config, model)
    state, _ = checkpoint.restore(folder / run_folder.CHECKPOINTS, like, step=step)
    return Run(model, state.params if state.ema is None else state.ema, config)
