"""Densities trained by gradient on the codes of a trained model: a flow, and a second VAE."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.checks import as_seed, positive_integer
from jaxvae.evaluation.fitted_priors.closed_form import Codes, as_codes, parameterless, standard
from jaxvae.evaluation.fitted_priors.maximum_likelihood import best_of_a_run, train_density
from jaxvae.flows.records import Bijection
from jaxvae.models.observations.continuous import normal
from jaxvae.models.priors.flow import flow_prior
from jaxvae.models.records import Conditional, Key, Model, Params
from jaxvae.models.variational import vae
from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
from jaxvae.objectives.bounds import iwae_bound
from jaxvae.training.losses.bound import bound_loss

Array = jax.Array


def fit_density(
    codes: Codes,
    density: Conditional,
    *,
    steps: int = 2000,
    batch_size: int = 100,
    learning_rate: float = 1e-3,
    seed: int = 0,
) -> Conditional:
    """Trains any prior on codes by maximum likelihood: the mean of -log p(z) over the codes falls, by Adam.

    The density is trained on codes scaled to mean 0 and variance 1, and scaled back; the learning rate falls to 0
    along a cosine. Every tenth code is held out, and the parameters kept are those that serve it best: a flow overfits.

    Args:
        codes: [N, Z] floats, at least one batch.
        density: a `Conditional` over [Z] with context None and parameters, as `flow_prior` or `gaussian_mixture_prior`.
        steps: gradient steps.
        batch_size: codes in each.
        learning_rate: where it starts.
        seed: of everything random.

    Returns:
        A prior without parameters, for `with_prior`.

    Raises:
        ValueError, TypeError: for impossible codes or options, or a density that is none.
        FloatingPointError: if training meets what is not finite again and again.

    Example:
        >>> from jaxvae.models.priors.mixture import gaussian_mixture_prior
        >>> codes = np.random.default_rng(0).normal(size=(200, 2))
        >>> fit_density(codes, gaussian_mixture_prior(2, 2), steps=5).log_prob({}, jnp.zeros(2), None).shape
        ()
    """
    center, scale, scaled = _scaled(codes)
    params = train_density(scaled, density, steps=steps, batch_size=batch_size, learning_rate=learning_rate, seed=seed)
    return _placed(density, params, center, scale)


def fit_flow(codes: Codes, bijection: Bijection, **options: Any) -> Conditional:
    """A flow trained on codes by maximum likelihood, see `fit_density` for the options.

    A masked autoregressive flow has the fast direction that this needs, the density; it draws one latent after another.

    Args:
        codes: [N, Z] floats.
        bijection: over [Z], such as `autoregressive_flow(masked_autoregressive, Z, ...)` or `real_nvp(Z, ...)`.
        **options: steps, batch_size, learning_rate, seed.

    Returns:
        A prior without parameters, for `with_prior`.

    Raises:
        ValueError, TypeError: for impossible codes or options, or what is no `Bijection`.

    Source: Papamakarios, Pavlakou and Murray, 2017, arXiv 1705.07057.

    Example:
        >>> from jaxvae.flows import autoregressive_flow, masked_autoregressive
        >>> from jaxvae.networks.made import MADE
        >>> flow = autoregressive_flow(masked_autoregressive, 2, lambda size: MADE(2, size, (8,)), layers=1)
        >>> prior = fit_flow(np.random.default_rng(0).normal(size=(200, 2)), flow, steps=5)
        >>> prior.sample({}, jax.random.key(0), None)[0].shape
        (2,)
    """
    return fit_density(codes, flow_prior(bijection, as_codes(codes).shape[1]), **options)


def fit_two_stage(
    codes: Codes,
    *,
    hidden: tuple[int, ...] = (256, 256),
    samples: int = 64,
    steps: int = 4000,
    batch_size: int = 100,
    learning_rate: float = 1e-3,
    seed: int = 0,
) -> Conditional:
    """A second VAE trained on the codes of the first: z = decoder(u) + sigma noise, u ~ N(0, I), sigma learned.

    It has as many latents as the codes, and is trained as `fit_density` trains. Its log density has no closed form:
    `log_prob` is the importance-weighted bound, so that bounds of the whole model stay bounds (on average over its
    noise, which is the same at each call).

    Args:
        codes: [N, Z] draws of the first posterior, see `draw_codes`; every latent must vary.
        hidden: widths of the hidden layers of both networks.
        samples: of the importance-weighted bound.
        steps: gradient steps.
        batch_size: codes in each.
        learning_rate: where it starts; it falls to 0 along a cosine.
        seed: of everything random.

    Returns:
        A prior without parameters, for `with_prior`.

    Source: Dai and Wipf, 2019, arXiv 1903.05789, section 4.

    Example:
        >>> codes = np.random.default_rng(0).normal(size=(200, 2))
        >>> prior = fit_two_stage(codes, hidden=(8,), steps=5, samples=3)
        >>> prior.sample({}, jax.random.key(0), None)[0].shape
        (2,)
    """
    samples = positive_integer("samples", samples)
    center, scale, scaled = _scaled(codes)
    size = scaled.shape[1]
    stage = vae(
        MLPEncoder(size, hidden),
        MLPDecoder((size,), hidden=hidden),
        event_shape=(size,),
        latent_dim=size,
        observation=normal("learned", std=1.0),
    )
    key_init, key_run, key_bound = jax.random.split(jax.random.key(as_seed("seed", seed)), 3)
    start = jax.jit(stage.init)(key_init, jnp.zeros(size, jnp.float32))
    params = best_of_a_run(bound_loss(stage), start, key_run, scaled, steps, batch_size, learning_rate)
    return _placed(_marginal(stage, samples, key_bound), params, center, scale)


def _marginal(stage: Model, samples: int, key_bound: Key) -> Conditional:
    """p(z) of a VAE over z, its density bounded from below with the same noise at each call; `mean` is at u = 0."""

    def log_prob(params: Params, z: Array, context: None = None) -> Array:
        keys = jax.random.split(key_bound, samples)
        return iwae_bound(jax.vmap(stage.terms, (None, 0, None))(params, keys, z))

    def sample(params: Params, key: Key, context: None = None) -> tuple[Array, Array]:
        key_u, key_z = jax.random.split(key)
        u, _ = stage.prior.sample(params, key_u, None)
        z, _ = stage.likelihood.sample(params, key_z, u)
        return z, log_prob(params, z)

    def mean(params: Params, context: None = None) -> Array:
        return stage.likelihood.mean(params, stage.prior.mean(params, None))

    return Conditional(stage.prior.init, sample, log_prob, mean)


def _scaled(codes: Codes) -> tuple[Array, Array, np.ndarray]:
    """Mean [Z], standard deviation [Z], and the codes scaled by them, float32 [N, Z]."""
    exact = as_codes(codes)
    center, scale = standard(codes)
    scaled = ((exact - center) / scale).astype(np.float32)
    return jnp.asarray(center, jnp.float32), jnp.asarray(scale, jnp.float32), scaled


def _placed(density: Conditional, params: Params, center: Array, scale: Array) -> Conditional:
    """The density of center + scale y for y of a trained density, with its parameters inside."""
    log_volume = jnp.log(scale).sum()

    def log_prob(_: Params, z: Array, context: None = None) -> Array:
        return density.log_prob(params, (z - center) / scale, None) - log_volume

    def sample(_: Params, key: Key, context: None = None) -> tuple[Array, Array]:
        y, log_density = density.sample(params, key, None)
        return center + scale * y, log_density - log_volume

    return parameterless(sample, log_prob, center + scale * density.mean(params, None))
