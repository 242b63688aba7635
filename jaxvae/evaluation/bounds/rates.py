"""The VAE as an information bottleneck: its rate, its distortion, and what the codes really tell of the examples."""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.checks import positive_integer
from jaxvae.evaluation.batches import map_batches
from jaxvae.evaluation.bounds.likelihood import per_example, summarize
from jaxvae.evaluation.latents.codes import active_latents, encode
from jaxvae.evaluation.statistics import Estimate
from jaxvae.math.normal import normal_log_prob
from jaxvae.models.records import Key, Model, Params

Array = jax.Array


class InformationBounds(NamedTuple):
    """What codes tell of examples, I(x; z), in nats; the arrays are of single draws, so that errors can be had.

    Attributes:
        lower: [D] log q(z | x_n) / q_N(z), q_N the mixture of all N posteriors. Its mean is I for the N examples as
            they are; for the population they were drawn from it is below I on average, and never above log N.
        upper: [D] the same with the own posterior left out of the mixture; above the population's I on average, and
            far above it where the codes of the N examples hardly overlap.
        log_aggregate: [D] log q_N(z).
        z: [D, Z] the draws.
        cap: log N, which `lower` cannot exceed.
    """

    lower: np.ndarray
    upper: np.ndarray
    log_aggregate: np.ndarray
    z: np.ndarray
    cap: float


def information_bounds(
    key: Key,
    mean: Array | np.ndarray,
    log_var: Array | np.ndarray,
    *,
    draws: int | None = None,
    batch_size: int = 50,
) -> InformationBounds:
    r"""Bounds on I(x; z) = E KL(q(z | x) || q(z)) of diagonal Gaussian posteriors, by the exact mixture of all N.

    lower = log q(z | x_n) - log 1/N sum_m q(z | x_m),  upper = log q(z | x_n) - log 1/(N - 1) sum_{m != n} q(z | x_m)

    No batch estimates the mixture, so that for the N examples themselves the lower one is exact but for its draws.

    Args:
        key: a JAX random key; consumed.
        mean, log_var: [N, Z] of the posteriors, N at least 2.
        draws: D examples, evenly spread, of which a sample each is taken; by default all N.
        batch_size: samples in flight at a time; no number depends on it.

    Raises:
        ValueError: for other shapes, numbers that are not finite, or fewer than two examples.
        ValueError, TypeError: for impossible draws.

    Source: Hoffman and Johnson, 2016, ELBO surgery; Poole et al., 2019, arXiv 1905.06922.

    Example:
        >>> mean = np.array([[-9.0], [-9.0], [9.0], [9.0]])  # two groups apart: one bit, 0.6931 nats
        >>> bounds = information_bounds(jax.random.key(0), mean, np.zeros((4, 1)))
        >>> round(float(bounds.lower.mean()), 4), round(float(bounds.upper.mean()), 4), round(bounds.cap, 4)
        (0.6931, 1.0986, 1.3863)
    """
    mean, log_var = np.asarray(mean, np.float32), np.asarray(log_var, np.float32)
    if mean.ndim != 2 or len(mean) < 2 or log_var.shape != mean.shape:
        raise ValueError(
            f"mean has shape {mean.shape} and log_var {log_var.shape}, expected [N, Z] both, with at least 2 examples."
        )
    for name, array in (("mean", mean), ("log_var", log_var)):
        if not np.isfinite(array).all():
            raise ValueError(f"{name} has values that are not finite, expected finite numbers. Has training diverged?")
    count = len(mean) if draws is None else min(positive_integer("draws", draws), len(mean))
    rows = np.floor((np.arange(count) + 0.5) * len(mean) / count).astype(np.int64)
    z = mean[rows] + np.exp(log_var[rows] / 2) * np.asarray(jax.random.normal(key, (count, mean.shape[1])))
    own, joint, others = map_batches(
        functools.partial(_mixtures, mean, log_var), z, rows, batch_size=batch_size
    ).T.astype(np.float64)
    return InformationBounds(own - joint, own - others, joint, z, math.log(len(mean)))


@jax.jit
def _mixtures(mean: Array, log_var: Array, _: Array, z: Array, rows: Array) -> Array:
    """[B, 3]: log q(z | own x), log of the mixture of all, log of the mixture without the own one."""
    densities = jax.vmap(jax.vmap(normal_log_prob, (None, 0, 0)), (0, None, None))(z, mean, log_var)  # [B, N]
    count = mean.shape[0]
    mine = jnp.arange(count)[None] == rows[:, None]
    own = jnp.take_along_axis(densities, rows[:, None], 1)[:, 0]
    joint = jax.nn.logsumexp(densities, axis=1) - math.log(count)
    others = jax.nn.logsumexp(jnp.where(mine, -jnp.inf, densities), axis=1) - math.log(count - 1)
    return jnp.stack([own, joint, others], axis=1)


class RateDistortion(NamedTuple):
    """One point of the curve, each an `Estimate` in nats per example.

    Attributes:
        rate: E KL(q(z | x) || p(z)) = I(x; z) + KL(q(z) || p(z)).
        distortion: -E log p(x | z).
        negative_elbo: their sum.
        information: I(x; z) of the N examples, at most `cap`; on average below that of their population.
        information_above: an estimate on average above the population's I(x; z).
        marginal_kl: KL(q(z) || p(z)) of the mixture of the N posteriors, on average above that of the population.
        cap: log N.
        active_units: latents whose posterior mean has a variance above 0.01.
    """

    rate: Estimate
    distortion: Estimate
    negative_elbo: Estimate
    information: Estimate
    information_above: Estimate
    marginal_kl: Estimate
    cap: float
    active_units: int


def rate_distortion(
    model: Model, params: Params, key: Key, x: Array | np.ndarray, *, draws: int | None = 2000, batch_size: int = 500
) -> RateDistortion:
    """Rate, distortion and what the rate is made of, on the N examples given.

    Args:
        model, params: a model with a diagonal Gaussian posterior.
        key: consumed.
        x: [N, *event_shape], in the units of the likelihood.
        draws: posterior samples for the information, see `information_bounds`.
        batch_size: examples in flight at a time.

    Source: Alemi et al., 2018, arXiv 1711.00464; Hoffman and Johnson, 2016, ELBO surgery.

    Example:
        >>> from jaxvae.models.variational import vae
        >>> from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
        >>> model = vae(MLPEncoder(2), MLPDecoder((8, 8, 1)), event_shape=(8, 8, 1), latent_dim=2)
        >>> x = np.zeros((3, 8, 8, 1), np.float32)
        >>> point = rate_distortion(model, model.init(jax.random.key(0), x[0]), jax.random.key(1), x)
        >>> abs(point.negative_elbo.mean - point.rate.mean - point.distortion.mean) < 1e-3
        True
    """
    posterior = encode(model, params, x, batch_size=batch_size)
    key_terms, key_draws = jax.random.split(key)
    values = per_example(model, params, key_terms, x, batch_size=batch_size)
    bounds = information_bounds(key_draws, posterior.mean, posterior.log_var, draws=draws)
    log_prior = map_batches(functools.partial(_log_prior, model, params), bounds.z, batch_size=batch_size)
    found = summarize(
        {
            "rate": values["kl"],
            "distortion": -values["log_likelihood"],
            "negative_elbo": -values["elbo"],
            "information": bounds.lower,
            "information_above": bounds.upper,
            "marginal_kl": bounds.log_aggregate - log_prior,
        }
    )
    return RateDistortion(**found, cap=bounds.cap, active_units=int(active_latents(posterior.mean).sum()))


@functools.partial(jax.jit, static_argnums=0)
def _log_prior(model: Model, params: Params, index: Array, z: Array) -> Array:
    return jax.vmap(lambda one: model.prior.log_prob(params, one, None))(z)
