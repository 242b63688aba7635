"""A VAE whose latents are categorical variables."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.checks import as_float, finite_number, positive_integer
from jaxvae.math.categorical import categorical_kl_uniform, gumbel_softmax
from jaxvae.math.numerics import log_softmax
from jaxvae.math.quantization import straight_through
from jaxvae.models.events import as_event_shape
from jaxvae.models.inputs import as_observation, network_input, shapes_of
from jaxvae.models.likelihoods import decoder_likelihood
from jaxvae.models.records import Conditional, Evidence, Key, Model, Network, Observation, Params, merge, part_of
from jaxvae.networks.deterministic import MappedInput
from jaxvae.objectives.terms import Terms
from jaxvae.randomness import applied

Array = jax.Array


def categorical_vae(
    encoder: Network,
    decoder: Network,
    *,
    event_shape: Any,
    variables: int,
    classes: int,
    observation: Observation | None = None,
    temperature: Array | float = 1.0,
    relaxed: bool = False,
) -> Model:
    """A VAE with N categorical latents of K classes each and a uniform prior; z is one-hot, [N, K].

    By default z is always a hard sample, so every value is one of the discrete model, and its gradient is that of the
    Gumbel-softmax at the temperature (straight-through: low variance, biased). With `relaxed`, `terms` gives the
    decoder the relaxed sample, whose gradient has no bias for its own objective. That objective is no bound on log p(x)
    of the discrete model, so `Terms.log_weight` is then -inf and the evidence "none": evaluate the same parameters with
    `relaxed=False`. The KL is exact in both. `posterior`, `prior` and `likelihood` are those of the discrete model in
    both.

    To let the temperature follow a schedule, build the model inside a loss: `schedule_loss`.

    Args:
        encoder: `.apply(variables, x)` returns N * K logits, as [N, K] or [N * K].
        decoder: `.apply(variables, z)` reads z as one vector [N * K].
        event_shape: the shape [..., C] of one example.
        variables: N.
        classes: K, at least 2.
        observation: an observation model, by default `bernoulli()`.
        temperature: [] positive; may be traced.
        relaxed: whether `terms` relaxes z.

    Raises:
        ValueError, TypeError: for impossible options, and later, when x has another shape or a network emits one.

    Source: Jang, Gu and Poole, 2017, arXiv 1611.01144; Maddison, Mnih and Teh, 2017, arXiv 1611.00712.

    Example:
        >>> from jaxvae.networks.deterministic import MLPDeterministicEncoder
        >>> from jaxvae.networks.mlp import MLPDecoder
        >>> networks = MLPDeterministicEncoder(6, ()), MLPDecoder((4, 1), hidden=())
        >>> model = categorical_vae(*networks, event_shape=(4, 1), variables=2, classes=3)
        >>> terms = model.terms(model.init(jax.random.key(0), jnp.ones((4, 1))), jax.random.key(1), jnp.ones((4, 1)))
        >>> terms.kl.shape, terms.z.sum(-1).tolist()
        ((2,), [1.0, 1.0])
    """
    variables, classes = positive_integer("variables", variables), positive_integer("classes", classes, 2)
    finite_number("temperature", temperature, above=True)
    event_shape, observation = as_event_shape(event_shape), as_observation(observation)
    to_input = network_input(observation, event_shape)
    p_x = decoder_likelihood(MappedInput(decoder, jnp.ravel), observation, event_shape)
    p_z = uniform_categories(variables, classes)

    def logits_of(params: Params, x: Array) -> Array:
        logits = applied(encoder, part_of(params, "encoder"), to_input(x))
        shape = getattr(logits, "shape", type(logits).__name__)
        if shape not in ((variables, classes), (variables * classes,)):
            raise ValueError(
                f"the encoder returned {shape} for one example of shape {shapes_of(x)}, expected one array of shape "
                f"({variables}, {classes}) or ({variables * classes},): the logits of {variables} variable(s) of "
                f"{classes} classes. MLPDeterministicEncoder({variables * classes}) is such an encoder."
            )
        return as_float("the encoder's output", logits).reshape(variables, classes)

    def init_posterior(key: Key, x: Array) -> Params:
        return {"encoder": encoder.init(key, to_input(x))}

    def density(z: Array, logits: Array) -> Array:
        return jnp.where(z > 0, z * log_softmax(logits), 0.0).sum()

    def sample(params: Params, key: Key, x: Array) -> tuple[Array, Array]:
        logits = logits_of(params, x)
        soft, hard = gumbel_softmax(key, logits, temperature)
        return straight_through(hard, soft), density(hard, logits)

    def log_prob(params: Params, z: Array, x: Array) -> Array:
        return density(z, logits_of(params, x))

    def mean(params: Params, x: Array) -> Array:
        return jax.nn.softmax(logits_of(params, x))

    def init(key: Key, x: Array) -> Params:
        key_q, key_x, key_p = jax.random.split(key, 3)
        code = jnp.zeros((variables, classes), jnp.float32)
        return merge(init_posterior(key_q, x), p_x.init(key_x, code), p_z.init(key_p, None))

    def terms(params: Params, key: Key, x: Array) -> Terms:
        logits = logits_of(params, x)
        soft, hard = gumbel_softmax(key, logits, temperature)
        z = soft if relaxed else straight_through(hard, soft)
        log_p_x = p_x.log_prob(params, x, z)
        log_ratio = p_z.log_prob(params, hard, None) - density(hard, logits)
        log_weight = jnp.full_like(log_p_x, -jnp.inf) if relaxed else log_p_x + log_ratio
        return Terms(log_p_x, jax.vmap(categorical_kl_uniform)(logits), log_weight, jnp.zeros_like(log_p_x), z, None)

    posterior = Conditional(init_posterior, sample, log_prob, mean, support="one_hot")
    evidence: Evidence = "none" if relaxed else "weights"
    return Model(
        init, terms, posterior, p_z, p_x, event_shape, observation.to_unit, observation.check, evidence=evidence
    )


def uniform_categories(variables: int, classes: int) -> Conditional:
    """p(z) uniform over one-hot z [N, K]: -N log K nats; `mean` is 1 / K everywhere.

    Raises:
        ValueError, TypeError: unless variables is a positive integer, and classes one of at least 2.

    Example:
        >>> z, log_p = uniform_categories(2, 3).sample({}, jax.random.key(0), None)
        >>> z.sum(-1).tolist(), round(float(log_p), 4)  # -2 log 3
        ([1.0, 1.0], -2.1972)
    """
    variables, classes = positive_integer("variables", variables), positive_integer("classes", classes, 2)
    log_p = -variables * math.log(classes)

    def init(key: Key, context: None = None) -> Params:
        return {}

    def sample(params: Params, key: Key, context: None = None) -> tuple[Array, Array]:
        index = jax.random.randint(key, (variables,), 0, classes)
        z = jax.nn.one_hot(index, classes, dtype=jnp.float32)
        return z, jnp.full((), log_p, z.dtype)

    def log_prob(params: Params, z: Array, context: None = None) -> Array:
        return jnp.full((), log_p, z.dtype)

    def mean(params: Params, context: None = None) -> Array:
        return jnp.full((variables, classes), 1.0 / classes, jnp.float32)

    return Conditional(init, sample, log_prob, mean, support="one_hot")
