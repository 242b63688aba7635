"""Vector quantisation: the nearest vector of a codebook, a gradient through it, and how evenly codes are used."""

import jax
import jax.numpy as jnp

from jaxvae.arguments import arguments
from jaxvae.roles import array, floats

Array = jax.Array


@arguments(z=floats("[..., D]"), codebook=floats("[K >= 1, D]"))
def nearest_code(z: Array, codebook: Array) -> Array:
    r"""Index of the nearest vector, argmin_k |z - e_k|^2 = argmin_k |e_k|^2 - 2 z . e_k, in one matrix product.

    Distances that agree to their last digits are ties, and the lowest index wins. No square root is taken, and an index
    has no gradient, so identical points are safe.

    Args:
        z: [..., D] vectors of one example.
        codebook: [K, D].

    Returns:
        [...] int32 in 0..K-1.

    Source: van den Oord, Vinyals and Kavukcuoglu, 2017, arXiv 1711.00937.

    Example:
        >>> nearest_code(jnp.array([[0.9, 0.1], [0.0, 0.0]]), jnp.array([[0.0, 0.0], [1.0, 0.0]])).tolist()
        [1, 0]
    """
    # The vectors are taken from their mean, so that an offset common to all costs no digits.
    origin = codebook.mean(axis=0, keepdims=True)
    codebook = codebook - origin
    vectors = z.reshape(-1, z.shape[-1]) - origin
    products = jnp.matmul(vectors, codebook.T, precision="highest")
    distances = (codebook**2).sum(axis=-1)[None] - 2.0 * products
    return jnp.argmin(distances, axis=-1).astype(jnp.int32).reshape(z.shape[:-1])


@arguments(value=array(), surrogate=array(like="value"))
def straight_through(value: Array, surrogate: Array) -> Array:
    """`value`, exactly, with the gradient of `surrogate`.

    Source: Bengio, Leonard and Courville, 2013, arXiv 1308.3432.

    Example:
        >>> float(jax.grad(lambda x: straight_through(jnp.round(x), x) ** 2)(1.2))
        2.0
    """
    return jax.lax.stop_gradient(value) + (surrogate - jax.lax.stop_gradient(surrogate))


@arguments(usage=floats())
def perplexity(usage: Array) -> Array:
    r"""How many codes are in effective use: exp(-sum_k p_k log p_k), p the usage over its sum.

    A batch smaller than the codebook cannot use it all: average the usage over an epoch first, then take this.

    Args:
        usage: [K] counts or frequencies, not negative.

    Returns:
        [] between 1 and K; 0 where nothing was used at all.

    Source: van den Oord, Vinyals and Kavukcuoglu, 2017, arXiv 1711.00937.

    Example:
        >>> round(float(perplexity(jnp.array([5.0, 5.0, 0.0]))), 5)
        2.0
    """
    total = usage.sum()
    p = usage / jnp.where(total > 0, total, 1.0)
    entropy = -jnp.sum(p * jnp.log(jnp.where(p > 0, p, 1.0)))
    return jnp.where(total > 0, jnp.exp(entropy), 0.0)
