"""The variational mixture of posteriors: a prior made of the encoder itself."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.checks import as_float, in_range, positive_integer
from jaxvae.math.mixtures import gaussian_mixture_log_prob
from jaxvae.math.numerics import log_mean_exp
from jaxvae.models.events import as_shape
from jaxvae.models.posteriors.gaussian import gaussian_posterior
from jaxvae.models.records import Conditional, Key, Network, Params

Array = jax.Array

MARGIN = 1e-2  # the pseudo-inputs start this far inside [0, 1]: at the ends the slope of the sigmoid is 0


def vamp_prior(
    encoder: Network,
    latent_dim: int,
    event_shape: tuple[int, ...],
    *,
    pseudo_inputs: int = 500,
    data: Any = None,
    posterior: Callable[..., Conditional] = gaussian_posterior,
    name: str = "pseudo_inputs",
    encoder_name: str = "encoder",
) -> Conditional:
    """p(z) = 1/K sum_k q(z | u_k): the mixture of the encoder's posteriors at K trained pseudo-inputs u_k.

    The pseudo-inputs are what the encoder sees, pictures on [0, 1], kept there as u = sigmoid(r) of free parameters r.
    The encoder's parameters are read from the model's dict, so it is trained by both its roles.

    A density costs K passes of the encoder. They depend on no example and no sample: within one `vmap` over a batch
    and its samples they are made once. Each step of a loop over chunks of samples makes them again, so let a chunk
    hold K examples times samples, or more.

    Args:
        encoder: the one given to `vae`.
        latent_dim: the number of latents.
        event_shape: the shape of one example.
        pseudo_inputs: how many, K.
        data: examples on [0, 1] to start from, [N, *event_shape] with N >= K, of which K evenly spaced ones are taken;
            by default noise around mid-grey.
        posterior: the one given to `vae`.
        name: the name of the parameters {"raw": [K, *event_shape]} in the dict.
        encoder_name: the name of the encoder's parameters in the dict.

    Raises:
        ValueError, TypeError: for impossible sizes, or data of another shape, too few, integers, or off [0, 1].

    Source: Tomczak and Welling, 2018, arXiv 1705.07120, equation 9.

    Example:
        >>> from jaxvae.models.variational import vae
        >>> from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
        >>> encoder, shape = MLPEncoder(2, (8,)), (4, 4, 1)
        >>> prior = vamp_prior(encoder, 2, shape, pseudo_inputs=5)
        >>> model = vae(encoder, MLPDecoder(shape), event_shape=shape, latent_dim=2, prior=prior)
        >>> params = model.init(jax.random.key(0), jnp.zeros(shape))
        >>> prior.sample(params, jax.random.key(1), None)[0].shape
        (2,)
    """
    latent_dim, count = positive_integer("latent_dim", latent_dim), positive_integer("pseudo_inputs", pseudo_inputs)
    event_shape = as_shape("event_shape", event_shape)
    start = None if data is None else _starts(data, count, event_shape)
    q = posterior(encoder, latent_dim, name=encoder_name)

    def init(key: Key, context: None = None) -> Params:
        if start is None:
            return {name: {"raw": jax.random.normal(key, (count, *event_shape), jnp.float32)}}
        return {name: {"raw": jax.scipy.special.logit(jnp.asarray(start))}}

    def log_prob(params: Params, z: Array, context: None = None) -> Array:
        u = jax.nn.sigmoid(params[name]["raw"])
        if q.distribution is None:
            return log_mean_exp(jax.vmap(q.log_prob, (None, None, 0))(params, z, u))
        return gaussian_mixture_log_prob(z, jnp.zeros(count), *jax.vmap(q.distribution, (None, 0))(params, u))

    def sample(params: Params, key: Key, context: None = None) -> tuple[Array, Array]:
        key_component, key_z = jax.random.split(key)
        k = jax.random.randint(key_component, (), 0, count)
        z, _ = q.sample(params, key_z, jax.nn.sigmoid(params[name]["raw"][k]))
        return z, log_prob(params, z)

    def mean(params: Params, context: None = None) -> Array:
        return jax.vmap(q.mean, (None, 0))(params, jax.nn.sigmoid(params[name]["raw"])).mean(axis=0)

    return Conditional(init, sample, log_prob, mean, support=q.support)


def _starts(data: Any, count: int, event_shape: tuple[int, ...]) -> np.ndarray:
    """`count` evenly spaced rows of the data, [count, *event_shape], moved inside (0, 1)."""
    shape = np.shape(data)
    if shape[1:] != event_shape or len(shape) == 0:
        expected = ", ".join(map(str, event_shape))
        raise ValueError(f"data has shape {shape}, expected (N, {expected}): examples of the model's event_shape.")
    if shape[0] < count:
        raise ValueError(f"data has {shape[0]} examples for {count} pseudo_inputs, expected at least as many.")
    chosen = np.asarray(data)[np.linspace(0, shape[0] - 1, count).astype(int)]
    in_range("data", as_float("data", chosen), 0.0, 1.0, "Scale raw 0..255 pixels by 1 / 255.")
    return np.clip(chosen.astype(np.float32), MARGIN, 1 - MARGIN)
