"""The bound of a diffusion over a batch whose times are evenly spread, and with some labels hidden."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.checks import finite_number
from jaxvae.models.contexts import Labelled
from jaxvae.models.diffusion.bound import TIME
from jaxvae.models.diffusion.samplers import sampler_of
from jaxvae.models.records import Key, Model, Params, check_batch
from jaxvae.objectives.terms import Terms
from jaxvae.randomness import with_keys
from jaxvae.training.engine.streams import HIDDEN, TIMES
from jaxvae.training.losses.batch import check_keys, report
from jaxvae.training.losses.bound import Loss, Metrics
from jaxvae.training.losses.whole_batch import even_draws, shared_key

Array = jax.Array


def even_times_loss(model: Model, *, hide_labels: float = 0.0) -> Loss:
    """Minus the bound of a diffusion, example i of a batch of B at the time (u + i / B) mod 1, u shared by all.

    Each time is uniform, so that the loss has the mean of `bound_loss(model)`; its noise is that of draws that are
    spread over all times, about half as much.

    Args:
        model: of `diffusion_model`.
        hide_labels: the share of the examples whose label is shown as unknown, for guidance; it takes a model of
            context=class_labels(count, unknown=True).

    Returns:
        loss(params, keys [B], batch [B, ...], step) -> (scalar, metrics), the metrics of `bound_loss`.

    Raises:
        ValueError, TypeError: for a model that is no diffusion, a share outside [0, 1), labels that cannot be hidden.

    Source: Kingma et al., 2021, arXiv 2107.00630, appendix I.1; hidden labels: Ho and Salimans, 2022, arXiv 2207.12598.

    Example:
        >>> from jaxvae.models.diffusion.bound import diffusion_model
        >>> from jaxvae.networks.denoisers import MLPDenoiser
        >>> model = diffusion_model(MLPDenoiser((2,), hidden=(4,)), event_shape=(2,))
        >>> params = model.init(jax.random.key(0), jnp.zeros(2))
        >>> loss, keys = even_times_loss(model), jax.random.split(jax.random.key(1), 8)
        >>> value, metrics = loss(params, keys, jnp.ones((8, 2)), jnp.int32(0))
        >>> bool(jnp.isclose(value, -metrics["elbo"])), metrics["kl_per_latent"].shape
        (True, (2,))
    """
    told = sampler_of(model).told
    finite_number("hide_labels", hide_labels, 0.0, 1.0, below=True)
    if hide_labels and (told is None or not told.optional):
        raise ValueError(
            f"hide_labels is {hide_labels}, but the model does not know an unknown label, expected one of "
            f"context=class_labels(count, unknown=True). Leave it at 0."
        )

    def hidden(key: Key, x: Any) -> Any:
        if told is None or not hide_labels:
            return x
        hide = jax.random.bernoulli(jax.random.fold_in(key, HIDDEN), hide_labels)
        return Labelled(x.value, jnp.where(hide, told.example(), x.context))

    def one(params: Params, key: Key, time: Array, x: Any) -> Terms:
        own = {**with_keys(params, key), TIME: time}
        return jax.tree.map(lambda leaf: leaf[None], model.terms(own, key, hidden(key, x)))

    def loss(params: Params, keys: Key, batch: Any, step: Array) -> tuple[Array, Metrics]:
        check_batch(model, batch)
        check_keys(keys, batch)
        times = even_draws(shared_key(keys, TIMES), keys.shape[0])
        terms = jax.vmap(one, (None, 0, 0, 0))(params, keys, times, batch)
        value = terms.kl.sum(-1).mean() - terms.log_likelihood.mean()
        return value, report(terms, value)

    return loss
