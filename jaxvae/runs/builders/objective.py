"""The loss that a config names: a bound, how its gradient is estimated, and a penalty."""

import functools
from typing import Any

from jaxvae.models.records import Model
from jaxvae.objectives.bounds import elbo, iwae_bound
from jaxvae.runs.configs.combinations import BATCH_BOUNDS
from jaxvae.runs.configs.config import Config, ObjectiveConfig
from jaxvae.training.engine.optimizers import kl_warmup
from jaxvae.training.losses.bound import Loss, batch_bound_loss, bound_loss


def build_loss(config: Config, model: Model, steps_per_epoch: int) -> Loss:
    """Minus the bound plus the penalty; epochs in the config become steps."""
    objective = config.objective
    warmup = round(objective.warmup_epochs * steps_per_epoch)
    beta: Any = objective.beta
    if warmup:
        beta = kl_warmup(warmup, objective.beta, steps=config.epochs * steps_per_epoch)
    if objective.penalty == "total_correlation":
        from jaxvae.training.losses.penalties import tc_vae_loss

        examples = steps_per_epoch * config.batch_size  # up to the last part of a batch, the training images
        return tc_vae_loss(model, examples, beta=objective.penalty_weight, samples=objective.samples)
    bound, options = bound_and_options(objective, beta)
    samples, penalty = objective.samples, _penalty(objective, model)
    if objective.bound in BATCH_BOUNDS and objective.kl_over == "minibatch":
        return batch_bound_loss(model, bound, samples=samples, batch_penalty=penalty, **options)
    estimator = _estimator(objective)
    return bound_loss(model, bound, samples=samples, estimator=estimator, batch_penalty=penalty, **options)


def bound_and_options(objective: ObjectiveConfig, beta: Any) -> tuple[Any, dict[str, Any]]:
    """The bound, with the options that are structure bound to it, and those that are numbers or schedules."""
    if objective.bound == "elbo":
        return elbo, {"beta": beta}
    if objective.bound == "iwae":
        return iwae_bound, {}
    from jaxvae.objectives import importance, rates, renyi

    return {
        "miwae": (functools.partial(importance.miwae_bound, groups=objective.groups), {}),
        "ciwae": (importance.ciwae_bound, {"beta": objective.mix}),
        "renyi": (renyi.renyi_bound, {"alpha": objective.alpha}),
        "vr_max": (renyi.vr_max_bound, {}),
        "free_bits": (rates.free_bits_bound, {"free_nats": objective.free_bits}),
        "capacity": (rates.capacity_bound, {"capacity": objective.capacity, "gamma": objective.capacity_weight}),
    }[objective.bound]


def _estimator(objective: ObjectiveConfig) -> Any:
    if objective.estimator == "pathwise":
        return None
    from jaxvae.objectives import estimators

    if objective.estimator == "piwae":
        return estimators.piwae(objective.groups)
    return getattr(estimators, objective.estimator)


def _penalty(objective: ObjectiveConfig, model: Model) -> Any:
    if objective.penalty == "none":
        return None
    from jaxvae.training.losses.penalties import dip_vae_penalty, mmd_penalty

    weight = objective.penalty_weight
    if objective.penalty == "mmd":
        return mmd_penalty(model, weight)
    kind = {"dip_i": "I", "dip_ii": "II"}[objective.penalty]
    return dip_vae_penalty(kind=kind, off_diagonal=weight, diagonal=weight)
