"""How much better a posterior fitted to one example explains it than the encoder does: little for inliers."""

from typing import Any

import numpy as np

from jaxvae.evaluation.local.bounds import local_bounds
from jaxvae.models.records import Key, Model, Params


def likelihood_regret(
    model: Model,
    params: Params,
    key: Key,
    x: Any,
    *,
    steps: int = 100,
    fit_samples: int = 4,
    samples: int = 64,
    **options: Any,
) -> np.ndarray:
    r"""LR(x) = max_q ELBO(x, q) - ELBO(x, q(z | x)), q over diagonal Gaussians: large where the encoder fails.

    The encoder has learnt the shortest way to the posterior of what it was trained on; for an outlier it has not. This
    optimises the mean and the variance of q alone; it is the amortisation gap of `inference_gaps`, read as a score.

    Args:
        model, params: the model and its parameters.
        key: consumed.
        x: [N, *event_shape], in the units of the likelihood.
        steps, fit_samples: of the search, as in `local_bounds`.
        samples: K, for each of the two ELBOs, the same noise for both.
        **options: learning_rate, batch_size and progress of `local_bounds`.

    Returns:
        [N] nats, higher is more anomalous; 0 or above but for the noise of the K samples.

    Raises:
        ValueError, TypeError: for impossible options, x of another shape, or a posterior that is no diagonal Gaussian.

    Source: Xiao, Yan and Amit, 2020, arXiv 2003.02977 (there with a copy of the encoder, for 100 steps; their code
        then compares importance-weighted bounds of 1,000 samples, here it is the ELBOs of the definition).

    Example:
        >>> import jax
        >>> from jaxvae.models.exact.linear import linear_gaussian
        >>> model = linear_gaussian(np.eye(3, 2, dtype=np.float32))
        >>> params = model.init(jax.random.key(0), jax.numpy.zeros(3))  # the encoder says N(0, I) whatever x is
        >>> x = np.array([[0.0, 0.0, 0.0], [3.0, 3.0, 0.0]], np.float32)
        >>> near, far = likelihood_regret(model, params, jax.random.key(1), x)
        >>> bool(far > near + 3)
        True
    """
    found = local_bounds(model, params, key, x, steps=steps, fit_samples=fit_samples, samples=samples, **options)
    return found["local_elbo"] - found["elbo"]
