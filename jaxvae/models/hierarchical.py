"""Several stochastic layers: q goes up from x, p comes down from the top."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.checks import positive_integer
from jaxvae.math.normal import normal_kl, normal_log_prob, reparameterize
from jaxvae.models.events import as_event_shape
from jaxvae.models.given_context import given
from jaxvae.models.inputs import as_observation, network_input
from jaxvae.models.latent_variable import Draw, latent_variable_model
from jaxvae.models.likelihoods import decoder_likelihood
from jaxvae.models.posteriors.gaussian import gaussian_posterior
from jaxvae.models.priors.standard import standard_normal
from jaxvae.models.records import Conditional, Key, Model, Network, Observation, Params, merge

Array = jax.Array
Codes = Any  # a tuple of arrays, the code next to x first


def hierarchical_vae(
    encoders: Sequence[Network],
    priors: Sequence[Network],
    decoder: Network | Conditional,
    *,
    event_shape: Any,
    latent_dims: Sequence[int],
    observation: Observation | None = None,
    prior: Conditional | None = None,
) -> Model:
    """A VAE of L groups of latents z = (z_1, ..., z_L), z_1 next to x:

    q(z | x) = q(z_1 | x) q(z_2 | z_1) ... q(z_L | z_L-1),
    p(x, z) = p(z_L) p(z_L-1 | z_L) ... p(z_1 | z_2) p(x | z_1).

    `Terms.kl` is [L], in the order of z. Its last number is KL(q(z_L | z_L-1) || p(z_L)) in closed form, given the
    sample z_L-1. The number of any other group l is the one-sample estimate log q(z_l | below) - log p(z_l | z_l+1),
    which can be negative for a sample and, since z_l+1 is drawn after z_l, also on average. Their sum is
    log q(z | x) - log p(z) in expectation. `Terms.log_weight` is exact for the sample.

    Args:
        encoders: L networks; the first is given x, the others the code below: (mean, log_var), each [latent_dims[l]].
        priors: L - 1 networks; number l is given z_l+1 and returns (mean, log_var), each [latent_dims[l]].
        decoder: `.apply(variables, z_1)` returns [..., C * observation.channels] unconstrained numbers; or p(x | z_1).
        event_shape: the shape [..., C] of one example.
        latent_dims: L numbers of latents, z_1's first.
        observation: an observation model, by default `bernoulli()`.
        prior: p(z_L), by default `standard_normal(latent_dims[-1])`. Without a closed form, all of kl is one-sample.

    Returns:
        A `Model` whose z is a tuple of L arrays; its parameters are {"encoder_1", ..., "prior_1", ..., "decoder"}.
        What needs one vector of latents (`encode`, `traverse`, `manifold`) refuses such a model.

    Source: Burda, Grosse and Salakhutdinov, 2016, arXiv 1509.00519, section 5.1; Rezende, Mohamed and Wierstra, 2014,
    arXiv 1401.4082.

    Example:
        >>> from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
        >>> model = hierarchical_vae(
        ...     [MLPEncoder(3, (8,)), MLPEncoder(2, (8,))],
        ...     [MLPEncoder(3, (8,))],
        ...     MLPDecoder((4, 4, 1), hidden=(8,)),
        ...     event_shape=(4, 4, 1),
        ...     latent_dims=(3, 2),
        ... )
        >>> params = model.init(jax.random.key(0), jnp.zeros((4, 4, 1)))
        >>> terms = model.terms(params, jax.random.key(1), jnp.zeros((4, 4, 1)))
        >>> [z.shape for z in terms.z], terms.kl.shape
        ([(3,), (2,)], (2,))
    """
    dims = check_groups(latent_dims, encoders=encoders, priors=priors)
    event_shape, observation = as_event_shape(event_shape), as_observation(observation)
    to_input = network_input(observation, event_shape)
    q = [
        gaussian_posterior(network, dim, name=f"encoder_{level}", to_input=to_input if level == 1 else _same)
        for level, (network, dim) in enumerate(zip(encoders, dims, strict=True), 1)
    ]
    p = top_down_parts(priors, dims, prior)
    p_z, p_x = top_down_prior(p, dims), lowest_group(decoder_likelihood(decoder, observation, event_shape))

    def init_posterior(key: Key, x: Any) -> Params:
        inputs = [x, *(jnp.zeros(dim, jnp.float32) for dim in dims[:-1])]
        return merge(*(part.init(k, c) for part, k, c in zip(q, jax.random.split(key, len(q)), inputs, strict=True)))

    def sample(params: Params, key: Key, x: Any) -> tuple[Codes, Array]:
        z, log_q, below = [], [], x
        for part, k in zip(q, jax.random.split(key, len(q)), strict=True):
            below, log_density = part.sample(params, k, below)
            z.append(below)
            log_q.append(log_density)
        return tuple(z), sum_of(log_q)

    def log_prob(params: Params, z: Codes, x: Any) -> Array:
        return sum_of([part.log_prob(params, *pair) for part, *pair in zip(q, z, (x, *z[:-1]), strict=True)])

    def mean(params: Params, x: Any) -> Codes:
        z, below = [], x
        for part in q:
            below = part.mean(params, below)
            z.append(below)
        return tuple(z)

    def drawing(params: Params, key: Key, x: Any, context: None) -> Draw:
        z: list[Any] = []
        log_q, below, posterior = [], x, None
        for part, k in zip(q, jax.random.split(key, len(q)), strict=True):
            assert part.distribution is not None
            posterior = part.distribution(params, below)
            below = reparameterize(k, *posterior)
            z.append(below)
            log_q.append(normal_log_prob(below, *posterior))
        log_p = [part.log_prob(params, *pair) for part, *pair in zip(p, z, (*z[1:], None), strict=True)]
        ratios = [a - b for a, b in zip(log_q, log_p, strict=True)]
        kl = list(ratios)
        if posterior is not None and (top := p[-1].distribution) is not None:
            kl[-1] = normal_kl(*posterior, *top(params, None))
        return Draw(tuple(z), -sum_of(ratios), jnp.stack(kl), None)

    q_z = Conditional(init_posterior, sample, log_prob, mean, groups=tuple(q))
    sizes: dict[str, Any] = {"event_shape": event_shape, "latent_dim": dims, "observation": observation}
    return latent_variable_model(q_z, p_z, p_x, **sizes, drawing=drawing)


def check_groups(latent_dims: Sequence[int], **networks: Sequence[Network]) -> tuple[int, ...]:
    """The numbers of latents; raises unless there are as many encoders, and one prior network fewer.

    Example:
        >>> check_groups((3, 2), encoders=[None, None], priors=[None])
        (3, 2)
    """
    if not isinstance(latent_dims, tuple | list) or not latent_dims:
        raise TypeError(
            f"latent_dims is {latent_dims!r}, expected a tuple such as (100, 50), the group next to x first."
        )
    dims = tuple(positive_integer("latent_dims", dim) for dim in latent_dims)
    for name, found in networks.items():
        expected = len(dims) - (name == "priors")
        if not isinstance(found, tuple | list):
            raise TypeError(f"{name} is {found!r}, expected a list of {expected} networks.")
        if len(found) != expected:
            raise ValueError(
                f"{name} has {len(found)} networks, expected {expected}: latent_dims {dims} has {len(dims)} groups, "
                f"with an encoder for each and a network of the prior for each but the top."
            )
    return dims


def top_down_parts(priors: Sequence[Network], dims: tuple[int, ...], prior: Conditional | None) -> list[Conditional]:
    """p(z_1 | z_2), ..., p(z_L): Gaussians of networks named "prior_1", ..., and the top prior."""
    top = standard_normal(dims[-1]) if prior is None else prior
    if not isinstance(top, Conditional):
        raise TypeError(f"prior is {prior!r}, expected a Conditional. Call one, such as standard_normal({dims[-1]}).")
    pairs = enumerate(zip(priors, dims[:-1], strict=True), 1)
    return [*(gaussian_posterior(network, dim, name=f"prior_{level}") for level, (network, dim) in pairs), top]


def top_down_prior(p: Sequence[Conditional], dims: tuple[int, ...]) -> Conditional:
    """p(z) = p(z_L) ... p(z_1 | z_2) of a tuple z, drawn from the top; its context is None."""

    def init(key: Key, context: None = None) -> Params:
        inputs: list[Any] = [*(jnp.zeros(dim, jnp.float32) for dim in dims[1:]), None]
        return merge(*(part.init(k, c) for part, k, c in zip(p, jax.random.split(key, len(p)), inputs, strict=True)))

    def sample(params: Params, key: Key, context: None = None) -> tuple[Codes, Array]:
        z, log_p, above = [], [], None
        for part, k in zip(reversed(p), jax.random.split(key, len(p)), strict=True):
            above, log_density = part.sample(params, k, above)
            z.append(above)
            log_p.append(log_density)
        return tuple(reversed(z)), sum_of(log_p)

    def log_prob(params: Params, z: Codes, context: None = None) -> Array:
        return sum_of([part.log_prob(params, *pair) for part, *pair in zip(p, z, (*z[1:], None), strict=True)])

    def mean(params: Params, context: None = None) -> Codes:
        z, above = [], None
        for part in reversed(p):
            above = part.mean(params, above)
            z.append(above)
        return tuple(reversed(z))

    def redraw(params: Params, key: Key, z: Codes, kept: Any, temperature: Any, context: None = None) -> Codes:
        """All groups but the `kept` ones at the top drawn anew, with so many times their standard deviation."""
        found: list[Any] = []
        rows = zip(reversed(p), reversed(z), jax.random.split(key, len(p)), strict=True)
        for depth, (part, old, k) in enumerate(rows):
            assert part.distribution is not None
            normal = part.distribution(params, found[-1] if found else None)
            log_var = normal.log_var + 2.0 * jnp.log(jnp.maximum(temperature, 1e-30))
            found.append(jnp.where(depth < kept, old, reparameterize(k, normal.mean, log_var)))
        return tuple(reversed(found))

    known = all(part.distribution is not None for part in p)
    options: Any = {"support": p[-1].support, "groups": tuple(p), "redraw": redraw if known else None}
    return Conditional(init, sample, log_prob, mean, **options)


def lowest_group(likelihood: Conditional) -> Conditional:
    """p(x | z) = p(x | z_1): the likelihood of a tuple z that looks at its first group alone."""
    return given(likelihood, lambda z: z[0])


def sum_of(numbers: Sequence[Any]) -> Array:
    """The sum of scalars [], in order.

    Example:
        >>> float(sum_of([jnp.float32(1), jnp.float32(2)]))
        3.0
    """
    return jnp.stack(numbers).sum()


def _same(context: Any) -> Any:
    return context
