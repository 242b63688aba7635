"""Exchange the prior of a model, for one fitted to its codes after training."""

import jax

from jaxvae.math.normal import normal_kl
from jaxvae.models.records import Conditional, DiagNormal, Key, Model, Params, as_model, merge
from jaxvae.objectives.terms import Terms

Array = jax.Array


def with_prior(model: Model, prior: Conditional) -> Model:
    """The same encoder and decoder under another prior p(z); draws, terms and bounds are those of the new model.

    Its parameters are the old model's and those of the new prior, of which a fitted one has none, so the trained
    parameters serve as they are. A deterministic autoencoder gets something to draw codes from; it still has no bound.

    Args:
        model: a model whose code is one vector.
        prior: a `Conditional` over such vectors, with context None.

    Raises:
        TypeError: if prior is no `Conditional`.
        ValueError: for a model without latents; from init, if both priors give their parameters the same name.

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

    def init(key: Key, x: Array) -> Params:
        key_model, key_prior = jax.random.split(key)
        return merge(model.init(key_model, x), prior.init(key_prior, None))

    def terms(params: Params, key: Key, x: Array) -> Terms:
        found = model.terms(params, key, x)
        if not found.kl.size:  # no KL to change
            return found
        change = prior.log_prob(params, found.z, None) - model.prior.log_prob(params, found.z, None)
        log_weight = found.log_weight + change
        if isinstance(found.posterior, DiagNormal) and prior.distribution is not None:
            kl = jax.vmap(normal_kl)(*found.posterior, *prior.distribution(params, None))
        else:
            kl = (found.log_likelihood - log_weight)[None]  # log q(z | x) - log p(z)
        return found._replace(kl=kl, log_weight=log_weight)

    return model._replace(init=init, terms=terms, prior=prior)
