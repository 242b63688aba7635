"""Whether the space of codes is smooth: how a picture changes along a straight line between two codes."""

from typing import NamedTuple

import jax
import numpy as np

from jaxvae.checks import as_key, positive_integer
from jaxvae.evaluation.latents.codes import linear_path, spherical_path
from jaxvae.evaluation.statistics import Estimate, mean_and_error
from jaxvae.models.meaning import draws_through_latents
from jaxvae.models.records import Key, Model, Params, as_model


class Paths(NamedTuple):
    """What `decoded_paths` finds.

    Attributes:
        length: of the way through pictures, over the distance of its ends: 1 where it leads straight from one to the
            other, more where it makes detours.
        jump: its longest step over its mean step: 1 where a picture changes evenly, as many as there are steps where
            it changes all at once.
    """

    length: Estimate
    jump: Estimate


def decoded_paths(model: Model, params: Params, key: Key, *, pairs: int = 100, steps: int = 16) -> Paths:
    """Pictures E[x | z] along lines (arcs on a sphere) between pairs of codes that the prior draws.

    Args:
        model: one that draws through codes of real numbers, such as a VAE, a GAN, or an autoencoder `with_prior`.
        params: of the model.
        key: of the codes; it is consumed.
        pairs: ways. steps: of each.

    Raises:
        ValueError: for a model without such codes, saying why.

    Source: after Karras, Laine and Aila, 2019, arXiv 1812.04948, section 4.1, whose path length is that of features.

    Example:
        >>> from jaxvae.models.exact.linear import linear_gaussian
        >>> model = linear_gaussian(np.eye(3, 2))
        >>> found = decoded_paths(model, model.init(jax.random.key(0), np.zeros(3)), jax.random.key(1), pairs=4)
        >>> round(found.length.mean, 4), round(found.jump.mean, 4)
        (1.0, 1.0)
    """
    as_model("model", model)
    pairs, steps = positive_integer("pairs", pairs, 2), positive_integer("steps", steps, 2)
    as_key("key", key)
    if not draws_through_latents(model) or model.context is not None or model.prior.support == "bins":
        raise ValueError("there is no code to walk from: the model does not draw through codes alone.")
    if (support := model.prior.support) not in ("real", "sphere"):
        raise ValueError(f"the codes are on {support!r}, expected real numbers: there is nothing between two others.")
    path = spherical_path if support == "sphere" else linear_path

    def one(key: Key) -> jax.Array:
        z = [model.prior.sample(params, each, None)[0] for each in jax.random.split(key)]
        way = jax.tree.map(lambda a, b: path(a, b, steps + 1), *z)
        return jax.vmap(lambda code: model.to_unit(model.likelihood.mean(params, code)))(way)

    return path_scores(np.asarray(jax.jit(lambda keys: jax.lax.map(one, keys))(jax.random.split(key, pairs))))


def path_scores(images: np.ndarray) -> Paths:
    """The scores of ways that are decoded already: images [pairs, steps + 1, ...] along each.

    Raises:
        ValueError: for a way whose two ends are one picture.

    Example:
        >>> round(path_scores(np.array([[[0.0], [3.0], [4.0]], [[0.0], [1.0], [2.0]]])).jump.mean, 4)
        1.25
    """
    images = np.asarray(images, np.float64).reshape(*np.shape(images)[:2], -1)
    moved = np.linalg.norm(np.diff(images, axis=1), axis=2)
    ends = np.linalg.norm(images[:, -1] - images[:, 0], axis=1)
    if not (ends > 0).all():
        raise ValueError("two codes have one picture: the decoder does not read them.")
    return Paths(mean_and_error(moved.sum(1) / ends), mean_and_error(moved.max(1) / moved.mean(1)))
