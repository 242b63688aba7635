"""What the losses of a whole batch share: its terms, its codes, and the numbers every loss reports."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.checks import shown
from jaxvae.models.contexts import count_examples
from jaxvae.models.records import Conditional, Key, Model, Params, as_model, check_batch
from jaxvae.objectives.terms import Terms
from jaxvae.randomness import with_keys

Array = jax.Array
Metrics = dict[str, Array]


def check_keys(keys: Any, batch: Any) -> None:
    """Raises an error unless there is a random key for each example of a batch."""
    shape, dtype, size = jnp.shape(keys), getattr(keys, "dtype", None), count_examples(batch, "batch")
    typed = dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key)
    if not typed and not (dtype == jnp.uint32 and len(shape) == 2):
        raise TypeError(f"keys is {shown(keys)}, expected {size} JAX random keys. Pass jax.random.split(key, {size}).")
    if shape[:1] != (size,):
        raise ValueError(
            f"keys has shape {shape}, expected ({size},), a key for each example. Pass jax.random.split(key, {size})."
        )


def batch_terms(model: Model, params: Params, keys: Key, batch: Array, samples: int = 1) -> Terms:
    """`Terms` with leading axes [B, samples]; the keys [B] are consumed.

    Raises:
        ValueError, TypeError: for a batch that the model cannot score.
    """
    check_batch(model, batch)
    check_keys(keys, batch)

    def one(key: Key, x: Array) -> Terms:
        own = with_keys(params, key)
        if samples == 1:  # the axis is added afterwards, as in `bound_loss`
            return jax.tree.map(lambda leaf: leaf[None], model.terms(own, key, x))
        return jax.vmap(model.terms, (None, 0, None))(own, jax.random.split(key, samples), x)

    return jax.vmap(one)(keys, batch)


def codes(terms: Terms) -> Array:
    """The codes of `Terms` with axes [B, K], as [K, B, Z]: for each k a batch of independent codes.

    Two samples of one example are not independent, so that a penalty is averaged over k and never pools them.

    Raises:
        TypeError: where z is no array, as in a hierarchical model.
        ValueError: where the terms lack an axis.
    """
    z = terms.z
    if not hasattr(z, "ndim"):
        raise TypeError(f"terms.z is a {type(z).__name__}, expected one array of codes. Pick one level of the model.")
    if z.ndim < 3:
        raise ValueError(f"terms.z has shape {z.shape}, expected [B, K, Z]: a batch, samples of each, latents.")
    return jnp.moveaxis(z.reshape(*z.shape[:2], -1), 1, 0)


def prior_draws(prior: Conditional, params: Params, keys: Key, context: Any = None) -> Array:
    """Codes [N, Z] of the prior, given contexts [N, ...] if there are any; the keys [N] are consumed."""
    draws = jax.vmap(lambda k, c: prior.sample(with_keys(params, k), k, c)[0])(keys, context)
    return draws.reshape(keys.shape[0], -1)


def target_prior(model: Model, prior: Conditional | None) -> Conditional:
    """The prior given, or the model's.

    Raises:
        ValueError: if there is none.
        TypeError: for a prior that is no `Conditional`.
    """
    target = as_model("model", model).prior if prior is None else prior
    if target is None:
        raise ValueError("the model has no prior, expected one to draw codes from. Pass prior=standard_normal(Z).")
    if not isinstance(target, Conditional):
        raise TypeError(f"prior is {target!r}, expected a Conditional such as standard_normal(2).")
    return target


def report(terms: Terms, value: Array, **more: Array) -> Metrics:
    """The metrics of `bound_loss`, means over the batch in nats, with more beside them; `loss` is what is minimised."""
    kl = terms.kl.mean((0, 1))
    log_likelihood = terms.log_likelihood.mean()
    return {
        "loss": value,
        "elbo": log_likelihood - kl.sum(),
        "log_likelihood": log_likelihood,
        "kl": kl.sum(),
        "kl_per_latent": kl,
        "penalty": terms.penalty.mean(),
    } | more
