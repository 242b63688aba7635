"""The variational autoencoder."""

from collections.abc import Callable
from typing import Any

from jaxvae.checks import positive_integer
from jaxvae.models.events import as_event_shape
from jaxvae.models.inputs import as_observation, network_input
from jaxvae.models.latent_variable import latent_variable_model
from jaxvae.models.likelihoods import decoder_likelihood
from jaxvae.models.posteriors.gaussian import gaussian_posterior
from jaxvae.models.priors.standard import standard_normal
from jaxvae.models.records import Conditional, Model, Network, Observation


def vae(
    encoder: Network,
    decoder: Network | Conditional,
    *,
    event_shape: Any,
    latent_dim: int,
    observation: Observation | None = None,
    prior: Conditional | None = None,
    posterior: Callable[..., Conditional] = gaussian_posterior,
) -> Model:
    """A variational autoencoder: q(z | x) = N(encoder(x)), p(x | z) = observation(decoder(z)), p(z) = N(0, I).

    Args:
        encoder: `.apply(variables, x)` returns `(mean [latent_dim], log_var [latent_dim])` for one example.
        decoder: `.apply(variables, z)` returns [..., C * observation.channels] unconstrained numbers; or any p(x | z),
            such as an autoregressive `Conditional`: the observation then says no more than what x may be.
        event_shape: the shape [..., C] of one example, (H, W, C) for images.
        latent_dim: the number of latents.
        observation: an observation model, by default `bernoulli()`.
        prior: a `Conditional` with context None, by default `standard_normal(latent_dim)`.
        posterior: (encoder, latent_dim, *, to_input) -> `Conditional`, by default `gaussian_posterior`.

    The KL is [latent_dim] in closed form where posterior and prior are diagonal Gaussians; for others see `draw_code`.

    Returns:
        A `Model`; its parameters are {"encoder": ..., "decoder": ...} and what the likelihood and the prior add.

    Raises:
        ValueError, TypeError: for an impossible latent_dim, event_shape, observation, prior or posterior, and later,
            when x has another shape or a network emits one.

    Source: Kingma and Welling, 2013, arXiv 1312.6114; Rezende, Mohamed and Wierstra, 2014, arXiv 1401.4082.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
        >>> model = vae(MLPEncoder(2), MLPDecoder((8, 8, 1)), event_shape=(8, 8, 1), latent_dim=2)
        >>> params = model.init(jax.random.key(0), jnp.zeros((8, 8, 1)))
        >>> model.terms(params, jax.random.key(1), jnp.zeros((8, 8, 1))).kl.shape
        (2,)
    """
    latent_dim = positive_integer("latent_dim", latent_dim)
    event_shape = as_event_shape(event_shape)
    seen = as_observation(observation)
    p_z = standard_normal(latent_dim) if prior is None else prior
    if not callable(posterior):
        raise TypeError(f"posterior is {posterior!r}, expected a constructor such as gaussian_posterior, not called.")
    q_z = posterior(encoder, latent_dim, to_input=network_input(seen, event_shape))
    p_x = decoder_likelihood(decoder, seen, event_shape)
    return latent_variable_model(q_z, p_z, p_x, event_shape=event_shape, latent_dim=latent_dim, observation=seen)
