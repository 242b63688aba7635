"""Which images the epochs of a run draw, and what its checkpoints keep so that a cut epoch goes on as it was."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxvae.models.records import Key, Model, Params
from jaxvae.runs.configs.config import Config
from jaxvae.runs.given_data import preprocess_of
from jaxvae.training.checkpoints import checkpoint
from jaxvae.training.engine.sampler import Reweighted
from jaxvae.training.engine.state import Array, TrainState


class Anchored(NamedTuple):
    """What a checkpoint of a run by rarity holds: a `TrainState` and the parameters that its epoch's weights came from.

    The weights are made from the anchor again. They could be kept instead, but a run opens from its folder alone, and
    that knows the shapes of the parameters and not how many images there were.
    """

    step: Array
    params: Params
    opt_state: Any
    key: Key
    ema: Params | None
    anchor: Params


def to_save(state: TrainState, anchor: Params | None) -> TrainState | Anchored:
    """What a checkpoint holds: the state, with the anchor where there is one.

    Example:
        >>> state = TrainState(1, {"w": 2.0}, None, None, None)
        >>> to_save(state, None) is state, to_save(state, {"w": 3.0}).anchor
        (True, {'w': 3.0})
    """
    return state if anchor is None else Anchored(*state, anchor)


def restore(
    folder: Path, config: Config, like: TrainState, *, step: int | None = None
) -> tuple[TrainState, Params | None, dict[str, Any]]:
    """(state, anchor or None, metadata) of the newest good checkpoint, as `checkpoint.restore` finds it.

    A run whose sampler was changed on its way has checkpoints of both kinds, and goes on from either.

    Args:
        folder: of checkpoints.
        config: of the run.
        like: arrays or shapes, the state alone.
        step: this step and no other.

    Raises:
        FileNotFoundError, ValueError: as `checkpoint.restore`.
    """
    kinds: dict[bool, TrainState | Anchored] = {False: like, True: Anchored(*like, like.params)}
    usual = config.sampler.kind == "rarity"
    try:
        saved, metadata = checkpoint.restore(folder, kinds[usual], step=step)
    except ValueError as error:
        try:
            saved, metadata = checkpoint.restore(folder, kinds[not usual], step=step)
        except ValueError:
            raise error from None
    if isinstance(saved, Anchored):
        return TrainState(*saved[:-1]), saved.anchor, metadata
    return saved, None, metadata


def sampled(config: Config, model: Model, images: np.ndarray, anchor: Params | None = None) -> np.ndarray | Reweighted:
    """The images as `train` takes them: plain, each once an epoch; or with weights that follow the parameters.

    Args:
        config: of the run.
        model: as `build_model` made it.
        images: uint8 [N, H, W, C], the training images.
        anchor: of the checkpoint to go on from, see `Reweighted`.

    Raises:
        ValueError: by rarity, for a model whose posterior is no diagonal Gaussian.
    """
    if config.sampler.kind == "uniform":
        return images
    from jaxvae.evaluation.latents.rarity import latent_resampler  # seldom needed, so not at every start

    options = config.sampler
    weights = latent_resampler(
        model,
        images,
        preprocess=preprocess_of(config.data.protocol),
        bins=options.bins,
        alpha=options.alpha,
        combine=options.combine,
        at_least=options.at_least,
        threshold=options.threshold,
    )
    return Reweighted(images, weights, anchor)
