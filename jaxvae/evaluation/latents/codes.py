"""The latent space: codes of examples, which latents carry information, and paths and grids through it."""

import functools
from statistics import NormalDist
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.checks import finite_number, positive_integer, same_shape
from jaxvae.evaluation.batches import map_batches
from jaxvae.models.records import DiagNormal, Model, Params, check_batch

Array = jax.Array


def encode(model: Model, params: Params, x: Array | np.ndarray, *, batch_size: int = 500) -> DiagNormal:
    """The posterior q(z | x) = N(mean, exp(log_var)) of each example.

    Args:
        model, params: the model and its parameters.
        x: [N, *event_shape], in the units of the likelihood.
        batch_size: examples in flight at a time; no number depends on it.

    Returns:
        `DiagNormal` of NumPy arrays: mean [N, Z] and log_var [N, Z].

    Raises:
        ValueError: for an empty x, another shape or values the model cannot score, or a posterior that is no
            diagonal Gaussian.
        TypeError: for raw integer pixels.

    Example:
        >>> from jaxvae.models.variational import vae
        >>> from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
        >>> model = vae(MLPEncoder(2), MLPDecoder((8, 8, 1)), event_shape=(8, 8, 1), latent_dim=2)
        >>> params = model.init(jax.random.key(0), jnp.zeros((8, 8, 1)))
        >>> mean, log_var = encode(model, params, jnp.zeros((5, 8, 8, 1)))
        >>> mean.shape, log_var.shape
        ((5, 2), (5, 2))
    """
    check_batch(model, x)
    if model.posterior.distribution is None:
        raise ValueError(
            "the posterior of this model is no diagonal Gaussian (its `distribution` is None), expected a "
            "mean and a log_var. Use model.posterior.mean or model.posterior.sample."
        )
    return map_batches(functools.partial(_encode, model, params), x, batch_size=batch_size)


@functools.partial(jax.jit, static_argnums=0)
def _encode(model: Model, params: Params, index: Array, x: Array) -> DiagNormal:
    assert model.posterior.distribution is not None
    return jax.vmap(model.posterior.distribution, (None, 0))(params, x)


def posterior_means(model: Model, params: Params, x: Any, *, name: str = "x", batch_size: int = 500) -> Any:
    """E[z | x] of each example: codes [N, Z], or a tree of them where the latents come in groups.

    Unlike `encode` it serves every model that has codes: an autoencoder, a flow posterior, a hierarchy.

    Args:
        model, params: the model and its parameters.
        x: [N, *event_shape], or `Labelled` of them and their contexts for a conditional model.
        name: what error messages call x.
        batch_size: examples in flight at a time; no number depends on it.
    """
    check_batch(model, x, name)
    return map_batches(functools.partial(_mean_batch, model, params), x, batch_size=batch_size)


@functools.partial(jax.jit, static_argnums=0)
def _mean_batch(model: Model, params: Params, index: Array, x: Any) -> Any:
    return jax.vmap(model.posterior.mean, (None, 0))(params, x)


def active_latents(means: Array | np.ndarray, threshold: float = 0.01) -> np.ndarray:
    """Which latents the encoder uses: those whose posterior mean varies, Var_x(E[z | x]) > threshold.

    Args:
        means: [N, Z] posterior means, see `encode`.
        threshold: a variance; a collapsed latent has one near 0, a used one is near 1.

    Returns:
        [Z] booleans.

    Raises:
        ValueError, TypeError: for a threshold that is no number of at least 0.

    Source: Burda, Grosse and Salakhutdinov, 2016, arXiv 1509.00519, section 5.2.

    Example:
        >>> active_latents(np.array([[1.0, 0.01], [-1.0, 0.0]])).tolist()
        [True, False]
    """
    finite_number("threshold", threshold)
    with np.errstate(invalid="ignore"):  # infinite means, of a network that diverged, have no variance: not active
        return np.var(np.asarray(means, np.float64), axis=0) > threshold


def strongest_latents(kl_per_latent: Array | np.ndarray, count: int = 2) -> tuple[int, ...]:
    """The `count` latents of largest KL, the largest first; kl_per_latent is [Z], or [N, Z], then averaged.

    Raises:
        ValueError, TypeError: for a count that is no positive integer, or above the number of latents.

    Example:
        >>> strongest_latents(np.array([0.1, 2.0, 0.0, 1.0]))
        (1, 3)
    """
    kl = np.asarray(kl_per_latent, np.float64)
    kl = kl.mean(0) if kl.ndim == 2 else kl
    count = positive_integer("count", count)
    if count > kl.size:
        raise ValueError(f"count is {count}, but there are only {kl.size} latents.")
    return tuple(int(latent) for latent in np.argsort(-kl, kind="stable")[:count])


def gaussian_quantiles(count: int, tail: float = 0.025) -> np.ndarray:
    """Standard-normal quantiles [count] of equally spaced probabilities from `tail` to 1 - tail.

    Equal steps in probability give each value an equal share of the prior, so a grid of them shows what the
    prior draws. A single value is the median, 0.

    Example:
        >>> [round(float(value), 2) for value in gaussian_quantiles(3)]
        [-1.96, 0.0, 1.96]
    """
    count = positive_integer("count", count)
    finite_number("tail", tail, high=0.4999, above=True)
    probabilities = np.linspace(tail, 1 - tail, count) if count > 1 else np.array([0.5])
    values = np.array([NormalDist().inv_cdf(probability) for probability in probabilities], np.float32)
    return (values - values[::-1]) / 2  # exactly symmetric, with an exact 0


def linear_path(a: Array, b: Array, steps: int) -> Array:
    """[steps, Z] from a to b, both included, in equal steps along a line.

    Example:
        >>> linear_path(jnp.zeros(1), jnp.ones(1), 3).tolist()
        [[0.0], [0.5], [1.0]]
    """
    same_shape(a=a, b=b)
    t = jnp.linspace(0.0, 1.0, positive_integer("steps", steps, 2))[:, None]
    return (1 - t) * a[None] + t * b[None]


def spherical_path(a: Array, b: Array, steps: int) -> Array:
    """[steps, Z] from a to b in equal angles: r(t) (sin((1 - t) w) a / |a| + sin(t w) b / |b|) / sin(w), w their angle.

    The norm r(t) = (1 - t) |a| + t |b| goes in equal steps too. In many dimensions the prior lives near a sphere, which
    a straight line leaves. The usual formula, without the norms, is this one for ends of one norm; between nearly
    opposite ends of different norms it runs off. Where no arc is defined, for parallel, opposite or zero codes, this is
    the line.

    Source: Shoemake, 1985, Animating rotation with quaternion curves; White, 2016, arXiv 1609.04468.

    Example:
        >>> middle = spherical_path(jnp.array([1.0, 0.0]), jnp.array([0.0, 3.0]), 3)[1]
        >>> [round(float(value), 4) for value in middle]
        [1.4142, 1.4142]
    """
    same_shape(a=a, b=b)
    t = jnp.linspace(0.0, 1.0, positive_integer("steps", steps, 2))[:, None]
    norms = jnp.stack([jnp.linalg.norm(a), jnp.linalg.norm(b)])
    unit_a, unit_b = (end / jnp.where(norm > 0, norm, 1.0) for end, norm in zip((a, b), norms, strict=True))
    cosine = jnp.clip(unit_a @ unit_b, -1.0, 1.0)
    arc = (norms > 0).all() & (jnp.abs(cosine) < 1 - 1e-6)
    angle = jnp.where(arc, jnp.arccos(jnp.where(arc, cosine, 0.0)), 1.0)
    direction = (jnp.sin((1 - t) * angle) * unit_a[None] + jnp.sin(t * angle) * unit_b[None]) / jnp.sin(angle)
    path = ((1 - t) * norms[0] + t * norms[1]) * direction
    return jnp.where(arc, path, linear_path(a, b, steps))


def latent_grid(values: Array | np.ndarray, latent_dim: int, latents: tuple[int, int] = (0, 1)) -> np.ndarray:
    """Codes [n, n, Z] over the plane of two latents, the others at 0, laid out as a picture is seen.

    Args:
        values: [n] the values both latents take, ascending.
        latent_dim: Z.
        latents: the one that grows to the right, and the one that grows upwards (row 0 holds its last value).

    Raises:
        ValueError: if the two latents are equal or out of range.

    Example:
        >>> latent_grid(np.array([-1.0, 1.0]), latent_dim=3, latents=(0, 2))[0].tolist()
        [[-1.0, 0.0, 1.0], [1.0, 0.0, 1.0]]
    """
    right, up = (check_latent(latent, latent_dim) for latent in latents)
    if right == up:
        raise ValueError(f"latents is {tuple(latents)}, expected two different ones: a plane needs two axes.")
    values = np.asarray(values, np.float32)
    z = np.zeros((len(values), len(values), latent_dim), np.float32)
    z[..., right] = values[None, :]
    z[..., up] = values[::-1, None]
    return z


def check_latent(latent: int, latent_dim: int) -> int:
    """Returns the index of a latent; raises `ValueError` unless 0 <= latent < latent_dim."""
    if positive_integer("latent", latent, 0) >= latent_dim:
        raise ValueError(f"latent is {latent}, expected 0 to {latent_dim - 1}, one of {latent_dim}.")
    return int(latent)
