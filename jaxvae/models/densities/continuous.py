"""Continuous flows: a velocity that carries noise to data, learned by flow matching, and the density it implies.

    dx/dt = f(x, t),    x(0) ~ N(0, I),    log p(x(1)) = log N(x(0)) - integral over [0, 1] of div f(x(t), t) dt

The equation is solved by Runge and Kutta's method of fourth order with fixed steps: a few lines, the same cost for
every example, and an error that falls sixteenfold when the steps are doubled.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.checks import as_float, positive_integer
from jaxvae.flows.records import Bijection, Conditioner, vector
from jaxvae.models.densities.flow import flow_model
from jaxvae.models.records import Key, Model, Params, part_of
from jaxvae.objectives.terms import Terms
from jaxvae.randomness import applied

Array = jax.Array
Divergence = Callable[[Callable[[Array], Array], Array], tuple[Array, Array]]  # (f, x) -> (f(x), its divergence there)


def continuous_flow(velocity: Conditioner, size: int, *, steps: int = 20) -> Bijection:
    """The bijection of a velocity: v = x(1) for u = x(0), with the exact divergence, the trace of the whole Jacobian.

    Exact but for the solver, whose steps can be doubled to see what they cost; the Jacobian takes D passes of the
    network at each of 4 `steps` places: for few dimensions.

    Args:
        velocity: `.apply(variables, h)` returns [D] for h [D + 3]: x, then t, cos(pi t) and sin(pi t); such as
            `ConditionerMLP(D)`. It sees no context.
        size: D.
        steps: of the solver from t = 0 to 1.

    Source: Chen, Rubanova, Bettencourt and Duvenaud, 2018, arXiv 1806.07366.

    Example:
        >>> from jaxvae.networks.conditioner import ConditionerMLP
        >>> flow = continuous_flow(ConditionerMLP(2, (8,)), 2)
        >>> params = flow.init(jax.random.key(0), jnp.zeros(2), None)
        >>> flow.forward(params, jnp.array([1.0, -1.0]), None)[0].tolist()  # an untrained network moves nothing
        [1.0, -1.0]
    """
    size, steps = positive_integer("size", size), positive_integer("steps", steps)

    def init(key: Key, u: Array, context: Any) -> Params:
        return {"network": velocity.init(key, _with_time(vector(u, size), jnp.zeros(())))}

    def between(start: float, end: float) -> Callable[[Params, Array, Any], tuple[Array, Array]]:
        def apply(params: Params, x: Array, context: Any) -> tuple[Array, Array]:
            return solve(_field(velocity, params), trace, vector(x, size), start, end, steps)

        return apply

    return Bijection(init, between(0.0, 1.0), between(1.0, 0.0))


def flow_matching_loss(velocity: Conditioner, *, name: str = "flow") -> Callable[..., tuple[Array, dict[str, Array]]]:
    """E |f((1 - t) u + t x, t) - (x - u)|^2 with u ~ N(0, I) and t uniform: no equation is solved to train.

    Args:
        velocity: as `continuous_flow` takes it.
        name: of the flow's parameters in those of the model.

    Returns:
        loss(params, keys [B], batch [B, D], step) -> (scalar, metrics), as `jaxvae.fit(model, x, loss=...)` takes it.

    Source: Lipman, Chen, Ben-Hamu, Nickel and Le, 2023, arXiv 2210.02747; Liu, Gong and Liu, 2023, arXiv 2209.03003.

    Example:
        >>> from jaxvae.networks.conditioner import ConditionerMLP
        >>> velocity = ConditionerMLP(2, (8,))
        >>> model = flow_model(continuous_flow(velocity, 2), event_shape=(2,))
        >>> params, keys = model.init(jax.random.key(0), jnp.zeros(2)), jax.random.split(jax.random.key(1), 4000)
        >>> value, _ = flow_matching_loss(velocity)(params, keys, jnp.zeros((4000, 2)), 0)
        >>> abs(float(value) - 2.0) < 0.1  # |u|^2, where nothing moves
        True
    """

    def one(params: Params, key: Key, x: Array) -> Array:
        key_u, key_t = jax.random.split(key)
        u, t = jax.random.normal(key_u, x.shape, x.dtype), jax.random.uniform(key_t, (), x.dtype)
        moved = _field(velocity, part_of(params, name))((1.0 - t) * u + t * x, t)
        return jnp.square(moved - (x - u)).sum()

    def loss(params: Params, keys: Key, batch: Array, step: Array) -> tuple[Array, dict[str, Array]]:
        value = jax.vmap(one, (None, 0, 0))(params, keys, batch).mean()
        return value, {"velocity_error": value}

    return loss


def hutchinson_model(
    velocity: Conditioner, size: int, *, steps: int = 20, probes: int = 1, name: str = "flow"
) -> Model:
    """The model of `continuous_flow` whose divergence is estimated: div f = E[e . J e], e of random signs.

    One pass for each probe instead of D. An estimate is log p(x) on average, so its mean over draws is one with a
    Monte Carlo error; its evidence is "bound", since exp of it is no p(x): no log-mean-exp may be taken.

    Args:
        velocity, size, steps: see `continuous_flow`.
        probes: drawn for an example, and kept along its way.
        name: of the flow's parameters in the dict.

    Source: Grathwohl et al., 2019, arXiv 1810.01367; Hutchinson, 1990.

    Example:
        >>> from jaxvae.networks.conditioner import ConditionerMLP
        >>> model = hutchinson_model(ConditionerMLP(2, (8,)), 2)
        >>> params = model.init(jax.random.key(0), jnp.zeros(2))
        >>> round(float(model.terms(params, jax.random.key(1), jnp.zeros(2)).log_weight), 4), model.evidence
        (-1.8379, 'bound')
    """
    probes = positive_integer("probes", probes)
    exact = flow_model(continuous_flow(velocity, size, steps=steps), event_shape=(size,), name=name)

    def terms(params: Params, key: Key, x: Array) -> Terms:
        signs = jax.random.rademacher(key, (probes, size), jnp.float32)
        field = _field(velocity, part_of(params, name))
        u, log_det = solve(field, along(signs), vector(x, size), 1.0, 0.0, steps)
        log_p = -0.5 * (u @ u + size * jnp.log(2.0 * jnp.pi)) + log_det
        return Terms(log_p, jnp.zeros(0, log_p.dtype), log_p, jnp.zeros_like(log_p), (), None)

    return exact._replace(terms=terms, evidence="bound")


def trace(function: Callable[[Array], Array], x: Array) -> tuple[Array, Array]:
    """f(x) and the trace of its Jacobian at x.

    Example:
        >>> trace(lambda x: x**2, jnp.array([1.0, 2.0]))[1].tolist()
        6.0
    """
    return function(x), jnp.trace(jax.jacfwd(function)(x))


def along(signs: Array) -> Divergence:
    """f(x) and the mean of e . J e over the rows e of `signs` [probes, D].

    Example:
        >>> along(jnp.array([[1.0, -1.0]]))(lambda x: x**2, jnp.array([1.0, 2.0]))[1].tolist()
        6.0
    """

    def divergence(function: Callable[[Array], Array], x: Array) -> tuple[Array, Array]:
        values, pushed = jax.vmap(lambda e: jax.jvp(function, (x,), (e.astype(x.dtype),)))(signs)
        return values[0], jnp.mean(jnp.sum(signs * pushed, axis=1))

    return divergence


def solve(
    field: Callable[[Array, Array], Array], divergence: Divergence, x: Array, start: float, end: float, steps: int
) -> tuple[Array, Array]:
    """x(end) and the integral of the divergence from x(start) = x, by `steps` steps of Runge and Kutta's fourth order.

    Example:
        >>> x, log_det = solve(lambda x, t: x, trace, jnp.ones(2), 0.0, 1.0, 20)  # dx/dt = x
        >>> [round(float(v), 4) for v in (x[0], log_det)]
        [2.7183, 2.0]
    """
    h = (end - start) / steps

    def slope(x: Array, t: Array) -> tuple[Array, Array]:
        return divergence(lambda x: field(x, t), x)

    def step(state: tuple[Array, Array], index: Array) -> tuple[tuple[Array, Array], None]:
        x, total = state
        t = start + h * index.astype(x.dtype)
        a, da = slope(x, t)
        b, db = slope(x + 0.5 * h * a, t + 0.5 * h)
        c, dc = slope(x + 0.5 * h * b, t + 0.5 * h)
        d, dd = slope(x + h * c, t + h)
        return (x + h / 6.0 * (a + 2.0 * b + 2.0 * c + d), total + h / 6.0 * (da + 2.0 * db + 2.0 * dc + dd)), None

    (x, total), _ = jax.lax.scan(step, (x, jnp.zeros((), x.dtype)), jnp.arange(steps))
    return x, total


def _with_time(x: Array, t: Array) -> Array:
    return jnp.concatenate([x, jnp.stack([t, jnp.cos(jnp.pi * t), jnp.sin(jnp.pi * t)]).astype(x.dtype)])


def _field(velocity: Conditioner, params: Params) -> Callable[[Array, Array], Array]:
    def field(x: Array, t: Array) -> Array:
        moved = as_float("the velocity", applied(velocity, params["network"], _with_time(x, t)))
        if moved.shape != x.shape:
            raise ValueError(
                f"the velocity has shape {moved.shape}, expected {x.shape}. Check the network's last layer."
            )
        return moved

    return field
