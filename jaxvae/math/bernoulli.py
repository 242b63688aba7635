"""Bernoulli and continuous Bernoulli log-densities from logits."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from jaxvae.arguments import arguments
from jaxvae.math.numerics import flat, log_x_over_tanh
from jaxvae.roles import real, unit

Array = jax.Array


@arguments(x=unit(), logits=real(like="x"))
def bernoulli_log_prob(x: Array, logits: Array) -> Array:
    r"""Bernoulli log-probability from logits: sum(x log p + (1 - x) log(1 - p)), p = sigmoid(logits).

    For x between 0 and 1 this is the cross-entropy of grey pixels, a common loss but no normalised density
    (`continuous_bernoulli_log_prob` is one).

    Args:
        x: [...] one example, values in [0, 1].
        logits: the shape of x (or a scalar); -inf and +inf are probabilities of exactly 0 and 1.

    Returns:
        [] nats, summed over every element of x.

    Source: Kingma and Welling, 2013, arXiv 1312.6114, appendix C.

    Example:
        >>> float(bernoulli_log_prob(jnp.array([1.0, 0.0]), jnp.array([0.0, -1e4])))
        -0.6931471824645996
    """
    return jnp.sum(_bernoulli(*flat(x, logits)))


@arguments(x=unit(), logits=real(like="x"))
def continuous_bernoulli_log_prob(x: Array, logits: Array) -> Array:
    r"""Continuous Bernoulli log-density on [0, 1]: the Bernoulli's plus sum(log C), C = l / tanh(l / 2).

    Args:
        x: [...] one example, values in [0, 1].
        logits: the shape of x (or a scalar), l = log(lambda / (1 - lambda)), finite.

    Returns:
        [] nats, summed over every element of x.

    Source: Loaiza-Ganem and Cunningham, 2019, arXiv 1907.06845.

    Example:
        >>> float(continuous_bernoulli_log_prob(jnp.array([0.3, 0.9]), jnp.zeros(2)))
        0.0
    """
    x, logits = flat(x, logits)
    return jnp.sum(_bernoulli(x, logits) + log_x_over_tanh(logits))


@jax.custom_jvp
def _bernoulli(x: Array, logits: Array) -> Array:
    """-(w |l| + log1p(exp(-|l|))), w the weight of the outcome that l speaks against: a sum of like signs."""
    a = jnp.abs(logits)
    against = jnp.where(logits >= 0, x - 1.0, -x)
    # 0 * inf is NaN; an infinite logit that agrees with x costs nothing.
    return jnp.where(against == 0, 0.0, against * a) - jnp.log1p(jnp.exp(-a))


def _bernoulli_jvp(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Array, Any]:
    """Value and slope share one exp, which the compiler merges: the hot line of binary-image training."""
    (x, logits), (dx, dlogits) = primals, tangents
    value = _bernoulli(x, logits)
    parts = []
    if not isinstance(dlogits, SymbolicZero):
        parts.append(_residual(x, logits) * dlogits)
    if not isinstance(dx, SymbolicZero):
        parts.append(logits * dx)
    return value, sum(parts[1:], parts[0]) if parts else jnp.zeros_like(value)


_bernoulli.defjvp(_bernoulli_jvp, symbolic_zeros=True)


@jax.custom_jvp
def _residual(x: Array, logits: Array) -> Array:
    """x - sigmoid(l), with every digit on both sides: for l >= 0 it is (x - 1) + sigmoid(-l)."""
    e = jnp.exp(-jnp.abs(logits))
    positive = logits >= 0
    return (x - jnp.where(positive, 1.0, 0.0)) + jnp.where(positive, e, -e) / (1.0 + e)


@_residual.defjvp
def _residual_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    (x, logits), (dx, dlogits) = primals, tangents
    return _residual(x, logits), dx - jax.nn.sigmoid(logits) * jax.nn.sigmoid(-logits) * dlogits
