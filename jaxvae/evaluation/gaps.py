"""What an ELBO loses: how much to the family of q, and how much to the encoder that has to serve every x."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxvae.evaluation.batches import map_batches
from jaxvae.math.checks import positive_integer
from jaxvae.math.normal import normal_log_prob, reparameterize
from jaxvae.math.numerics import log_mean_exp
from jaxvae.models.condition import condition
from jaxvae.models.records import DiagNormal, Key, Model, Params, check_batch
from jaxvae.training.local import fit_posterior

Array = jax.Array
CHUNK = 20  # samples of an example in flight at a time


def inference_gaps(
    model: Model,
    params: Params,
    key: Key,
    x: Any,
    *,
    log_p: np.ndarray | None = None,
    samples: int = 1000,
    steps: int = 500,
    learning_rate: float = 0.05,
    batch_size: int = 50,
    progress: Callable[[int], None] | None = None,
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
        steps, learning_rate: of Adam for q*, which starts at q, see `fit_posterior`.
        batch_size: examples in flight at a time; no number depends on it.
        progress: called with the number of examples done, now and then.

    Returns:
        NumPy arrays [N] in nats: elbo, local_elbo (that of q*), log_p, approximation_gap and amortisation_gap; one
        example's gap has the noise of its K samples and may fall below 0.

    Raises:
        ValueError, TypeError: for impossible options, x or log_p of another shape, or a posterior that is no diagonal
            Gaussian.

    Source: Cremer, Li and Duvenaud, 2018, arXiv 1801.03558.

    Example:
        >>> from jaxvae.models.linear_gaussian import linear_gaussian
        >>> model = linear_gaussian(np.eye(3, 2, dtype=np.float32))
        >>> params = model.init(jax.random.key(0), jax.numpy.zeros(3))
        >>> x = np.ones((2, 3), np.float32)
        >>> found = inference_gaps(model, params, jax.random.key(1), x, samples=100, steps=200)
        >>> bool((found["amortisation_gap"] > 0.2).all()), bool((abs(found["approximation_gap"]) < 0.1).all())
        (True, True)
    """
    samples, steps = positive_integer("samples", samples), positive_integer("steps", steps)
    check_batch(model, x)
    if model.posterior.distribution is None:
        raise ValueError(
            "the posterior of this model is no diagonal Gaussian (its `distribution` is None), expected one: the best "
            "member of its family cannot be searched for."
        )
    bounds = functools.partial(_bounds, model, samples, steps, learning_rate, params, key)

    def report(index: np.ndarray, x: Any) -> dict[str, Array]:
        if progress is not None:
            progress(int(index[0]))
        return bounds(index, x)

    found = map_batches(report, x, batch_size=batch_size)
    estimates = [found.pop("local_iwae"), found.pop("iwae")]
    if log_p is not None:
        if np.shape(log_p) != found["elbo"].shape:
            raise ValueError(f"log_p has shape {np.shape(log_p)}, expected {found['elbo'].shape}: one for each x.")
        estimates.append(np.asarray(log_p, np.float32))
    best = max(estimates, key=lambda estimate: float(estimate.mean()))
    if progress is not None:
        progress(len(best))
    return {
        **found,
        "log_p": best,
        "approximation_gap": best - found["local_elbo"],
        "amortisation_gap": found["local_elbo"] - found["elbo"],
    }


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _bounds(
    model: Model,
    samples: int,
    steps: int,
    learning_rate: float,
    params: Params,
    key: Key,
    indices: Array,
    x: Any,
) -> dict[str, Array]:
    def one(index: Array, x: Any) -> dict[str, Array]:
        plain, value = condition(model, x)
        assert plain.posterior.distribution is not None
        key_fit, key_samples = jax.random.split(jax.random.fold_in(key, index))
        keys = jax.random.split(key_samples, samples)

        def log_joint(z: Array) -> Array:
            return plain.prior.log_prob(params, z, None) + plain.likelihood.log_prob(params, value, z)

        def measure(q: DiagNormal) -> tuple[Array, Array]:
            def log_weight(key: Key) -> Array:
                z = reparameterize(key, *q)
                return log_joint(z) - normal_log_prob(z, *q)

            log_weights = jax.lax.map(log_weight, keys, batch_size=min(CHUNK, samples))
            return log_weights.mean(), log_mean_exp(log_weights)

        q = plain.posterior.distribution(params, value)
        best = fit_posterior(log_joint, q, key_fit, steps=steps, learning_rate=learning_rate)
        elbo, iwae = measure(q)
        local_elbo, local_iwae = measure(best)
        return {"elbo": elbo, "local_elbo": local_elbo, "iwae": iwae, "local_iwae": local_iwae}

    return jax.vmap(one)(indices, x)
