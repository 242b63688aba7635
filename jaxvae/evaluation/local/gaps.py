"""What an ELBO loses: how much to the family of q, and how much to the encoder that has to serve every x."""

from typing import Any

import jax
import numpy as np

from jaxvae.evaluation.local.bounds import local_bounds
from jaxvae.models.records import Key, Model, Params, check_batch


def inference_gaps(
    model: Model,
    params: Params,
    key: Key,
    x: Any,
    *,
    log_p: np.ndarray | None = None,
    samples: int = 1000,
    steps: int = 500,
    **options: Any,
) -> dict[str, np.ndarray]:
    r"""Splits log p(x) - ELBO into the approximation gap and the amortisation gap.

    log p(x) - ELBO(q) = [log p(x) - ELBO(q*)] + [ELBO(q*) - ELBO(q)], q* the best diagonal Gaussian for this very x

    log p(x) is a lower bound, so the approximation gap may be larger than what is reported: the highest on average of
    `log_p`, and of the importance-weighted bounds that q* and q give with the same samples.

    Args:
        model, params: the model and its parameters.
        key: consumed.
        x: [N, *event_shape], in the units of the likelihood.
        log_p: [N] another estimate of log p(x), nats, such as the lower bound of `annealed_bounds`.
        samples: K, for each of the two ELBOs, the same noise for both.
        steps: of the search for q*, as in `local_bounds`.
        **options: fit_samples, learning_rate, batch_size and progress of `local_bounds`.

    Returns:
        NumPy arrays [N] in nats: elbo, local_elbo (that of q*), log_p, approximation_gap and amortisation_gap; one
        example's gap has the noise of its K samples and may fall below 0.

    Raises:
        ValueError, TypeError: for impossible options, x or log_p of another shape, or a posterior that is no diagonal
            Gaussian.

    Source: Cremer, Li and Duvenaud, 2018, arXiv 1801.03558.

    Example:
        >>> from jaxvae.models.exact.linear import linear_gaussian
        >>> model = linear_gaussian(np.eye(3, 2, dtype=np.float32))
        >>> params = model.init(jax.random.key(0), jax.numpy.zeros(3))
        >>> x = np.ones((2, 3), np.float32)
        >>> found = inference_gaps(model, params, jax.random.key(1), x, samples=100, steps=200)
        >>> bool((found["amortisation_gap"] > 0.2).all()), bool((abs(found["approximation_gap"]) < 0.1).all())
        (True, True)
    """
    check_batch(model, x)
    if log_p is not None and np.shape(log_p) != (rows := (len(jax.tree.leaves(x)[0]),)):
        raise ValueError(f"log_p has shape {np.shape(log_p)}, expected {rows}: one for each x.")
    found = local_bounds(model, params, key, x, samples=samples, steps=steps, **options)
    estimates = [found.pop("local_iwae"), found.pop("iwae")]
    if log_p is not None:
        estimates.append(np.asarray(log_p, np.float32))
    best = max(estimates, key=lambda estimate: float(estimate.mean()))
    return {
        **found,
        "log_p": best,
        "approximation_gap": best - found["local_elbo"],
        "amortisation_gap": found["local_elbo"] - found["elbo"],
    }
