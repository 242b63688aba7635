"""Two layers of latents, as a config names them."""

from collections.abc import Callable

from jaxvae.models.hierarchical import hierarchical_vae
from jaxvae.models.ladder import ladder_vae
from jaxvae.models.records import Model, Network, Observation
from jaxvae.networks.hierarchical import MLPLevel
from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
from jaxvae.runs.configs.config import ModelConfig


def build_layered(
    config: ModelConfig, event_shape: tuple[int, ...], observation: Observation, bias: tuple[float, ...] | None
) -> Model:
    """x - hidden - first_latents - upper_hidden - latent_dim, and the same layers downwards.

    Example:
        >>> from jaxvae.models.observations.continuous import bernoulli
        >>> config = ModelConfig(kind="hierarchical", hidden=(8,), first_latents=4, upper_hidden=(8,), latent_dim=2)
        >>> build_layered(config, (8, 8, 1), bernoulli(), None).event_shape
        (8, 8, 1)
    """
    first, top, upper = config.first_latents, config.latent_dim, config.upper_hidden
    decoder = MLPDecoder(event_shape, observation.channels, config.hidden[::-1], config.activation, bias)
    down = [MLPEncoder(first, upper[::-1], config.activation)]
    level: Callable[..., Network] = MLPLevel if config.kind == "ladder" else MLPEncoder
    up = [level(first, config.hidden, config.activation), level(top, upper, config.activation)]
    make = ladder_vae if config.kind == "ladder" else hierarchical_vae
    return make(up, down, decoder, event_shape=event_shape, latent_dims=(first, top), observation=observation)
