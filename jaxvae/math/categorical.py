"""Categorical log-probability from logits."""

import jax
import jax.numpy as jnp

from jaxvae.checks import as_float, as_levels, not_nan
from jaxvae.math.numerics import log_softmax

Array = jax.Array


def categorical_log_prob(x: Array, logits: Array) -> Array:
    r"""Categorical log-probability from logits: sum(log softmax(logits)[x]).

    Args:
        x: [...] one example, whole numbers 0..K-1 (an integer array, or floats that hold whole numbers).
        logits: [..., K], unnormalised; -inf is a probability of 0, and not all K may be -inf.

    Returns:
        [] nats, summed over every element of x. Inside `jit` an x out of range gives NaN.

    Raises:
        ValueError: on shapes that differ, or (outside `jit`) x out of range or not whole, or a NaN.
        TypeError: if logits holds integers.

    Source: van den Oord, Kalchbrenner and Kavukcuoglu, 2016, arXiv 1601.06759, for pixels as categories.

    Example:
        >>> import math
        >>> round(math.exp(categorical_log_prob(jnp.array([2]), jnp.log(jnp.array([[0.2, 0.3, 0.5]])))), 6)
        0.5
    """
    logits = as_float("logits", logits)
    if logits.ndim == 0 or logits.shape[:-1] != jnp.shape(x) or logits.shape[-1] == 0:
        raise ValueError(
            f"logits has shape {logits.shape}, expected {jnp.shape(x)} (that of x) and one more axis [K]. "
            f"Each call takes one example; for a batch use jax.vmap."
        )
    index = as_levels("x", x, logits.shape[-1])
    not_nan(logits=logits)
    # A negative index would count from the end: send it out of range, where the gather fills in NaN.
    whole = (index >= 0) & (index < logits.shape[-1]) & (index % 1 == 0)
    index = jnp.where(whole, index, logits.shape[-1]).astype(jnp.int32)
    log_prob = log_softmax(logits)
    return jnp.sum(jnp.take_along_axis(log_prob, index[..., None], axis=-1, mode="fill", fill_value=jnp.nan))
