"""The loss of examples of which a part was never observed: the likelihood sums over observed pixels only."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.checks import positive_integer
from jaxvae.math.numerics import log_mean_exp
from jaxvae.models.incomplete import Incomplete, observed_log_weight
from jaxvae.models.records import Key, Model, Params
from jaxvae.randomness import with_keys
from jaxvae.training.losses.bound import Loss, Metrics

Array = jax.Array


def incomplete_loss(model: Model, *, samples: int = 1) -> Loss:
    """Minus the mean over a batch of log (1/K) sum_k p(x_observed | z_k) p(z_k) / q(z_k | x_observed, 0), nats.

    A lower bound on log p(x_observed), which climbs to it with K, and is right where pixels are missing at random:
    where the mask tells nothing of what it hides. With every pixel observed it is the importance-weighted bound.

    Args:
        model: whose likelihood has `log_prob_observed`, as those of `vae` do.
        samples: K.

    Returns:
        loss(params, keys [B], batch, step) -> (scalar, metrics); the batch is `Incomplete` of values [B, ...] in the
        units of the likelihood and masks [B, ...]. Metrics, in nats: loss and bound; observed, the part of pixels.

    Source: Mattei and Frellsen, 2019, arXiv 1812.02633.

    Example:
        >>> from jaxvae.models.exact.linear import linear_gaussian
        >>> model = linear_gaussian(jnp.ones((2, 1)))
        >>> params = model.init(jax.random.key(0), jnp.zeros(2))
        >>> batch = Incomplete(jnp.ones((3, 2)), jnp.array([[True, False]] * 3))
        >>> value, metrics = incomplete_loss(model, samples=5)(params, jax.random.split(jax.random.key(1), 3), batch, 0)
        >>> sorted(metrics), float(metrics["observed"])
        (['bound', 'loss', 'observed'], 0.5)
    """
    samples = positive_integer("samples", samples)

    def loss(params: Params, keys: Key, batch: Incomplete, step: Array) -> tuple[Array, Metrics]:
        def one(key: Key, x: Incomplete) -> Array:
            own, draws = with_keys(params, key), jax.random.split(key, samples)
            _, log_weights = jax.vmap(lambda key: observed_log_weight(model, own, key, x))(draws)
            return log_mean_exp(log_weights)

        bound = jax.vmap(one)(keys, batch).mean()
        return -bound, {"loss": -bound, "bound": bound, "observed": _share(batch.observed)}

    return loss


def _share(masks: Any) -> Array:
    """The share of elements that are true."""
    leaves = jax.tree.leaves(masks)
    return sum(leaf.sum(dtype=jnp.float32) for leaf in leaves) / sum(leaf.size for leaf in leaves)
