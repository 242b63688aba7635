"""The ELBO of the encoder's q beside that of the best q for each single example: what a search finds and it did not."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxvae.checks import finite_number, positive_integer
from jaxvae.evaluation.batches import map_batches
from jaxvae.math.normal import normal_log_prob, reparameterize
from jaxvae.math.numerics import log_mean_exp
from jaxvae.models.given_context import condition
from jaxvae.models.meaning import need_weights
from jaxvae.models.records import DiagNormal, Key, Model, Params, check_batch
from jaxvae.training.search.local import fit_posterior

Array = jax.Array
CHUNK = 20  # samples of an example in flight at a time


def local_bounds(
    model: Model,
    params: Params,
    key: Key,
    x: Any,
    *,
    samples: int,
    steps: int,
    fit_samples: int = 16,
    learning_rate: float = 0.05,
    batch_size: int = 50,
    progress: Callable[[int], None] | None = None,
) -> dict[str, np.ndarray]:
    r"""Bounds on log p(x) by q(z | x) and by q* = argmax_q ELBO(x, q) over diagonal Gaussians, an own q* for each x.

    Args:
        model, params: the model and its parameters.
        key: consumed.
        x: [N, *event_shape], in the units of the likelihood.
        samples: K, for each of the bounds, the same noise for both posteriors.
        steps, learning_rate: of Adam for q*, which starts at q, see `fit_posterior`.
        fit_samples: posterior samples in each of these steps.
        batch_size: examples in flight at a time; no number depends on it.
        progress: called with the number of examples done, now and then.

    Returns:
        NumPy arrays [N] in nats: elbo and iwae (of K samples) by q, local_elbo and local_iwae by q*.

    Raises:
        ValueError, TypeError: for impossible options, x of another shape, a model whose evidence is not "weights", or a
            posterior that is no diagonal Gaussian.

    Source: Cremer, Li and Duvenaud, 2018, arXiv 1801.03558.

    Example:
        >>> from jaxvae.models.exact.linear import linear_gaussian
        >>> model = linear_gaussian(np.eye(3, 2, dtype=np.float32))
        >>> params = model.init(jax.random.key(0), jax.numpy.zeros(3))
        >>> found = local_bounds(model, params, jax.random.key(1), np.ones((2, 3), np.float32), samples=50, steps=50)
        >>> bool((found["local_elbo"] > found["elbo"]).all())
        True
    """
    samples, steps = positive_integer("samples", samples), positive_integer("steps", steps)
    fit_samples = positive_integer("fit_samples", fit_samples)
    finite_number("learning_rate", learning_rate, above=True)
    check_batch(model, x)
    need_weights(model, "the best q of each example")
    if model.posterior.distribution is None:
        raise ValueError(
            "the posterior of this model is no diagonal Gaussian (its `distribution` is None), expected one: the best "
            "member of its family cannot be searched for."
        )
    setting = (samples, steps, fit_samples, float(learning_rate))
    bounds = functools.partial(_bounds, model, setting, params, key)

    found: dict[str, np.ndarray] = map_batches(bounds, x, batch_size=batch_size, progress=progress)
    return found


@functools.partial(jax.jit, static_argnums=(0, 1))
def _bounds(
    model: Model, setting: tuple[int, int, int, float], params: Params, key: Key, indices: Array, x: Any
) -> dict[str, Array]:
    samples, steps, fit_samples, learning_rate = setting

    def one(index: Array, x: Any) -> dict[str, Array]:
        plain, value = condition(model, x)
        assert plain.posterior.distribution is not None
        key_fit, key_samples = jax.random.split(jax.random.fold_in(key, index))

        def log_joint(z: Array) -> Array:
            return plain.prior.log_prob(params, z, None) + plain.likelihood.log_prob(params, value, z)

        def measure(q: DiagNormal) -> tuple[Array, Array]:
            def log_weight(sample: Array) -> Array:
                z = reparameterize(jax.random.fold_in(key_samples, sample), *q)  # the same noise for both
                return log_joint(z) - normal_log_prob(z, *q)

            log_weights = jax.lax.map(log_weight, np.arange(samples), batch_size=min(CHUNK, samples))
            return log_weights.mean(), log_mean_exp(log_weights)

        q = plain.posterior.distribution(params, value)
        best = fit_posterior(log_joint, q, key_fit, steps=steps, samples=fit_samples, learning_rate=learning_rate)
        (elbo, iwae), (local_elbo, local_iwae) = measure(q), measure(best)
        return {"elbo": elbo, "iwae": iwae, "local_elbo": local_elbo, "local_iwae": local_iwae}

    return jax.vmap(one)(indices, x)
