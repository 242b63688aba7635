"""A model that also pays for how its reconstruction looks beside x."""

from collections.abc import Callable
from typing import Any

import jax

from jaxvae.checks import as_function, finite_number
from jaxvae.models.given_context import condition
from jaxvae.models.records import Key, Model, Params, as_model
from jaxvae.objectives.terms import Terms

Array = jax.Array


def compared(model: Model, distance: Callable[[Array, Array], Array], weight: float = 1.0) -> Model:
    """The model whose `Terms.penalty` is larger by weight * distance(x, E[x | z]), both pictures on [0, 1].

    The penalty is part of the loss and of no bound: it claims no likelihood. What is measured of log p(x) stays what it
    was; train with `bound_loss(compared(model, ...))` and evaluate the model itself, their parameters are the same.

    Args:
        model: of pictures [H, W, C].
        distance: (x, reconstruction) -> [], 0 where they are equal; both [H, W, C].
        weight: nats for each unit of the distance, >= 0. A likelihood counts sums over pixels, most distances a mean.

    Raises:
        ValueError, TypeError: for a model of anything but pictures, or a weight that is negative or not finite.

    Source: Snell et al., 2017, arXiv 1511.06409 (multi-scale similarity); Hou et al., 2017, arXiv 1610.00291 (features
    of a classifier). Both put it in the likelihood's place, which here is the choice of the weight.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxvae.models.variational import vae
        >>> from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
        >>> model = vae(MLPEncoder(2), MLPDecoder((4, 4, 1)), event_shape=(4, 4, 1), latent_dim=2)
        >>> x = jnp.ones((4, 4, 1))
        >>> params = model.init(jax.random.key(0), x)
        >>> terms = compared(model, lambda x, y: abs(x - y).mean(), 2.0).terms(params, jax.random.key(1), x)
        >>> bool(0.5 < terms.penalty < 1.5)  # the decoder begins near 1/2
        True
    """
    model = as_model("model", model)
    as_function("distance", distance, "lambda x, y: 1 - jaxvae.objectives.multiscale_similarity(x, y)")
    finite_number("weight", weight)
    shape = model.event_shape
    if not isinstance(shape, tuple) or len(shape) != 3:
        raise ValueError(f"the model is one of examples of shape {shape}, expected pictures (H, W, C) to compare.")

    def terms(params: Params, key: Key, x: Any) -> Terms:
        found = model.terms(params, key, x)
        alone, value = condition(model, x)
        seen, made = (alone.to_unit(image) for image in (value, alone.likelihood.mean(params, found.z)))
        return found._replace(penalty=found.penalty + weight * distance(seen, made))

    return model._replace(terms=terms)
