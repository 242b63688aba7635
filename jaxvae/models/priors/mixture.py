"""A prior that is a mixture of Gaussians, trained with the model."""

import jax
import jax.numpy as jnp

from jaxvae.checks import finite_number, positive_integer
from jaxvae.math.mixtures import gaussian_mixture_log_prob
from jaxvae.math.normal import reparameterize
from jaxvae.models.records import Conditional, Key, Params
from jaxvae.traced import log1p, sqrt, surely

Array = jax.Array


def gaussian_mixture_prior(
    components: int, latent_dim: int, *, spread: float = 0.5, name: str = "prior"
) -> Conditional:
    """p(z) = sum_k w_k N(z; mean_k, diag(exp(log_var_k))): weights, means and variances are all trained.

    It starts near N(0, I): the means are drawn from N(0, spread I) and every variance is 1 - spread, so that the
    variance of the whole is 1. Components that began equal would have equal gradients and stay one.

    The KL of a VAE to it has no closed form and is its one-sample estimate. A sample cannot be differentiated in the
    weights.

    Args:
        components: how many, K.
        latent_dim: the number of latents.
        spread: the share of the initial variance that lies between components, in (0, 1).
        name: the name of its parameters in the dict: {"logits": [K], "means": [K, Z], "log_vars": [K, Z]}.

    Raises:
        ValueError, TypeError: for an impossible number of components or latents, or a spread outside (0, 1).

    Source: Dilokthanakul et al., 2016, arXiv 1611.02648; Tomczak and Welling, 2018, arXiv 1705.07120, as a baseline.

    Example:
        >>> prior = gaussian_mixture_prior(10, 2)
        >>> params = prior.init(jax.random.key(0), None)
        >>> z, log_density = prior.sample(params, jax.random.key(1), None)
        >>> z.shape, log_density.shape
        ((2,), ())
    """
    components, latent_dim = positive_integer("components", components), positive_integer("latent_dim", latent_dim)
    finite_number("spread", spread, high=1.0, above=True)
    if surely(spread == 1):
        raise ValueError("spread is 1, expected a number below 1: it leaves the components no variance of their own.")

    def init(key: Key, context: None = None) -> Params:
        shape = (components, latent_dim)
        means = sqrt(spread) * jax.random.normal(key, shape, jnp.float32)
        log_vars = jnp.full(shape, log1p(-spread), jnp.float32)
        return {name: {"logits": jnp.zeros(components, jnp.float32), "means": means, "log_vars": log_vars}}

    def log_prob(params: Params, z: Array, context: None = None) -> Array:
        return gaussian_mixture_log_prob(z, **params[name])

    def sample(params: Params, key: Key, context: None = None) -> tuple[Array, Array]:
        key_component, key_z = jax.random.split(key)
        k = jax.random.categorical(key_component, params[name]["logits"])
        z = reparameterize(key_z, params[name]["means"][k], params[name]["log_vars"][k])
        return z, log_prob(params, z)

    def mean(params: Params, context: None = None) -> Array:
        return jax.nn.softmax(params[name]["logits"]) @ params[name]["means"]

    return Conditional(init, sample, log_prob, mean)
