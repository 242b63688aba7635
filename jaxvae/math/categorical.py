"""Categorical log-probability from logits."""

import jax
import jax.numpy as jnp

from jaxvae.arguments import arguments
from jaxvae.math.numerics import log_softmax
from jaxvae.roles import level, real

Array = jax.Array


@arguments(x=level("[...]", below="K"), logits=real("[..., K >= 1]"))
def categorical_log_prob(x: Array, logits: Array) -> Array:
    r"""Categorical log-probability from logits: sum(log softmax(logits)[x]).

    Args:
        x: [...] one example, whole numbers 0..K-1 (an integer array, or floats that hold whole numbers).
        logits: [..., K], unnormalised; -inf is a probability of 0, and not all K may be -inf.

    Returns:
        [] nats, summed over every element of x. Inside `jit` an x out of range gives NaN.

    Source: van den Oord, Kalchbrenner and Kavukcuoglu, 2016, arXiv 1601.06759, for pixels as categories.

    Example:
        >>> import math
        >>> round(math.exp(categorical_log_prob(jnp.array([2]), jnp.log(jnp.array([[0.2, 0.3, 0.5]])))), 6)
        0.5
    """
    # A negative index would count from the end: send it out of range, where the gather fills in NaN.
    whole = (x >= 0) & (x < logits.shape[-1]) & (x % 1 == 0)
    index = jnp.where(whole, x, logits.shape[-1]).astype(jnp.int32)
    log_prob = log_softmax(logits)
    return jnp.sum(jnp.take_along_axis(log_prob, index[..., None], axis=-1, mode="fill", fill_value=jnp.nan))
