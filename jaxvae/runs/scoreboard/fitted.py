"""Contenders that are fitted in closed form: densities of the levels with noise between them, and what they encode."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jaxvae.evaluation.fitted_priors import fit_gaussian_mixture, fit_kde, fit_ppca
from jaxvae.evaluation.latents.codes import posterior_means
from jaxvae.models.densities import dequantized
from jaxvae.models.priors.exchange import with_prior
from jaxvae.models.records import Conditional, Model, Params

Codes = Callable[[np.ndarray], np.ndarray]
COMPONENTS, DIRECTIONS = 10, 20
MOST = 10_000  # training images: a kernel density has them all in its program
FULL = 100  # dimensions up to which the components of a mixture have full covariances


class Fitted(NamedTuple):
    """A contender that no run trains.

    Attributes:
        model: without parameters.
        numbers: how many the density was fitted with.
        codes: x [N, ...] -> [N, Z], or None.
        setting: how it was fitted, in words.
    """

    model: Model
    numbers: int
    codes: Codes | None
    setting: str


def fitted(kind: str, x: np.ndarray, levels: int, seed: int = 0) -> Fitted:
    """The density of that kind of whole numbers x [N, ...] from 0 to levels - 1, with one draw of uniform noise.

    Args:
        kind: "kernels", "mixture" or "ppca".
        x: training images.
        levels: L.
        seed: of the noise, and of the start of a mixture.

    Example:
        >>> x = np.random.default_rng(0).integers(0, 4, size=(50, 2, 2, 1))
        >>> fitted("ppca", x, 4).model.evidence
        'weights'
    """
    given, x = len(x), x[:MOST]
    shape, flat = x.shape[1:], x.reshape(len(x), -1)
    size = flat.shape[1]
    v = ((flat + np.random.default_rng(seed).uniform(size=flat.shape)) / levels).astype(np.float32)
    taken = f"all {given}" if given <= MOST else f"the first {MOST:,} of {given:,}"
    codes, told = None, f"fitted to {taken} training images"
    if kind == "kernels":
        density, numbers = fit_kde(v, "cross_validation"), v.size
        told += ", one bandwidth by cross-validation"
    elif kind == "mixture":
        covariance = "full" if size <= FULL else "diag"
        density = fit_gaussian_mixture(v, COMPONENTS, covariance=covariance, seed=seed)
        numbers = _of_mixture(size, covariance)
        told += f", {COMPONENTS} components, {covariance} covariances"
    else:
        directions = min(DIRECTIONS, size - 1)
        density, numbers = fit_ppca(v, directions), size * (directions + 1) + 1
        codes = _principal(v, directions, levels)
        told += f", {directions} directions"
    return Fitted(dequantized(_shaped(density, shape), levels, event_shape=shape), numbers, codes, told)


def with_mixture(model: Model, params: Params, x: np.ndarray, seed: int = 0) -> Fitted:
    """An autoencoder that draws: its codes of training images under a mixture of Gaussians with full covariances.

    Source: Ghosh et al., 2020, arXiv 1903.12436, section 4.
    """
    codes = np.asarray(posterior_means(model, params, x))
    drawing = with_prior(model, fit_gaussian_mixture(codes, COMPONENTS, seed=seed))
    told = f"{COMPONENTS} Gaussians fitted to the codes of {len(x)} training images"
    return Fitted(drawing, _of_mixture(codes.shape[1], "full"), None, told)


def _of_mixture(size: int, covariance: str) -> int:
    """Weights, means and covariances."""
    return COMPONENTS * (1 + size + (size * (size + 1) // 2 if covariance == "full" else size)) - 1


def _shaped(p: Conditional, shape: tuple[int, ...]) -> Conditional:
    """A density of vectors as one of images."""

    def sample(params: Params, key: Any, context: Any) -> Any:
        v, log_density = p.sample(params, key, context)
        return v.reshape(shape), log_density

    return p._replace(
        sample=sample,
        log_prob=lambda params, v, context: p.log_prob(params, v.ravel(), context),
        mean=lambda params, context: p.mean(params, context).reshape(shape),
    )


def _principal(v: np.ndarray, directions: int, levels: int) -> Codes:
    """x -> its coordinates along the first principal directions of v, in the middle of the bins."""
    centre = v.mean(0, dtype=np.float64)
    axes = np.linalg.svd(v - centre, full_matrices=False)[2][:directions].T
    return lambda x: ((x.reshape(len(x), -1) + 0.5) / levels - centre) @ axes
