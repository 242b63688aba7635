"""The generator of a GAN as a model: it draws, and cannot score."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.checks import positive_integer
from jaxvae.models.conditional import Told
from jaxvae.models.contexts import Context, Labelled, as_context, split_context
from jaxvae.models.events import as_shape
from jaxvae.models.inputs import as_observation
from jaxvae.models.likelihoods import decoder_likelihood
from jaxvae.models.meaning import absent
from jaxvae.models.priors.standard import standard_normal
from jaxvae.models.records import Conditional, Key, Model, Network, Observation, Params, merge

Array = jax.Array


def gan(
    generator: Network,
    *,
    event_shape: tuple[int, ...],
    latent_dim: int,
    observation: Observation | None = None,
    prior: Conditional | None = None,
    context: int | tuple[int, ...] | Context | None = None,
) -> Model:
    """A generator without an encoder: z ~ p(z), x = mean of observation(generator(z)); train it by `gan_loss`.

    With a context it is told the class too, x = mean of observation(generator(z, c)): a conditional GAN, whose critic
    should be told it as well, see `projection_critic`.

    Args:
        generator: `.apply(variables, z)` returns [..., C * observation.channels] unconstrained numbers; with a context
            `.apply(variables, z, c)`, as `with_context` makes it of a network of z alone.
        event_shape: the shape [..., C] of one example, (H, W, C) for images.
        latent_dim: the number of latents.
        observation: an observation model, of which only the mean is used; by default `bernoulli()`, a sigmoid.
        prior: a `Conditional` with context None, or c, by default `standard_normal(latent_dim)`.
        context: a number of classes, the shape of a float array, or a `Context`; x is then `Labelled(value, c)`.

    Returns:
        A `Model` with the parameters {"decoder": ...} and the evidence "none"; its terms and posterior raise
        `ValueError`, since a GAN has neither a likelihood nor codes. Give it a critic by
        `with_critic(model, network, sees="example")`.

    Source: Goodfellow et al., 2014, arXiv 1406.2661; told the class: Mirza and Osindero, 2014, arXiv 1411.1784.

    Example:
        >>> from jaxvae.networks.mlp import MLPDecoder
        >>> model = gan(MLPDecoder((4, 4, 1)), event_shape=(4, 4, 1), latent_dim=2)
        >>> params = model.init(jax.random.key(0), jnp.zeros((4, 4, 1)))
        >>> z, _ = model.prior.sample(params, jax.random.key(1), None)
        >>> model.likelihood.mean(params, z).shape
        (4, 4, 1)
    """
    latent_dim = positive_integer("latent_dim", latent_dim)
    event_shape, observation = as_shape("event_shape", event_shape), as_observation(observation)
    told = None if context is None else as_context(context)
    network = generator if told is None else Told(generator, told)
    p_x = decoder_likelihood(network, observation, event_shape)
    p_z = standard_normal(latent_dim) if prior is None else prior
    posterior = absent(
        "a GAN has no likelihood and no posterior, so it gives no terms and no codes. Train it by gan_loss; for "
        "codes use a VAE with vae_gan_loss."
    )
    refuse: Any = posterior.mean

    def init(key: Key, x: Any) -> Params:
        key_x, key_p = jax.random.split(key)
        z: Any = jnp.zeros(latent_dim, jnp.float32)
        c = None if told is None else split_context(told, x, "x")[1]
        return merge(p_x.init(key_x, z if told is None else Labelled(z, c)), p_z.init(key_p, c))

    def sample(params: Params, key: Key, z: Any) -> tuple[Array, Array]:
        x = p_x.mean(params, z)
        return x, jnp.full((), jnp.inf, x.dtype)  # a point mass, as `point_posterior`

    point_mass = Conditional(p_x.init, sample, refuse, p_x.mean, support=p_x.support)
    seen = observation.to_unit, observation.check
    return Model(init, refuse, posterior, p_z, point_mass, event_shape, *seen, told, evidence="none")
