"""Missing pixels from observed ones: E[x_missing | x_observed] and draws of it, by importance sampling."""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.checks import finite_number, positive_integer
from jaxvae.evaluation.batches import map_batches
from jaxvae.evaluation.bounds.importance import effective_samples
from jaxvae.math.numerics import log_mean_exp
from jaxvae.models.incomplete import Incomplete, observed_log_prob, observed_log_weight
from jaxvae.models.records import Key, Model, Params, check_batch

Array = jax.Array


class Imputation(NamedTuple):
    """What `impute` finds, in the units of the likelihood; observed pixels are as they were given.

    Attributes:
        mean: [N, *event_shape] the estimate of E[x_missing | x_observed].
        draws: [N, draws, *event_shape] examples of p(x_missing | x_observed), which the mean averages into a blur.
        log_evidence: [N] nats, a lower bound on log p(x_observed) on average, tight for many samples.
        effective_samples: [N] how many equal weights the weights are worth; near 1, believe nothing.
    """

    mean: np.ndarray
    draws: np.ndarray
    log_evidence: np.ndarray
    effective_samples: np.ndarray


def impute(
    model: Model,
    params: Params,
    key: Key,
    x: Array | np.ndarray,
    observed: Array | np.ndarray,
    *,
    samples: int = 1000,
    rounds: int = 3,
    prior_share: float = 0.1,
    draws: int = 4,
    batch_size: int = 50,
    chunk: int = 100,
) -> Imputation:
    r"""E[x_missing | x_observed] = sum_k w_k E[x | z_k] / sum_k w_k, z_k ~ (1 - a) q(z | seen) + a p(z) = r(z).

    w_k = p(x_observed | z_k) p(z_k) / r(z_k)

    In the first round the encoder sees 0 for what is missing; in each later one what the round before imputed, which
    an encoder of complete data knows better what to do with. It is too sure of its z all the same, which is why a part
    a of the samples comes from the prior: without it single weights grow beyond all bounds. Only the proposal changes:
    any rounds and any share have the same limit for many samples. A model trained on complete data will do.

    Args:
        model, params: the model, one that takes no context, and its parameters.
        key: consumed.
        x: [N, *event_shape] in the units of the likelihood; missing pixels may hold anything, NaN too.
        observed: booleans [*event_shape], one mask for all, or [N, *event_shape]. Where the channels of a pixel share
            the decoder's outputs, it counts as observed if all of them are.
        samples: K.
        rounds: how often the encoder is asked.
        prior_share: a, below 1; 0 for a posterior that cannot tell the density of a given z.
        draws: of x given what was observed: z_k with probability proportional to w_k, then x from p(x | z_k).
        batch_size, chunk: examples and samples in flight at a time; no number depends on them.

    Raises:
        ValueError, TypeError: for another shape, a mask that is not boolean, values that the model cannot score, a
            conditional model, an autoencoder without a posterior, or a likelihood whose pixels depend on each other.

    Source: Mattei and Frellsen, 2019, arXiv 1812.02633; the share of the prior: Hesterberg, 1995, Weighted
        average importance sampling and defensive mixture distributions.

    Example:
        >>> from jaxvae.models.exact.linear import linear_gaussian
        >>> model = linear_gaussian(jnp.ones((2, 1)), noise=0.1)
        >>> params = model.init(jax.random.key(0), jnp.zeros(2))
        >>> x = np.array([[1.0, np.nan]], np.float32)
        >>> found = impute(model, params, jax.random.key(1), x, np.array([True, False]), samples=2000)
        >>> found.mean[0, 0], abs(found.mean[0, 1] - 1 / 1.01) < 0.02
        (np.float32(1.0), np.True_)
    """
    if model.context is not None:
        raise ValueError("the model is conditional, expected one without a context. Use condition(model, ...) first.")
    if isinstance(model.event_shape, Mapping):
        raise ValueError("the examples of the model have parts, expected one array. Use observed_log_weight by hand.")
    samples, rounds = positive_integer("samples", samples), positive_integer("rounds", rounds)
    finite_number("prior_share", prior_share, high=0.999)
    draws, chunk = positive_integer("draws", draws, 0), min(positive_integer("chunk", chunk), samples)
    masks = np.asarray(observed)
    if masks.dtype != np.bool_ or masks.shape not in (model.event_shape, np.shape(x)):
        raise ValueError(
            f"observed has shape {masks.shape} and dtype {masks.dtype}, expected booleans of shape {model.event_shape} "
            f"or {np.shape(x)}, true where a pixel was observed."
        )
    masks = np.broadcast_to(masks, np.shape(x))
    values = np.where(masks, np.asarray(x), 0).astype(np.float32)
    check_batch(model, values)
    if model.evidence == "none":
        raise ValueError(
            "the evidence of this model is 'none', as of a deterministic autoencoder, expected one with a posterior, "
            "such as a VAE."
        )
    _check_independent(model, params, key, values)
    function = functools.partial(_impute, model, samples, rounds, draws, chunk, float(prior_share), params, key)
    pairs: Any = Incomplete(jnp.asarray(values), jnp.asarray(masks))
    return map_batches(function, pairs, batch_size=batch_size)


def _check_independent(model: Model, params: Params, key: Key, x: np.ndarray) -> None:
    """Raises `ValueError` unless the pixels' log densities add up to that of the example."""
    likelihood, mask = model.likelihood, jnp.ones(model.event_shape, bool)
    z, _ = model.posterior.sample(params, key, x[0])
    whole = likelihood.log_prob(params, x[0], z)
    parts = likelihood.log_prob_observed
    if parts is None or not np.allclose(parts(params, x[0], z, mask), whole, rtol=1e-3, atol=1e-2):
        raise ValueError(
            "the pixels of this model's likelihood are not independent given z, expected a sum over pixels, as of "
            "bernoulli() or normal(): a part of x then has no density of its own."
        )


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3, 4, 5))
def _impute(
    model: Model,
    samples: int,
    rounds: int,
    draws: int,
    chunk: int,
    prior_share: float,
    params: Params,
    key: Key,
    index: Array,
    batch: Incomplete,
) -> Any:
    chunks = -(-samples // chunk)
    order = jnp.arange(chunks * chunk).reshape(chunks, chunk)

    def weigh(key: Key, x: Incomplete, seen: Array) -> tuple[Any, Array]:
        """Codes [chunks, chunk, ...] and their log-weights, -inf for those that fill up the last chunk."""

        def one(sample: Array) -> tuple[Any, Array]:
            key_q, key_p, key_share = jax.random.split(jax.random.fold_in(key, sample), 3)
            z, log_weight = observed_log_weight(model, params, key_q, x, seen)
            if not prior_share:
                return z, log_weight
            other, _ = model.prior.sample(params, key_p, None)
            from_prior = jax.random.bernoulli(key_share, prior_share)
            z = jax.tree.map(lambda a, b: jnp.where(from_prior, a, b), other, z)
            log_p, log_q = model.prior.log_prob(params, z, None), model.posterior.log_prob(params, z, seen)
            log_r = jnp.logaddexp(jnp.log1p(-prior_share) + log_q, jnp.log(prior_share) + log_p)
            return z, observed_log_prob(model, params, x, z) + log_p - log_r

        z, log_weights = jax.lax.map(jax.vmap(one), order)
        return z, jnp.where(order < samples, log_weights, -jnp.inf)

    def average(z: Any, log_weights: Array) -> Array:
        """sum_k w_k E[x | z_k] / sum_k w_k."""
        weights = jax.nn.softmax(log_weights.ravel()).reshape(order.shape)

        def add(total: Array, part: tuple[Any, Array]) -> tuple[Array, None]:
            means = jax.vmap(model.likelihood.mean, (None, 0))(params, part[0])
            return total + jnp.tensordot(part[1], means, 1, precision=jax.lax.Precision.HIGHEST), None

        return jax.lax.scan(add, jnp.zeros(model.event_shape, jnp.float32), (z, weights))[0]

    def one(index: Array, x: Incomplete) -> Any:
        key_codes, key_chosen, key_x = jax.random.split(jax.random.fold_in(key, index), 3)
        shapes = jax.eval_shape(weigh, key_codes, x, x.value)

        def again(i: Array, last: Any) -> Any:
            z, log_weights = weigh(jax.random.fold_in(key_codes, i), x, last[0])
            return jnp.where(x.observed, x.value, average(z, log_weights)), z, log_weights

        empty = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        seen, z, log_weights = jax.lax.fori_loop(0, rounds, again, (x.value, *empty))
        flat = log_weights.ravel()[:samples]
        chosen = jax.random.categorical(key_chosen, flat, shape=(draws,))
        picked = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[chosen], z)
        keys_x = jax.random.split(key_x, draws)
        drawn, _ = jax.vmap(model.likelihood.sample, (None, 0, 0))(params, keys_x, picked)
        drawn = jnp.where(x.observed[None], x.value[None], drawn)
        found: Any = (seen, drawn, log_mean_exp(flat), effective_samples(flat))
        return Imputation(*found)

    return jax.vmap(one)(index, batch)
