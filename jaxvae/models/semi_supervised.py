"""The semi-supervised VAE: a class and a code explain x, and the class is known for some examples only."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxvae.checks import as_float, finite_number
from jaxvae.models.conditional import conditional_vae
from jaxvae.models.contexts import Labelled, class_labels, split_context
from jaxvae.models.events import as_event_shape
from jaxvae.models.inputs import as_observation, network_input
from jaxvae.models.records import Conditional, Key, Model, Network, Observation, Params, merge
from jaxvae.objectives.terms import Terms
from jaxvae.randomness import applied

Array = jax.Array


class ClassAndCode(NamedTuple):
    """z of `semi_supervised_vae`: an integer label [] and a code [Z]."""

    label: Array
    code: Array


def semi_supervised_vae(
    encoder: Any,
    decoder: Any,
    classifier: Network,
    *,
    event_shape: Any,
    latent_dim: int,
    classes: int,
    alpha: float = 1.0,
    observation: Observation | None = None,
) -> Model:
    """Model M2: p(y) = 1 / C, p(z) = N(0, I), p(x | y, z) and q(y | x) = softmax(classifier(x)), q(z | x, y).

    x is `Labelled(value, label)`; the label -1 says that the class is not known, and both kinds mix in one batch. With
    L(x, y) = E_q(z | x, y)[log p(x | y, z)] - KL(q(z | x, y) || p(z)) + log p(y), the ELBO of an example is

    L(x, y)                                             where y is known, a bound on log p(x, y);
    sum_y q(y | x) L(x, y) + H(q(y | x))                where it is not, a bound on log p(x), all classes enumerated.

    The classifier learns from known labels through `Terms.penalty` = -alpha log q(y | x), 0 where y is unknown.

    `Terms.kl` is [1 + latent_dim]: first the class's, KL(q(y | x) || p(y)), or -log p(y) = log C where y is known;
    then the codes', each the average over q(y | x) of closed forms. `Terms.log_weight` is log p(x, y, z) - log q(z |
    x, y) for a known y, and otherwise log sum_y p(x, y, z_y) / q(z_y | x, y), one code for each class: the class is
    summed out of the importance weight too, so that `iwae_bound` is a bound, and q(y | x) learns from `elbo` alone.
    `Terms.z` holds all classes and their codes, [C] and [C, Z]; for a known y, as often as there are classes, that y
    and its code, so that both kinds have one shape.

    Args:
        encoder: `.apply(variables, x, one_hot [C])` returns `(mean [latent_dim], log_var [latent_dim])`; see
            `with_context`.
        decoder: `.apply(variables, z, one_hot [C])` returns [..., K * observation.channels] unconstrained numbers.
        classifier: `.apply(variables, x)` returns logits [C].
        event_shape: the shape [..., K] of one value.
        latent_dim: the number of latents.
        classes: C.
        alpha: the weight of the classification, >= 0. With few labels, 0.1 times the number of examples over that of
            labelled ones, for a batch drawn evenly from all.
        observation: an observation model, by default `bernoulli()`.

    Returns:
        A `Model` whose optional context is the label. z of its posterior, prior and likelihood is `ClassAndCode`.

    Raises:
        ValueError, TypeError: as `conditional_vae`; for a negative alpha, or logits of another shape.

    Source: Kingma, Rezende, Mohamed and Welling, 2014, arXiv 1406.5298, equations 6 to 9.

    Example:
        >>> from jaxvae.networks.deterministic import MLPClassifier
        >>> from jaxvae.networks.conditional import with_context
        >>> from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
        >>> model = semi_supervised_vae(
        ...     with_context(MLPEncoder(2, (8,))),
        ...     with_context(MLPDecoder((4, 4, 1), hidden=(8,))),
        ...     MLPClassifier(3, (8,)),
        ...     event_shape=(4, 4, 1),
        ...     latent_dim=2,
        ...     classes=3,
        ... )
        >>> x = Labelled(jnp.zeros((4, 4, 1)), jnp.int32(-1))
        >>> model.terms(model.init(jax.random.key(0), x), jax.random.key(1), x).kl.shape
        (3,)
    """
    finite_number("alpha", alpha)
    told = class_labels(classes, unknown=True)
    known_class = class_labels(classes)
    event_shape, observation = as_event_shape(event_shape), as_observation(observation)
    to_input = network_input(observation, event_shape)
    inner = conditional_vae(
        encoder, decoder, event_shape=event_shape, latent_dim=latent_dim, context=known_class, observation=observation
    )
    log_p_y = -math.log(classes)

    def log_q_y(params: Params, value: Array) -> Array:
        logits = applied(classifier, params["classifier"], to_input(value))
        if jnp.shape(logits) != (classes,):
            raise ValueError(
                f"the classifier returned {jnp.shape(logits) or type(logits).__name__} for one example, expected "
                f"logits of shape ({classes},), one for each class."
            )
        return jax.nn.log_softmax(as_float("the classifier's logits", logits))

    def given(x: Any, name: str = "x") -> tuple[Array, Array, Array]:
        """The value, whether its label is known, and a label that is one of the classes."""
        value, label = split_context(told, x, name)
        told.check(label, f"the label of {name}")
        return value, label >= 0, jnp.maximum(label, 0).astype(jnp.int32)

    def init_posterior(key: Key, x: Any) -> Params:
        value, _, label = given(x)
        key_y, key_z = jax.random.split(key)
        parts = inner.posterior.init(key_z, Labelled(value, label))
        return merge({"classifier": classifier.init(key_y, to_input(value))}, parts)

    def init(key: Key, x: Any) -> Params:
        key_q, key_x = jax.random.split(key)
        z = Labelled(jnp.zeros(latent_dim, jnp.float32), given(x)[2])
        return merge(init_posterior(key_q, x), inner.likelihood.init(key_x, z))

    def terms(params: Params, key: Key, x: Any) -> Terms:
        value, known, label = given(x)
        log_q = log_q_y(params, value)
        every = jnp.arange(classes)
        labels = jnp.where(known, label, every)  # a known class is computed as often as the others
        weights = jnp.where(known, jax.nn.one_hot(label, classes), jnp.exp(log_q))
        keys = jax.random.split(key, classes)
        each = jax.vmap(lambda k, y: inner.terms(params, k, Labelled(value, y)))(keys, labels)
        # Of a known class the first code counts, whatever the class, so that each example takes one draw of its own.
        counted = jnp.where(known, jax.nn.one_hot(0, classes), weights)
        kl_y = jnp.where(known, 0.0, jnp.sum(jnp.exp(log_q) * log_q)) - log_p_y
        log_weight = log_p_y + jnp.where(known, each.log_weight[0], jax.scipy.special.logsumexp(each.log_weight))
        penalty = -alpha * jnp.where(known, log_q[label], 0.0)
        kl = jnp.concatenate([kl_y[None], counted @ each.kl])
        return Terms(counted @ each.log_likelihood, kl, log_weight, penalty, ClassAndCode(labels, each.z), None)

    def sample(params: Params, key: Key, x: Any) -> tuple[Any, Array]:
        value, known, label = given(x)
        key_y, key_z = jax.random.split(key)
        log_q = log_q_y(params, value)
        y = jnp.where(known, label, jax.random.categorical(key_y, log_q).astype(jnp.int32))
        code, log_density = inner.posterior.sample(params, key_z, Labelled(value, y))
        return ClassAndCode(y, code), log_density + jnp.where(known, 0.0, log_q[y])

    def log_prob(params: Params, z: Any, x: Any) -> Array:
        value, known, label = given(x)
        log_q = log_q_y(params, value)[z.label]
        possible = jnp.where(known, jnp.where(z.label == label, 0.0, -jnp.inf), log_q)
        return possible + inner.posterior.log_prob(params, z.code, Labelled(value, z.label))

    def mean(params: Params, x: Any) -> Any:
        value, known, label = given(x)
        y = jnp.where(known, label, jnp.argmax(log_q_y(params, value)).astype(jnp.int32))
        return ClassAndCode(y, inner.posterior.mean(params, Labelled(value, y)))

    def prior_label(label: Any) -> tuple[Array, Array]:
        label = told.example() if label is None else label
        told.check(label, "the label")
        return jnp.asarray(label) >= 0, jnp.maximum(label, 0).astype(jnp.int32)

    def prior_sample(params: Params, key: Key, context: Any) -> tuple[Any, Array]:
        known, label = prior_label(context)
        key_y, key_z = jax.random.split(key)
        y = jnp.where(known, label, jax.random.randint(key_y, (), 0, classes))
        code, log_density = inner.prior.sample(params, key_z, y)
        return ClassAndCode(y, code), log_density + log_p_y

    def prior_log_prob(params: Params, z: Any, context: Any) -> Array:
        return log_p_y + inner.prior.log_prob(params, z.code, None)

    def prior_mean(params: Params, context: Any) -> Any:
        return ClassAndCode(prior_label(context)[1], inner.prior.mean(params, None))

    def decoded(z: Any) -> Labelled:
        """What the decoder is given for z, or for z with the context that it has no need of."""
        z = z.value if isinstance(z, Labelled) else z
        if jnp.ndim(z.label):
            raise ValueError(
                f"z has labels of shape {jnp.shape(z.label)}, expected one label []: Terms.z of this model holds a "
                f"code for every class, since classes are summed out. Draw z from model.posterior.sample."
            )
        return Labelled(z.code, z.label)

    def of_value(x: Any) -> Any:
        return x.value if isinstance(x, Labelled) else x

    p_x = Conditional(
        lambda key, z: inner.likelihood.init(key, decoded(z)),
        lambda params, key, z: inner.likelihood.sample(params, key, decoded(z)),
        lambda params, x, z: inner.likelihood.log_prob(params, of_value(x), decoded(z)),
        lambda params, z: inner.likelihood.mean(params, decoded(z)),
        support=inner.likelihood.support,
    )
    q_z = Conditional(init_posterior, sample, log_prob, mean, support="mixed")
    p_z = Conditional(lambda key, context: {}, prior_sample, prior_log_prob, prior_mean, support="mixed")
    return Model(init, terms, q_z, p_z, p_x, inner.event_shape, inner.to_unit, inner.check, told)
