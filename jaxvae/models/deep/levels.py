"""The way down a deep hierarchy: at each resolution a loop of equal groups, each with a prior and a posterior."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxvae.checks import as_float
from jaxvae.math.normal import normal_kl, normal_log_prob
from jaxvae.models.records import DiagNormal, Key, Network, Params, part_of
from jaxvae.randomness import applied, draws

Array = jax.Array


class Level(NamedTuple):
    """The networks of one resolution, and how many groups of latents they serve, each with weights of its own.

    Attributes:
        groups: how many, one after the other; equal, so that one compiled loop serves them all.
        start: (stream of the resolution above) -> stream h [...]; of the top resolution, () -> h.
        prior: h -> (mean, log_var, change), the first two of the shape of a code z, the last added to h.
        posterior: (h, a) -> (shift, log_ratio), of the shape of z; a is what the encoder saw at this resolution.
        merge: (h, z) -> h.
    """

    groups: int
    start: Network
    prior: Network
    posterior: Network
    merge: Network


class Visit(NamedTuple):
    """What a group left behind: its code z, log q and log p of it given the codes above [], and their KL []."""

    z: Any
    log_q: Array
    log_p: Array
    kl: Array


Choose = Callable[[DiagNormal, DiagNormal, Any], Array]  # (q, p, what this group was told) -> z


def merged(p: DiagNormal, shift: Array, log_ratio: Array) -> DiagNormal:
    r"""q = N(mean_p + std_p shift, var_p exp(log_ratio)): the prior, corrected in units of its own spread.

    KL(q || p) = 1/2 sum(shift^2 + exp(log_ratio) - 1 - log_ratio), whatever p is; 0 where the correction is.

    Source: Vahdat and Kautz, 2020, arXiv 2007.03898, section 3.2 (whose shift is not in units of std_p).

    Example:
        >>> q = merged(DiagNormal(jnp.ones(1), jnp.full(1, jnp.log(4.0))), jnp.full(1, 3.0), jnp.zeros(1))
        >>> float(q.mean[0])
        7.0
    """
    return DiagNormal(p.mean + jnp.exp(p.log_var / 2.0) * shift, p.log_var + log_ratio)


def init_levels(levels: Sequence[Level], key: Key, seen: Sequence[Array]) -> tuple[Params, list[Any], Array]:
    """Parameters {"level_1": ...}, the shape of a code at each resolution, and the stream that leaves the finest."""
    params: Params = {}
    shapes: list[Any] = [None] * len(levels)
    above: tuple[Array, ...] = ()
    keys = jax.random.split(key, len(levels))
    for index in reversed(range(len(levels))):
        level, a, name = levels[index], seen[index], f"level_{index + 1}"
        key_start, *key_groups = jax.random.split(keys[index], 1 + level.groups)
        start = level.start.init(key_start, *above)
        h = applied(level.start, start, *above)

        def one(key: Key, level: Level = level, h: Array = h, a: Array = a, name: str = name) -> tuple[Params, Array]:
            key_p, key_q, key_m = jax.random.split(key, 3)
            prior = level.prior.init(key_p, h)
            mean, _, change = _emitted(f"the prior of {name}", 3, applied(level.prior, prior, h))
            parts = {"posterior": level.posterior.init(key_q, h, a), "merge": level.merge.init(key_m, h + change, mean)}
            return {"prior": prior, **parts}, mean

        found, mean = jax.vmap(one)(jnp.stack(key_groups))
        params[name] = {"start": start, **found}
        if draws(params[name]):
            raise ValueError(f"a network of {name} draws random numbers, as dropout does, expected one that does not.")
        shapes[index] = jax.ShapeDtypeStruct(mean.shape, mean.dtype)
        above = (h,)
    return params, shapes, above[0]


def descend(
    levels: Sequence[Level],
    params: Params,
    choose: Choose,
    told: Sequence[Any],
    seen: Sequence[Array] | None = None,
) -> tuple[list[Visit], Array]:
    """Goes down all levels; returns what their groups left behind, arrays [groups, ...], and the last stream.

    Groups are in the order of z, the one next to x first, so that the loop runs backwards.

    Args:
        levels: from the finest to the coarsest.
        choose: gives each group's code; without `seen`, q is p.
        told: for each level a tree of arrays [groups, ...], of which a group is told its row.
        seen: for each level what the encoder saw.
    """
    found: list[Any] = [None] * len(levels)
    above: tuple[Array, ...] = ()
    for index in reversed(range(len(levels))):
        level, own = levels[index], part_of(params, f"level_{index + 1}")
        a = None if seen is None else seen[index]

        def group(h: Array, row: Any, level: Level = level, a: Any = a, name: str = f"level_{index + 1}") -> Any:
            weights, own_row = row
            mean, log_var, change = _emitted(f"the prior of {name}", 3, applied(level.prior, weights["prior"], h))
            p = q = DiagNormal(mean, log_var)
            if a is not None:
                outputs = _emitted(f"the posterior of {name}", 2, applied(level.posterior, weights["posterior"], h, a))
                q = merged(p, *outputs)
            z = choose(q, p, own_row)
            h = applied(level.merge, weights["merge"], h + change, z)
            return h, Visit(z, normal_log_prob(z, *q), normal_log_prob(z, *p), normal_kl(*q, *p))

        h = applied(level.start, own["start"], *above)
        weights = {name: own[name] for name in ("prior", "posterior", "merge")}
        h, found[index] = jax.lax.scan(group, h, (weights, told[index]), reverse=True)
        above = (h,)
    return found, above[0]


def _emitted(name: str, count: int, outputs: Any) -> tuple[Array, ...]:
    words = {2: "(shift, log_ratio)", 3: "(mean, log_var, change)"}[count]
    if not isinstance(outputs, tuple) or len(outputs) != count:
        raise ValueError(
            f"{name} returned {type(outputs).__name__} of {len(jax.tree.leaves(outputs))} array(s), expected a tuple "
            f"{words}. See jaxvae.models.deep.Level."
        )
    return tuple(as_float(name, part) for part in outputs)
