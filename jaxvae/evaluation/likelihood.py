"""How well a model explains data: bounds on log p(x), example by example, with their standard errors."""

import functools
from collections.abc import Mapping
from typing import NamedTuple

import jax
import numpy as np

from jaxvae.evaluation.batches import map_batches
from jaxvae.math.checks import positive_integer
from jaxvae.models.records import Key, Model, Params, check_batch
from jaxvae.objectives.bounds import iwae_bound

Array = jax.Array


class Estimate(NamedTuple):
    """A mean over examples in nats, its standard error, and the number of examples."""

    mean: float
    standard_error: float
    examples: int


def per_example(
    model: Model, params: Params, key: Key, x: Array | np.ndarray, *, samples: int = 1, batch_size: int = 500
) -> dict[str, np.ndarray]:
    """Bounds and their parts for each example; every example has its own key, so batching changes nothing.

    Args:
        model, params: the model and its parameters.
        key: consumed.
        x: [N, *event_shape], in the units of the likelihood.
        samples: K posterior samples per example.
        batch_size: examples in flight at a time; memory grows with samples * batch_size.

    Returns:
        NumPy arrays in nats: elbo [N] and log_likelihood [N], averaged over samples; kl [N]; kl_per_latent [N, L];
        and iwae [N], the importance-weighted bound with K samples.

    Raises:
        ValueError, TypeError: for an empty x, x of another shape, values the likelihood cannot score, or an impossible
            samples or batch_size.

    Example:
        >>> from jaxvae.models.vae import vae
        >>> from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
        >>> model = vae(MLPEncoder(2), MLPDecoder((8, 8, 1)), event_shape=(8, 8, 1), latent_dim=2)
        >>> x = np.zeros((3, 8, 8, 1), np.float32)
        >>> values = per_example(model, model.init(jax.random.key(0), x[0]), jax.random.key(1), x, samples=5)
        >>> values["elbo"].shape, values["kl_per_latent"].shape
        ((3,), (3, 2))
    """
    samples = positive_integer("samples", samples)
    check_batch(model, x)
    bounds = functools.partial(_bounds, model, samples, params, key)
    return map_batches(bounds, x, batch_size=batch_size)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _bounds(model: Model, samples: int, params: Params, key: Key, indices: Array, x: Array) -> dict[str, Array]:
    def one(index: Array, x: Array) -> dict[str, Array]:
        keys = jax.random.split(jax.random.fold_in(key, index), samples)
        terms = jax.vmap(model.terms, (None, 0, None))(params, keys, x)
        kl, log_likelihood = terms.kl.mean(0), terms.log_likelihood.mean()
        return {
            "elbo": log_likelihood - kl.sum(),
            "log_likelihood": log_likelihood,
            "kl": kl.sum(),
            "kl_per_latent": kl,
            "iwae": iwae_bound(terms),
        }

    return jax.vmap(one)(indices, x)


def summarize(values: Mapping[str, np.ndarray]) -> dict[str, Estimate]:
    """Mean and standard error over examples, in float64, of every one-dimensional array.

    Example:
        >>> summarize({"kl": np.array([1.0, 3.0])})["kl"]
        Estimate(mean=2.0, standard_error=1.0, examples=2)
    """
    return {name: _estimate(value) for name, value in values.items() if value.ndim == 1}


def _estimate(value: np.ndarray) -> Estimate:
    value = value.astype(np.float64)
    error = value.std(ddof=1) / np.sqrt(len(value)) if len(value) > 1 else np.nan
    return Estimate(float(value.mean()), float(error), len(value))
