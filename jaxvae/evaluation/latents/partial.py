"""Draws of a hierarchy at any temperature: anew from the top, or with the upper groups of an example kept."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.checks import as_key, finite_number, positive_integer
from jaxvae.evaluation.batches import map_batches
from jaxvae.models.contexts import Labelled
from jaxvae.models.events import zeros
from jaxvae.models.given_context import condition
from jaxvae.models.records import Key, Model, Params, as_model, check_batch

Array = jax.Array


def count_groups(model: Model, params: Params) -> int:
    """How many groups of latents are drawn from the top down, each given those above; 0 where none are.

    Example:
        >>> from jaxvae.models.exact import linear_gaussian
        >>> count_groups(linear_gaussian(jnp.ones((2, 1))), {})
        0
    """
    if as_model("model", model).prior.redraw is None:
        return 0
    x: Any = zeros(model.event_shape)
    example = x if model.context is None else Labelled(x, model.context.example())
    return int(jax.eval_shape(model.terms, params, jax.random.key(0), example).kl.shape[0])


def tempered_draws(
    model: Model, params: Params, key: Key, count: int, temperature: float = 1.0, *, batch_size: int = 100
) -> Any:
    """E[x | z] for draws of a prior whose standard deviations are all multiplied by a temperature, [count, *event].

    Below 1 draws are more alike and more of them look right; they are draws of another model than the one that was
    measured. At 0 all of them are the mean of the means.

    Args:
        key: consumed.
        temperature: at least 0; 1 is the prior itself.

    Raises:
        ValueError: for a model that is no hierarchy of Gaussians, or is told a context; an impossible temperature.

    Source: Vahdat and Kautz, 2020, arXiv 2007.03898, figure 1; Child, 2021, arXiv 2011.10650, section 4.
    """
    _need_groups(model, params, 0)
    finite_number("temperature", temperature)
    draws = np.zeros(positive_integer("count", count), np.float32)
    function = functools.partial(_tempered, model, params, as_key("key", key), jnp.float32(temperature))
    return map_batches(function, draws, batch_size=batch_size)


def partial_draws(
    model: Model,
    params: Params,
    key: Key,
    x: Any,
    kept: int,
    draws: int = 8,
    *,
    temperature: float = 1.0,
    batch_size: int = 100,
) -> Any:
    """E[x | z] of examples whose upper groups are kept and whose lower groups are drawn anew, [N, draws, *event_shape].

    What all draws of a row share is what the kept groups say. All of them kept is a reconstruction; none, a new draw.

    Args:
        key: consumed; the codes of x are draws of its posterior, the same for every number of kept groups.
        x: [N, *event_shape].
        kept: how many groups keep their code, counted from the top.
        draws: for each example.
        temperature: as in `tempered_draws`, of the groups that are drawn.

    Raises:
        ValueError: as `tempered_draws`; for more groups than there are.

    Source: Child, 2021, arXiv 2011.10650, figure 1.
    """
    _need_groups(model, params, kept)
    finite_number("temperature", temperature)
    check_batch(model, x)
    draws = positive_integer("draws", draws)
    settings = as_key("key", key), jnp.int32(kept), jnp.float32(temperature)
    return map_batches(functools.partial(_partial, model, draws, params, settings), x, batch_size=batch_size)


@functools.partial(jax.jit, static_argnums=0)
def _tempered(model: Model, params: Params, key: Key, temperature: Array, index: Array, _: Array) -> Array:
    start = model.prior.mean(params, None)

    def one(index: Array) -> Array:
        assert model.prior.redraw is not None
        z = model.prior.redraw(params, jax.random.fold_in(key, index), start, 0, temperature, None)
        return model.likelihood.mean(params, z)

    return jax.vmap(one)(index)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _partial(model: Model, draws: int, params: Params, settings: Any, index: Array, x: Any) -> Array:
    key, kept, temperature = settings

    def one(index: Array, x: Any) -> Array:
        key_z, *keys = jax.random.split(jax.random.fold_in(key, index), 1 + draws)
        plain, value = condition(model, x)
        z, _ = plain.posterior.sample(params, key_z, value)

        def anew(key: Key) -> Array:
            assert plain.prior.redraw is not None
            return plain.likelihood.mean(params, plain.prior.redraw(params, key, z, kept, temperature, None))

        return jax.vmap(anew)(jnp.stack(keys))

    return jax.vmap(one)(index, x)


def _need_groups(model: Model, params: Params, kept: int) -> None:
    groups = count_groups(model, params)
    if not groups:
        raise ValueError(
            "the prior of this model is no hierarchy that is drawn from the top down, expected one such as "
            "top_down_vae, ladder_vae or hierarchical_vae makes. Use draw."
        )
    if not 0 <= positive_integer("kept", kept, 0) <= groups:
        raise ValueError(f"kept is {kept}, expected at most the {groups} groups of this model, counted from the top.")
