"""Exchange the prior of a model, for one fitted to its codes after training."""

from typing import Any

import jax

from jaxvae.math.normal import normal_kl
from jaxvae.models.contexts import split_context
from jaxvae.models.meaning import same_support
from jaxvae.models.records import Conditional, DiagNormal, Key, Model, Params, as_model, merge
from jaxvae.models.vq import VectorCode
from jaxvae.objectives.terms import Terms


def with_prior(model: Model, prior: Conditional) -> Model:
    """The same encoder and decoder under another prior p(z); draws, terms and bounds are those of the new model.

    Its parameters are the old model's and those of the new prior, of which a fitted one has none, so the trained
    parameters serve as they are. A deterministic autoencoder gets something to draw codes from; it still has no bound.

    Args:
        model: any that draws through a prior.
        prior: a `Conditional` over its codes, in their space; its context is None, or that of a conditional model.

    Raises:
        TypeError: if prior is no `Conditional`.
        ValueError: for a model without latents, or a prior in another space than the codes of the posterior, such as a
            density fitted in R^n to codes on a sphere; from init, if both priors give their parameters the same name.

    Source: Ghosh et al., 2020, arXiv 1903.12436, section 4, for a density fitted to codes after training.

    Example:
        >>> from jaxvae.models.priors.mixture import gaussian_mixture_prior
        >>> from jaxvae.models.variational import vae
        >>> from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
        >>> model = vae(MLPEncoder(2), MLPDecoder((4, 4, 1)), event_shape=(4, 4, 1), latent_dim=2)
        >>> x = jax.numpy.zeros((4, 4, 1))
        >>> richer = with_prior(model, gaussian_mixture_prior(3, 2))
        >>> sorted(richer.init(jax.random.key(0), x))
        ['decoder', 'encoder', 'prior']
    """
    as_model("model", model)
    if model.evidence == "exact" or model.draw is not None:
        raise ValueError("the model does not draw its examples through a prior p(z), so there is none to exchange.")
    if not isinstance(prior, Conditional):
        raise TypeError(f"prior is {prior!r}, expected a Conditional. Call a constructor, such as standard_normal(2).")

    same_support(model.prior if model.posterior.support == "none" else model.posterior, prior)
    if model.posterior.support == "mixed":
        raise ValueError(
            "the model sums its classes out, so that no code of it is one draw, expected one that does not."
        )

    def context_of(x: Any) -> Any:
        return None if model.context is None else split_context(model.context, x, "x")[1]

    def init(key: Key, x: Any) -> Params:
        key_model, key_prior = jax.random.split(key)
        return merge(model.init(key_model, x), prior.init(key_prior, context_of(x)))

    def terms(params: Params, key: Key, x: Any) -> Terms:
        found = model.terms(params, key, x)
        if not found.kl.size:  # no KL to change
            return found
        c, z = context_of(x), found.z.vectors if isinstance(found.z, VectorCode) else found.z
        change = prior.log_prob(params, z, c) - model.prior.log_prob(params, z, c)
        log_weight = found.log_weight + change
        if isinstance(found.posterior, DiagNormal) and prior.distribution is not None:
            kl = jax.vmap(normal_kl)(*found.posterior, *prior.distribution(params, c))
        else:
            kl = (found.log_likelihood - log_weight)[None]  # log q(z | x) - log p(z)
        return found._replace(kl=kl, log_weight=log_weight)

    return model._replace(init=init, terms=terms, prior=prior)
