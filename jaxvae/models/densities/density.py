"""A density of x as a model: no latents, log p(x) itself, the same step, the same evaluation, the same draws."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.models.contexts import Context, as_context, split_context
from jaxvae.models.events import as_event_shape
from jaxvae.models.given_context import given
from jaxvae.models.inputs import as_observation, example_check
from jaxvae.models.observations.continuous import normal
from jaxvae.models.records import Conditional, Key, Model, Observation, Params
from jaxvae.objectives.terms import Terms

Array = jax.Array


def density_model(
    p: Conditional,
    observation: Observation | None = None,
    *,
    event_shape: Any,
    context: int | tuple[int, ...] | Context | None = None,
) -> Model:
    """The model of a density p(x): `Terms` of log p(x) and no KL, so that its evidence is exact.

    Terms(log p(x), kl [0], log p(x), 0, (), None)

    `bound_loss(model, elbo)` is maximum likelihood, `per_example` gives log_p in one pass, `generation.draw` draws.

    Args:
        p: a `Conditional` over x, such as a flow (`transformed`, `flow_prior`) or a fitted `fit_kde`; with a context it
            is given what networks see of it, one-hot for classes.
        observation: says which x there are and how they become pictures, nothing else; by default any finite floats.
        event_shape: the shape of one example.
        context: as `conditional_vae` takes it; x is then `Labelled(value, context)` and the density p(value | context).

    Returns:
        A `Model` with the parameters of p; its posterior and prior know one code, (), and its likelihood is p.

    Raises:
        ValueError, TypeError: for what is no `Conditional`, or an impossible event_shape, observation or context.

    Example:
        >>> from jaxvae.models.priors.standard import standard_normal
        >>> model = density_model(standard_normal(2), event_shape=(2,))
        >>> terms = model.terms({}, jax.random.key(0), jnp.zeros(2))
        >>> round(float(terms.log_weight), 4), terms.kl.shape, model.evidence  # -log(2 pi)
        (-1.8379, (0,), 'exact')
    """
    if not isinstance(p, Conditional):
        raise TypeError(f"p is {p!r}, expected a Conditional. Call a constructor, such as standard_normal(2).")
    event_shape = as_event_shape(event_shape)
    seen = normal() if observation is None else as_observation(observation)
    told = None if context is None else as_context(context)
    check, code = example_check(seen, event_shape), no_code()
    # Nothing is encoded; the prior has its one code, so that x is drawn as that of any model.
    unasked = code._replace(support="none")
    # A code with its context is Labelled((), context); without one it is () and p is given None.
    p_x = given(p, (lambda z: None) if told is None else (lambda z: told.encode(split_context(told, z, "z")[1])))

    def init(key: Key, x: Any) -> Params:
        return p_x.init(key, _code_of(x, told))

    def terms(params: Params, key: Key, x: Any) -> Terms:
        value = x if told is None else split_context(told, x, "x")[0]
        check(value)
        log_p = p_x.log_prob(params, value, _code_of(x, told))
        return Terms(log_p, jnp.zeros(0, log_p.dtype), log_p, jnp.zeros_like(log_p), (), None)

    return Model(init, terms, unasked, code, p_x, event_shape, seen.to_unit, seen.check, told, "exact")


def no_code() -> Conditional:
    """The one code () of a model without latents: log density 0.

    Example:
        >>> no_code().sample({}, jax.random.key(0), None)[0]
        ()
    """

    def log_prob(params: Params, z: Any, context: Any) -> Array:
        return jnp.zeros((), jnp.float32)

    def sample(params: Params, key: Key, context: Any) -> tuple[Any, Array]:
        return (), log_prob(params, (), context)

    def mean(params: Params, context: Any) -> Any:
        return ()

    return Conditional(lambda key, context: {}, sample, log_prob, mean)


def _code_of(x: Any, told: Context | None) -> Any:
    return () if told is None else x._replace(value=())
