"""The model of three conditionals, q(z | x), p(z) and p(x | z), whatever they are: what `vae` and its relatives are."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxvae.checks import as_key, positive_integer
from jaxvae.math.normal import normal_kl, normal_log_prob, reparameterize
from jaxvae.models.contexts import Context, Labelled, as_context, split_context
from jaxvae.models.events import as_event_shape
from jaxvae.models.inputs import as_observation
from jaxvae.models.meaning import same_support
from jaxvae.models.observations.continuous import normal
from jaxvae.models.records import Conditional, DiagNormal, Key, Model, Observation, Params, merge
from jaxvae.objectives.terms import Terms

Array = jax.Array


class Draw(NamedTuple):
    """A code z of q(z | x): log p(z) - log q(z | x) [], the KL of each group [L], and q where it is a `DiagNormal`."""

    z: Any
    log_ratio: Array
    kl: Array
    posterior: DiagNormal | None


Drawing = Callable[[Params, Key, Any, Any], Draw]  # (params, key, x, context of the prior) -> Draw


def latent_variable_model(
    posterior: Conditional,
    prior: Conditional,
    likelihood: Conditional,
    *,
    event_shape: Any,
    latent_dim: int | tuple[int, ...],
    observation: Observation | None = None,
    context: int | tuple[int, ...] | Context | None = None,
    drawing: Drawing | None = None,
) -> Model:
    """p(x) = E_p(z)[p(x | z)] with an approximate posterior q(z | x), of any three conditionals.

    log_weight = log p(x | z) + log p(z) - log q(z | x),  z ~ q(z | x)

    `vae`, `conditional_vae`, `hierarchical_vae` and `ladder_vae` make their conditionals from networks and call this.

    Args:
        posterior: q(z | x); of a conditional model its context is `Labelled(value, c)`.
        prior: p(z) with context None, or p(z | c).
        likelihood: any p(x | z), such as `decoder_likelihood(...)` or an autoregressive decoder; p(x | Labelled(z, c)).
        event_shape: the shape of one example.
        latent_dim: the length of z; or several, where z is a tuple of vectors.
        observation: says which x there are and how they become pictures, nothing else; by default any finite floats.
        context: a number of classes, the shape of a float array, or a `Context`; x is then `Labelled(value, c)`.
        drawing: z, its log-ratio and its KL, by default `draw_code(posterior, prior)`.

    Returns:
        A `Model` with the parameters of the three, whose evidence is "weights".

    Raises:
        ValueError, TypeError: for what is no `Conditional`, codes of the prior and the posterior that live in different
            spaces, or an impossible latent_dim, event_shape, observation or context.

    Source: Kingma and Welling, 2013, arXiv 1312.6114; with an autoregressive p(x | z): Gulrajani et al., 2016,
        arXiv 1611.05013.

    Example:
        >>> from jaxvae.models.likelihoods import decoder_likelihood
        >>> from jaxvae.models.observations.continuous import bernoulli
        >>> from jaxvae.models.posteriors.gaussian import gaussian_posterior
        >>> from jaxvae.models.priors.standard import standard_normal
        >>> from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
        >>> p_x = decoder_likelihood(MLPDecoder((4, 1)), bernoulli(), (4, 1))
        >>> parts = gaussian_posterior(MLPEncoder(2), 2), standard_normal(2), p_x
        >>> model = latent_variable_model(*parts, event_shape=(4, 1), latent_dim=2, observation=bernoulli())
        >>> sorted(model.init(jax.random.key(0), jnp.zeros((4, 1))))
        ['decoder', 'encoder']
    """
    for name, part in (("posterior", posterior), ("prior", prior), ("likelihood", likelihood)):
        if not isinstance(part, Conditional):
            raise TypeError(
                f"{name} is {part!r}, expected a Conditional. Call one, such as standard_normal({latent_dim})."
            )
    same_support(posterior, prior)
    event_shape = as_event_shape(event_shape)
    seen = normal() if observation is None else as_observation(observation)
    told = None if context is None else as_context(context)
    drawn = draw_code(posterior, prior) if drawing is None else drawing
    if isinstance(latent_dim, tuple):
        code: Any = tuple(positive_integer("latent_dim", size) for size in latent_dim)
    else:
        code = positive_integer("latent_dim", latent_dim)

    def split(x: Any) -> tuple[Any, Any]:
        return (x, None) if told is None else split_context(told, x, "x")

    def with_context(z: Any, c: Any) -> Any:
        return z if told is None else Labelled(z, c)

    def init(key: Key, x: Any) -> Params:
        key_q, key_x, key_p = jax.random.split(as_key("key", key), 3)
        _, c = split(x)
        z = with_context(jax.tree.map(lambda size: jnp.zeros(size, jnp.float32), code), c)
        return merge(posterior.init(key_q, x), likelihood.init(key_x, z), prior.init(key_p, c))

    def terms(params: Params, key: Key, x: Any) -> Terms:
        value, c = split(x)
        z, log_ratio, kl, q = drawn(params, key, x, c)
        log_p_x = likelihood.log_prob(params, value, with_context(z, c))
        return Terms(log_p_x, kl, log_p_x + log_ratio, jnp.zeros_like(log_p_x), z, q)

    return Model(init, terms, posterior, prior, likelihood, event_shape, seen.to_unit, seen.check, told)


def draw_code(posterior: Conditional, prior: Conditional) -> Drawing:
    """z ~ q(z | x), with the KL in closed form where there is one.

    The KL is [Z] where q and p are diagonal Gaussians; [1] where p is one and q knows its KL to it, as Gaussians with
    correlations do; and otherwise [1], its one-sample estimate log q(z | x) - log p(z).

    Example:
        >>> from jaxvae.models.priors.standard import standard_normal
        >>> draw_code(standard_normal(3), standard_normal(3))({}, jax.random.key(0), None, None).kl.tolist()
        [0.0, 0.0, 0.0]
    """

    def draw(params: Params, key: Key, x: Any, context: Any) -> Draw:
        p = None if prior.distribution is None else prior.distribution(params, context)
        q, kl = None, None
        if posterior.distribution is not None:
            q = posterior.distribution(params, x)
            z = reparameterize(key, *q)
            log_q = normal_log_prob(z, *q)
            kl = None if p is None else jax.vmap(normal_kl)(q.mean, q.log_var, p.mean, p.log_var)
        elif p is not None and posterior.sample_with_kl is not None:
            z, log_q, total = posterior.sample_with_kl(params, key, x, p)
            kl = total[None]
        else:
            z, log_q = posterior.sample(params, key, x)
        log_ratio = prior.log_prob(params, z, context) - log_q
        return Draw(z, log_ratio, -log_ratio[None] if kl is None else kl, q)

    return draw
