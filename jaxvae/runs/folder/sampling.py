"""Which images the epochs of a run draw, and what its checkpoints keep so that a cut epoch goes on as it was."""

from pathlib import Path
from typing import Any, NamedTuple

from jaxvae.models.records import Key, Model, Params
from jaxvae.runs.configs.config import Config
from jaxvae.runs.given_data import preprocess_of
from jaxvae.training.checkpoints import checkpoint
from jaxvae.training.engine.sampler import Reweighted
from jaxvae.training.engine.state import Array, TrainState


class Restored(NamedTuple):
    """What a checkpoint held.

    Attributes:
        state: of the training.
        anchor: see `Anchored`, or None.
        best: the parameters of the best epoch so far, or None where there are no validation images.
        metadata: what was saved with it.
    """

    state: TrainState
    anchor: Params | None
    best: Params | None
    metadata: dict[str, Any]


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


class Selected(NamedTuple):
    """What a checkpoint of a run with validation images holds: the last state, to go on from, and the best parameters.

    Both in one checkpoint: whatever moment the run is killed at, they belong together.
    """

    step: Array
    params: Params
    opt_state: Any
    key: Key
    ema: Params | None
    anchor: Params | None
    best: Params


def to_save(state: TrainState, anchor: Params | None, best: Params | None = None) -> TrainState | Anchored | Selected:
    """What a checkpoint holds: the state, with the anchor and the best parameters where there are any.

    Example:
        >>> state = TrainState(1, {"w": 2.0}, None, None, None)
        >>> to_save(state, None) is state, to_save(state, {"w": 3.0}).anchor
        (True, {'w': 3.0})
    """
    if best is not None:
        return Selected(*state, anchor, best)
    return state if anchor is None else Anchored(*state, anchor)


def restore(folder: Path, config: Config, like: TrainState, *, step: int | None = None) -> Restored:
    """The newest good checkpoint, as `checkpoint.restore` finds it.

    A run whose sampler was changed on its way has checkpoints of several kinds, and goes on from any; so has a run with
    validation images, which has no best epoch before its first is done.

    Args:
        folder: of checkpoints.
        config: of the run.
        like: arrays or shapes, the state alone.
        step: this step and no other.

    Raises:
        FileNotFoundError, ValueError: as `checkpoint.restore`.
    """
    params, rare, selected = like.params, config.sampler.kind == "rarity", config.validation_fraction > 0
    kinds = [(a, b) for b in (selected, not selected) for a in (rare, not rare)]  # the usual one first
    first: ValueError | None = None
    for anchored, best in kinds:
        wanted = to_save(like, params if anchored else None, params if best else None)
        try:
            saved, metadata = checkpoint.restore(folder, wanted, step=step)
        except ValueError as error:
            first = first or error
            continue
        fields = saved._asdict()
        anchor, kept = fields.pop("anchor", None), fields.pop("best", None)
        return Restored(TrainState(**fields), anchor, kept, metadata)
    assert first is not None
    raise first from None


def sampled(config: Config, model: Model, images: Any, anchor: Params | None = None) -> Any:
    """The images as `train` takes them: plain, each once an epoch; or with weights that follow the parameters.

    Args:
        config: of the run.
        model: as `build_model` made it.
        images: uint8 [N, H, W, C], the training images; without weights also `Labelled` ones.
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
        preprocess=preprocess_of(config.data.protocol, config.data.levels),
        bins=options.bins,
        alpha=options.alpha,
        combine=options.combine,
        at_least=options.at_least,
        threshold=options.threshold,
    )
    return Reweighted(images, weights, anchor)
