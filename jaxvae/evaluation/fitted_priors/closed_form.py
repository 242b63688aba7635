"""Gaussians and mixtures fitted to the codes of a trained model: priors without parameters, for `with_prior`."""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.checks import as_float, as_key, as_seed, finite_number, in_range, positive_integer
from jaxvae.evaluation.batches import map_batches
from jaxvae.evaluation.statistics import varying
from jaxvae.math.mixtures import mixture_log_prob
from jaxvae.math.multivariate import full_normal_sample
from jaxvae.models.records import Conditional, Key, Model, Params, check_batch

Array = jax.Array
Codes = Array | np.ndarray


def draw_codes(model: Model, params: Params, key: Key, x: Codes, *, batch_size: int = 500) -> np.ndarray:
    """One code z ~ q(z | x) of each example, [N, Z]: together, draws of the aggregated posterior.

    A prior fitted to posterior means is too narrow for a VAE, whose decoder is used to draws.

    Raises:
        ValueError, TypeError: for an empty x, another shape, or values the model cannot score.

    Source: Dai and Wipf, 2019, arXiv 1903.05789, section 4.

    Example:
        >>> from jaxvae.models.variational import vae
        >>> from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
        >>> model = vae(MLPEncoder(2), MLPDecoder((4, 4, 1)), event_shape=(4, 4, 1), latent_dim=2)
        >>> x = np.zeros((5, 4, 4, 1), np.float32)
        >>> draw_codes(model, model.init(jax.random.key(0), x[0]), jax.random.key(1), x).shape
        (5, 2)
    """
    check_batch(model, x)
    as_key("key", key)
    return map_batches(functools.partial(_draw, model, params, key), x, batch_size=batch_size)


@functools.partial(jax.jit, static_argnums=0)
def _draw(model: Model, params: Params, key: Key, index: Array, x: Array) -> Array:
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, index)
    return jax.vmap(lambda key, x: model.posterior.sample(params, key, x)[0])(keys, x)


def fit_normal(codes: Codes, *, regularization: float = 1e-6) -> Conditional:
    """N(mean, covariance) of the codes.

    Args:
        codes: [N, Z] floats.
        regularization: added to the variances, so that a latent that never moves has a density.

    Raises:
        ValueError, TypeError: for codes of another shape, fewer than two, integers or not finite, or a regularization
            that is not positive.

    Source: Ghosh et al., 2020, arXiv 1903.12436, section 4.

    Example:
        >>> prior = fit_normal(np.random.default_rng(0).normal(size=(100, 2)))
        >>> prior.sample({}, jax.random.key(0), None)[0].shape
        (2,)
    """
    codes = as_codes(codes)
    finite_number("regularization", regularization, above=True)
    cov = np.atleast_2d(np.cov(codes.T, bias=True)) + regularization * np.eye(codes.shape[1])
    return _mixture(np.ones(1), codes.mean(0)[None], np.linalg.cholesky(cov)[None])


def fit_ppca(codes: Codes, components: int) -> Conditional:
    r"""Probabilistic PCA: N(mean, W W^T + s^2 I), the likeliest Gaussian that is round but in so many directions.

    W = U (L - s^2 I)^{1/2}, U and L the first eigenvectors and eigenvalues of the covariance, s^2 the others' mean

    Args:
        codes: [N, Z] floats.
        components: columns of W, fewer than Z.

    Raises:
        ValueError, TypeError: for impossible codes, or as many components as there are numbers in a code.

    Source: Tipping and Bishop, 1999, Probabilistic Principal Component Analysis, equations 7 and 8.

    Example:
        >>> density = fit_ppca(np.random.default_rng(0).normal(size=(100, 3)), 1)
        >>> density.log_prob({}, jnp.zeros(3), None).shape
        ()
    """
    codes, components = as_codes(codes), positive_integer("components", components)
    size = codes.shape[1]
    if components >= size:
        raise ValueError(f"components is {components}, expected fewer than {size}, the numbers in a code.")
    values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(codes.T, bias=True)))
    noise = max(values[: size - components].mean(), 1e-6)
    directions = vectors[:, size - components :]
    inside = (directions * (values[size - components :] - noise)) @ directions.T
    scale = np.linalg.cholesky(inside + noise * np.eye(size))
    return _mixture(np.ones(1), codes.mean(0)[None], scale[None])


def fit_gaussian_mixture(
    codes: Codes,
    components: int = 10,
    *,
    covariance: str = "full",
    regularization: float = 1e-6,
    seed: int = 0,
    steps: int = 200,
) -> Conditional:
    """sum_k w_k N(mean_k, covariance_k), fitted by expectation-maximisation (scikit-learn's).

    Args:
        codes: [N, Z] floats, at least as many as components.
        components: how many; 10 with full covariances is the usual choice.
        covariance: "full" or "diag".
        regularization: added to the variances.
        seed: of the start.
        steps: the most steps; scikit-learn warns if they are not enough.

    Raises:
        ValueError, TypeError: for impossible codes or options.

    Source: Ghosh et al., 2020, arXiv 1903.12436, section 4.

    Example:
        >>> prior = fit_gaussian_mixture(np.random.default_rng(0).normal(size=(100, 2)), 3)
        >>> prior.log_prob({}, jnp.zeros(2), None).shape
        ()
    """
    codes, components = as_codes(codes), positive_integer("components", components)
    finite_number("regularization", regularization, above=True)
    seed, steps = as_seed("seed", seed), positive_integer("steps", steps)
    if covariance not in ("full", "diag"):
        raise ValueError(f"covariance is {covariance!r}, expected 'full' or 'diag'.")
    distinct = len(np.unique(codes, axis=0))
    if distinct < components:
        raise ValueError(
            f"there are {distinct} different codes for {components} components, expected at least as many. Fit fewer."
        )
    from sklearn.mixture import GaussianMixture

    found = GaussianMixture(
        components, covariance_type=covariance, reg_covar=regularization, random_state=seed, max_iter=steps
    ).fit(codes)
    scales = np.sqrt(found.covariances_)[..., None] * np.eye(codes.shape[1]) if covariance == "diag" else None
    return _mixture(found.weights_, found.means_, np.linalg.cholesky(found.covariances_) if scales is None else scales)


def _mixture(weights: np.ndarray, means: np.ndarray, scales: np.ndarray) -> Conditional:
    """The mixture of N(mean_k, L_k L_k^T), weights [K], means [K, Z] and lower triangular scales L [K, Z, Z]."""
    log_vars = 2.0 * np.log(np.diagonal(scales, axis1=1, axis2=2))
    # Once, in float64: then a density is one product, where solving for each example would go through LAPACK.
    inverses = np.linalg.solve(scales, np.broadcast_to(np.eye(scales.shape[1]), scales.shape))
    logits, *parts = (jnp.asarray(part, jnp.float32) for part in (np.log(weights), means, log_vars, scales))
    log_sizes, whiten = jnp.asarray(log_vars.sum(1), jnp.float32), jnp.asarray(inverses, jnp.float32)
    center = jnp.asarray(weights @ means, jnp.float32)

    def log_prob(params: Params, z: Array, context: None = None) -> Array:
        z = as_float("z", z)
        if z.shape != center.shape:
            raise ValueError(f"z has shape {z.shape}, expected {center.shape}: one example. Use jax.vmap for a batch.")
        residual = jnp.einsum("kij,kj->ki", whiten, z[None] - parts[0], precision=jax.lax.Precision.HIGHEST)
        constant = residual.shape[1] * math.log(2.0 * math.pi)
        return mixture_log_prob(logits, -0.5 * (constant + log_sizes + (residual**2).sum(1)))

    def sample(params: Params, key: Key, context: None = None) -> tuple[Array, Array]:
        key_component, key_z = jax.random.split(key)
        k = jax.random.categorical(key_component, logits)
        z = full_normal_sample(key_z, *(part[k] for part in parts))
        return z, log_prob(params, z)

    return parameterless(sample, log_prob, center)


def parameterless(
    sample: Callable[..., tuple[Array, Array]], log_prob: Callable[..., Array], center: Array
) -> Conditional:
    """The `Conditional` of a fitted density: no parameters, and a mean that is known."""

    def init(key: Key, context: None = None) -> Params:
        return {}

    def mean(params: Params, context: None = None) -> Array:
        return center

    return Conditional(init, sample, log_prob, mean)


def as_codes(codes: Codes) -> np.ndarray:
    """The codes as float64 [N, Z]; raises for another shape, fewer than two, integers, or what is not finite.

    Example:
        >>> as_codes(np.zeros((5, 2))).shape
        (5, 2)
    """
    shape = np.shape(codes)
    if len(shape) != 2 or 0 in shape:
        raise ValueError(f"codes have shape {shape}, expected (N, Z): a code of each example, see draw_codes.")
    if shape[0] < 2:
        raise ValueError(f"there is {shape[0]} code, expected at least 2 to fit a density to.")
    limit = float(np.finfo(np.float32).max)
    in_range("codes", as_float("codes", codes), -limit, limit, "Remove the codes that are not finite.")
    return np.asarray(codes, np.float64)


def standard(codes: Codes) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation [Z] of the codes; raises `ValueError` for a latent that never varies."""
    exact, still = as_codes(codes), ~varying(np.asarray(codes))
    if still.any():
        names = ", ".join(map(str, np.flatnonzero(still)[:10]))
        raise ValueError(
            f"latents {names} of the codes never vary, expected some spread. Leave them out, or fit_normal."
        )
    return exact.mean(0), exact.std(0)
