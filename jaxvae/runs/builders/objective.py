"""The loss that a config names: a bound, how its gradient is estimated, and a penalty."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp

from jaxvae.checks import is_concrete
from jaxvae.models.records import Model
from jaxvae.runs.choices.bounds import BOUNDS, ESTIMATORS
from jaxvae.runs.choices.kinds import KINDS
from jaxvae.runs.choices.penalties import PENALTIES
from jaxvae.runs.configs.config import Config
from jaxvae.traced import surely
from jaxvae.training.checkpoints.files import digest
from jaxvae.training.engine.optimizers import kl_warmup
from jaxvae.training.losses.bound import Loss, batch_bound_loss, bound_loss


def with_judge(config: Config) -> Config:
    """The same config with the digest of the file whose network judges pictures; a file not there is said by the loss.

    Example:
        >>> with_judge(Config()) == Config()
        True
    """
    objective = config.objective
    if objective.penalty != "features" or objective.features is None or not Path(objective.features).is_file():
        return config
    sha256 = digest(Path(objective.features))
    return replace(config, objective=replace(objective, features_sha256=sha256))


def build_loss(config: Config, model: Model, steps_per_epoch: int) -> Loss:
    """The kind's own loss, or minus the bound plus the penalty; epochs in the config become steps."""
    objective, own = config.objective, KINDS[config.model.kind].loss
    if own is not None:
        loss: Loss = own(config, model)
        return loss
    beta: Any = objective.beta
    rise = objective.warmup_epochs * steps_per_epoch
    warmup: Any = round(rise) if is_concrete(rise) else jnp.round(rise)
    if not surely(warmup == 0):
        beta = kl_warmup(warmup, objective.beta, steps=config.epochs * steps_per_epoch)
    penalty, chosen = PENALTIES[objective.penalty], BOUNDS[objective.bound]
    if penalty.loss is not None:
        examples = steps_per_epoch * config.batch_size  # up to the last part of a batch, the training images
        loss = penalty.loss(objective, model, examples)
        return loss
    if penalty.compare is not None:
        model = penalty.compare(objective, model)
    bound, options = chosen.make(objective, beta)
    options |= {"samples": objective.samples, "batch_penalty": penalty.make(objective, model)}
    if chosen.of_batch and objective.kl_over == "minibatch":
        return batch_bound_loss(model, bound, **options)
    return bound_loss(model, bound, estimator=ESTIMATORS[objective.estimator].make(objective), **options)
