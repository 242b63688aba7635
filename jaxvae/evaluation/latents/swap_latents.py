"""Encode, change, decode: an example with another attribute, or with the class of another and its own style."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxvae.evaluation.latents.codes import posterior_means
from jaxvae.evaluation.latents.decoding import contexts_for, count_latents, decode, reshaped
from jaxvae.models.contexts import Labelled
from jaxvae.models.records import Model, Params

Codes = jax.Array | np.ndarray


def resynthesize(
    model: Model,
    params: Params,
    x: Any,
    change: Callable[[np.ndarray], Codes],
    *,
    context: Any = None,
    batch_size: int = 100,
) -> np.ndarray:
    """Encode, change the codes, decode: E[x | change(E[z | x])], [N, ..., *event_shape].

    Args:
        model, params: the model and its parameters.
        x: [N, *event_shape], or `Labelled` of them and their contexts for a conditional model.
        change: codes [N, Z] -> codes [N, ..., Z], such as `lambda z: traverse_attribute(z, direction, [0, 1])`.
        context: of a conditional model, to decode with, one for all or N of them; by default each example's own.

    Raises:
        ValueError: for examples that the model cannot score, latents that are no single vector, changed codes of
            another shape, or a context that is impossible or not taken.
    """
    latent_dim = count_latents(model, params)
    z = posterior_means(model, params, x, batch_size=batch_size)
    changed = np.asarray(change(z), np.float32)
    if changed.ndim < 2 or changed.shape[0] != len(z) or changed.shape[-1] != latent_dim:
        raise ValueError(f"change made codes of shape {changed.shape} from {z.shape}, expected (N, ..., Z).")
    if context is None and isinstance(x, Labelled):
        context = x.context
    contexts = contexts_for(model, context, len(z))
    if contexts is not None:
        contexts = np.repeat(contexts, int(np.prod(changed.shape[1:-1])), axis=0)
    images = decode(model, params, changed.reshape(-1, latent_dim), context=contexts, batch_size=batch_size)
    return reshaped(images, *changed.shape[:-1])


def across_contexts(model: Model, params: Params, z: Codes, contexts: Any) -> np.ndarray:
    """Each code decoded with each context: E[x | z, c], [N, C, *event_shape]. The code is the style, c the class.

    Args:
        model, params: a conditional model and its parameters.
        z: [N, Z] codes.
        contexts: [C, ...], such as `np.arange(10)`.

    Raises:
        ValueError: for codes of another shape, or contexts that the model does not take.
    """
    contexts, z = np.asarray(contexts), np.asarray(z, np.float32)
    count, every = len(contexts), np.concatenate([contexts] * len(z))
    images = decode(model, params, np.repeat(z, count, axis=0), context=every)
    return reshaped(images, len(z), count)
