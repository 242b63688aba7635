"""The best diagonal-Gaussian encoder of a linear-Gaussian VAE, the exact ELBO of any, and the gap that remains."""

import jax
import jax.numpy as jnp

from jaxvae.checks import as_float
from jaxvae.math.matrices import times
from jaxvae.math.normal import normal_kl_standard
from jaxvae.models.exact.linear import LinearEncoder, log_det, log_likelihood, residual, whitened
from jaxvae.models.records import Params

Array = jax.Array


def linear_gaussian_encoder(decoder: Params, *, noise: float) -> Params:
    r"""The best diagonal-Gaussian encoder in closed form, as the model's `params["encoder"]`.

    KL(q || p(z | x)) is smallest where q has the posterior's mean and the diagonal of its *precision* P (not of its
    covariance): q(z | x) = N(m(x), diag(1 / P_ii)).

    Args:
        decoder: {"weights": [..., Z], "bias": [...]}, as in `params["decoder"]`.
        noise: standard deviation of every element of x given z.

    Returns:
        {"weights": [Z, D], "bias": [Z], "log_var": [Z]}.

    Source: Bishop, 2006, section 10.1.2; Lucas et al., 2019, arXiv 1911.02469.

    Example:
        >>> decoder = {"weights": jnp.ones((1, 1)), "bias": jnp.zeros(1)}
        >>> round(float(jnp.exp(linear_gaussian_encoder(decoder, noise=1.0)["log_var"][0])), 6)
        0.5
    """
    columns, precision = whitened(decoder, noise)
    factor = jax.scipy.linalg.cho_factor(precision, lower=True)
    weights = jax.scipy.linalg.cho_solve(factor, columns.T / noise)
    return {
        "weights": weights,
        "bias": -times(weights, decoder["bias"].ravel()),
        "log_var": -jnp.log(jnp.diagonal(precision)),
    }


def linear_gaussian_elbo(params: Params, x: Array, *, noise: float) -> Array:
    r"""The exact ELBO of any diagonal-Gaussian encoder N(m, diag(v)), no samples drawn; its `grad` is the truth.

    log N(x; W m + b, noise^2) - 1/2 sum_i v_i |W_i|^2 / noise^2 - KL(N(m, v) || N(0, I))

    Args:
        params: {"encoder": ..., "decoder": ...} of `linear_gaussian`.
        x: [...] one example.
        noise: standard deviation of every element of x given z.

    Returns:
        [] nats.

    Source: Lucas et al., 2019, arXiv 1911.02469.

    Example:
        >>> from jaxvae.models.exact.linear import linear_gaussian
        >>> model = linear_gaussian(jnp.ones((1, 1)))
        >>> x = jnp.zeros(1)
        >>> params = model.init(jax.random.key(0), x)
        >>> round(float(linear_gaussian_elbo(params, x, noise=1.0)), 4)  # the encoder ignores x: log p(x) is -1.2655
        -1.4189
    """
    columns, _ = whitened(params["decoder"], noise)
    residual(params["decoder"], x)  # its shape is checked before an encoder can trip over it
    mean, log_var = LinearEncoder(columns.shape[1]).apply(params["encoder"], as_float("x", x))
    spread = jnp.sum(jnp.exp(log_var) * jnp.sum(columns**2, axis=0))
    return log_likelihood(params["decoder"], x, mean, noise) - 0.5 * spread - normal_kl_standard(mean, log_var)


def linear_gaussian_gap(decoder: Params, *, noise: float) -> Array:
    r"""What the best diagonal encoder misses, the same for every x: log p(x) - max ELBO.

    1/2 (sum_i log P_ii - log det P), which is 0 where the columns of W are orthogonal (Hadamard's inequality)

    Args:
        decoder: {"weights": [..., Z], "bias": [...]}, as in `params["decoder"]`.
        noise: standard deviation of every element of x given z.

    Returns:
        [] nats, at least 0.

    Source: Bishop, 2006, section 10.1.2.

    Example:
        >>> decoder = {"weights": jnp.ones((1, 2)), "bias": jnp.zeros(1)}  # P = [[2, 1], [1, 2]]
        >>> round(float(linear_gaussian_gap(decoder, noise=1.0)), 4)  # 1/2 log(4 / 3)
        0.1438
    """
    _, precision = whitened(decoder, noise)
    return jnp.maximum(0.5 * (jnp.sum(jnp.log(jnp.diagonal(precision))) - log_det(precision)), 0.0)
