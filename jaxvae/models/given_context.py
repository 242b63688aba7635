"""One example's model: a conditional model with the context put in."""

from collections.abc import Callable
from typing import Any

from jaxvae.models.contexts import Labelled, split_context
from jaxvae.models.priors.flow import Flow
from jaxvae.models.records import Conditional, Model, as_model


def condition(model: Model, x: Any) -> tuple[Model, Any]:
    """The model of the value alone, given the context of one example, and that value.

    Code that asks a model for its prior or likelihood begins with this line and serves conditional models too: the
    model it gets has prior p(z | context) with context None, likelihood p(value | z, context) of a plain z, and no
    context. A model that has none is returned as it came, with its x.

    Raises:
        ValueError: if the model needs a context and x has none.

    Example:
        >>> from jaxvae.models.variational import vae
        >>> from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
        >>> model = vae(MLPEncoder(2), MLPDecoder((8, 8, 1)), event_shape=(8, 8, 1), latent_dim=2)
        >>> condition(model, 3.0) == (model, 3.0)
        True
    """
    model = as_model("model", model)
    if model.context is None:
        return model, x
    value, context = split_context(model.context, x, "x")

    draw = model.draw

    def pair(other: Any) -> Labelled:
        return Labelled(other, context)

    conditioned = model._replace(
        init=lambda key, v: model.init(key, pair(v)),
        terms=lambda params, key, v: model.terms(params, key, pair(v)),
        posterior=given(model.posterior, pair),
        prior=given(model.prior, lambda _: context),
        likelihood=given(model.likelihood, pair),
        context=None,
        draw=draw and (lambda params, key, _: draw(params, key, context)),
    )
    return conditioned, value


def given(part: Conditional, context_of: Callable[[Any], Any]) -> Conditional:
    """p(value | context_of(c)) as a `Conditional` of c: the same part, told about its context in another way.

    Example:
        >>> import jax
        >>> from jaxvae.models.priors.standard import standard_normal
        >>> round(float(given(standard_normal(2), lambda c: None).log_prob({}, jax.numpy.zeros(2), "anything")), 4)
        -1.8379
    """
    distribution, with_kl, observed = part.distribution, part.sample_with_kl, part.log_prob_observed
    complete, levels, visit, flow = part.complete, part.level_log_probs, part.visit, part.flow
    redraw = part.redraw
    return Conditional(
        lambda key, c: part.init(key, context_of(c)),
        lambda params, key, c: part.sample(params, key, context_of(c)),
        lambda params, v, c: part.log_prob(params, v, context_of(c)),
        lambda params, c: part.mean(params, context_of(c)),
        distribution and (lambda params, c: distribution(params, context_of(c))),
        with_kl and (lambda params, key, c, p: with_kl(params, key, context_of(c), p)),
        observed and (lambda params, v, c, mask: observed(params, v, context_of(c), mask)),
        part.support,
        complete and (lambda params, key, v, c, mask: complete(params, key, v, context_of(c), mask)),
        levels and (lambda params, c: levels(params, context_of(c))),
        visit and (lambda params, pick, c: visit(params, pick, context_of(c))),
        flow=flow
        and Flow(
            given(flow.base, context_of),
            lambda params, v, c: flow.inverse(params, v, context_of(c)),
            lambda params, u, c: flow.forward(params, u, context_of(c)),
        ),
        redraw=redraw and (lambda params, key, v, n, t, c: redraw(params, key, v, n, t, context_of(c))),
    )
