"""Where the evidence of a model with one or two latents goes: the ELBO of any q and its gap, exact on a grid.

log p(x) = ELBO(q) + KL(q || p(z | x)),  whatever q is
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxvae.evaluation.exact.grid import GridPosterior, grid_points
from jaxvae.models.records import DiagNormal


def gaussian_on_grid(axes: Sequence[np.ndarray], q: DiagNormal) -> np.ndarray:
    """log q(z) in nats at every point of a grid, [N, G] or [N, G, G], for Gaussians with mean and log_var [N, Z].

    Raises:
        ValueError: for a q of another shape.

    Example:
        >>> q = DiagNormal(np.zeros((1, 1)), np.zeros((1, 1)))
        >>> gaussian_on_grid((np.array([-1.0, 0.0, 1.0]),), q).round(4).tolist()
        [[-1.4189, -0.9189, -1.4189]]
    """
    mean, log_var = (np.asarray(part, np.float64) for part in q)
    for name, part in (("q.mean", mean), ("q.log_var", log_var)):
        if part.ndim != 2 or part.shape != mean.shape or part.shape[1] != len(axes):
            raise ValueError(
                f"{name} has shape {part.shape}, expected (N, {len(axes)}) for a grid of {len(axes)} axes."
            )
    z = grid_points(axes)
    mean, log_var = (part.reshape(len(part), *(1,) * len(axes), -1) for part in (mean, log_var))
    return -0.5 * (np.log(2 * np.pi) + log_var + (z[None] - mean) ** 2 * np.exp(-log_var)).sum(-1)


class EvidenceParts(NamedTuple):
    """Where the evidence goes, in nats, each [N]: log_evidence = elbo + gap, and elbo = log_likelihood - kl.

    Attributes:
        log_evidence: log p(x).
        log_likelihood: E_q[log p(x | z)].
        kl: KL(q || p(z)).
        elbo: the bound.
        gap: KL(q || p(z | x)), what the bound misses; 0 where q is the posterior.
    """

    log_evidence: np.ndarray
    log_likelihood: np.ndarray
    kl: np.ndarray
    elbo: np.ndarray
    gap: np.ndarray


def evidence_parts(grid: GridPosterior, log_q: np.ndarray) -> EvidenceParts:
    r"""The ELBO of any q and its gap, each by its own sum over the grid.

    ELBO(q) = E_q[log p(x | z)] - KL(q || p(z)) = log p(x) - KL(q || p(z | x))

    Args:
        grid: of N examples.
        log_q: [N, G] or [N, G, G] log q(z) at the points of the grid, such as `gaussian_on_grid(grid.axes, q)`;
            -inf where q is 0.

    Raises:
        ValueError: for a log_q of another shape, or one that does not integrate to 1 on the grid within 0.1 %.

    Source: Kingma and Welling, 2013, arXiv 1312.6114, equation 1.

    Example:
        >>> import jax
        >>> from jaxvae.evaluation.exact.grid import grid_posterior
        >>> from jaxvae.models.exact.linear import linear_gaussian
        >>> model = linear_gaussian(jax.numpy.ones((1, 1)), noise=1.0)
        >>> params = model.init(jax.random.key(0), jax.numpy.zeros(1))
        >>> grid = grid_posterior(model, params, np.zeros((1, 1), np.float32))
        >>> parts = evidence_parts(grid, grid.log_prior)  # q is the prior, N(0, 1); the posterior N(0, 1/2)
        >>> round(float(parts.gap[0]), 4), abs(round(float(parts.kl[0]), 4))  # (1 - log 2) / 2
        (0.1534, 0.0)
    """
    log_q = np.asarray(log_q, np.float64)
    if log_q.shape != grid.density.shape:
        raise ValueError(f"log_q has shape {log_q.shape}, expected {grid.density.shape}, that of grid.density.")
    q = np.exp(log_q).reshape(len(log_q), -1)
    cell = (grid.axes[0][1] - grid.axes[0][0]) ** len(grid.axes)
    total = q.sum(1) * cell
    if not (np.abs(total - 1) < 1e-3).all():
        wrong = int(np.argmax(~(np.abs(total - 1) < 1e-3)))
        raise ValueError(
            f"log_q integrates to {total[wrong]:.4g} for example {wrong}, expected 1: it is no density, reaches beyond "
            f"the grid, or is narrower than its spacing. Make a grid with more points, or a wider one."
        )
    q /= q.sum(1, keepdims=True)

    def expect(value: np.ndarray) -> np.ndarray:
        return np.where(q > 0, q * np.where(q > 0, value.reshape(len(q), -1), 0.0), 0.0).sum(1)

    log_likelihood, kl = expect(grid.log_likelihood), expect(log_q - grid.log_prior)
    log_posterior = grid.log_likelihood + grid.log_prior - grid.log_evidence.reshape(-1, *(1,) * len(grid.axes))
    return EvidenceParts(grid.log_evidence, log_likelihood, kl, log_likelihood - kl, expect(log_q - log_posterior))
