"""Losses: pure functions (params, keys, batch, step) -> (scalar, metrics); training knows nothing else."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.math.checks import finite_number, positive_integer
from jaxvae.models.records import Key, Model, Params, check_batch
from jaxvae.objectives.bounds import elbo
from jaxvae.objectives.terms import Terms

Array = jax.Array
Metrics = dict[str, Array]
Loss = Callable[[Params, Key, Any, Array], tuple[Array, Metrics]]
Schedule = Callable[[Array], Array]
BatchPenalty = Callable[[Params, Key, Terms], Array]

PENALTY = 2**31 - 1  # folded into the first example's key, the key of what the whole batch shares


def bound_loss(
    model: Model,
    bound: Callable[..., Array] = elbo,
    *,
    samples: int = 1,
    batch_penalty: BatchPenalty | None = None,
    **options: float | Array | Schedule,
) -> Loss:
    """Minus a bound plus the model's penalty, in nats per example, averaged over the batch.

    Args:
        model: gives one `Terms` for each posterior sample.
        bound: (terms with a leading axis [samples], **options) -> nats.
        samples: posterior samples per example.
        batch_penalty: (params, key, terms with leading axes [B, samples]) -> [] nats, added to the loss: what no single
            example can say, such as the distance of all codes from the prior. Each device sees its share of the batch.
        **options: the bound's options, each a number or a schedule of the step, as in `beta=warmup`.

    Returns:
        loss(params, keys [B], batch [B, ...], step) -> (scalar, metrics). Metrics are means over the batch, in nats:
        loss, elbo, log_likelihood, kl [], kl_per_latent [L] and penalty [].

    Raises:
        ValueError, TypeError: if samples is not a positive integer, or a number among the options is not finite.

    Example:
        >>> from jaxvae.models.vae import vae
        >>> from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
        >>> model = vae(MLPEncoder(2), MLPDecoder((4, 4, 1)), event_shape=(4, 4, 1), latent_dim=2)
        >>> batch = jnp.zeros((8, 4, 4, 1))
        >>> params = model.init(jax.random.key(0), batch[0])
        >>> loss = bound_loss(model, elbo, beta=2.0)
        >>> value, metrics = loss(params, jax.random.split(jax.random.key(1), 8), batch, jnp.int32(0))
        >>> sorted(metrics)
        ['elbo', 'kl', 'kl_per_latent', 'log_likelihood', 'loss', 'penalty']
    """
    samples = positive_integer("samples", samples)
    for name, option in options.items():
        if not callable(option):
            finite_number(name, option, low=-jnp.inf)

    def loss(params: Params, keys: Key, batch: Array, step: Array) -> tuple[Array, Metrics]:
        now = {name: option(step) if callable(option) else option for name, option in options.items()}

        def one(key: Key, x: Array) -> tuple[Array, Terms]:
            if samples == 1:  # the axis is added afterwards: inside, it makes the compiler transpose activations
                terms = jax.tree.map(lambda leaf: leaf[None], model.terms(params, key, x))
            else:
                terms = jax.vmap(model.terms, (None, 0, None))(params, jax.random.split(key, samples), x)
            return bound(terms, **now), terms

        check_batch(model, batch)
        bounds, terms = jax.vmap(one)(keys, batch)
        penalty = terms.penalty.mean()
        if batch_penalty is not None:
            penalty += batch_penalty(params, jax.random.fold_in(keys[0], PENALTY), terms)
        value = penalty - bounds.mean()
        kl = terms.kl.mean((0, 1))
        log_likelihood = terms.log_likelihood.mean()
        return value, {
            "loss": value,
            "elbo": log_likelihood - kl.sum(),
            "log_likelihood": log_likelihood,
            "kl": kl.sum(),
            "kl_per_latent": kl,
            "penalty": penalty,
        }

    return loss
