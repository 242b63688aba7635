"""A bound's value with an estimator's gradient."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.math.normal import normal_kl
from jaxvae.models.given_context import condition
from jaxvae.models.records import Key, Model, Params
from jaxvae.objectives.estimators import Bound, Estimator, Weights, of_pairs
from jaxvae.objectives.terms import Terms
from jaxvae.training.losses.samples import in_chunks

Array = jax.Array


def estimated(
    estimator: Estimator, model: Model, bound: Bound, params: Params, key: Key, x: Any, *, samples: int, chunk: int
) -> tuple[Array, Terms]:
    """(the bound [] of one example, with the estimator's gradient in params; `Terms` [samples] without gradient).

    The samples go through the model twice, first for their log-densities, then for their gradients with the weights
    that the estimator makes of these; compiled, the two are one where the samples fit into one chunk. The key is
    consumed.
    """
    model, value = condition(model, x)
    fixed = jax.lax.stop_gradient(params)
    q, p_x, p_z = model.posterior, model.likelihood, model.prior
    order = jax.numpy.arange(samples)

    def densities(sample: Array) -> tuple[tuple[Array, Array], None]:
        z, log_q = q.sample(fixed, jax.random.fold_in(key, sample), value)
        return (p_x.log_prob(fixed, value, z), p_z.log_prob(fixed, z, None) - log_q), None

    pairs, _ = jax.lax.stop_gradient(in_chunks(densities, chunk, order))
    weights = jax.lax.stop_gradient(estimator(bound, *pairs))

    if weights.path is not None:
        _check_path(jax.eval_shape(q.sample, fixed, key, value)[0])

    def surrogate(sample: Array, weights: Weights) -> tuple[None, Array]:
        z, _ = q.sample(params, jax.random.fold_in(key, sample), value)
        still = jax.lax.stop_gradient(z)
        of_likelihood, of_ratio = weights.model
        total = of_likelihood * p_x.log_prob(params, value, still) + of_ratio * p_z.log_prob(params, still, None)
        if weights.path is not None:
            of_likelihood, of_ratio = weights.path
            log_ratio = p_z.log_prob(fixed, z, None) - q.log_prob(fixed, z, value)
            total += of_likelihood * p_x.log_prob(fixed, value, z) + of_ratio * log_ratio
        if weights.score is not None:
            total += weights.score * q.log_prob(params, still, value)
        return None, total

    _, total = in_chunks(surrogate, chunk, order, weights)
    log_likelihood, log_ratio = pairs
    kl = closed_form_kl(model, fixed, value)
    kl = -log_ratio.mean()[None] if kl is None else kl
    kl = jnp.broadcast_to(kl, (samples, *kl.shape))
    terms = Terms(log_likelihood, kl, log_likelihood + log_ratio, jnp.zeros_like(log_ratio), None, None)
    return with_gradient_of(of_pairs(bound)(*pairs), total), terms


def _check_path(z: Any) -> None:
    """Raises `ValueError` where a part of z is a class: no gradient passes through an integer."""
    if any(not jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in jax.tree.leaves(z)):
        raise ValueError(
            "the posterior draws integers (classes), but the estimator needs a gradient along the path of z. Use "
            "estimator=score_function, or None for a model that sums its classes out."
        )


def closed_form_kl(model: Model, params: Params, x: Any) -> Array | None:
    """KL(q || p) for each latent, or None where one of the two is no diagonal Gaussian."""
    if model.posterior.distribution is None or model.prior.distribution is None:
        return None
    q, p = model.posterior.distribution(params, x), model.prior.distribution(params, None)
    return jax.vmap(normal_kl)(q.mean, q.log_var, p.mean, p.log_var)


@jax.custom_jvp
def with_gradient_of(value: Array, surrogate: Array) -> Array:
    """The value, with the derivative of the surrogate; the surrogate itself need not be computed."""
    return value


@with_gradient_of.defjvp
def _with_gradient_of_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    return primals[0], tangents[1]
