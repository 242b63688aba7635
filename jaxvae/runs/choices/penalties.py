"""What is asked beside the bound, by name: of all codes of a batch together, or of how a reconstruction looks."""

from typing import TYPE_CHECKING, Any

from jaxvae.runs.choices.records import Options, Penalty

if TYPE_CHECKING:
    from jaxvae.models.records import Model

WEIGHT = ("objective.penalty_weight",)
# The loss of a beta-TCVAE stands in place of these.
INSTEAD = ("objective.bound", "objective.estimator", "objective.beta", "objective.warmup_epochs")


def _none(objective: Options, model: "Model") -> Any:
    return None


def _mmd(objective: Options, model: "Model") -> Any:
    from jaxvae.training.losses.penalties import mmd_penalty

    return mmd_penalty(model, objective.penalty_weight)


def _dip_i(objective: Options, model: "Model") -> Any:
    return _dip("I", objective.penalty_weight)


def _dip_ii(objective: Options, model: "Model") -> Any:
    return _dip("II", objective.penalty_weight)


def _dip(kind: str, weight: float) -> Any:
    from jaxvae.training.losses.penalties import dip_vae_penalty

    return dip_vae_penalty(kind=kind, off_diagonal=weight, diagonal=weight)


def _total_correlation(objective: Options, model: "Model", examples: int) -> Any:
    from jaxvae.training.losses.penalties import tc_vae_loss

    return tc_vae_loss(model, examples, beta=objective.penalty_weight, samples=objective.samples)


def _similarity(objective: Options, model: "Model") -> "Model":
    from jaxvae.models.autoencoders.likeness import compared
    from jaxvae.objectives.similarity import WINDOW, multiscale_similarity

    if min(model.event_shape[:2]) < WINDOW:
        raise ValueError(
            f"objective.penalty is 'ms_ssim', which looks through windows of {WINDOW}x{WINDOW} pixels, but an example "
            f"is {'x'.join(map(str, model.event_shape))}. Set --objective.penalty none, or features."
        )
    return compared(model, lambda x, y: 1.0 - multiscale_similarity(x, y), objective.penalty_weight)


def _features(objective: Options, model: "Model") -> "Model":
    from jaxvae.evaluation.samples.feature_files import feature_distance
    from jaxvae.models.autoencoders.likeness import compared

    if objective.features is None:
        raise ValueError(
            "objective.features is missing, expected an .npz with the weights of a network that judges pictures. "
            "`python -m experiments.sample_quality RUN` trains a classifier on the data of any run of them and leaves "
            "it as RUN/sample_quality.npz."
        )
    return compared(model, feature_distance(objective.features), objective.penalty_weight)


PENALTIES: dict[str, Penalty] = {
    "none": Penalty(_none),
    "mmd": Penalty(_mmd, WEIGHT),
    "dip_i": Penalty(_dip_i, WEIGHT, diagonal=True),
    "dip_ii": Penalty(_dip_ii, WEIGHT, diagonal=True),
    "ms_ssim": Penalty(_none, WEIGHT, compare=_similarity),
    "features": Penalty(_none, (*WEIGHT, "objective.features"), compare=_features),
    "total_correlation": Penalty(_none, WEIGHT, INSTEAD, loss=_total_correlation, diagonal=True),
}
