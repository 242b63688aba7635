"""log p(x) from both sides: annealed importance sampling forwards, and backwards from an exact posterior sample."""

import functools
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from jaxvae.checks import as_key, positive_integer
from jaxvae.evaluation.annealing.chains import Path, backward, forward, sigmoid_schedule
from jaxvae.evaluation.batches import map_batches
from jaxvae.evaluation.bounds.importance import effective_samples
from jaxvae.math.normal import normal_log_prob
from jaxvae.math.numerics import log_mean_exp
from jaxvae.models.given_context import condition
from jaxvae.models.meaning import WEIGHTED, need_real, need_weights
from jaxvae.models.records import Key, Model, Params, check_batch

Array = jax.Array
Start = Literal["prior", "posterior"]
ROWS = 1000  # chains in flight at a time


def ancestral_sample(model: Model, params: Params, key: Key, count: int) -> tuple[Any, Any]:
    """`count` examples of the model itself and, for each, the z it came from, an exact sample of p(z | x).

    Raises:
        ValueError, TypeError: for an impossible count, or a model whose prior needs a context.

    Example:
        >>> from jaxvae.models.exact.linear import linear_gaussian
        >>> model = linear_gaussian(jnp.eye(3)[:, :2])
        >>> x, z = ancestral_sample(model, model.init(jax.random.key(0), jnp.zeros(3)), jax.random.key(1), 5)
        >>> x.shape, z.shape
        ((5, 3), (5, 2))
    """
    count = positive_integer("count", count)
    if model.context is not None:
        raise ValueError("the model needs a context, expected one without: sample it for each context by hand.")
    if model.draw is not None:
        raise ValueError("the model does not draw through its latents, so no z comes with an x. Use draw.")
    return _simulate(model, count, params, key)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _simulate(model: Model, count: int, params: Params, key: Key) -> tuple[Any, Any]:
    def one(key: Key) -> tuple[Any, Any]:
        key_z, key_x = jax.random.split(key)
        z, _ = model.prior.sample(params, key_z, None)
        return model.likelihood.sample(params, key_x, z)[0], z

    return jax.vmap(one)(jax.random.split(key, count))


def annealed_bounds(
    model: Model,
    params: Params,
    key: Key,
    x: Any,
    z: Any = None,
    *,
    temperatures: int = 1000,
    chains: int = 16,
    leapfrog_steps: int = 10,
    start: Start = "prior",
    batch_size: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> dict[str, np.ndarray]:
    r"""Stochastic bounds on log p(x) by annealed importance sampling with Hamiltonian Monte Carlo moves.

    lower = log (1/C) sum_c prod_t f_t(z_{t-1}) / f_{t-1}(z_{t-1}), f_t = start^(1 - b_t) p(x, z)^(b_t)

    exp(lower) has mean p(x), so lower is below log p(x) on average, by Jensen. The upper bound walks the same moves
    backwards from an exact sample of p(z | x); exp(-upper) has mean 1 / p(x). Such a sample is known for an x drawn
    from the model, see `ancestral_sample`, and not for data; a sample that is only nearly exact gives no bound. The
    step sizes are those of a pilot run with other chains, and fixed: moves that adapt would spoil both means.

    Args:
        model, params: the model and its parameters.
        key: consumed.
        x: [N, *event_shape], in the units of the likelihood.
        z: exact posterior samples with leading axis [N], or None for no upper bound.
        temperatures: T, moves of each chain; the bounds meet as it grows, with a gap like 1 / T.
        chains: C independent chains per example.
        leapfrog_steps: gradients in each move.
        start: "prior" p(z), or "posterior" q(z | x), which is nearer if q is good and misleading if q misses a part.
        batch_size: examples in flight at a time; no number depends on it.
        progress: called with the number of examples done, now and then.

    Returns:
        NumPy arrays [N]: lower and, if z is given, upper, in nats; effective_samples of the forward weights, of C; and
        acceptance, the mean of the forward moves, aimed at 0.65.

    Raises:
        ValueError, TypeError: for impossible options, x or z of another shape, a model whose evidence is not
            "weights", or latents that are no vectors of R^n; where no chain finds a likelihood above 0.

    Source: Neal, 2001, arXiv physics/9803008; Wu et al., 2017, arXiv 1611.04273; backwards: Grosse, Ghahramani and
        Adams, 2015, arXiv 1511.02543.

    Example:
        >>> from jaxvae.models.exact.linear import linear_gaussian
        >>> model = linear_gaussian(jnp.eye(3)[:, :2])
        >>> params = model.init(jax.random.key(0), jnp.zeros(3))
        >>> x, z = ancestral_sample(model, params, jax.random.key(1), 2)
        >>> found = annealed_bounds(model, params, jax.random.key(2), x, z, temperatures=20, chains=4, leapfrog_steps=3)
        >>> bool((abs(found["upper"] - found["lower"]) < 1.0).all())
        True
    """
    schedule = sigmoid_schedule(temperatures)
    chains, leapfrog_steps = positive_integer("chains", chains), positive_integer("leapfrog_steps", leapfrog_steps)
    if start not in ("prior", "posterior"):
        raise ValueError(f"start is {start!r}, expected 'prior' or 'posterior'.")
    check_batch(model, x)
    as_key("key", key)
    need_weights(model, "annealed importance sampling")
    for part in (model.prior, model.posterior):
        need_real(part, "annealed importance sampling", WEIGHTED)
    _check_samples(model, params, x, z)
    bounds = functools.partial(_bounds, model, start, chains, leapfrog_steps, params, key, schedule)

    batch_size, known = max(1, ROWS // chains) if batch_size is None else batch_size, () if z is None else (z,)
    found: dict[str, np.ndarray] = map_batches(bounds, x, *known, batch_size=batch_size, progress=progress)
    if (lost := int(np.isneginf(found["lower"]).sum())) > 0:
        raise ValueError(
            f"no chain of {lost} of the {len(found['lower'])} examples came from the {start} to where the likelihood "
            f"is not 0, as that of noise between levels is in all bins but one: -inf is no bound worth having. "
            f"{'Start at the posterior. ' if start == 'prior' else ''}{WEIGHTED}"
        )
    return found


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _bounds(
    model: Model,
    start: Start,
    chains: int,
    leapfrog_steps: int,
    params: Params,
    key: Key,
    schedule: Array,
    indices: Array,
    x: Any,
    *exact: Any,
) -> dict[str, Array]:
    def one(index: Array, x: Any, *exact: Any) -> dict[str, Array]:
        draw, path = _path(model, params, x, start)
        key_pilot, key_forward, key_backward = jax.random.split(jax.random.fold_in(key, index), 3)

        def run(key: Key, steps: Array | None) -> tuple[Array, ...]:
            key_start, key_moves = jax.random.split(key)
            z = jax.vmap(draw)(jax.random.split(key_start, chains))
            return forward(key_moves, z, path, schedule, steps, leapfrog_steps)

        steps = run(key_pilot, None)[2]
        _, log_weights, _, acceptance = run(key_forward, steps)
        found = {
            "lower": log_mean_exp(log_weights),
            "effective_samples": effective_samples(log_weights),
            "acceptance": acceptance.mean(),
        }
        if exact:
            z = jnp.tile(ravel_pytree(exact[0])[0][None], (chains, 1))
            found["upper"] = -log_mean_exp(backward(key_backward, z, path, schedule, steps, leapfrog_steps))
        return found

    return jax.vmap(one)(indices, x, *exact)


def _path(model: Model, params: Params, x: Any, start: Start) -> tuple[Callable[[Key], Array], Path]:
    """How to draw from the start, and the densities, for one example; z as a vector."""
    model, x = condition(model, x)
    part, context = (model.prior, None) if start == "prior" else (model.posterior, x)
    example = jax.eval_shape(part.sample, params, jax.random.key(0), context)[0]
    unravel = ravel_pytree(jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), example))[1]
    # The encoder runs once, not in every leapfrog step.
    normal = None if part.distribution is None else part.distribution(params, context)

    def draw(key: Key) -> Array:
        return ravel_pytree(part.sample(params, key, context)[0])[0]

    def log_start(z: Array) -> Array:
        if normal is not None:
            return normal_log_prob(z, *normal)
        return part.log_prob(params, unravel(z), context)

    def log_joint(z: Array) -> Array:
        value = unravel(z)
        return model.prior.log_prob(params, value, None) + model.likelihood.log_prob(params, x, value)

    return draw, Path(log_start, log_joint)


def _check_samples(model: Model, params: Params, x: Any, z: Any) -> None:
    """Raises `ValueError` unless the latents are floats and z, if given, has one sample of them for each example."""
    plain, _ = condition(model, jax.tree.map(lambda leaf: leaf[0], x))
    expected = jax.eval_shape(plain.prior.sample, params, jax.random.key(0), None)[0]
    if not all(jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in jax.tree.leaves(expected)):
        raise ValueError("the model has discrete latents, expected real ones: Hamiltonian moves need gradients.")
    if z is None:
        return
    rows = len(jax.tree.leaves(x)[0])
    right = jax.tree.map(lambda leaf: (rows, *leaf.shape), expected)
    found = jax.tree.map(jnp.shape, z)
    if found != right:
        raise ValueError(
            f"z has shape {found}, expected {right}: one exact posterior sample for each x, see ancestral_sample."
        )
