"""What a model draws: samples, reconstructions, interpolations, traversals and the manifold, as arrays.

Every image is in the units of the likelihood; `model.to_unit` maps it onto [0, 1] for a picture. For a conditional
model examples are `Labelled(images, contexts)`, and what is drawn from a code takes `context=`: one label or array for
all, or one for each.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.checks import as_key, positive_integer
from jaxvae.evaluation.batches import map_batches
from jaxvae.evaluation.latents.codes import (
    check_latent,
    gaussian_quantiles,
    latent_grid,
    linear_path,
    posterior_means,
    spherical_path,
)
from jaxvae.evaluation.latents.decoding import are_vectors, contexts_for, count_latents, decode, latent_shapes, reshaped
from jaxvae.models.contexts import Labelled, count_examples
from jaxvae.models.given_context import condition
from jaxvae.models.meaning import draws_through_latents
from jaxvae.models.records import Key, Model, Params, as_model, check_batch

Array = jax.Array
Images = Any  # [N, *event_shape], or Labelled of them and their contexts
Path = Callable[[Array, Array, int], Array]


def draw(model: Model, params: Params, key: Key, count: int, *, context: Any = None, batch_size: int = 100) -> Any:
    """Draws of x, [count, *event_shape], whatever the model: the one way to samples. The key is consumed.

    A model that has a `draw` of its own is asked for it; of any other z comes from the prior and x from the likelihood.
    With `context=3`, a conditional model draws `count` examples of class 3.

    Raises:
        ValueError, TypeError: for an impossible count, key or context, or a model that has no prior to draw from.

    Example:
        >>> from jaxvae.models.densities.density import density_model
        >>> from jaxvae.models.priors.standard import standard_normal
        >>> draw(density_model(standard_normal(2), event_shape=(2,)), {}, jax.random.key(0), 3).shape
        (3, 2)
    """
    return _draws(model, params, key, count, context, batch_size, "x")


def prior_means(
    model: Model, params: Params, key: Key, count: int, *, context: Any = None, batch_size: int = 100
) -> Any:
    """E[x | z] for `count` draws z of the prior, [count, *event_shape]; the key is consumed.

    Raises:
        ValueError, TypeError: as `draw`; for a model without latents, or one that does not draw through its prior.
    """
    return _draws(model, params, key, count, context, batch_size, "mean")


def means_or_draws(
    model: Model, params: Params, key: Key, count: int, *, context: Any = None, batch_size: int = 100
) -> Any:
    """What pictures show of a model: `prior_means`, or `draw` where nothing is drawn through latents."""
    what = "mean" if draws_through_latents(model) else "x"
    return _draws(model, params, key, count, context, batch_size, what)


def prior_samples(
    model: Model, params: Params, key: Key, count: int, *, context: Any = None, batch_size: int = 100
) -> Any:
    """Draws of x through the latents, [count, *event_shape]; from the key of `prior_means` come the same z."""
    return _draws(model, params, key, count, context, batch_size, "sample")


def _draws(model: Model, params: Params, key: Key, count: int, context: Any, batch_size: int, what: str) -> Any:
    as_model("model", model)
    as_key("key", key)
    draws = np.zeros(positive_integer("count", count))
    contexts = contexts_for(model, context, len(draws))
    function = functools.partial(_draw_batch, model, what, params, key)
    return map_batches(function, draws, contexts, batch_size=batch_size)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _draw_batch(model: Model, what: str, params: Params, key: Key, index: Array, _: Array, contexts: Any) -> Any:
    def one(index: Array, context: Any) -> Any:
        plain, _ = condition(model, Labelled(None, context))
        own = jax.random.fold_in(key, index)
        if what == "x" and plain.draw is not None:
            return plain.draw(params, own, None)
        key_z, key_x = jax.random.split(own)
        z, _ = plain.prior.sample(params, key_z, None)
        if what != "x" and (plain.draw is not None or not jax.tree.leaves(z)):
            raise ValueError("the model does not draw through latents, expected one that does. Use draw.")
        return plain.likelihood.mean(params, z) if what == "mean" else plain.likelihood.sample(params, key_x, z)[0]

    return jax.vmap(one)(index, contexts)


def reconstructions(model: Model, params: Params, x: Images, *, batch_size: int = 100) -> Any:
    """E[x | z] at the posterior mean z = E[z | x] of each example, [N, *event_shape].

    Raises:
        ValueError: for an empty x or one of another shape.
    """
    z = posterior_means(model, params, x, batch_size=batch_size)
    return decode(model, params, z, context=_context_of(x), batch_size=batch_size)


def _context_of(x: Images) -> Any:
    return x.context if isinstance(x, Labelled) else None


def posterior_reconstructions(
    model: Model, params: Params, key: Key, x: Images, samples: int = 8, *, batch_size: int = 100
) -> Any:
    """E[x | z] for several draws z of each posterior, [N, samples, *event_shape]; the key is consumed."""
    check_batch(model, x)
    samples = positive_integer("samples", samples)
    function = functools.partial(_posterior_batch, model, samples, params, key)
    return map_batches(function, x, batch_size=batch_size)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _posterior_batch(model: Model, samples: int, params: Params, key: Key, index: Array, x: Any) -> Array:
    def one(index: Array, x: Any) -> Array:
        plain, value = condition(model, x)
        keys = jax.random.split(jax.random.fold_in(key, index), samples)
        z, _ = jax.vmap(plain.posterior.sample, (None, 0, None))(params, keys, value)
        return jax.vmap(plain.likelihood.mean, (None, 0))(params, z)

    return jax.vmap(one)(index, x)


def interpolate(
    model: Model,
    params: Params,
    a: Images,
    b: Images,
    steps: int = 9,
    *,
    path: Path | None = None,
    batch_size: int = 100,
) -> Any:
    """E[x | z] along a path between the posterior means of pairs of examples, [P, steps, *event_shape].

    Args:
        a, b: [P, *event_shape] the two ends of each pair; the path ends in their reconstructions.
        steps: images in a row, both ends included.
        path: (code [Z], code [Z], steps) -> codes [steps, Z]: `linear_path` or `spherical_path`; where latents come in
            groups, of each group by itself. None: an arc where codes lie on a sphere, else a line.

    Raises:
        ValueError: for a or b of another shape, fewer than 2 steps, latents that are no vectors (such as the indices of
            a codebook), or (of a conditional model) ends of different contexts.
    """
    steps = positive_integer("steps", steps, 2)
    if not are_vectors(model, params):
        shapes = [tuple(group.shape) for group in jax.tree.leaves(latent_shapes(model, params))]
        raise ValueError(
            f"the codes of this model, of shapes {shapes}, are no vectors of real numbers, expected a model of such "
            f"vectors: there is nothing between two others. Use draw or reconstructions."
        )
    path = path or (spherical_path if model.posterior.support == "sphere" else linear_path)
    ends = [posterior_means(model, params, x, name=name, batch_size=batch_size) for name, x in (("a", a), ("b", b))]
    pairs, others = (count_examples(end) for end in ends)
    if pairs != others:
        raise ValueError(f"a has {pairs} examples and b {others}, expected as many: a row for each pair.")
    z = jax.tree.map(jax.vmap(lambda a, b: path(a, b, steps)), *ends)
    context = _context_of(a)
    if context is not None:
        if not np.array_equal(context, _context_of(b)):
            raise ValueError("a and b have different contexts, expected pairs of one context: the path keeps it.")
        context = np.repeat(np.asarray(context), steps, axis=0)
    z = jax.tree.map(lambda leaf: leaf.reshape(-1, leaf.shape[-1]), z)
    images = decode(model, params, z, context=context, batch_size=batch_size)
    return reshaped(images, pairs, steps)


def traverse(
    model: Model,
    params: Params,
    z: Array | np.ndarray,
    latent: int,
    values: Array | np.ndarray,
    *,
    context: Any = None,
) -> Any:
    """E[x | z] as one latent takes each of `values` [V] and the others stay, [V, *event_shape].

    Args:
        z: [Z] the code to start from: zeros, or the posterior mean of an example.
        latent: the index of the one that moves.
        values: [V], for example `gaussian_quantiles(9)`.
        context: of a conditional model.

    Raises:
        ValueError: if z has another shape, or there is no such latent.
    """
    latent_dim = count_latents(model, params)
    if jnp.shape(z) != (latent_dim,):
        raise ValueError(f"z has shape {jnp.shape(z)}, expected one code ({latent_dim},).")
    if np.ndim(values) != 1 or np.asarray(values).dtype.kind not in "iuf":
        raise TypeError(f"values is {values!r}, expected a list of numbers [n], such as gaussian_quantiles(9).")
    codes = np.repeat(np.asarray(z, np.float32)[None], len(values), axis=0)
    codes[:, check_latent(latent, latent_dim)] = values
    return decode(model, params, codes, context=context)


def manifold(
    model: Model,
    params: Params,
    latents: tuple[int, int] = (0, 1),
    count: int = 20,
    *,
    tail: float = 0.025,
    context: Any = None,
) -> Any:
    """E[x | z] over a plane of two latents at Gaussian quantiles, the others 0: [count, count, *event_shape].

    Args:
        latents: the one that grows to the right and the one that grows upwards; of more than two, take those
            that carry most, `latent_strengths(model, params, kl, x).strongest(2)`.
        count: images along a side.
        tail: the outermost quantiles are those of tail and 1 - tail, by default -1.96 and 1.96.
        context: of a conditional model.

    Source: Kingma and Welling, 2013, arXiv 1312.6114, figure 4.
    """
    latent_dim = count_latents(model, params)
    z = latent_grid(gaussian_quantiles(count, tail), latent_dim, latents)
    return reshaped(decode(model, params, z.reshape(-1, latent_dim), context=context), count, count)
