"""From codes to means of x, whatever the model: latents in one vector or in groups, with a context or without."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.evaluation.batches import map_batches
from jaxvae.models.contexts import Labelled, count_examples
from jaxvae.models.events import zeros
from jaxvae.models.given_context import condition
from jaxvae.models.records import Model, Params, as_model

Array = jax.Array


def count_latents(model: Model, params: Params) -> int:
    """The number of latents, Z.

    Raises:
        ValueError: if the latents are no single vector, as those of a hierarchical model.
    """
    code = latent_shapes(model, params)
    if not jax.tree.leaves(code):
        raise ValueError("the model has no latents, expected one vector of them (Z,). Use draw for its samples.")
    if not isinstance(code, jax.ShapeDtypeStruct) or len(code.shape) != 1:
        shapes = [leaf.shape for leaf in jax.tree.leaves(code)]
        raise ValueError(
            f"the latents of this model are several groups of shapes {shapes}, expected one vector (Z,): there is no "
            f"single latent to move. Use draw, reconstructions or decode, which take such latents."
        )
    return code.shape[0]


def latent_shapes(model: Model, params: Params) -> Any:
    """The shape and dtype of one code, a tree of them where the latents come in groups."""
    x: Any = zeros(as_model("model", model).event_shape)
    context = None if model.context is None else model.context.example()
    if model.posterior.support == "none":  # a generator; while an autoencoder may have no prior
        return jax.eval_shape(model.prior.mean, params, context)
    return jax.eval_shape(model.posterior.mean, params, x if model.context is None else Labelled(x, context))


def are_vectors(model: Model, params: Params) -> bool:
    """Whether an example has a code of real numbers [Z], or several in groups: what a path can lead through.

    Example:
        >>> from jaxvae.models.vq import vq_vae
        >>> from jaxvae.networks.deterministic import MLPDeterministicEncoder
        >>> from jaxvae.networks.mlp import MLPDecoder
        >>> networks = MLPDeterministicEncoder(2, ()), MLPDecoder((4, 1), hidden=())
        >>> model = vq_vae(*networks, event_shape=(4, 1), code_shape=(2,), codes=8)  # one of 8 vectors
        >>> are_vectors(model, model.init(jax.random.key(0), jnp.ones((4, 1))))
        False
    """
    groups = jax.tree.leaves(latent_shapes(model, params))
    real = all(len(group.shape) == 1 and jnp.issubdtype(group.dtype, jnp.floating) for group in groups)
    return real and bool(groups) and model.posterior.support not in ("none", "codebook", "one_hot")


def decode(model: Model, params: Params, z: Any, *, context: Any = None, batch_size: int = 100) -> np.ndarray:
    """E[x | z] of each code: z [N, Z] -> [N, *event_shape].

    Args:
        z: [N, Z], or a tree of arrays [N, ...] where the latents come in groups.
        context: of a conditional model: one for all codes, or N of them.

    Raises:
        ValueError: if z has another shape, or is empty; for a context that is missing, impossible or not taken.

    Example:
        >>> from jaxvae.models.variational import vae
        >>> from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
        >>> model = vae(MLPEncoder(2), MLPDecoder((8, 8, 1)), event_shape=(8, 8, 1), latent_dim=2)
        >>> params = model.init(jax.random.key(0), jnp.zeros((8, 8, 1)))
        >>> decode(model, params, jnp.zeros((3, 2))).shape
        (3, 8, 8, 1)
    """
    expected = latent_shapes(model, params)
    same = [jax.tree.structure(z)] == [jax.tree.structure(expected)]
    wanted = [tuple(leaf.shape) for leaf in jax.tree.leaves(expected)]
    found = [jnp.shape(leaf) for leaf in jax.tree.leaves(z)]
    if not same or [shape[1:] for shape in found] != wanted or any(len(shape) == 0 for shape in found):
        if same and len(wanted) == 1:
            raise ValueError(f"z has shape {found[0]}, expected (N, {wanted[0][0]}). For one code pass z[None].")
        raise ValueError(
            f"z has arrays of shapes {found}, expected a {type(expected).__name__} of shapes {wanted}, each with a "
            f"leading axis of examples."
        )
    contexts = contexts_for(model, context, count_examples(z, "z"))
    return map_batches(functools.partial(_decode, model, params), z, contexts, batch_size=batch_size)


@functools.partial(jax.jit, static_argnums=0)
def _decode(model: Model, params: Params, index: Array, z: Any, contexts: Any) -> Array:
    def one(z: Any, context: Any) -> Array:
        return condition(model, Labelled(None, context))[0].likelihood.mean(params, z)

    return jax.vmap(one)(z, contexts)


def contexts_for(model: Model, context: Any, count: int) -> Any:
    """A context [count, ...] for each of `count` codes; None for a model that takes none.

    Raises:
        ValueError: for a context that is missing, impossible, not taken by the model, or neither one nor `count`.
    """
    if model.context is None:
        if context is not None:
            raise ValueError(f"context is {context!r}, but the model takes none. Make a conditional_vae, or drop it.")
        return None
    blank = model.context.example()
    if context is None:
        if not model.context.optional:
            raise ValueError("context is missing, but the model is conditional. Pass context=, such as a label.")
        context = blank
    model.context.check(context, "context")
    contexts = np.asarray(context, blank.dtype)
    if contexts.ndim == blank.ndim:
        return np.broadcast_to(contexts, (count, *blank.shape))
    if len(contexts) != count:
        raise ValueError(f"context has {len(contexts)} rows, expected {count}, one for each, or one for all.")
    return contexts


def contexts_in_turn(model: Model, count: int) -> np.ndarray | None:
    """Labels [count] of one class after the other, for draws of a model of classes; None for any other model.

    Example:
        >>> from jaxvae.models.variational import vae
        >>> from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
        >>> model = vae(MLPEncoder(2), MLPDecoder((8, 8, 1)), event_shape=(8, 8, 1), latent_dim=2)
        >>> contexts_in_turn(model, 3) is None
        True
    """
    if model.context is None or model.context.classes is None:
        return None
    return np.arange(count) % model.context.classes


def reshaped(images: Any, *lead: int) -> Any:
    """Decoded examples [N, ...] as [*lead, ...]; by name where they have parts.

    Example:
        >>> reshaped(np.zeros((6, 4, 4, 1)), 2, 3).shape
        (2, 3, 4, 4, 1)
    """
    return jax.tree.map(lambda leaf: leaf.reshape(*lead, *leaf.shape[1:]), images)
