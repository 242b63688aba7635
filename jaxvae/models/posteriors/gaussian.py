"""Gaussians whose numbers a network emits: the usual q(z | x), a prior p(z | c), and what richer ones share."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.checks import as_float, positive_integer
from jaxvae.math.normal import normal_log_prob, reparameterize
from jaxvae.models.posteriors.outputs import reads
from jaxvae.models.records import Conditional, DiagNormal, Key, Network, Params, as_network, part_of
from jaxvae.randomness import applied

Array = jax.Array


@reads(lambda latent_dim: 2 * latent_dim)
def gaussian_posterior(
    encoder: Network, latent_dim: int, *, to_input: Callable[[Any], Array] = lambda x: x, name: str = "encoder"
) -> Conditional:
    """q(z | x) = N(mean(x), diag(exp(log_var(x)))), both emitted by one network; of a context it is p(z | c).

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
    as_network(name, encoder, f"MLPEncoder({latent_dim})")

    def init(key: Key, x: Any) -> Params:
        return {name: encoder.init(key, to_input(x))}

    def distribution(params: Params, x: Any) -> DiagNormal:
        return DiagNormal(*emitted(applied(encoder, part_of(params, name), to_input(x)), latent_dim, name=name))

    def sample(params: Params, key: Key, x: Array) -> tuple[Array, Array]:
        q = distribution(params, x)
        z = reparameterize(key, *q)
        return z, normal_log_prob(z, *q)

    def log_prob(params: Params, z: Array, x: Array) -> Array:
        return normal_log_prob(z, *distribution(params, x))

    def mean(params: Params, x: Array) -> Array:
        return distribution(params, x).mean

    return Conditional(init, sample, log_prob, mean, distribution)


def emitted(outputs: Any, latent_dim: int, rest: int | None = None, *, name: str = "encoder") -> tuple[Array, ...]:
    """(mean [latent_dim], log_var [latent_dim]), and rest [rest] if due, as a network emitted them for one example.

    Raises:
        ValueError: for anything but a tuple of arrays of these shapes.

    Example:
        >>> zeros = jax.numpy.zeros
        >>> [part.shape for part in emitted((zeros(2), zeros(2), zeros(6)), 2, 6)]
        [(2,), (2,), (6,)]
    """
    words, shapes = ["mean", "log_var"], [(latent_dim,)] * 2
    expected, fix = f"each of shape ({latent_dim},)", "Check its last layer and latent_dim"
    if rest is not None:
        words, shapes = [*words, "rest"], [*shapes, (rest,)]
        expected = f"of shapes ({latent_dim},), ({latent_dim},) and ({rest},)"
        fix = f"Let it emit {2 * latent_dim + rest} numbers, as this library's encoders do where outputs is left out"
    found = [jnp.shape(part) for part in outputs] if isinstance(outputs, tuple) else type(outputs).__name__
    if found != shapes:
        raise ValueError(
            f"the {name} returned {found} for one example, expected a tuple ({', '.join(words)}), {expected}. {fix}; "
            f"it must work on one example, without a batch axis."
        )
    return tuple(as_float(f"the {name}'s {word}", part) for word, part in zip(words, outputs, strict=True))


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
