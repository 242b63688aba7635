"""The linear-Gaussian VAE, the one whose every quantity is a closed form: a model to learn from and to test with.

    z ~ N(0, I),  x | z ~ N(W z + b, noise^2 I),  q(z | x) = N(V x + c, diag(exp(log_var)))

The functions take the subtrees of the model's own parameters, so that what training reaches can be compared with what
is best; `linear_gaussian_encoder` and `linear_gaussian_elbo` have the best encoder and the exact ELBO of any.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxvae.checks import as_float, finite_number
from jaxvae.math.matrices import times
from jaxvae.math.normal import normal_log_prob
from jaxvae.models.observations.continuous import normal
from jaxvae.models.records import Key, Model, Params
from jaxvae.models.variational import vae
from jaxvae.traced import surely

Array = jax.Array


class LinearDecoder(NamedTuple):
    """z [Z] -> W z + b [...]; its fresh parameters are the ones it was made with."""

    weights: Array
    bias: Array

    def init(self, key: Key, /, *inputs: Array) -> Params:
        return {"weights": self.weights, "bias": self.bias}

    def apply(self, variables: Any, /, *inputs: Array) -> Array:
        (z,) = inputs
        return times(variables["weights"], z) + variables["bias"]


class LinearEncoder(NamedTuple):
    """x [...] -> (V x + c [Z], log_var [Z]); its fresh parameters make it the prior N(0, I), whatever x is."""

    latent_dim: int

    def init(self, key: Key, /, *inputs: Array) -> Params:
        (x,) = inputs
        zeros = jnp.zeros(self.latent_dim, jnp.float32)
        return {"weights": jnp.zeros((self.latent_dim, x.size), jnp.float32), "bias": zeros, "log_var": zeros}

    def apply(self, variables: Any, /, *inputs: Array) -> tuple[Array, Array]:
        (x,) = inputs
        return times(variables["weights"], x.ravel()) + variables["bias"], variables["log_var"]


def linear_gaussian(weights: Array, *, bias: Array | None = None, noise: float = 1.0) -> Model:
    r"""The linear-Gaussian VAE, also known as probabilistic PCA with a linear encoder.

    z ~ N(0, I), x | z ~ N(W z + b, noise^2 I)

    Args:
        weights: [..., Z] the matrix W; what precedes the last axis is the shape of one example.
        bias: [...] b, by default 0.
        noise: standard deviation of every element of x given z.

    Returns:
        A `Model` with parameters {"decoder": {"weights": [..., Z], "bias": [...]}, "encoder": {"weights": [Z, D],
        "bias": [Z], "log_var": [Z]}} where D is the number of elements of x. A fresh decoder is the given W and b, a
        fresh encoder says N(0, I) of every x.

    Raises:
        ValueError, TypeError: for weights without two axes, a bias of another shape, numbers that are not finite, or a
            noise that is not positive.

    Source: Tipping and Bishop, 1999, Probabilistic Principal Component Analysis; as a VAE: Lucas et al., 2019,
        arXiv 1911.02469.

    Example:
        >>> model = linear_gaussian(jnp.eye(3)[:, :2], noise=0.5)
        >>> params = model.init(jax.random.key(0), jnp.zeros(3))
        >>> jax.tree.map(jnp.shape, params["decoder"])
        {'bias': (3,), 'weights': (3, 2)}
    """
    weights = as_float("weights", weights)
    if weights.ndim < 2 or weights.size == 0:
        raise ValueError(
            f"weights has shape {weights.shape}, expected [..., Z]: the shape of one example, then one column for "
            f"each latent. Write weights[:, None] for one latent."
        )
    shape = weights.shape[:-1]
    bias = jnp.zeros(shape, weights.dtype) if bias is None else as_float("bias", bias)
    if bias.shape != shape:
        raise ValueError(f"bias has shape {bias.shape}, expected {shape}, that of one example.")
    for name, array in (("weights", weights), ("bias", bias)):
        if surely(~jnp.isfinite(array).all()):
            raise ValueError(f"{name} holds a NaN or an infinity, expected finite numbers.")
    finite_number("noise", noise, above=True)
    latents = weights.shape[-1]
    return vae(
        LinearEncoder(latents),
        LinearDecoder(weights, bias),
        event_shape=shape,
        latent_dim=latents,
        observation=normal(std=noise),
    )


def linear_gaussian_posterior(decoder: Params, x: Array, *, noise: float) -> tuple[Array, Array]:
    r"""The exact posterior p(z | x) = N(m, P^-1), with m = P^-1 W' (x - b) / noise^2.

    P = I + W' W / noise^2

    Args:
        decoder: {"weights": [..., Z], "bias": [...]}, as in `params["decoder"]`.
        x: [...] one example.
        noise: standard deviation of every element of x given z.

    Returns:
        The mean [Z] and the full covariance [Z, Z].

    Raises:
        ValueError, TypeError: for an x of another shape or dtype, or a noise that is not positive.

    Source: Tipping and Bishop, 1999; Bishop, 2006, Pattern Recognition and Machine Learning, equation 2.116.

    Example:
        >>> decoder = {"weights": jnp.ones((1, 1)), "bias": jnp.zeros(1)}
        >>> mean, covariance = linear_gaussian_posterior(decoder, jnp.array([2.0]), noise=1.0)
        >>> round(float(mean[0]), 4), round(float(covariance[0, 0]), 4)
        (1.0, 0.5)
    """
    columns, precision = whitened(decoder, noise)
    factor = jax.scipy.linalg.cho_factor(precision, lower=True)
    mean = jax.scipy.linalg.cho_solve(factor, times(columns.T, residual(decoder, x) / noise))
    return mean, jax.scipy.linalg.cho_solve(factor, jnp.eye(len(precision), dtype=precision.dtype))


def linear_gaussian_log_evidence(decoder: Params, x: Array, *, noise: float) -> Array:
    r"""The exact log p(x) = log N(x; b, W W' + noise^2 I), in nats.

    By Bayes' rule at the posterior's mean m, log p(x) = log p(x, m) - log p(m | x), which needs no matrix larger than
    Z times Z and subtracts nothing large.

    Args:
        decoder: {"weights": [..., Z], "bias": [...]}, as in `params["decoder"]`.
        x: [...] one example.
        noise: standard deviation of every element of x given z.

    Returns:
        [] nats.

    Source: Tipping and Bishop, 1999.

    Example:
        >>> decoder = {"weights": jnp.ones((1, 1)), "bias": jnp.zeros(1)}
        >>> round(float(linear_gaussian_log_evidence(decoder, jnp.array([0.0]), noise=1.0)), 4)  # N(0; 0, 2)
        -1.2655
    """
    mean, _ = linear_gaussian_posterior(decoder, x, noise=noise)
    log_joint = log_likelihood(decoder, x, mean, noise) + normal_log_prob(
        mean, jnp.zeros_like(mean), jnp.zeros_like(mean)
    )
    return log_joint + 0.5 * mean.size * math.log(2 * math.pi) - 0.5 * log_det(whitened(decoder, noise)[1])


def whitened(decoder: Params, noise: float) -> tuple[Array, Array]:
    """W / noise [D, Z] and the posterior precision P [Z, Z]."""
    finite_number("noise", noise, above=True)
    weights = as_float("weights", decoder["weights"])
    columns = weights.reshape(-1, weights.shape[-1]) / noise
    return columns, jnp.eye(columns.shape[1], dtype=columns.dtype) + times(columns.T, columns)


def residual(decoder: Params, x: Array) -> Array:
    """x - b as a vector [D]."""
    x, bias = as_float("x", x), as_float("bias", decoder["bias"])
    if x.shape != bias.shape:
        raise ValueError(
            f"x has shape {x.shape}, expected one example of shape {bias.shape}. Use jax.vmap for a batch."
        )
    return (x - bias).ravel()


def log_likelihood(decoder: Params, x: Array, z: Array, noise: float) -> Array:
    """log p(x | z) in nats."""
    fitted = times(decoder["weights"], z) + decoder["bias"]
    return normal_log_prob(as_float("x", x), fitted, 2 * jnp.log(noise))


def log_det(precision: Array) -> Array:
    """log det P from its Cholesky factor."""
    return 2 * jnp.sum(jnp.log(jnp.diagonal(jnp.linalg.cholesky(precision))))
