"""From a config to the model, the loss and the optimizer it names."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxvae.data.protocols import PROTOCOLS
from jaxvae.models.discrete_observations import categorical, discretized_logistic, logistic_mixture
from jaxvae.models.observations import Observation, bernoulli, continuous_bernoulli, laplace, normal
from jaxvae.models.records import Model, Network
from jaxvae.models.vae import vae
from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
from jaxvae.objectives.bounds import elbo, iwae_bound
from jaxvae.runs.config import Config, ModelConfig
from jaxvae.training.losses import Loss, bound_loss
from jaxvae.training.optimizers import kl_warmup, learning_rate_schedule, make_optimizer
from jaxvae.training.state import TrainState, init_state
from jaxvae.training.step import Preprocess

Array = jax.Array


class Training(NamedTuple):
    """What `make_executor` needs, as a config describes it."""

    loss: Loss
    optimizer: optax.GradientTransformation
    preprocess: Preprocess


def build_model(config: ModelConfig, event_shape: tuple[int, ...]) -> Model:
    """The model a config names, for examples of shape (H, W, C).

    Raises:
        ValueError: if the image size does not fit the network's strides.

    Example:
        >>> build_model(ModelConfig(latent_dim=2), (8, 8, 1)).event_shape
        (8, 8, 1)
    """
    observation = build_observation(config)
    channels = observation.channels
    if config.network == "conv":
        from jaxvae.networks.conv import ConvDecoder, ConvEncoder  # seldom needed, so not at every start

        layers = (config.features, config.dense, config.activation)
        encoder: Network = ConvEncoder(config.latent_dim, *layers)
        decoder: Network = ConvDecoder(event_shape, channels, *layers)
    else:
        encoder = MLPEncoder(config.latent_dim, config.hidden, activation=config.activation)
        decoder = MLPDecoder(event_shape, channels, config.hidden[::-1], activation=config.activation)
    return vae(encoder, decoder, event_shape=event_shape, latent_dim=config.latent_dim, likelihood=observation)


def build_observation(config: ModelConfig) -> Observation:
    """The observation model a config names."""
    constructors = {
        "bernoulli": bernoulli,
        "continuous_bernoulli": continuous_bernoulli,
        "normal": lambda: normal(config.scale, config.std),
        "laplace": lambda: laplace(config.scale, config.std),
        "discretized_logistic": discretized_logistic,
        "logistic_mixture": lambda: logistic_mixture(config.components),
        "categorical": categorical,
    }
    return constructors[config.likelihood]()


def build_training(config: Config, model: Model, steps_per_epoch: int) -> Training:
    """Loss, optimizer and preprocessing of a run; epochs in the config become steps."""
    objective, optim = config.objective, config.optim
    steps = config.epochs * steps_per_epoch
    if objective.bound == "iwae":
        loss = bound_loss(model, iwae_bound, samples=objective.samples)
    else:
        warmup = round(objective.warmup_epochs * steps_per_epoch)
        beta = kl_warmup(warmup, objective.beta, steps=steps) if warmup else objective.beta
        loss = bound_loss(model, elbo, samples=objective.samples, beta=beta)
    rate = learning_rate_schedule(optim.schedule, optim.lr, steps, round(optim.warmup_epochs * steps_per_epoch))
    optimizer = make_optimizer(optim.name, rate, clip=optim.clip, weight_decay=optim.weight_decay)
    return Training(loss, optimizer, PROTOCOLS[config.data.protocol])


def abstract_state(config: Config, model: Model) -> TrainState:
    """The shapes and dtypes of a run's state, without computing any of it."""
    optimizer = build_training(config, model, steps_per_epoch=1).optimizer

    def init(key: Array) -> TrainState:
        return init_state(model, optimizer, key, jnp.zeros(model.event_shape), ema=config.optim.ema is not None)

    return jax.eval_shape(init, jax.random.key(0))
