"""From a config to the model, the loss and the optimizer it names."""

import functools
import math
from dataclasses import replace

import jax
import numpy as np
import optax

from jaxvae.data.rows import chunks
from jaxvae.models.records import Model
from jaxvae.runs.builders.objective import build_loss
from jaxvae.runs.builders.recipe import Recipe, Training, training_of
from jaxvae.runs.choices.kinds import KINDS
from jaxvae.runs.choices.likelihoods import LIKELIHOODS
from jaxvae.runs.choices.networks import sized
from jaxvae.runs.choices.records import Given
from jaxvae.runs.choices.usual import settled
from jaxvae.runs.configs.config import Config, ModelConfig, OptimConfig, Protocol
from jaxvae.runs.examples import blank_example
from jaxvae.traced import surely
from jaxvae.training.engine.optimizers import learning_rate_schedule, make_optimizer
from jaxvae.training.engine.stages import burda_schedule, burda_stages
from jaxvae.training.engine.state import TrainState, init_state

Array = jax.Array


def build_model(
    config: ModelConfig,
    event_shape: tuple[int, ...],
    images: np.ndarray | None = None,
    *,
    classes: int | None = None,
    levels: int = 256,
    protocol: Protocol = "dynamic",
) -> Model:
    """The model a config names, for examples of shape (H, W, C).

    Args:
        config: the model's part of a config.
        event_shape: (H, W, C).
        images: uint8 [N, H, W, C], the training images, or the rows [N, D] of a table as the model sees them, for
            parameters that start from the data; a trained model needs none.
        classes: how many the data have, for a kind that takes labels.
        levels: of grey, for a likelihood of whole numbers, as data.levels says.
        protocol: how pixels or rows become x, for a kind that says its likelihood by that.

    Raises:
        ValueError: if the image size does not fit the network's strides.

    Example:
        >>> build_model(ModelConfig(latent_dim=2), (8, 8, 1)).event_shape
        (8, 8, 1)
    """
    config = settled(Config(model=sized(config, event_shape))).model
    given = Given(event_shape, output_bias(config, event_shape, images), classes, images, levels, protocol)
    return KINDS[config.kind].make(config, given, LIKELIHOODS[config.likelihood].make(config, levels, event_shape[-1]))


def output_bias(
    config: ModelConfig, event_shape: tuple[int, ...], images: np.ndarray | None
) -> tuple[float, ...] | None:
    """The decoder outputs that give the mean image; None to start at zero.

    For `normal` that image itself; for `bernoulli` its logits, kept half a grey level inside (0, 1).
    """
    if config.output_bias == "zero":
        return None
    if images is None:  # a trained model brings its own
        return (0.0,) * math.prod(event_shape)
    total = sum(part.sum(0, dtype=np.float64) for part in chunks(images, 4096))  # of whole numbers, so it is exact
    mean = np.ravel(total / len(images)) / 255
    if config.likelihood == "normal":
        return tuple(mean.tolist())
    mean = np.clip(mean, 1 / 510, 1 - 1 / 510)
    return tuple(np.log(mean / (1 - mean)).tolist())


def build_recipe(config: Config, model: Model, steps_per_epoch: int) -> Recipe:
    """What a config describes, as a function of one's own returns it; epochs in the config become steps."""
    config = settled(replace(config, model=sized(config.model, model.event_shape)))
    optim = config.optim
    steps = config.epochs * steps_per_epoch
    if optim.schedule == "burda":
        rate = burda_schedule(steps_per_epoch, burda_stages(config.epochs), optim.lr)
    else:
        rate = learning_rate_schedule(optim.schedule, optim.lr, steps, round(optim.warmup_epochs * steps_per_epoch))
    own = KINDS[config.model.kind].optimizer
    optimizer = _optimizer(optim, rate) if own is None else own(config, functools.partial(_optimizer, optim, rate))
    loss = build_loss(config, model, steps_per_epoch)
    return Recipe(model, config.data, config.data.protocol, loss, optimizer, optim.ema)


def _optimizer(optim: OptimConfig, schedule: optax.Schedule, rate: float = 1.0) -> optax.GradientTransformation:
    """The optimizer of a config, at a multiple of its learning rate."""
    eps = None if optim.name == "sgd" else optim.eps
    at = schedule if surely(rate == 1.0) else lambda step: rate * schedule(step)
    return make_optimizer(optim.name, at, clip=optim.clip, weight_decay=optim.weight_decay, eps=eps, b1=optim.b1)


def build_training(config: Config, model: Model, steps_per_epoch: int) -> Training:
    """Loss, optimizer and preprocessing of a run that its config describes."""
    return training_of(build_recipe(config, model, steps_per_epoch), config)


def abstract_state(config: Config, model: Model, optimizer: optax.GradientTransformation | None = None) -> TrainState:
    """The shapes and dtypes of a run's state, without computing any of it; the optimizer is by default the config's."""
    optimizer = build_training(config, model, steps_per_epoch=1).optimizer if optimizer is None else optimizer

    def init(key: Array) -> TrainState:
        return init_state(model, optimizer, key, blank_example(model), ema=config.optim.ema is not None)

    return jax.eval_shape(init, jax.random.key(0))
