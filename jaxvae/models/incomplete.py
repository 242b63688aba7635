"""Examples of which a part was never observed: what a model says about the part that was."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxvae.models.inputs import shapes_of
from jaxvae.models.records import Key, Model, Params

Array = jax.Array


class Incomplete(NamedTuple):
    """An example [...] and a mask [...] of the same shape, true where it was observed; the rest may hold anything.

    Of an example with parts, both are dicts by name.

    Example:
        >>> Incomplete(jnp.array([1.0, jnp.nan]), jnp.array([True, False])).observed.tolist()
        [True, False]
    """

    value: Any
    observed: Any


def observed_log_prob(model: Model, params: Params, x: Incomplete, z: Any) -> Array:
    """log p(x_observed | z) of one example, [] nats.

    Raises:
        ValueError: for a mask of another shape, or a likelihood whose pixels are not independent given z.

    Example:
        >>> from jaxvae.models.exact.linear import linear_gaussian
        >>> model = linear_gaussian(jnp.ones((2, 1)))
        >>> params = model.init(jax.random.key(0), jnp.zeros(2))
        >>> x = Incomplete(jnp.array([1.0, jnp.nan]), jnp.array([True, False]))
        >>> round(float(observed_log_prob(model, params, x, jnp.ones(1))), 4)  # -1/2 log(2 pi)
        -0.9189
    """
    return _log_prob_observed(model, x)(params, x.value, z, x.observed)


def observed_log_weight(
    model: Model, params: Params, key: Key, x: Incomplete, seen: Array | None = None
) -> tuple[Any, Array]:
    """z ~ q(z | seen) and log w = log p(x_observed | z) + log p(z) - log q(z | seen), of one example.

    The mean of w over draws is p(x_observed), whatever the encoder saw: another `seen` makes it easier or harder to
    estimate, never wrong.

    Args:
        model: whose likelihood has `log_prob_observed`.
        params: its parameters.
        key: consumed.
        x: one example and its mask.
        seen: what the encoder sees, by default x with 0 for what is missing.

    Raises:
        ValueError: for a mask of another shape, or a likelihood whose pixels are not independent given z.

    Source: Mattei and Frellsen, 2019, MIWAE: deep generative modelling and imputation of incomplete data sets, arXiv
        1812.02633. (Not the MIWAE of Rainforth et al., 2018, arXiv 1802.04537, which is `miwae_bound`.)

    Example:
        >>> from jaxvae.models.exact.linear import linear_gaussian
        >>> model = linear_gaussian(jnp.ones((2, 1)))
        >>> params = model.init(jax.random.key(0), jnp.zeros(2))
        >>> x = Incomplete(jnp.array([1.0, jnp.nan]), jnp.array([True, False]))
        >>> z, log_weight = observed_log_weight(model, params, jax.random.key(1), x)
        >>> z.shape, bool(jnp.isfinite(log_weight))
        ((1,), True)
    """
    _log_prob_observed(model, x)
    filled = jax.tree.map(lambda mask, part: jnp.where(mask, part, 0.0), x.observed, x.value) if seen is None else seen
    z, log_q = model.posterior.sample(params, key, filled)
    return z, observed_log_prob(model, params, x, z) + model.prior.log_prob(params, z, None) - log_q


def _log_prob_observed(model: Model, x: Incomplete) -> Callable[..., Array]:
    """The likelihood's function, once the mask is known to fit."""
    log_prob = model.likelihood.log_prob_observed
    if log_prob is None:
        raise ValueError(
            "the likelihood of this model has no log_prob_observed, expected one of pixels that are independent given "
            "z, as decoder_likelihood makes from bernoulli() or normal()."
        )
    shapes, dtypes = shapes_of(x.observed), jax.tree.map(lambda mask: str(mask.dtype), x.observed)
    if shapes != shapes_of(x.value) or any(dtype != "bool" for dtype in jax.tree.leaves(dtypes)):
        raise ValueError(
            f"observed has shape {shapes} and dtype {dtypes}, expected booleans of shape {shapes_of(x.value)}, that of "
            f"the example."
        )
    return log_prob
