"""The vector-quantised VAE: a code is one vector, or a grid of them, out of a learned codebook."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxvae.checks import as_float, finite_number, positive_integer
from jaxvae.math.quantization import nearest_code, straight_through
from jaxvae.models.events import as_event_shape, as_shape
from jaxvae.models.inputs import as_observation, network_input, shapes_of
from jaxvae.models.likelihoods import decoder_likelihood
from jaxvae.models.records import Conditional, Key, Model, Network, Observation, Params, merge, part_of
from jaxvae.objectives.terms import Terms
from jaxvae.randomness import applied

Array = jax.Array


class VectorCode(NamedTuple):
    """What a VQ-VAE keeps of one example in `Terms.z`.

    Attributes:
        vectors: [..., D] the codebook's vectors, with the gradient of `encoding`; what the decoder reads.
        indices: [...] int32, which vectors.
        encoding: [..., D] what the encoder emitted.

    Example:
        >>> VectorCode(jnp.zeros((2, 3)), jnp.zeros(2, jnp.int32), jnp.zeros((2, 3))).indices.shape
        (2,)
    """

    vectors: Array
    indices: Array
    encoding: Array


def vq_vae(
    encoder: Network,
    decoder: Network,
    *,
    event_shape: Any,
    code_shape: tuple[int, ...],
    codes: int,
    observation: Observation | None = None,
    commitment: float = 0.25,
    prior: Conditional | None = None,
) -> Model:
    r"""VQ-VAE: each vector of the encoder is replaced by its nearest in a codebook; train it with `vq_loss`.

    z = e_k with k = argmin_j |encoder(x) - e_j|, the gradient copied straight through to the encoder;
    penalty = |stop(encoder(x)) - e_k|^2 + commitment |encoder(x) - stop(e_k)|^2, summed over positions

    With a uniform prior over codes and a posterior that is certain, the KL is P log K nats exactly for P positions, so
    `Terms.log_weight` = log p(x | z) - P log K is a true bound on log p(x). A prior fitted to the codes afterwards
    makes it higher, never lower on the data it fits; `prior` learns one from the start (`code_prior`), whose -log p(z)
    takes the place of P log K. The encoder has no gradient of it: codes are whole numbers.

    The parameters "codebook" are the vectors [K, D] and their `usage` [K], which the model never reads. Its gradient is
    the usage minus this example's counts (a term of value 0), so that gradient descent on it is a moving average.

    Args:
        encoder: `.apply(variables, x)` returns one array of shape code_shape.
        decoder: `.apply(variables, z)` reads the quantised vectors, of shape code_shape; `MappedInput(decoder,
            jax.numpy.ravel)` lets a fully connected one read a grid.
        event_shape: the shape [..., C] of one example.
        code_shape: (D,) for one vector, (h, w, D) for a grid.
        codes: K, the size of the codebook.
        observation: an observation model, by default `bernoulli()`.
        commitment: beta of the paper.
        prior: p(z), a density of the codebook's vectors, by default `uniform_codes(code_shape, codes)`.

    Raises:
        ValueError, TypeError: for impossible shapes, codes, commitment or observation, and later, when x has another
            shape or a network emits one.

    Source: van den Oord, Vinyals and Kavukcuoglu, 2017, arXiv 1711.00937.

    Example:
        >>> from jaxvae.networks.deterministic import MLPDeterministicEncoder
        >>> from jaxvae.networks.mlp import MLPDecoder
        >>> networks = MLPDeterministicEncoder(2, ()), MLPDecoder((4, 1), hidden=())
        >>> model = vq_vae(*networks, event_shape=(4, 1), code_shape=(2,), codes=8)
        >>> terms = model.terms(model.init(jax.random.key(0), jnp.ones((4, 1))), jax.random.key(1), jnp.ones((4, 1)))
        >>> round(float(terms.kl[0]), 4)  # log 8
        2.0794
    """
    code_shape, event_shape = as_shape("code_shape", code_shape), as_event_shape(event_shape)
    codes = positive_integer("codes", codes)
    finite_number("commitment", commitment)
    observation = as_observation(observation)
    to_input = network_input(observation, event_shape)
    p_x = decoder_likelihood(decoder, observation, event_shape)
    p_z = uniform_codes(code_shape, codes) if prior is None else codebook_density(prior)

    def encode(params: Params, x: Array) -> VectorCode:
        encoding = applied(encoder, part_of(params, "encoder"), to_input(x))
        shape = getattr(encoding, "shape", type(encoding).__name__)
        if shape != code_shape:
            raise ValueError(
                f"the encoder returned {shape} for one example of shape {shapes_of(x)}, expected one array of shape "
                f"{code_shape}, the code_shape. Check its last layer; it must work without a batch axis."
            )
        encoding = as_float("the encoder's output", encoding)
        index = nearest_code(encoding, part_of(params, "codebook")["vectors"])
        vectors = params["codebook"]["vectors"].astype(encoding.dtype)[index]
        return VectorCode(straight_through(vectors, encoding), index, encoding)

    def init_posterior(key: Key, x: Array) -> Params:
        return {"encoder": encoder.init(key, to_input(x))}

    def sample(params: Params, key: Key, x: Array) -> tuple[Array, Array]:
        z = encode(params, x).vectors
        return z, jnp.zeros((), z.dtype)

    def log_prob(params: Params, z: Array, x: Array) -> Array:
        return jnp.where((z == encode(params, x).vectors).all(), 0.0, -jnp.inf)

    def mean(params: Params, x: Array) -> Array:
        return encode(params, x).vectors

    def init(key: Key, x: Array) -> Params:
        key_q, key_x, key_p = jax.random.split(key, 3)
        code = jnp.zeros(code_shape, jnp.float32)
        return merge(init_posterior(key_q, x), p_x.init(key_x, code), p_z.init(key_p, None))

    def terms(params: Params, key: Key, x: Array) -> Terms:
        z = encode(params, x)
        log_p_x = p_x.log_prob(params, x, z.vectors)
        chosen = params["codebook"]["vectors"].astype(z.encoding.dtype)[z.indices]
        stop = jax.lax.stop_gradient
        penalty = ((stop(z.encoding) - chosen) ** 2).sum() + commitment * ((z.encoding - stop(chosen)) ** 2).sum()
        usage = params["codebook"]["usage"]
        counted = 0.5 * ((usage - jnp.zeros_like(usage).at[z.indices.ravel()].add(1.0)) ** 2).sum()
        penalty += (counted - stop(counted)).astype(penalty.dtype)
        # q is sure of its code: log q(z | x) = 0. A prior knows vectors by their numbers, which have no gradient.
        rate = -p_z.log_prob(params, stop(z.vectors), None).astype(log_p_x.dtype)
        return Terms(log_p_x, rate[None], log_p_x - rate, penalty, z, None)

    posterior = Conditional(init_posterior, sample, log_prob, mean, support="codebook")
    # q(z | x) is sure of one code, so that exp(log_weight) = p(x, z) and not p(x) on average: a bound.
    return Model(
        init, terms, posterior, p_z, p_x, event_shape, observation.to_unit, observation.check, evidence="bound"
    )


def codebook_density(prior: Any) -> Conditional:
    """The prior itself; raises `TypeError` or `ValueError` for what is no density of a codebook's vectors."""
    if not isinstance(prior, Conditional):
        raise TypeError(f"prior is {prior!r:.80}, expected a Conditional, such as code_prior(...).")
    if prior.support != "codebook":
        raise ValueError(
            f"prior is a density over {prior.support!r}, expected one over the vectors of a codebook. Make it of a "
            f"density of their numbers: code_prior(autoregressive(...), code_shape, codes)."
        )
    return prior


def uniform_codes(code_shape: tuple[int, ...], codes: int) -> Conditional:
    """p(z) uniform over the vectors of params["codebook"] at every position, which it creates: -P log K nats.

    `log_prob` takes it for granted that z consists of vectors of the codebook; `mean` is their mean.

    Example:
        >>> prior = uniform_codes((2, 3), codes=4)
        >>> z, log_p = prior.sample(prior.init(jax.random.key(0), None), jax.random.key(1), None)
        >>> z.shape, round(float(log_p), 4)  # -2 log 4
        ((2, 3), -2.7726)
    """
    log_p = -math.prod(code_shape[:-1]) * math.log(codes)

    def init(key: Key, context: None = None) -> Params:
        vectors = jax.random.normal(key, (codes, code_shape[-1]), jnp.float32)
        return {"codebook": {"vectors": vectors, "usage": jnp.zeros(codes, jnp.float32)}}

    def sample(params: Params, key: Key, context: None = None) -> tuple[Array, Array]:
        z = params["codebook"]["vectors"][jax.random.randint(key, code_shape[:-1], 0, codes)]
        return z, jnp.full((), log_p, z.dtype)

    def log_prob(params: Params, z: Array, context: None = None) -> Array:
        return jnp.full((), log_p, z.dtype)

    def mean(params: Params, context: None = None) -> Array:
        return jnp.broadcast_to(params["codebook"]["vectors"].mean(0), code_shape)

    return Conditional(init, sample, log_prob, mean, support="codebook")
