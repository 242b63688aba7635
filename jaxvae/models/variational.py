"""The variational autoencoder."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxvae.checks import as_key, positive_integer
from jaxvae.math.normal import normal_kl, normal_log_prob, reparameterize
from jaxvae.models.inputs import as_observation, as_shape, network_input
from jaxvae.models.likelihoods import decoder_likelihood
from jaxvae.models.posteriors.gaussian import gaussian_posterior
from jaxvae.models.priors.standard import standard_normal
from jaxvae.models.records import Conditional, Key, Model, Network, Observation, Params, merge
from jaxvae.objectives.terms import Terms

Array = jax.Array


def vae(
    encoder: Network,
    decoder: Network,
    *,
    event_shape: tuple[int, ...],
    latent_dim: int,
    observation: Observation | None = None,
    prior: Conditional | None = None,
    posterior: Callable[..., Conditional] = gaussian_posterior,
) -> Model:
    """A variational autoencoder: q(z | x) = N(encoder(x)), p(x | z) = observation(decoder(z)), p(z) = N(0, I).

    Args:
        encoder: `.apply(variables, x)` returns `(mean [latent_dim], log_var [latent_dim])` for one example.
        decoder: `.apply(variables, z)` returns [..., C * observation.channels] unconstrained numbers.
        event_shape: the shape [..., C] of one example, (H, W, C) for images.
        latent_dim: the number of latents.
        observation: an observation model, by default `bernoulli()`.
        prior: a `Conditional` with context None, by default `standard_normal(latent_dim)`.
        posterior: (encoder, latent_dim, *, to_input) -> `Conditional`, by default `gaussian_posterior`.

    The KL is [latent_dim] in closed form where posterior and prior are diagonal Gaussians; [1] in closed form where the
    prior is one and the posterior knows its KL to it, as Gaussians with correlations do; and otherwise [1], its
    one-sample estimate log q(z | x) - log p(z).

    Returns:
        A `Model`; its parameters are {"encoder": ..., "decoder": ...} and what the likelihood and the prior add.

    Raises:
        ValueError, TypeError: for an impossible latent_dim, event_shape, observation, prior or posterior, and later,
            when x has another shape or a network emits one.

    Source: Kingma and Welling, 2013, arXiv 1312.6114; Rezende, Mohamed and Wierstra, 2014, arXiv 1401.4082.

    Example:
        >>> from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
        >>> model = vae(MLPEncoder(2), MLPDecoder((8, 8, 1)), event_shape=(8, 8, 1), latent_dim=2)
        >>> params = model.init(jax.random.key(0), jnp.zeros((8, 8, 1)))
        >>> model.terms(params, jax.random.key(1), jnp.zeros((8, 8, 1))).kl.shape
        (2,)
    """
    latent_dim = positive_integer("latent_dim", latent_dim)
    event_shape = as_shape("event_shape", event_shape)
    observation = as_observation(observation)
    p_z = standard_normal(latent_dim) if prior is None else prior
    if not isinstance(p_z, Conditional):
        raise TypeError(f"prior is {prior!r}, expected a Conditional. Call one, such as standard_normal({latent_dim}).")
    if not callable(posterior):
        raise TypeError(f"posterior is {posterior!r}, expected a constructor such as gaussian_posterior, not called.")

    q_z = posterior(encoder, latent_dim, to_input=network_input(observation, event_shape))
    p_x = decoder_likelihood(decoder, observation, event_shape)

    def init(key: Key, x: Array) -> Params:
        key_q, key_x, key_p = jax.random.split(as_key("key", key), 3)
        return merge(q_z.init(key_q, x), p_x.init(key_x, jnp.zeros(latent_dim, jnp.float32)), p_z.init(key_p, None))

    def terms(params: Params, key: Key, x: Array) -> Terms:
        p = None if p_z.distribution is None else p_z.distribution(params, None)
        q, kl = None, None
        if q_z.distribution is not None:
            q = q_z.distribution(params, x)
            z = reparameterize(key, *q)
            log_q = normal_log_prob(z, *q)
            kl = None if p is None else jax.vmap(normal_kl)(q.mean, q.log_var, p.mean, p.log_var)
        elif p is not None and q_z.sample_with_kl is not None:
            z, log_q, total = q_z.sample_with_kl(params, key, x, p)
            kl = total[None]
        else:
            z, log_q = q_z.sample(params, key, x)
        log_p_x = p_x.log_prob(params, x, z)
        log_ratio = p_z.log_prob(params, z, None) - log_q
        kl = -log_ratio[None] if kl is None else kl
        return Terms(log_p_x, kl, log_p_x + log_ratio, jnp.zeros_like(log_p_x), z, q)

    return Model(init, terms, q_z, p_z, p_x, event_shape, observation.to_unit, observation.check)
