"""Log-weights of many samples of one example, drawn a chunk at a time, and what can be told from them."""

import math

import jax
import jax.numpy as jnp

from jaxvae.arguments import arguments
from jaxvae.models.records import Key, Model, Params
from jaxvae.roles import floats
from jaxvae.training.losses.samples import in_chunks

Array = jax.Array


@arguments(log_weights=floats("[K >= 1]", "one log-weight for each sample"))
def effective_samples(log_weights: Array) -> Array:
    r"""How many equal weights are worth as much as these: (sum_k w_k)^2 / sum_k w_k^2, between 1 and K.

    The bound log (1/K) sum_k w_k then lies about (1/ESS - 1/K) / 2 nats below log p(x), the delta method's estimate; it
    says too little where ESS is a few, since the weights that matter most were never drawn.

    Args:
        log_weights: [K] log p(x, z_k) - log q(z_k | x), nats.

    Returns:
        [] a number of samples; NaN if every weight is 0.

    Source: Kong, 1992, A note on importance sampling using standardized weights; the bias: Nowozin, 2018, Debiasing
        evidence approximations.

    Example:
        >>> round(float(effective_samples(jnp.array([-7.0, -7.0, -7.0, -700.0]))), 4)
        3.0
    """
    w = jnp.exp(log_weights - jnp.max(log_weights))  # from the largest: of numbers near -1e5 the last digit is 1e-2
    return jnp.sum(w) ** 2 / jnp.sum(w**2)


def sample_weights(
    model: Model, params: Params, key: Key, x: Array, *, samples: int, chunk: int
) -> tuple[Array, Array, Array]:
    """Log-weights of K posterior samples of one example, with the means of log p(x | z) and of the KL.

    Sample k has the key fold_in(key, k), so no number depends on the chunk. Of each sample one number is kept, so
    memory hardly grows with K.

    Args:
        model, params: the model and its parameters.
        key: consumed.
        x: one example.
        samples: K.
        chunk: samples in flight at a time.

    Returns:
        log_weights [K], log_likelihood [] and kl [L], in nats.

    Example:
        >>> from jaxvae.models.variational import vae
        >>> from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
        >>> model = vae(MLPEncoder(2), MLPDecoder((4, 4, 1)), event_shape=(4, 4, 1), latent_dim=2)
        >>> x = jnp.zeros((4, 4, 1))
        >>> params = model.init(jax.random.key(0), x)
        >>> log_weights, _, kl = sample_weights(model, params, jax.random.key(1), x, samples=5, chunk=2)
        >>> log_weights.shape, kl.shape
        ((5,), (2,))
    """

    def one(sample: Array) -> tuple[Array, tuple[Array, Array]]:
        terms = model.terms(params, jax.random.fold_in(key, sample), x)
        return terms.log_weight, (terms.log_likelihood, terms.kl)

    equal = math.ceil(samples / math.ceil(samples / chunk))  # pieces of one size where they can be
    log_weights, (log_likelihood, kl) = in_chunks(one, equal, jnp.arange(samples))
    return log_weights, log_likelihood / samples, kl / samples
