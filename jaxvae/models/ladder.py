"""The ladder VAE: a deterministic pass up, and a posterior that comes down with the prior and corrects it."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxvae.math.normal import normal_kl, normal_log_prob, reparameterize
from jaxvae.models.events import as_event_shape
from jaxvae.models.hierarchical import (
    Codes,
    check_groups,
    lowest_group,
    sum_of,
    top_down_parts,
    top_down_prior,
)
from jaxvae.models.inputs import as_observation, network_input
from jaxvae.models.latent_variable import Draw, latent_variable_model
from jaxvae.models.likelihoods import decoder_likelihood
from jaxvae.models.posteriors.gaussian import emitted
from jaxvae.models.records import Conditional, DiagNormal, Key, Model, Network, Observation, Params, merge
from jaxvae.randomness import applied

Array = jax.Array


def precision_weighted(mean_a: Array, log_var_a: Array, mean_b: Array, log_var_b: Array) -> DiagNormal:
    r"""The normalised product of two Gaussians: precisions add, means are weighted by them.

    1 / var = 1 / var_a + 1 / var_b,  mean = var (mean_a / var_a + mean_b / var_b)

    Computed from log-variances, so that no precision overflows: log var = -logaddexp(-log_var_a, -log_var_b), and the
    weight of mean_a is sigmoid(log_var_b - log_var_a).

    Args:
        mean_a, log_var_a, mean_b, log_var_b: arrays of one shape.

    Source: Sonderby et al., 2016, arXiv 1602.02282, equations 18 and 19.

    Example:
        >>> mean, log_var = precision_weighted(jnp.ones(1), jnp.zeros(1), -jnp.ones(1), jnp.zeros(1))
        >>> float(mean[0]), round(float(log_var[0]), 4)  # -log 2
        (0.0, -0.6931)
    """
    weight_a, weight_b = jax.nn.sigmoid(log_var_b - log_var_a), jax.nn.sigmoid(log_var_a - log_var_b)
    return DiagNormal(weight_a * mean_a + weight_b * mean_b, -jnp.logaddexp(-log_var_a, -log_var_b))


class Group(NamedTuple):
    """One group of latents: its code [Z], log q and log p of it given the codes above [], and their KL []."""

    z: Array
    log_q: Array
    log_p: Array
    kl: Array


def ladder_vae(
    encoders: Sequence[Network],
    priors: Sequence[Network],
    decoder: Network | Conditional,
    *,
    event_shape: Any,
    latent_dims: Sequence[int],
    observation: Observation | None = None,
    prior: Conditional | None = None,
) -> Model:
    """A VAE of L groups of latents z = (z_1, ..., z_L) whose posterior comes down the same ladder as the prior:

    d_1, g_1 = encoder_1(x);  d_l, g_l = encoder_l(d_l-1), each g_l a Gaussian;
    q(z_L | x) = g_L;  q(z_l | z_l+1, x) = g_l merged with p(z_l | z_l+1) by `precision_weighted`;
    p(x, z) as in `hierarchical_vae`.

    `Terms.kl` is [L], in the order of z: KL(q(z_l | z_l+1, x) || p(z_l | z_l+1)) in closed form, given the samples
    above; never negative. Their sum is log q(z | x) - log p(z) in expectation. `Terms.log_weight` is exact for the
    sample.

    Args:
        encoders: L networks; `.apply(variables, d)` returns (d above, mean [latent_dims[l]], log_var), as `MLPLevel`.
        priors: L - 1 networks; number l is given z_l+1 and returns (mean, log_var), each [latent_dims[l]]. The
            posterior uses them too.
        decoder: `.apply(variables, z_1)` returns [..., C * observation.channels] unconstrained numbers; or p(x | z_1).
        event_shape: the shape [..., C] of one example.
        latent_dims: L numbers of latents, z_1's first.
        observation: an observation model, by default `bernoulli()`.
        prior: p(z_L), by default `standard_normal(latent_dims[-1])`. Without a closed form, kl[L] is one-sample.

    Returns:
        A `Model` whose z is a tuple of L arrays, as that of `hierarchical_vae`. Deep ladders want a KL warm-up.

    Source: Sonderby, Raiko, Maaloe, Sonderby and Winther, 2016, arXiv 1602.02282 (without its batch normalisation).

    Example:
        >>> from jaxvae.networks.hierarchical import MLPLevel
        >>> from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
        >>> model = ladder_vae(
        ...     [MLPLevel(3, (8,)), MLPLevel(2, (8,))],
        ...     [MLPEncoder(3, (8,))],
        ...     MLPDecoder((4, 4, 1), hidden=(8,)),
        ...     event_shape=(4, 4, 1),
        ...     latent_dims=(3, 2),
        ... )
        >>> params = model.init(jax.random.key(0), jnp.zeros((4, 4, 1)))
        >>> model.terms(params, jax.random.key(1), jnp.zeros((4, 4, 1))).kl.shape
        (2,)
    """
    dims = check_groups(latent_dims, encoders=encoders, priors=priors)
    event_shape, observation = as_event_shape(event_shape), as_observation(observation)
    to_input = network_input(observation, event_shape)
    p = top_down_parts(priors, dims, prior)
    p_z, p_x = top_down_prior(p, dims), lowest_group(decoder_likelihood(decoder, observation, event_shape))

    def climb(params: Params, x: Any) -> list[DiagNormal]:
        d, rungs = to_input(x), []
        for level, (network, dim) in enumerate(zip(encoders, dims, strict=True), 1):
            d, rung = _rung(f"encoder_{level}", applied(network, params[f"encoder_{level}"], d), dim)
            rungs.append(rung)
        return rungs

    def init_posterior(key: Key, x: Any) -> Params:
        params: Params = {}
        d = to_input(x)
        for level, (network, k) in enumerate(zip(encoders, jax.random.split(key, len(dims)), strict=True), 1):
            name = f"encoder_{level}"
            params = merge(params, {name: network.init(k, d)})
            d, _ = _rung(name, applied(network, params[name], d), dims[level - 1])
        return params

    def descend(params: Params, x: Any, choose: Callable[[int, DiagNormal], Array]) -> list[Group]:
        """The groups from the lowest to the top, each code chosen from its q once those above are: choose(level, q)."""
        rungs, groups, above = climb(params, x), [], None
        for level in reversed(range(len(dims))):
            distribution = p[level].distribution
            below = None if distribution is None else distribution(params, above)
            top = level == len(dims) - 1
            q = rungs[level] if top or below is None else precision_weighted(*rungs[level], *below)
            z = choose(level, q)
            log_q, log_p = normal_log_prob(z, *q), p[level].log_prob(params, z, above)
            groups.append(Group(z, log_q, log_p, log_q - log_p if below is None else normal_kl(*q, *below)))
            above = z
        return groups[::-1]

    def draw(params: Params, key: Key, x: Any) -> list[Group]:
        keys = jax.random.split(key, len(dims))
        return descend(params, x, lambda level, q: reparameterize(keys[level], *q))

    def sample(params: Params, key: Key, x: Any) -> tuple[Codes, Array]:
        groups = draw(params, key, x)
        return tuple(group.z for group in groups), sum_of([group.log_q for group in groups])

    def log_prob(params: Params, z: Codes, x: Any) -> Array:
        return sum_of([group.log_q for group in descend(params, x, lambda level, q: z[level])])

    def mean(params: Params, x: Any) -> Codes:
        return tuple(group.z for group in descend(params, x, lambda level, q: q.mean))

    def drawing(params: Params, key: Key, x: Any, context: None) -> Draw:
        z, log_q, log_p, kl = zip(*draw(params, key, x), strict=True)
        return Draw(z, sum_of(log_p) - sum_of(log_q), jnp.stack(kl), None)

    q_z = Conditional(init_posterior, sample, log_prob, mean)
    sizes: dict[str, Any] = {"event_shape": event_shape, "latent_dim": dims, "observation": observation}
    return latent_variable_model(q_z, p_z, p_x, **sizes, drawing=drawing)


def _rung(name: str, outputs: Any, latent_dim: int) -> tuple[Array, DiagNormal]:
    if not isinstance(outputs, tuple) or len(outputs) != 3:
        raise ValueError(
            f"the network {name!r} returned {type(outputs).__name__} of {len(jax.tree.leaves(outputs))} array(s), "
            f"expected a tuple (features, mean, log_var). Use MLPLevel, or return what the level above should see."
        )
    return outputs[0], DiagNormal(*emitted(outputs[1:], latent_dim, name=name))
