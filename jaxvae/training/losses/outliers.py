"""Outliers in training: a margin that pushes their bound below that of the examples a model is to know."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.checks import finite_number, positive_integer
from jaxvae.models.records import Key, Model, Params
from jaxvae.objectives.bounds import elbo
from jaxvae.objectives.terms import Terms
from jaxvae.training.engine.streams import OUTLIER
from jaxvae.training.losses.batch import batch_terms, report
from jaxvae.training.losses.bound import Loss, Metrics

Array = jax.Array


def outlier_exposure_loss(
    model: Model,
    outliers: Array | np.ndarray,
    *,
    margin: float,
    weight: float = 1.0,
    bound: Callable[[Terms], Array] = elbo,
    samples: int = 1,
    preprocess: Callable[[Key, Array], Array] | None = None,
) -> Loss:
    r"""Minus the bound, plus weight * max(0, margin + bound(o) - bound(x)), an outlier o drawn for each x.

    Once an outlier lies a margin below the example it is compared with, it is left alone: without that end, the bound
    of outliers could fall for ever. A bound can also fall because the encoder says something absurd about an outlier,
    not because p(o) falls: the ELBO as a score profits all the same, a bound with many samples less.

    Args:
        model: gives one `Terms` for each posterior sample.
        outliers: [M, *event_shape], raw as the training images are; they become part of the compiled step.
        margin: nats, of the order of the spread of the bound over examples.
        weight: of the ranking loss, >= 0.
        bound: terms with a leading axis [samples] -> nats.
        samples: posterior samples per example.
        preprocess: (key, raw outlier) -> x, the training's own protocol; None where they are in its units already.

    Returns:
        loss(params, keys [B], batch [B, ...], step) -> (scalar, metrics): those of `bound_loss`, with outlier_bound and
        ranking_loss, nats per example. The elbo is that of the examples.

    Raises:
        ValueError, TypeError: for outliers of another shape or none, or a margin or weight that is no number >= 0.

    Source: Hendrycks, Mazeika and Dietterich, 2019, arXiv 1812.04606, section 3 (a margin ranking loss on the
        log-probabilities, for density estimators).

    Example:
        >>> from jaxvae.models.variational import vae
        >>> from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
        >>> model = vae(MLPEncoder(2), MLPDecoder((4, 4, 1)), event_shape=(4, 4, 1), latent_dim=2)
        >>> batch = jnp.zeros((8, 4, 4, 1))
        >>> params = model.init(jax.random.key(0), batch[0])
        >>> loss = outlier_exposure_loss(model, jnp.ones((3, 4, 4, 1)), margin=10.0)
        >>> value, metrics = loss(params, jax.random.split(jax.random.key(1), 8), batch, jnp.int32(0))
        >>> bool(jnp.isclose(value, metrics["ranking_loss"] - metrics["elbo"]))
        True
    """
    finite_number("margin", margin)
    finite_number("weight", weight)
    samples = positive_integer("samples", samples)
    if np.shape(outliers)[1:] != model.event_shape or len(outliers) == 0:
        shape = ", ".join(map(str, model.event_shape))
        raise ValueError(f"outliers have shape {np.shape(outliers)}, expected (M, {shape}) with at least one.")

    def loss(params: Params, keys: Key, batch: Any, step: Array) -> tuple[Array, Metrics]:
        pool = jnp.asarray(outliers)

        def pick(key: Key) -> tuple[Key, Array]:
            key_index, key_raw, key_terms = jax.random.split(jax.random.fold_in(key, OUTLIER), 3)
            raw = pool[jax.random.randint(key_index, (), 0, len(pool))]
            return key_terms, (raw if preprocess is None else preprocess(key_raw, raw))

        terms = batch_terms(model, params, keys, batch, samples)
        below = batch_terms(model, params, *jax.vmap(pick)(keys), samples)
        bounds, outlier_bounds = jax.vmap(bound)(terms), jax.vmap(bound)(below)
        ranking = jnp.maximum(0.0, margin + outlier_bounds - bounds).mean()
        value = terms.penalty.mean() - bounds.mean() + weight * ranking
        return value, report(terms, value, outlier_bound=outlier_bounds.mean(), ranking_loss=ranking)

    return loss
