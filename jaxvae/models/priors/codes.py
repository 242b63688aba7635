"""A learned prior of a VQ-VAE's codes: an exact density of which vectors of the codebook stand where."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.math.quantization import nearest_code
from jaxvae.models.observations.discrete import categorical
from jaxvae.models.records import Conditional, Key, Params, merge
from jaxvae.models.vq import uniform_codes
from jaxvae.networks.causal.records import CausalNetwork

Array = jax.Array


def code_prior(network: CausalNetwork, code_shape: tuple[int, ...], codes: int) -> Conditional:
    """p(z) = prod_i p(k_i | k_1 .. k_{i-1}) for the vectors z_i = e_{k_i} of a codebook, the prior of a VQ-VAE.

    Trained with the VQ-VAE, it learns the codes as they come and leaves the encoder alone; a draw from it decoded is a
    picture, where codes drawn one by one decode to none.

    Args:
        network: a causal network on the grid of numbers, of event_shape code_shape[:-1], or with a channel of 1 where a
            picture is asked for, that emits `codes` logits for each: `causal_transformer(shape, codes, levels=codes)`.
        code_shape: (..., D) of the VQ-VAE.
        codes: K, the size of the codebook.

    Returns:
        A `Conditional` over z; its `mean` is the codebook's at every position, as with all codes alike, and no
        expectation under p, which has no closed form.

    Raises:
        ValueError: for a network on another number of elements, or that emits another number than `codes`.

    Source: van den Oord, Vinyals and Kavukcuoglu, 2017, arXiv 1711.00937, section 3.3.

    Example:
        >>> from jaxvae.networks.causal import causal_transformer
        >>> network = causal_transformer((2, 2), 5, width=4, layers=1, heads=1, levels=5)
        >>> prior = code_prior(network, (2, 2, 3), codes=5)
        >>> params = prior.init(jax.random.key(0), None)
        >>> z, log_p = prior.sample(params, jax.random.key(1), None)
        >>> z.shape, bool(jnp.isclose(log_p, prior.log_prob(params, z, None), atol=1e-5))
        ((2, 2, 3), True)
    """
    from jaxvae.models.densities.causal import autoregressive

    vectors, grid = uniform_codes(code_shape, codes), tuple(code_shape[:-1])
    if math.prod(network.event_shape) != math.prod(grid):
        raise ValueError(
            f"the network is one of events {network.event_shape}, expected {math.prod(grid)} element(s), one for each "
            f"vector of a code of shape {tuple(code_shape)}."
        )
    p = autoregressive(network, categorical(codes), name="code_prior")  # says which size it needs

    def init(key: Key, context: Any = None) -> Params:
        key_p, key_vectors = jax.random.split(key)
        return merge(p.init(key_p, None), vectors.init(key_vectors, None))

    def sample(params: Params, key: Key, context: Any = None) -> tuple[Array, Array]:
        numbers, log_p = p.sample(params, key, None)
        return params["codebook"]["vectors"][numbers.astype(jnp.int32).reshape(grid)], log_p

    def log_prob(params: Params, z: Array, context: Any = None) -> Array:
        numbers = nearest_code(z, jax.lax.stop_gradient(params["codebook"]["vectors"]).astype(z.dtype))
        return p.log_prob(params, numbers.astype(jnp.float32).reshape(network.event_shape), None)

    return Conditional(init, sample, log_prob, vectors.mean, support="codebook")
