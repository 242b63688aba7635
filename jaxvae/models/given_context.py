"""One example's model: a conditional model with the context put in."""

from collections.abc import Callable
from typing import Any

from jaxvae.models.contexts import Labelled, split_context
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

    def at(part: Conditional, given: Callable[[Any], Any]) -> Conditional:
        distribution, with_kl, observed = part.distribution, part.sample_with_kl, part.log_prob_observed
        return Conditional(
            lambda key, c: part.init(key, given(c)),
            lambda params, key, c: part.sample(params, key, given(c)),
            lambda params, v, c: part.log_prob(params, v, given(c)),
            lambda params, c: part.mean(params, given(c)),
            distribution and (lambda params, c: distribution(params, given(c))),
            with_kl and (lambda params, key, c, p: with_kl(params, key, given(c), p)),
            observed and (lambda params, v, c, mask: observed(params, v, given(c), mask)),
        )

    def pair(other: Any) -> Labelled:
        return Labelled(other, context)

    conditioned = model._replace(
        init=lambda key, v: model.init(key, pair(v)),
        terms=lambda params, key, v: model.terms(params, key, pair(v)),
        posterior=at(model.posterior, pair),
        prior=at(model.prior, lambda _: context),
        likelihood=at(model.likelihood, pair),
        context=None,
    )
    return conditioned, value
