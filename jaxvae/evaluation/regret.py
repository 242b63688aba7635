"""How much better a posterior fitted to one example explains it than the encoder does: little for inliers."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxvae.evaluation.batches import map_batches
from jaxvae.math.checks import positive_integer
from jaxvae.math.normal import normal_log_prob, reparameterize
from jaxvae.models.condition import condition
from jaxvae.models.records import DiagNormal, Key, Model, Params, check_batch
from jaxvae.training.local import fit_posterior

Array = jax.Array


def likelihood_regret(
    model: Model,
    params: Params,
    key: Key,
    x: Any,
    *,
    steps: int = 100,
    fit_samples: int = 4,
    samples: int = 64,
    learning_rate: float = 0.05,
    batch_size: int = 50,
    progress: Callable[[int], None] | None = None,
) -> np.ndarray:
    r"""LR(x) = max_q ELBO(x, q) - ELBO(x, q(z | x)), q over diagonal Gaussians: large where the encoder fails.

    The encoder has learnt the shortest way to the posterior of what it was trained on; for an outlier it has not. This
    optimises the mean and the variance of q alone, where the paper's main results optimise a copy of the encoder.

    Args:
        model, params: the model and its parameters.
        key: consumed.
        x: [N, *event_shape], in the units of the likelihood.
        steps, learning_rate: of Adam, from the encoder's q.
        fit_samples: posterior samples in each of these steps.
        samples: K, for each of the two ELBOs, the same noise for both.
        batch_size: examples in flight at a time; no number depends on it.
        progress: called with the number of examples done, now and then.

    Returns:
        [N] nats, higher is more anomalous; 0 or above but for the noise of the K samples.

    Raises:
        ValueError, TypeError: for impossible options, x of another shape, or a posterior that is no diagonal Gaussian.

    Source: Xiao, Yan and Amit, 2020, arXiv 2003.02977, equation 6 (there with a copy of the encoder, for 100 steps).

    Example:
        >>> from jaxvae.models.linear_gaussian import linear_gaussian
        >>> model = linear_gaussian(np.eye(3, 2, dtype=np.float32))
        >>> params = model.init(jax.random.key(0), jax.numpy.zeros(3))  # the encoder says N(0, I) whatever x is
        >>> x = np.array([[0.0, 0.0, 0.0], [3.0, 3.0, 0.0]], np.float32)
        >>> near, far = likelihood_regret(model, params, jax.random.key(1), x)
        >>> bool(far > near + 3)
        True
    """
    steps, samples = positive_integer("steps", steps), positive_integer("samples", samples)
    fit_samples = positive_integer("fit_samples", fit_samples)
    check_batch(model, x)
    if model.posterior.distribution is None:
        raise ValueError(
            "the posterior of this model is no diagonal Gaussian (its `distribution` is None), expected one: the best "
            "member of its family cannot be searched for."
        )
    setting = (steps, fit_samples, samples, float(learning_rate))
    regret = functools.partial(_regret, model, setting, params, key)

    def report(index: np.ndarray, x: Any) -> Array:
        if progress is not None:
            progress(int(index[0]))
        return regret(index, x)

    found: np.ndarray = map_batches(report, x, batch_size=batch_size)
    if progress is not None:
        progress(len(found))
    return found


@functools.partial(jax.jit, static_argnums=(0, 1))
def _regret(
    model: Model, setting: tuple[int, int, int, float], params: Params, key: Key, indices: Array, x: Any
) -> Array:
    steps, fit_samples, samples, learning_rate = setting

    def one(index: Array, x: Any) -> Array:
        plain, value = condition(model, x)
        assert plain.posterior.distribution is not None
        key_fit, key_samples = jax.random.split(jax.random.fold_in(key, index))
        keys = jax.random.split(key_samples, samples)

        def log_joint(z: Array) -> Array:
            return plain.prior.log_prob(params, z, None) + plain.likelihood.log_prob(params, value, z)

        def elbo(q: DiagNormal) -> Array:
            def log_weight(key: Key) -> Array:
                z = reparameterize(key, *q)
                return log_joint(z) - normal_log_prob(z, *q)

            return jax.lax.map(log_weight, keys, batch_size=min(fit_samples, samples)).mean()

        q = plain.posterior.distribution(params, value)
        best = fit_posterior(log_joint, q, key_fit, steps=steps, samples=fit_samples, learning_rate=learning_rate)
        return elbo(best) - elbo(q)

    return jax.vmap(one)(indices, x)
