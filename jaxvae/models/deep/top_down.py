"""A deep hierarchy of latents: a network that goes up from x, and one of many groups that comes down from the top."""

import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.checks import as_key, positive_integer
from jaxvae.math.normal import reparameterize
from jaxvae.models.deep.levels import Level, Visit, descend, init_levels
from jaxvae.models.events import as_event_shape, zeros
from jaxvae.models.inputs import as_observation, network_input
from jaxvae.models.likelihoods import decoder_likelihood
from jaxvae.models.records import (
    Conditional,
    DiagNormal,
    Key,
    Model,
    Network,
    Observation,
    Params,
    as_network,
    merge,
    part_of,
)
from jaxvae.objectives.terms import Terms
from jaxvae.randomness import applied

Array = jax.Array
Codes = Any  # a tuple of arrays [groups, ...] of each resolution, the finest first, in each the group next to x first


def top_down_vae(
    encoder: Network,
    levels: Sequence[Level],
    decoder: Network | Conditional,
    *,
    event_shape: Any,
    observation: Observation | None = None,
) -> Model:
    """A VAE of many groups of latents that one network draws from the top down, as VDVAE and NVAE are.

    p(x, z) = p(z_L) p(z_L-1 | z_L) ... p(z_1 | z_2 ... z_L) p(x | z_1 ... z_L),
    q(z | x) = q(z_L | x) ... q(z_1 | z_2 ... z_L, x).

    A stream of features h passes all groups. Each group makes of it a Gaussian prior of its own code, corrects that by
    what the encoder saw (`merged`), draws, and puts the code back into the stream. Groups of one resolution are equal
    and run in one loop, so that fifty compile in the time of one.

    `Terms.kl` is [L]: KL(q || p) of each group in closed form, given the samples above; in the order of z, the group
    next to x first. Their sum is log q(z | x) - log p(z) in expectation. `Terms.log_weight` is exact for the sample.

    `prior.redraw(params, key, z, kept, temperature, None)` keeps the codes of the `kept` groups at the top and draws
    the others anew, given those, with `temperature` times their standard deviation; with 0 kept it is a whole new draw.

    Args:
        encoder: `.apply(variables, x)` returns a tuple of arrays, what is seen at each level.
        levels: the networks of each resolution, the finest first.
        decoder: `.apply(variables, h)` of the stream that leaves the finest level returns [..., C *
            observation.channels] unconstrained numbers; or p(x | h).
        event_shape: the shape [..., C] of one example.
        observation: an observation model, by default `bernoulli()`.

    Returns:
        A `Model` whose z is a tuple of arrays [groups, *code], one for each level; its parameters are {"encoder",
        "level_1", ..., "decoder"}. What needs one vector of latents (`traverse`, `manifold`) refuses such a model.

    Source: Child, 2021, arXiv 2011.10650; Vahdat and Kautz, 2020, arXiv 2007.03898.

    Example:
        >>> from jaxvae.networks.residual.groups import pyramid
        >>> encoder, levels, decoder = pyramid((8, 8, 1), groups=(2, 1), features=(4, 4), factors=(2, 4), latent_dim=2)
        >>> model = top_down_vae(encoder, [Level(*level) for level in levels], decoder, event_shape=(8, 8, 1))
        >>> params = jax.jit(model.init)(jax.random.key(0), jnp.zeros((8, 8, 1)))
        >>> terms = jax.jit(model.terms)(params, jax.random.key(1), jnp.zeros((8, 8, 1)))
        >>> [z.shape for z in terms.z], terms.kl.shape
        ([(2, 4, 4, 2), (1, 1, 1, 2)], (3,))
    """
    counts = _checked(levels)
    event_shape, observation = as_event_shape(event_shape), as_observation(observation)
    to_input = network_input(observation, event_shape)
    p_x = decoder_likelihood(decoder, observation, event_shape)
    as_network("encoder", encoder, "PyramidEncoder(...)")

    def climb(params: Params, x: Any) -> tuple[Array, ...]:
        return _seen(applied(encoder, part_of(params, "encoder"), to_input(x)), len(counts))

    def init(key: Key, x: Any) -> Params:
        key_q, key_p, key_x = jax.random.split(as_key("key", key), 3)
        bottom_up = {"encoder": encoder.init(key_q, to_input(x))}
        top_down, _, h = init_levels(levels, key_p, climb(bottom_up, x))
        return merge(bottom_up, top_down, p_x.init(key_x, h))

    def keys_of(key: Key) -> list[Key]:
        return rows_of(jax.random.split(key, sum(counts)), counts)

    def draw(params: Params, key: Key, x: Any) -> tuple[list[Visit], Array]:
        return descend(levels, params, lambda q, p, key: reparameterize(key, *q), keys_of(key), climb(params, x))

    def sample(params: Params, key: Key, x: Any) -> tuple[Codes, Array]:
        visits, _ = draw(params, key, x)
        return _codes(visits), _total([visit.log_q for visit in visits])

    def log_prob(params: Params, z: Codes, x: Any) -> Array:
        visits, _ = descend(levels, params, _given, z, climb(params, x))
        return _total([visit.log_q for visit in visits])

    def mean(params: Params, x: Any) -> Codes:
        none = [jnp.zeros(count) for count in counts]
        return _codes(descend(levels, params, lambda q, p, _: q.mean, none, climb(params, x))[0])

    def prior_sample(params: Params, key: Key, context: None = None) -> tuple[Codes, Array]:
        visits, _ = descend(levels, params, lambda q, p, key: reparameterize(key, *p), keys_of(key))
        return _codes(visits), _total([visit.log_p for visit in visits])

    def prior_log_prob(params: Params, z: Codes, context: None = None) -> Array:
        return _total([visit.log_p for visit in descend(levels, params, _given, z)[0]])

    def prior_mean(params: Params, context: None = None) -> Codes:
        none = [jnp.zeros(count) for count in counts]
        return _codes(descend(levels, params, lambda q, p, _: p.mean, none)[0])

    def redraw(params: Params, key: Key, z: Codes, kept: Any, temperature: Any, context: None = None) -> Codes:
        """All groups but the `kept` ones at the top drawn anew."""

        def choose(q: DiagNormal, p: DiagNormal, row: Any) -> Array:
            key, old, keep = row
            wide = p.log_var + 2.0 * jnp.log(jnp.maximum(temperature, 1e-30))
            return jnp.where(keep, old, reparameterize(key, p.mean, wide))

        keep = rows_of(jnp.arange(sum(counts)) >= sum(counts) - kept, counts)
        told = list(zip(keys_of(key), z, keep, strict=True))
        return _codes(descend(levels, params, choose, told)[0])

    def stream(params: Params, z: Codes) -> Array:
        return descend(levels, params, _given, z)[1]

    def terms(params: Params, key: Key, x: Any) -> Terms:
        visits, h = draw(params, key, x)
        log_p_x = p_x.log_prob(params, x, h)
        log_ratio = _total([visit.log_p - visit.log_q for visit in visits])
        kl = jnp.concatenate([visit.kl for visit in visits])
        return Terms(log_p_x, kl, log_p_x + log_ratio, jnp.zeros_like(log_p_x), _codes(visits), None)

    def top_down_init(key: Key, context: None = None) -> Params:
        """p(z) by itself needs the shapes of what the posterior sees, and no more."""
        x = zeros(event_shape)
        seen = jax.eval_shape(lambda key: climb({"encoder": encoder.init(key, to_input(x))}, x), key)
        return init_levels(levels, key, [jnp.zeros(a.shape, a.dtype) for a in seen])[0]

    posterior = Conditional(lambda key, x: {"encoder": encoder.init(key, to_input(x))}, sample, log_prob, mean)
    prior = Conditional(top_down_init, prior_sample, prior_log_prob, prior_mean, redraw=redraw)
    likelihood = through(p_x, stream)
    return Model(init, terms, posterior, prior, likelihood, event_shape, observation.to_unit, observation.check)


def through(p: Conditional, to_context: Any) -> Conditional:
    """p(x | to_context(params, z)) as a `Conditional` of z."""
    observed, levels = p.log_prob_observed, p.level_log_probs
    return p._replace(
        init=lambda key, z: {},  # the stream's shape takes all parameters: `Model.init` makes these
        sample=lambda params, key, z: p.sample(params, key, to_context(params, z)),
        log_prob=lambda params, x, z: p.log_prob(params, x, to_context(params, z)),
        mean=lambda params, z: p.mean(params, to_context(params, z)),
        log_prob_observed=observed and (lambda params, x, z, mask: observed(params, x, to_context(params, z), mask)),
        level_log_probs=levels and (lambda params, z: levels(params, to_context(params, z))),
    )


def rows_of(rows: Array, counts: Sequence[int]) -> list[Array]:
    """rows [L, ...] in the order of z, those of each level by themselves.

    Example:
        >>> [part.tolist() for part in rows_of(jnp.arange(3), (2, 1))]
        [[0, 1], [2]]
    """
    ends = list(itertools.accumulate(counts))
    return [rows[end - count : end] for end, count in zip(ends, counts, strict=True)]


def _checked(levels: Any) -> tuple[int, ...]:
    if not isinstance(levels, tuple | list) or not levels or not all(isinstance(level, Level) for level in levels):
        raise TypeError(f"levels is {levels!r}, expected a list of jaxvae.models.deep.Level, the finest first.")
    for level in levels:
        for name in Level._fields[1:]:
            as_network(name, getattr(level, name), "those of jaxvae.networks.pyramid(...)")
    return tuple(positive_integer("groups", level.groups) for level in levels)


def _seen(outputs: Any, expected: int) -> tuple[Array, ...]:
    if not isinstance(outputs, tuple | list) or len(outputs) != expected:
        found = f"{len(outputs)} arrays" if isinstance(outputs, tuple | list) else type(outputs).__name__
        raise ValueError(f"the encoder returned {found}, expected a tuple of {expected}: one for each level.")
    return tuple(outputs)


def _given(q: DiagNormal, p: DiagNormal, z: Array) -> Array:
    return z


def _codes(visits: Sequence[Visit]) -> Codes:
    return tuple(visit.z for visit in visits)


def _total(numbers: Sequence[Array]) -> Array:
    return jnp.concatenate(numbers).sum()
