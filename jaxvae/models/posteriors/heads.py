"""A Gaussian whose mean and log-variance a network emits, given any inputs."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.checks import as_float
from jaxvae.math.normal import normal_log_prob, reparameterize
from jaxvae.models.records import Conditional, DiagNormal, Key, Network, Params, part_of

Array = jax.Array


def as_gaussian(name: str, outputs: Any, latent_dim: int) -> DiagNormal:
    """The `DiagNormal` of a network's two outputs, in float32 at least.

    Raises:
        ValueError: for anything but a tuple (mean, log_var) of shapes [latent_dim].

    Example:
        >>> as_gaussian("prior", (jnp.zeros(2), jnp.ones(2)), 2).log_var.tolist()
        [1.0, 1.0]
    """
    found = [jnp.shape(part) for part in outputs] if isinstance(outputs, tuple) else type(outputs).__name__
    if found != [(latent_dim,)] * 2:
        raise ValueError(
            f"the network {name!r} returned {found} for one example, expected a tuple (mean, log_var), each of shape "
            f"({latent_dim},). Check its last layer and the number of latents; it works without a batch axis."
        )
    return DiagNormal(as_float(f"the mean of {name!r}", outputs[0]), as_float(f"the log_var of {name!r}", outputs[1]))


def network_gaussian(
    network: Network, latent_dim: int, *, name: str, to_input: Callable[[Any], Array] = lambda context: context
) -> Conditional:
    """p(z | context) = N(mean(context), diag(exp(log_var(context)))), both emitted by one network.

    Args:
        network: `.apply(variables, context)` returns `(mean [latent_dim], log_var [latent_dim])`.
        latent_dim: the number of latents.
        name: the name of its parameters in the dict.
        to_input: maps a context to what the network should see.

    Raises:
        ValueError: if the network emits anything but two arrays [latent_dim].

    Example:
        >>> from jaxvae.networks.mlp import MLPEncoder
        >>> prior = network_gaussian(MLPEncoder(latent_dim=2), 2, name="prior")
        >>> params = prior.init(jax.random.key(0), jnp.zeros(5))
        >>> prior.mean(params, jnp.zeros(5)).shape
        (2,)
    """

    def init(key: Key, context: Any) -> Params:
        return {name: network.init(key, to_input(context))}

    def distribution(params: Params, context: Any) -> DiagNormal:
        return as_gaussian(name, network.apply(part_of(params, name), to_input(context)), latent_dim)

    def sample(params: Params, key: Key, context: Any) -> tuple[Array, Array]:
        p = distribution(params, context)
        z = reparameterize(key, *p)
        return z, normal_log_prob(z, *p)

    def log_prob(params: Params, z: Array, context: Any) -> Array:
        return normal_log_prob(z, *distribution(params, context))

    def mean(params: Params, context: Any) -> Array:
        return distribution(params, context).mean

    return Conditional(init, sample, log_prob, mean, distribution)
