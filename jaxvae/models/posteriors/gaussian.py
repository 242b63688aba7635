"""Approximate posteriors q(z | x)."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.checks import as_float, positive_integer
from jaxvae.math.normal import normal_log_prob, reparameterize
from jaxvae.models.inputs import shapes_of
from jaxvae.models.records import Conditional, DiagNormal, Key, Network, Params, as_network, part_of

Array = jax.Array


def gaussian_posterior(
    encoder: Network, latent_dim: int, *, to_input: Callable[[Array], Array] = lambda x: x, name: str = "encoder"
) -> Conditional:
    """q(z | x) = N(mean(x), diag(exp(log_var(x)))), both emitted by one encoder network.

    Args:
        encoder: a network whose `.apply(variables, x)` returns `(mean [latent_dim], log_var [latent_dim])`; half
            precision is widened to float32.
        latent_dim: the number of latents, to check what the encoder emits.
        to_input: maps x, in the units of the likelihood, to what the encoder should see.
        name: the name of the encoder's parameters in the dict.

    Raises:
        ValueError: if the encoder emits anything but two arrays [latent_dim].

    Source: Kingma and Welling, 2013, arXiv 1312.6114. The network emits the logarithm of the variance everywhere.

    Example:
        >>> from jaxvae.networks.mlp import MLPEncoder
        >>> posterior = gaussian_posterior(MLPEncoder(latent_dim=2), 2)
        >>> x = jax.numpy.zeros((8, 8, 1))
        >>> z, log_density = posterior.sample(posterior.init(jax.random.key(0), x), jax.random.key(1), x)
        >>> z.shape, log_density.shape
        ((2,), ())
    """

    latent_dim = positive_integer("latent_dim", latent_dim)
    as_network("encoder", encoder, f"MLPEncoder({latent_dim})")

    def init(key: Key, x: Array) -> Params:
        return {name: encoder.init(key, to_input(x))}

    def distribution(params: Params, x: Array) -> DiagNormal:
        outputs = encoder.apply(part_of(params, name), to_input(x))
        found = [jnp.shape(part) for part in outputs] if isinstance(outputs, tuple) else type(outputs).__name__
        if found != [(latent_dim,)] * 2:
            raise ValueError(
                f"the encoder returned {found} for one example of shape {shapes_of(x)}, expected a tuple "
                f"(mean, log_var), each of shape ({latent_dim},). Check its last layer and latent_dim; it must work "
                f"on one example, without a batch axis."
            )
        mean, log_var = outputs
        return DiagNormal(as_float("the encoder's mean", mean), as_float("the encoder's log_var", log_var))

    def sample(params: Params, key: Key, x: Array) -> tuple[Array, Array]:
        q = distribution(params, x)
        z = reparameterize(key, *q)
        return z, normal_log_prob(z, *q)

    def log_prob(params: Params, z: Array, x: Array) -> Array:
        return normal_log_prob(z, *distribution(params, x))

    def mean(params: Params, x: Array) -> Array:
        return distribution(params, x).mean

    return Conditional(init, sample, log_prob, mean, distribution)


def emitted(outputs: Any, latent_dim: int, rest: int, x: Array) -> tuple[Array, Array, Array]:
    """(mean [latent_dim], log_var [latent_dim], rest [rest]) as an encoder emitted them for one example x.

    Raises:
        ValueError: for anything but a tuple of three arrays of these shapes.

    Example:
        >>> zeros = jax.numpy.zeros
        >>> [part.shape for part in emitted((zeros(2), zeros(2), zeros(6)), 2, 6, zeros((8, 8, 1)))]
        [(2,), (2,), (6,)]
    """
    found = [jnp.shape(part) for part in outputs] if isinstance(outputs, tuple) else type(outputs).__name__
    if found != [(latent_dim,), (latent_dim,), (rest,)]:
        raise ValueError(
            f"the encoder returned {found} for one example of shape {shapes_of(x)}, expected a tuple (mean, log_var, "
            f"rest) of shapes ({latent_dim},), ({latent_dim},) and ({rest},). Give this library's encoders the option "
            f"extra={rest}; a network must work on one example, without a batch axis."
        )
    mean, log_var, rest_of_it = outputs
    return (
        as_float("the encoder's mean", mean),
        as_float("the encoder's log_var", log_var),
        as_float("the encoder's rest", rest_of_it),
    )


def correlated_gaussian(
    init: Callable[[Key, Any], Params],
    parts: Callable[[Params, Any], tuple[Array, ...]],
    draw: Callable[..., Array],
    log_density: Callable[..., Array],
    kl: Callable[..., Array],
) -> Conditional:
    """q(z | x) of a Gaussian with parameters q = parts(params, x), the mean first, by its draw, its density and its KL.

    Args:
        init: (key, x) -> params. parts: (params, x) -> q.
        draw: (key, *q) -> z [latent_dim]; log_density: (z, *q) -> []; kl: (*q, *p) -> [] nats, p a `DiagNormal`.

    Example:
        >>> from jaxvae.math.normal import normal_kl
        >>> two = jax.numpy.ones(2), jax.numpy.zeros(2)
        >>> formulas = reparameterize, normal_log_prob, normal_kl
        >>> correlated_gaussian(lambda key, x: {}, lambda params, x: two, *formulas).mean({}, None).tolist()
        [1.0, 1.0]
    """

    def sample(params: Params, key: Key, x: Any) -> tuple[Array, Array]:
        q = parts(params, x)
        z = draw(key, *q)
        return z, log_density(z, *q)

    def sample_with_kl(params: Params, key: Key, x: Any, p: DiagNormal) -> tuple[Array, Array, Array]:
        q = parts(params, x)
        z = draw(key, *q)
        return z, log_density(z, *q), kl(*q, *p)

    def log_prob(params: Params, z: Array, x: Any) -> Array:
        return log_density(z, *parts(params, x))

    def mean(params: Params, x: Any) -> Array:
        return parts(params, x)[0]

    return Conditional(init, sample, log_prob, mean, sample_with_kl=sample_with_kl)
