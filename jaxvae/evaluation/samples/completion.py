"""Completions of an example of which some elements are known, by a model that draws element after element."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.checks import as_key, positive_integer
from jaxvae.evaluation.batches import map_batches
from jaxvae.models.given_context import condition
from jaxvae.models.records import Key, Model, Params, as_model, check_batch

Array = jax.Array


class Completions(NamedTuple):
    """Draws of p(x | the known elements).

    Attributes:
        x: [N, draws, *event_shape]; what was known is as it came.
        effective: [N] of how many independent candidates the choice was worth: all where every known element comes
            before every missing one, and the draws are exact; near 1 where they are hardly better than blind.
    """

    x: Array
    effective: Array


def complete(
    model: Model,
    params: Params,
    key: Key,
    x: Any,
    known: np.ndarray,
    *,
    draws: int = 4,
    candidates: int = 16,
    batch_size: int = 20,
) -> Completions:
    """Draws the missing elements anew, in the order of the model, each told the elements before it.

    Where missing elements come before known ones, what is drawn does not yet know them: each draw is then chosen among
    `candidates` by the density of the known elements that follow (importance resampling), exact as they grow.

    Args:
        model: an autoregressive one, such as `density_model(autoregressive(...))`; the key is consumed.
        x: [N, *event_shape], or `Labelled` of them; what it holds where nothing is known does not matter, but must be a
            value the model can score.
        known: bool, of one example's shape or [N, *event_shape].
        draws: of each example.
        candidates: for each draw.

    Raises:
        ValueError: for a model that completes nothing by itself, and a mask of another shape.

    Source: van den Oord, Kalchbrenner and Kavukcuoglu, 2016, arXiv 1601.06759, figure 1; resampling as Rubin, 1987.

    Example:
        >>> from jaxvae.models.densities import autoregressive, density_model
        >>> from jaxvae.networks.causal import gated_pixel_cnn
        >>> model = density_model(autoregressive(gated_pixel_cnn((3, 3, 1), features=2)), event_shape=(3, 3, 1))
        >>> x = jnp.ones((2, 3, 3, 1))
        >>> params = model.init(jax.random.key(0), x[0])
        >>> found = complete(model, params, jax.random.key(1), x, np.arange(9).reshape(3, 3, 1) < 4)
        >>> found.x.shape, float(found.x[:, :, 0].min()), found.effective.tolist()
        ((2, 4, 3, 3, 1), 1.0, [16.0, 16.0])
    """
    as_key("key", key)
    if as_model("model", model).likelihood.complete is None:
        raise ValueError(
            "the model draws no element after the other, expected an autoregressive one. For a model with latents: "
            "jaxvae.evaluation.bounds.impute."
        )
    check_batch(model, x)
    mask = np.asarray(known)
    shape, count = tuple(model.event_shape), len(jax.tree.leaves(x)[0])
    if mask.dtype != bool or mask.shape not in (shape, (count, *shape)):
        raise ValueError(
            f"known is {mask.dtype} of shape {mask.shape}, expected bool of {shape} or {(count, *shape)}: true where "
            f"an element is known."
        )
    masks = np.broadcast_to(mask, (count, *shape))
    sizes = positive_integer("draws", draws), positive_integer("candidates", candidates)
    found = map_batches(functools.partial(_batch, model, sizes, params, key), x, masks, batch_size=batch_size)
    return Completions(*found)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _batch(model: Model, sizes: tuple[int, int], params: Params, key: Key, index: Array, x: Any, masks: Array) -> Any:
    draws, candidates = sizes

    def one(index: Array, x: Any, mask: Array) -> tuple[Array, Array]:
        plain, value = condition(model, x)
        fill: Any = plain.likelihood.complete

        def chosen(key: Key) -> tuple[Array, Array]:
            keys = jax.random.split(key, candidates + 1)
            found, log_weight = jax.vmap(lambda k: fill(params, k, value, (), mask))(keys[1:])
            weight = jax.nn.softmax(log_weight)
            return found[jax.random.categorical(keys[0], log_weight)], 1.0 / jnp.sum(weight**2)

        found, effective = jax.vmap(chosen)(jax.random.split(jax.random.fold_in(key, index), draws))
        return found, effective.mean()

    return jax.vmap(one)(index, x, masks)
