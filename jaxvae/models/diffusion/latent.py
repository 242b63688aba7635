"""A VAE whose prior is a diffusion: codes are drawn by taking noise off, and the whole is scored by one bound."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.models.diffusion.samplers import Sampler, sampler_of
from jaxvae.models.events import zeros
from jaxvae.models.meaning import absent
from jaxvae.models.records import Key, Model, Params, as_model, merge
from jaxvae.objectives.terms import Terms

Array = jax.Array


def latent_diffusion(model: Model, prior: Model) -> Model:
    """The VAE with its prior p(z) replaced by a diffusion of codes; encoder, decoder and diffusion train together.

        log p(x) >= E_q [log p(x | z) - log q(z | x) + log p(z)],   log p(z) >= the bound of the diffusion

    `Terms.kl` is [log q(z | x) - log p(z | z_0), diffusion, prior of z_1], which sum to the rate; of them only the sum
    means something, and its mean is what bounds.

    Args:
        model: of one vector of latents [Z], such as `vae(...)`, without a context; its own prior is dropped.
        prior: `diffusion_model(network, normal("learned", std=0.01, floor=1e-3), event_shape=(Z,))`, so that z, about
            as large as 1, is z_0 itself up to a small width.

    Returns:
        A `Model` of evidence "bound" with the parameters of both; `even_times_loss` and `with_sampler` take it.

    Raises:
        ValueError, TypeError: for a model with a context or without weights, or a prior that is no diffusion of reals.

    Source: Vahdat, Kreis and Kautz, 2021, arXiv 2106.05931; Kingma et al., 2021, arXiv 2107.00630.

    Example:
        >>> from jaxvae.models.diffusion.bound import diffusion_model
        >>> from jaxvae.models.observations.continuous import normal
        >>> from jaxvae.models.variational import vae
        >>> from jaxvae.networks.denoisers import MLPDenoiser
        >>> from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
        >>> plain = vae(MLPEncoder(2, (8,)), MLPDecoder((4, 1), hidden=(8,)), event_shape=(4, 1), latent_dim=2)
        >>> codes = diffusion_model(MLPDenoiser((2,), hidden=(8,)), normal("learned", 0.01, 1e-3), event_shape=(2,))
        >>> both = latent_diffusion(plain, codes)
        >>> params = both.init(jax.random.key(0), jnp.ones((4, 1)))
        >>> both.terms(params, jax.random.key(1), jnp.ones((4, 1))).kl.shape, both.evidence
        ((3,), 'bound')
    """
    sampler = sampler_of(prior)
    if as_model("model", model).evidence != "weights" or model.context is not None or prior.context is not None:
        raise ValueError("the model has a context or no weights, expected one such as vae(...), without a context.")
    if sampler.process.observation.discrete:
        raise ValueError(
            f"the prior is a diffusion of {sampler.process.observation.name!r}, expected one of real codes, with "
            f"normal('learned', std=0.01, floor=1e-3)."
        )
    code = zeros(prior.event_shape)

    def init(key: Key, x: Any) -> Params:
        key_q, key_x, key_z = jax.random.split(key, 3)
        return merge(model.posterior.init(key_q, x), model.likelihood.init(key_x, code), prior.init(key_z, code))

    def terms(params: Params, key: Key, x: Any) -> Terms:
        key_q, key_p = jax.random.split(key)
        z, log_q = model.posterior.sample(params, key_q, x)
        under = prior.terms(params, key_p, z)
        log_p = model.likelihood.log_prob(params, x, z)
        kl = jnp.concatenate([(log_q - under.log_likelihood)[None], under.kl])
        return Terms(log_p, kl, log_p - kl.sum(), jnp.zeros_like(log_p), z, None)

    def decode(params: Params, key: Key, z: Array) -> Array:
        return model.likelihood.sample(params, key, z)[0]

    draws: Sampler = sampler._replace(decode=decode)
    nowhere = absent("the prior is a diffusion, which has no density of a code in one pass. Use generation.draw.")
    draw: Any = draws
    return model._replace(init=init, terms=terms, prior=nowhere, evidence="bound", draw=draw)
