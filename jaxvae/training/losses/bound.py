"""Losses: pure functions (params, keys, batch, step) -> (scalar, metrics); training knows nothing else."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.checks import as_function, finite_number, positive_integer, shown
from jaxvae.models.meaning import need_weights
from jaxvae.models.records import Key, Model, Params, as_model, check_batch
from jaxvae.objectives.bounds import elbo
from jaxvae.objectives.estimators import Estimator, name_of, of_pairs, original
from jaxvae.objectives.terms import Terms
from jaxvae.randomness import with_keys
from jaxvae.training.losses.batch import batch_terms, check_keys, report
from jaxvae.training.losses.samples import CHUNK, sample_terms
from jaxvae.training.losses.surrogates import estimated
from jaxvae.training.losses.whole_batch import gathered, shared_key

Array = jax.Array
Metrics = dict[str, Array]
Loss = Callable[[Params, Key, Any, Array], tuple[Array, Metrics]]
Schedule = Callable[[Array], Array]
BatchPenalty = Callable[[Params, Key, Terms], Array]

LATE = 2**30  # a step after any warm-up


def as_loss(loss: Any) -> Loss:
    """Returns a loss; raises `TypeError` for what cannot be called as one, such as a bound."""
    try:
        inspect.signature(loss).bind("params", "keys", "batch", "step")
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"loss is {shown(loss)}, expected a function (params, keys, batch, step) -> (scalar, metrics): {error}. A "
            f"bound such as elbo becomes one by jaxvae.bound_loss(model, jaxvae.elbo)."
        ) from error
    found: Loss = loss
    return found


def bound_loss(
    model: Model,
    bound: Callable[..., Array] = elbo,
    *,
    samples: int = 1,
    estimator: Estimator | None = None,
    chunk: int = CHUNK,
    batch_penalty: BatchPenalty | None = None,
    **options: float | Array | Schedule,
) -> Loss:
    """Minus a bound plus the model's penalty, in nats per example, averaged over the batch.

    Args:
        model: gives one `Terms` for each posterior sample.
        bound: (terms with a leading axis [samples], **options) -> nats.
        samples: posterior samples per example.
        estimator: of the bound's gradient; by default the derivative of `model.terms`, along the path of z and with
            the KL in closed form where there is one. Any other, such as `doubly_reparameterized`, works on the model's
            posterior, prior and likelihood: the bound then sees the one-sample KL, and no penalty of the model.
        chunk: samples of an example in flight at a time. More samples go through one chunk after the other, each
            computed again for its gradient, so that memory stays that of one chunk at a third more work; the numbers do
            not depend on it. The bound of such a loss sees the mean KL over the samples, no z and no posterior.
        batch_penalty: (params, key, terms with leading axes [B, samples]) -> [] nats, added to the loss: what no single
            example can say, such as the distance of all codes from the prior. It sees the batch of all devices.
        **options: the bound's options, each a number or a schedule of the step, as in `beta=warmup`.

    Returns:
        loss(params, keys [B], batch [B, ...], step) -> (scalar, metrics). Metrics are means over the batch, in nats:
        loss, elbo, log_likelihood, kl [], kl_per_latent [L] and penalty []. The loss is the bound's value, whatever
        the estimator of its gradient.

    Raises:
        ValueError, TypeError: if samples or chunk is not a positive integer, a number among the options is not finite,
            the estimator is biased for the bound, or a batch_penalty needs samples that no longer are there; for a
            bound above the mean of log-weights, such as `iwae_bound`, or an estimator, where the model's evidence is
            "bound" or "none".

    Example:
        >>> from jaxvae.models.variational import vae
        >>> from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
        >>> model = vae(MLPEncoder(2), MLPDecoder((4, 4, 1)), event_shape=(4, 4, 1), latent_dim=2)
        >>> batch = jnp.zeros((8, 4, 4, 1))
        >>> params = model.init(jax.random.key(0), batch[0])
        >>> loss = bound_loss(model, elbo, beta=2.0)
        >>> value, metrics = loss(params, jax.random.split(jax.random.key(1), 8), batch, jnp.int32(0))
        >>> sorted(metrics)
        ['elbo', 'kl', 'kl_per_latent', 'log_likelihood', 'loss', 'penalty']
    """
    as_model("model", model)
    as_function("bound", bound, "jaxvae.elbo")
    samples, chunk = positive_integer("samples", samples), positive_integer("chunk", chunk)
    at_step = _options(options)
    _check_evidence(model, bound, max(samples, 2), at_step)
    if batch_penalty is not None and (samples > chunk or estimator is not None):
        raise ValueError(
            f"batch_penalty needs every sample's terms, but samples is {samples} with chunk {chunk} and estimator "
            f"{estimator}, expected samples <= chunk and no estimator. Pass chunk={samples}, estimator=None."
        )
    if estimator is not None:
        as_function("estimator", estimator, "jaxvae.objectives.doubly_reparameterized")
        need_weights(model, f"the estimator {name_of(estimator)}")
        shape = jax.ShapeDtypeStruct((samples,), jnp.float32)
        jax.eval_shape(partial(estimator, partial(bound, **at_step(jnp.int32(0)))), shape, shape)  # it may refuse

    def loss(params: Params, keys: Key, batch: Any, step: Array) -> tuple[Array, Metrics]:
        now = partial(bound, **at_step(step))

        def one(key: Key, x: Any) -> tuple[Array, Terms]:
            own = with_keys(params, key)
            if estimator is not None:
                return estimated(estimator, model, now, own, key, x, samples=samples, chunk=chunk)
            terms = sample_terms(model, own, key, x, samples=samples, chunk=chunk)
            return now(terms), terms

        check_batch(model, batch)
        check_keys(keys, batch)
        bounds, terms = jax.vmap(one)(keys, batch)
        return _report(bounds.mean(), terms, _batch_penalty(batch_penalty, params, keys, terms))

    return loss


def batch_bound_loss(
    model: Model,
    bound: Callable[..., Array],
    *,
    samples: int = 1,
    batch_penalty: BatchPenalty | None = None,
    **options: float | Array | Schedule,
) -> Loss:
    """Minus a bound of the whole batch plus the model's penalty, in nats per example.

    For objectives that are not linear in each example's KL, such as `free_bits_bound`, `balanced_bound` and
    `capacity_bound`: there, the mean KL over the minibatch is what the rule is about. For `elbo` it is `bound_loss`.

    Args:
        model: gives one `Terms` for each posterior sample.
        bound: (terms with leading axes [B, samples], **options) -> nats per example. It sees the batch of all
            devices; in `micro_batches` each piece is a batch of its own.
        samples, batch_penalty, **options: as in `bound_loss`.

    Returns:
        A loss with the metrics of `bound_loss`.

    Raises:
        ValueError, TypeError: if samples is not a positive integer, a number among the options is not finite, or (when
            called) the bound is one of single examples.

    Example:
        >>> from jaxvae.models.variational import vae
        >>> from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
        >>> from jaxvae.objectives.rates import free_bits_bound
        >>> model = vae(MLPEncoder(2), MLPDecoder((4, 4, 1)), event_shape=(4, 4, 1), latent_dim=2)
        >>> batch = jnp.zeros((8, 4, 4, 1))
        >>> params = model.init(jax.random.key(0), batch[0])
        >>> loss = batch_bound_loss(model, free_bits_bound, free_nats=50.0)
        >>> value, metrics = loss(params, jax.random.split(jax.random.key(1), 8), batch, jnp.int32(0))
        >>> round(float(value + metrics["log_likelihood"]), 2)
        100.0
    """
    as_model("model", model)
    as_function("bound", bound, "jaxvae.objectives.free_bits_bound")
    samples = positive_integer("samples", samples)
    at_step = _options(options)

    def loss(params: Params, keys: Key, batch: Any, step: Array) -> tuple[Array, Metrics]:
        terms = batch_terms(model, params, keys, batch, samples)
        value = bound(gathered(terms), **at_step(step))
        return _report(value, terms, _batch_penalty(batch_penalty, params, keys, terms))

    return loss


def _check_evidence(model: Model, bound: Callable[..., Array], samples: int, at_step: Callable[[Any], Any]) -> None:
    """Raises `ValueError` for a bound above the mean of the log-weights, where only that mean bounds log p(x)."""
    if model.evidence in ("exact", "weights") or original(bound) is elbo:
        return
    log_weights = jnp.zeros(samples).at[0].set(-20.0)
    for step in (0, LATE):
        value = of_pairs(partial(bound, **at_step(jnp.int32(step))))(log_weights, jnp.zeros(samples))
        if value > log_weights.mean() + 1e-3:
            need_weights(model, f"the bound {name_of(bound)}")


def _options(options: dict[str, Any]) -> Callable[[Array], dict[str, Any]]:
    """step -> the bound's options at that step."""
    for name, option in options.items():
        if not callable(option):
            finite_number(name, option, low=-jnp.inf)
    return lambda step: {name: option(step) if callable(option) else option for name, option in options.items()}


def _batch_penalty(penalty: BatchPenalty | None, params: Params, keys: Key, terms: Terms) -> Array | float:
    return 0.0 if penalty is None else penalty(params, shared_key(keys), gathered(terms))


def _report(bound: Array, terms: Terms, batch_penalty: Array | float) -> tuple[Array, Metrics]:
    """(the loss, the metrics) of terms [B, samples]."""
    penalty = terms.penalty.mean() + batch_penalty
    value = penalty - bound
    return value, report(terms, value, penalty=penalty)
