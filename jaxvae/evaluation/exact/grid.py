"""The exact posterior and evidence of a model with one or two latents, by a sum over a grid, and any bound's gap.

log p(x) = log of the sum over the grid of p(x | z) p(z) dz = ELBO(q) + KL(q || p(z | x)),  whatever q is
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.checks import finite_number, positive_integer
from jaxvae.evaluation.batches import map_batches
from jaxvae.evaluation.latents.decoding import count_latents
from jaxvae.models.contexts import count_examples
from jaxvae.models.given_context import condition
from jaxvae.models.meaning import WEIGHTED, need_real
from jaxvae.models.records import Model, Params, check_batch

Array = jax.Array

POINTS = {1: 2001, 2: 401}  # a side, by the number of latents
TOLERANCE = 0.01  # nats, of the difference that every second point makes
PAIRS = 200_000  # most pairs of a grid point and an example in flight


class GridPosterior(NamedTuple):
    """p(z | x) and p(x) of N examples on a grid of G points (Z = 1) or G times G (Z = 2), in float64.

    Attributes:
        log_evidence: [N] log p(x), nats.
        mean, covariance: [N, Z] and [N, Z, Z] of the posterior.
        density: [N, G] or [N, G, G] p(z | x); the first axis of a plane is z[0].
        log_likelihood, log_prior: the shape of density, log p(x | z) and log p(z) in nats.
        axes: Z arrays [G], the values that each latent takes.
        error: [N] how far log_evidence moves if only every second point is used, nats: for a smooth model its own error
            is far smaller, for a network with kinks (relu) about a third of it.
    """

    log_evidence: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    density: np.ndarray
    log_likelihood: np.ndarray
    log_prior: np.ndarray
    axes: tuple[np.ndarray, ...]
    error: np.ndarray


def grid_posterior(
    model: Model, params: Params, x: Any, *, low: float = -6.0, high: float = 6.0, points: int | None = None
) -> GridPosterior:
    r"""The exact posterior and evidence of each example: p(x) = sum over the grid of p(x | z) p(z) dz.

    Args:
        model: with one or two latents.
        params: its parameters.
        x: [N, *event_shape], in the units of the likelihood; of a conditional model `Labelled`.
        low, high: the ends of the grid in every latent.
        points: along each latent, an odd number; by default 2001 for one latent and 401 for two.

    Returns:
        A `GridPosterior`.

    Raises:
        ValueError: for latents other than one or two real numbers, an empty range, fewer than 3 points; if the prior
            or a posterior has mass beyond the grid; or if a posterior is too narrow for its spacing.
        ValueError, TypeError: for an empty x, another shape or values that the model cannot score.

    Example:
        >>> from jaxvae.models.exact.linear import linear_gaussian
        >>> model = linear_gaussian(jnp.ones((1, 1)), noise=1.0)
        >>> grid = grid_posterior(model, model.init(jax.random.key(0), jnp.zeros(1)), np.zeros((1, 1), np.float32))
        >>> round(float(grid.log_evidence[0]), 4), round(float(grid.covariance[0, 0, 0]), 4)  # log N(0; 0, 2), 1/2
        (-1.2655, 0.5)
    """
    check_batch(model, x)
    for part in (model.prior, model.posterior):
        need_real(part, "a grid", WEIGHTED)
    size = count_latents(model, params)
    if size not in POINTS:
        raise ValueError(f"the model has {size} latents, expected 1 or 2: a grid of more has too many points.")
    side = positive_integer("points", POINTS[size] if points is None else points, 3)
    finite_number("low", low, low=-np.inf)
    finite_number("high", high, low=low, above=True)
    side += 1 - side % 2  # so that every second point ends where the grid ends
    axes = (np.linspace(low, high, side),) * size
    z = grid_points(axes).reshape(-1, size)
    log_likelihood, log_prior = map_batches(
        functools.partial(_log_joint, model, params, jax.tree.map(jnp.asarray, x)),
        z.astype(np.float32),
        batch_size=max(1, min(len(z), PAIRS // count_examples(x, "x"))),
    )
    shape = (-1, *(side,) * size)
    log_likelihood, log_prior = (part.astype(np.float64).T.reshape(shape) for part in (log_likelihood, log_prior))
    cell = (axes[0][1] - axes[0][0]) ** size
    _check_prior(np.exp(log_prior).reshape(len(log_prior), -1).sum(1) * cell, low, high)

    log_joint = log_likelihood + log_prior
    top = log_joint.max(axis=tuple(range(1, size + 1)), keepdims=True)
    mass = np.exp(log_joint - top)
    total = mass.reshape(len(mass), -1).sum(1)
    coarse = mass[(slice(None), *(slice(None, None, 2),) * size)].reshape(len(mass), -1).sum(1) * 2**size
    with np.errstate(divide="ignore"):
        error = np.abs(np.log(total) - np.log(coarse))
    share = mass.reshape(len(mass), -1) / total[:, None]
    _check_posterior(error, _at_the_edge(share.reshape(mass.shape)), side, low, high)
    mean = share @ z
    away = z[None] - mean[:, None]
    covariance = np.einsum("ng,ngi,ngj->nij", share, away, away)
    density = (share / cell).reshape(mass.shape)
    log_evidence = top.reshape(-1) + np.log(total * cell)
    return GridPosterior(log_evidence, mean, covariance, density, log_likelihood, log_prior, axes, error)


@functools.partial(jax.jit, static_argnums=0)
def _log_joint(model: Model, params: Params, x: Any, index: Array, z: Array) -> tuple[Array, Array]:
    """log p(x | z) and log p(z), each [B, N], for z [B, Z] and all examples."""

    def one(z: Array, x: Any) -> tuple[Array, Array]:
        plain, value = condition(model, x)
        return plain.likelihood.log_prob(params, value, z), plain.prior.log_prob(params, z, None)

    return jax.vmap(jax.vmap(one, (None, 0)), (0, None))(z, x)


def grid_points(axes: Sequence[np.ndarray]) -> np.ndarray:
    """The codes [G, 1] or [G, G, 2] of a grid with these axes.

    Example:
        >>> grid_points((np.arange(2.0), np.arange(2.0)))[0].tolist()
        [[0.0, 0.0], [0.0, 1.0]]
    """
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def _check_prior(total: np.ndarray, low: float, high: float) -> None:
    if not (np.abs(total - 1) < 1e-3).all():
        raise ValueError(
            f"the prior has mass {total[np.argmax(np.abs(total - 1))]:.4g} on the grid from {low:g} to {high:g}, "
            f"expected 1. Widen the grid, or (for a narrow prior) pass more points; a prior on a sphere or over "
            f"categories has no density on a grid."
        )


def _at_the_edge(share: np.ndarray) -> np.ndarray:
    """The largest share [N] of an example's posterior on an outer point of the grid."""
    ends = [np.take(share, end, axis=axis).reshape(len(share), -1) for axis in range(1, share.ndim) for end in (0, -1)]
    return np.concatenate(ends, axis=1).max(1)


def _check_posterior(error: np.ndarray, edge: np.ndarray, side: int, low: float, high: float) -> None:
    if not (edge < 1e-6).all():
        raise ValueError(
            f"the posterior of example {int(np.argmax(edge))} reaches the end of the grid, which goes from {low:g} to "
            f"{high:g}. Pass a lower low and a higher high."
        )
    if not (error < TOLERANCE).all():
        wrong = int(np.argmax(np.where(np.isfinite(error), error, np.inf)))
        raise ValueError(
            f"the posterior of example {wrong} is too narrow for {side} points: its log-evidence moves by "
            f"{error[wrong]:.2g} nats with every second one. Pass more, as in points={4 * side - 3}."
        )
