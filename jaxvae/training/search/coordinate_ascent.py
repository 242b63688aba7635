"""Learning in two turns, as the EM algorithm does: the best q for this decoder, then the best decoder for these q.

Both turns climb the same ELBO, here without noise: for one or two latents its expectation is a sum over nodes.
"""

import functools
import math
from collections.abc import Callable
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.checks import positive_integer
from jaxvae.models.records import DiagNormal, Model, Params, check_batch

Array = jax.Array


def quadrature_elbo(model: Model, params: Params, x: Any, q: DiagNormal, *, nodes: int = 32) -> Array:
    r"""The ELBO of each example for given Gaussians q, by Gauss-Hermite quadrature: no samples, no noise.

    E_q[log p(x | z) + log p(z)] + entropy(q)

    Args:
        model: with one or two latents in one vector.
        params: its parameters; an encoder among them is not asked.
        x: [N, *event_shape], in the units of the likelihood.
        q: mean and log_var [N, Z].
        nodes: for each latent; exact where the log joint is a polynomial of degree below 2 nodes.

    Returns:
        [N] nats.

    Raises:
        ValueError, TypeError: for a q of another shape, impossible nodes, or an x that the model cannot score.

    Source: Golub and Welsch, 1969, for the nodes; Kingma and Welling, 2013, arXiv 1312.6114, for the bound.

    Example:
        >>> from jaxvae.models.exact.linear import linear_gaussian
        >>> model = linear_gaussian(jnp.ones((1, 1)), noise=1.0)
        >>> params = model.init(jax.random.key(0), jnp.zeros(1))
        >>> q = DiagNormal(jnp.zeros((1, 1)), jnp.full((1, 1), jnp.log(0.5)))  # the posterior of x = 0
        >>> round(float(quadrature_elbo(model, params, jnp.zeros((1, 1)), q)[0]), 4)  # log N(0; 0, 2)
        -1.2655
    """
    check_batch(model, x)
    mean, log_var = jnp.asarray(q[0]), jnp.asarray(q[1])
    if mean.ndim != 2 or mean.shape[0] != len(x) or mean.shape[1] not in (1, 2) or log_var.shape != mean.shape:
        raise ValueError(
            f"q has mean {mean.shape} and log_var {log_var.shape}, expected both ({len(x)}, Z) with Z of 1 or 2."
        )
    places, log_weights = _nodes(positive_integer("nodes", nodes), mean.shape[1])

    def one(x: Any, mean: Array, log_var: Array) -> Array:
        z = mean[None] + jnp.exp(log_var / 2)[None] * places
        log_joint = jax.vmap(lambda z: model.likelihood.log_prob(params, x, z) + model.prior.log_prob(params, z, None))(
            z
        )
        return jnp.exp(log_weights) @ log_joint + 0.5 * jnp.sum(log_var + math.log(2 * math.pi * math.e))

    return jax.vmap(one)(x, mean, log_var)


def _nodes(count: int, latents: int) -> tuple[np.ndarray, np.ndarray]:
    """Places [G, Z] and log weights [G] of an expectation over N(0, I)."""
    place, weight = np.polynomial.hermite_e.hermegauss(count)
    places = np.array(list(product(place, repeat=latents)), np.float32)
    weights = np.array([np.prod(some) for some in product(weight / weight.sum(), repeat=latents)])
    return places, np.log(weights).astype(np.float32)


def e_step(model: Model, params: Params, x: Any, q: DiagNormal, *, nodes: int = 32, steps: int = 200) -> DiagNormal:
    """Maximises the ELBO over q, the decoder fixed: each q becomes the Gaussian of least KL(q || p(z | x)).

    Args:
        model, params, x, nodes: see `quadrature_elbo`.
        q: mean and log_var [N, Z] to start from; where a posterior has several modes, the start decides.
        steps: of L-BFGS, at most.

    Returns:
        `DiagNormal` of NumPy arrays [N, Z].

    Raises:
        ValueError, TypeError: as `quadrature_elbo`.

    Source: Neal and Hinton, 1998, A view of the EM algorithm that justifies incremental, sparse, and other variants.

    Example:
        >>> from jaxvae.models.exact.linear import linear_gaussian
        >>> model = linear_gaussian(jnp.ones((1, 1)), noise=1.0)
        >>> params = model.init(jax.random.key(0), jnp.zeros(1))
        >>> q = e_step(model, params, jnp.ones((1, 1)), DiagNormal(jnp.zeros((1, 1)), jnp.zeros((1, 1))))
        >>> round(float(q.mean[0, 0]), 3), round(float(np.exp(q.log_var[0, 0])), 3)  # the posterior N(1/2, 1/2)
        (0.5, 0.5)
    """
    start = DiagNormal(*(jnp.asarray(part, jnp.float32) for part in q))
    climb = functools.partial(_slope_in_q, model, positive_integer("nodes", nodes), params, x)
    return DiagNormal(*_climb(climb, start, positive_integer("steps", steps)))


def m_step(
    model: Model, params: Params, x: Any, q: DiagNormal, *, part: str = "decoder", nodes: int = 32, steps: int = 200
) -> Params:
    """Maximises the mean ELBO over the decoder, every q fixed.

    Args:
        model, x, nodes: see `quadrature_elbo`.
        params: where to start.
        q: mean and log_var [N, Z].
        part: the name of the parameters that move.
        steps: of L-BFGS, at most.

    Returns:
        The parameters, of which `part` has changed.

    Raises:
        ValueError, TypeError: as `quadrature_elbo`, or for a part that the parameters lack.

    Source: Neal and Hinton, 1998.

    Example:
        >>> from jaxvae.models.exact.linear import linear_gaussian
        >>> model = linear_gaussian(jnp.zeros((1, 1)), noise=1.0)
        >>> params = model.init(jax.random.key(0), jnp.zeros(1))
        >>> x, q = jnp.array([[-2.0], [2.0]]), DiagNormal(jnp.array([[-1.0], [1.0]]), jnp.zeros((2, 1)))
        >>> params = m_step(model, params, x, q)
        >>> round(float(params["decoder"]["weights"][0, 0]), 3)  # sum x E[z] / sum E[z^2] = 4 / 4
        1.0
    """
    if part not in params:
        raise ValueError(f"part is {part!r}, expected one of {sorted(params)}, the names of the parameters.")
    others = {name: value for name, value in params.items() if name != part}
    fixed = DiagNormal(*(jnp.asarray(each, jnp.float32) for each in q))
    climb = functools.partial(_slope_in_part, model, positive_integer("nodes", nodes), part, others, x, fixed)
    return others | {part: _climb(climb, params[part], positive_integer("steps", steps))}


@functools.partial(jax.jit, static_argnums=(0, 1))
def _slope_in_q(model: Model, nodes: int, params: Params, x: Any, q: DiagNormal) -> tuple[Array, DiagNormal]:
    return jax.value_and_grad(lambda q: -quadrature_elbo(model, params, x, q, nodes=nodes).mean())(q)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _slope_in_part(
    model: Model, nodes: int, part: str, others: Params, x: Any, q: DiagNormal, moving: Any
) -> tuple[Array, Any]:
    def loss(moving: Any) -> Array:
        return -quadrature_elbo(model, others | {part: moving}, x, q, nodes=nodes).mean()

    return jax.value_and_grad(loss)(moving)


def _climb(loss_and_slope: Callable[[Any], tuple[Array, Any]], start: Any, steps: int) -> Any:
    """The tree at which the loss is least, by L-BFGS from `start`, with NumPy leaves."""
    from jax.flatten_util import ravel_pytree
    from scipy.optimize import minimize

    flat, unravel = ravel_pytree(start)

    def function(values: np.ndarray) -> tuple[float, np.ndarray]:
        loss, slope = loss_and_slope(unravel(jnp.asarray(values, flat.dtype)))
        return float(loss), np.asarray(ravel_pytree(slope)[0], np.float64)

    found = minimize(function, np.asarray(flat, np.float64), jac=True, method="L-BFGS-B", options={"maxiter": steps})
    return jax.device_get(unravel(jnp.asarray(found.x, flat.dtype)))
