"""What is asked of all codes of a batch together, by name."""

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


PENALTIES: dict[str, Penalty] = {
    "none": Penalty(_none),
    "mmd": Penalty(_mmd, WEIGHT),
    "dip_i": Penalty(_dip_i, WEIGHT, diagonal=True),
    "dip_ii": Penalty(_dip_ii, WEIGHT, diagonal=True),
    "total_correlation": Penalty(_none, WEIGHT, INSTEAD, loss=_total_correlation, diagonal=True),
}
